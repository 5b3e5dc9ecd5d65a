"""Where a predicted value comes from: it reproduces what is stored, and says loudly when it cannot."""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from assets.lineage_pages import page_name, write_examples
from atelier.attributes import AttributeConfig, AttributeModel, complete
from atelier.attributes.lineage import AttributeLineage
from atelier.errors import PartitionMissing
from atelier.report.lineage import lineage_page
from resources.article_inputs import INPUTS, article_inputs
from resources.attribute_lineage import MODEL, TABLE, LineageError, Tracer
from resources.embedding_cache import EmbeddingCache
from resources.encoders import BACKBONE, backbone_of, record_backbone
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.publishing import publish
from resources.tables import REGISTRY

DAYS = [date(2025, 3, 3) + timedelta(days=n) for n in range(3)]
ENCODER = "encoder-1"
CONFIG = AttributeConfig(
    image_units=4,
    filters=4,
    text_units=4,
    token_dim=4,
    brand_dim=2,
    joint_units=8,
    tokens=6,
    batch_size=8,
    max_epochs=2,
    precision="float32",
    min_samples=2,
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Shop:
    """A store by hand: a few articles, photographs, labels, a model for each of the first two days."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = FeatureStore(root / "store", threads=1)
        self.models = ModelStore(root / "store")
        self.cache = EmbeddingCache(root / "store")
        self.photographs = root / "photographs"
        self.tracer = Tracer(self.store, self.models, self.cache, self.photographs)

    def trace(self, article: str, attribute: str, ds: date | None = None) -> AttributeLineage:
        return self.tracer.trace(article, attribute, ds)

    def ingest(self, ds: date, articles: pd.DataFrame) -> None:
        self.store.write("articles", ds, articles.reindex(columns=list(REGISTRY["articles"].by_name)))
        files = sorted(self.photographs.glob("*.jpg"))
        images = pd.DataFrame(
            {
                "article_id": [file.stem.split("_")[0] for file in files],
                "shot": [int(file.stem.split("_")[1]) for file in files],
                "path": [file.name for file in files],
                "digest": [hashlib.sha256(file.read_bytes()).hexdigest() for file in files],
                "width": 8,
                "height": 8,
            }
        )
        self.store.write("images", ds, images[images["article_id"].isin(articles["article_id"])])

    def encode(self, ds: date) -> None:
        digests = sorted(set(self.store.read("images", ds)["digest"].to_pylist()))
        vectors = np.array([[int(d[n : n + 2], 16) / 255 for n in (0, 2, 4)] for d in digests], np.float32)
        self.cache.append(ENCODER, digests, vectors)
        table = pd.DataFrame({"digest": digests, "encoder_id": ENCODER, "dimension": 3, "norm": 1.0})
        self.store.write("image_embeddings", ds, table)

    def predict(self, ds: date, labels: pd.DataFrame) -> None:
        self.store.write("annotated_attributes", ds, labels)
        inputs = article_inputs(self.store, self.cache, ds)
        model = AttributeModel(CONFIG).fit(inputs, labels)
        upstreams = {table: self.store.data_version(table, ds) for table in (*INPUTS, "annotated_attributes")}
        if backbone := backbone_of(self.root / "store", [ENCODER]):
            upstreams[BACKBONE] = backbone
        bundle = self.models.publish(MODEL, ds, model.save, upstreams, seed=0, code_version="abc")
        self.store.write(TABLE, ds, complete(model, inputs, labels, model_id=bundle.model_id), run_id=f"run-{ds}")


def catalogue(count: int = 24) -> pd.DataFrame:
    """Articles a00 … of which a00 has nothing but an id and a05 no text."""
    ids = [f"a{n:02d}" for n in range(count)]
    frame = pd.DataFrame(
        {
            "article_id": ids,
            "product_code": ids,
            "name": [("round" if n % 2 else "deep v") + " neck" for n in range(count)],
            "description": [f"in cotton for every day and every night number {n}" for n in range(count)],
            "product_type": ["Top", "Socks", "Dress"] * (count // 3),
            "brand": "ours",
            "in_stock": True,
        }
    )
    frame.loc[0, ["product_code", "name", "description", "product_type", "brand"]] = None
    frame.loc[5, ["name", "description"]] = None
    return frame


def annotations(articles: pd.DataFrame) -> pd.DataFrame:
    """Two attributes on most articles, a neckline on no socks, and one value of an attribute that nobody else has."""
    rows = [
        (article, attribute, value)
        for place, (article, kind) in enumerate(zip(articles["article_id"], articles["product_type"], strict=True))
        for attribute, value in (("colour", ("red", "blue")[place % 2]), ("neckline", ("round", "v")[place % 2]))
        if place % 4 and not (attribute == "neckline" and kind == "Socks")
    ]
    return pd.DataFrame([*rows, ("a01", "odd", "very")], columns=["article_id", "attribute", "value"])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days with predictions, of which the second lacks a23, and a third that was only ingested."""
    shop = Shop(tmp_path_factory.mktemp("built") / "shop")
    shop.photographs.mkdir(parents=True)
    for place, name in enumerate(("a02_0", "a02_1", "a03_0", "a10_0")):
        Image.new("RGB", (8, 8), (60 * place, 200, 90)).save(shop.photographs / f"{name}.jpg")
    articles = catalogue()
    for ds, known in ((DAYS[0], articles), (DAYS[1], articles[:23])):
        shop.ingest(ds, known)
        shop.encode(ds)
        shop.predict(ds, annotations(known))
    shop.ingest(DAYS[2], articles[:23])
    return shop.root


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Shop:
    """A copy, to be spoiled."""
    shutil.copytree(built, tmp_path / "shop")
    return Shop(tmp_path / "shop")


@pytest.fixture(scope="module")
def whole(built: Path) -> Shop:
    """The shop itself, only to be read."""
    return Shop(built)


def stored(shop: Shop, ds: date) -> pd.DataFrame:
    frame: pd.DataFrame = shop.store.read(TABLE, ds).to_pandas()
    return frame


def test_every_value_of_a_day_is_traced_and_every_predicted_one_reproduced(whole: Shop) -> None:
    sources = set()
    for ds in DAYS[:2]:
        for row in stored(whole, ds).query("article_id < 'a08'").to_dict("records"):
            found = whole.trace(row["article_id"], row["attribute"], ds)
            assert (found.stored.value, found.stored.source, found.stored.ds) == (row["value"], row["source"], ds)
            assert found.written.run_id == f"run-{ds}"
            assert found.written.dagster_path == f"/runs/run-{ds}"
            assert found.text.same
            assert found.differences == ()
            sources.add(found.stored.source)
            if pd.isna(row["prediction"]):
                assert (row["attribute"], found.explanation, found.model) == ("odd", None, None)
                continue
            assert found.reproduced
            assert found.explanation is not None
            assert found.explanation.value == row["prediction"]
            assert found.explanation.probability == pytest.approx(row["confidence"], abs=1e-5)
            assert found.model is not None
            assert (found.model.model_id, found.model.training_day) == (row["model_id"], str(ds))
            assert all(upstream.current for upstream in found.model.upstreams)
            assert {upstream.table for upstream in found.model.upstreams} == {*INPUTS, "annotated_attributes"}
    assert "annotated" in sources
    assert sources & {"predicted", "abstained"}


def test_the_newest_day_and_those_before(whole: Shop) -> None:
    found = whole.trace("a02", "colour")
    assert found.stored.ds == DAYS[1]
    assert [day.ds for day in found.earlier] == [DAYS[0]]
    first = stored(whole, DAYS[0]).set_index(["article_id", "attribute"]).loc[("a02", "colour")]
    assert (found.earlier[0].value, found.earlier[0].confidence) == (first["value"], first["confidence"])
    assert whole.trace("a02", "colour", DAYS[0]).earlier == ()


def test_what_was_read(whole: Shop) -> None:
    found = whole.trace("a02", "colour")
    assert [(p.path, p.shot, p.problem, p.current) for p in found.photographs] == [
        ("a02_0.jpg", 0, None, True),
        ("a02_1.jpg", 1, None, True),
    ]
    assert found.text.text == "deep v neck in cotton for every day and every night number 2"
    assert (found.text.same, found.text.current, found.gone_since) == (True, True, None)
    assert hashlib.sha256((found.text.text or "").encode()).hexdigest() == found.text.digest
    assert found.explanation is not None
    assert found.explanation.words == tuple(found.text.text.split())  # all of it, for the values that it names
    assert found.explanation.unread == 0
    assert found.computed_from == REGISTRY[TABLE].by_name["value"].lineage


def test_an_article_of_which_only_the_id_is_known(whole: Shop) -> None:
    found = whole.trace("a00", "colour")
    assert found.reproduced
    assert (found.name, found.text.text, found.photographs) == (None, "", ())
    assert found.explanation is not None
    assert not any(removal.present for removal in found.explanation.removals)
    assert whole.trace("a05", "colour").text.text == ""


def test_an_annotation_that_no_model_predicts(whole: Shop) -> None:
    found = whole.trace("a01", "odd")
    assert (found.stored.value, found.stored.prediction, found.stored.model_id) == ("very", None, None)
    assert (found.model, found.explanation, found.alternatives) == (None, None, ())
    assert "No model predicted it" in str(found.unexplained)
    assert not found.reproduced


def test_an_article_that_is_gone(whole: Shop) -> None:
    found = whole.trace("a23", "colour")
    assert found.stored.ds == DAYS[0]
    assert found.gone_since == DAYS[2]
    assert found.reproduced
    assert not found.text.current


@pytest.mark.parametrize(
    ("article", "attribute", "ds", "said"),
    [
        ("a2", "colour", None, r"no article 'a2' .* of 2025-03-04; the nearest names are a2\d"),
        ("a02", "neck", None, r"no attribute 'neck' .*nearest names are neckline.*; a02 has colour, neckline"),
        ("a04", "neckline", None, "neckline does not apply to article a04 on 2025-03-04; it has colour"),
        ("a23", "colour", DAYS[1], "colour of a23 has no value on 2025-03-04; it has one on 2025-03-03"),
        ("'; DROP TABLE x", "%", None, 'no article "\'; DROP TABLE x"'),
    ],
)
def test_what_is_unknown_is_answered_with_what_is_known(
    whole: Shop, article: str, attribute: str, ds: date | None, said: str
) -> None:
    with pytest.raises(LineageError) as raised:
        whole.trace(article, attribute, ds)
    assert re.search(said, str(raised.value)), raised.value


def test_a_day_without_predictions_names_the_command(whole: Shop, tmp_path: Path) -> None:
    with pytest.raises(PartitionMissing, match="daily_retrain --partition 2025-03-05"):
        whole.trace("a02", "colour", DAYS[2])
    with pytest.raises(LineageError, match="nothing has been predicted yet"):
        Shop(tmp_path / "empty").trace("a02", "colour")


def test_a_text_that_was_written_again_does_not_reproduce(shop: Shop) -> None:
    changed = catalogue()[:23]
    changed.loc[2, "name"] = "quite another thing"
    shop.ingest(DAYS[1], changed)
    found = shop.trace("a02", "neckline")
    assert not found.reproduced
    assert not found.text.same
    said = "; ".join(found.differences)
    assert "the text of 2025-03-04 is another one" in said
    assert "articles of 2025-03-04 was written again since the training" in said
    assert "images of" not in said
    others = shop.trace("a03", "neckline")
    assert others.reproduced, "what it read itself is as it was"
    assert [u.table for u in others.model.upstreams if not u.current] == ["articles"] if others.model else False


def test_metadata_that_were_written_again_show_in_the_probability(shop: Shop) -> None:
    changed = catalogue()[:23]
    changed.loc[6, ["product_type", "brand"]] = ["Dress", "theirs"]
    shop.ingest(DAYS[1], changed)
    found = shop.trace("a06", "colour")
    assert found.text.same
    assert not found.reproduced
    assert "is stored" in found.differences[0]


def test_a_stored_probability_that_is_not_the_bundles(shop: Shop) -> None:
    table = stored(shop, DAYS[1])
    table.loc[(table["article_id"] == "a02") & (table["attribute"] == "colour"), "confidence"] -= 0.01
    shop.store.write(TABLE, DAYS[1], table)
    found = shop.trace("a02", "colour")
    assert found.explanation is not None
    assert len(found.differences) == 1
    assert "the probability of" in found.differences[0]
    assert "is stored" in found.differences[0]
    assert found.written.dagster_path is None, "written outside Dagster"


def test_photographs_that_changed_or_went(shop: Shop) -> None:
    (shop.photographs / "a02_0.jpg").unlink()
    Image.new("RGB", (8, 8), "white").save(shop.photographs / "a02_1.jpg")
    shop.ingest(DAYS[2], catalogue()[:23])
    found = shop.trace("a02", "colour")
    assert [(p.path, p.problem, p.current) for p in found.photographs] == [
        ("a02_0.jpg", "no such file", False),
        ("a02_1.jpg", "the file has changed since", False),
    ]
    assert found.reproduced, "their vectors are in the cache"
    page = lineage_page(found, shop.tracer.image_root)
    assert "data:image" not in page
    assert "no such file" in page
    assert found.photographs[0].digest in page
    shop.ingest(DAYS[1], catalogue()[:23])
    again = shop.trace("a02", "colour")
    assert [(p.path, p.problem) for p in again.photographs] == [(None, "that day lists it no more")] * 2
    assert any("the photographs of 2025-03-04 are others" in difference for difference in again.differences)


def test_a_source_that_cannot_be_opened(shop: Shop) -> None:
    found = Tracer(shop.store, shop.models, shop.cache, None).trace("a02", "colour")
    assert {photograph.problem for photograph in found.photographs} == {"the source cannot be opened"}
    assert found.reproduced


@pytest.mark.parametrize("spoil", ["deleted", "changed", "manifest"])
def test_a_bundle_that_is_gone_still_leaves_what_is_stored(shop: Shop, spoil: str) -> None:
    path = shop.models.path(MODEL, str(shop.trace("a02", "colour").stored.model_id))
    fresh = Shop(shop.root)  # a tracer that has not opened it yet
    if spoil == "deleted":
        shutil.rmtree(path)
    elif spoil == "changed":
        (path / "config.json").write_text("{}")
    else:
        (path / "manifest.json").write_text("[")
    if spoil == "manifest":
        with pytest.warns(UserWarning, match="is not a manifest"):
            found = fresh.trace("a02", "colour")
    else:
        found = fresh.trace("a02", "colour")
    assert "cannot be computed" in str(found.unexplained)
    assert not found.reproduced
    assert found.stored.value
    assert found.stored.confidence
    assert len(found.photographs) == 2
    assert len(found.earlier) == 1
    assert (found.model is None) == (spoil != "changed")
    assert "cannot be computed" in lineage_page(found, fresh.tracer.image_root)


def test_an_article_that_its_own_day_no_longer_has(shop: Shop) -> None:
    articles = catalogue()[:23]
    shop.ingest(DAYS[1], articles[articles["article_id"] != "a02"])
    found = shop.trace("a02", "colour")
    assert found.explanation is None
    assert "written again since, without this article" in str(found.unexplained)
    assert (found.text.text, found.text.same) == (None, False)
    assert lineage_page(found, shop.tracer.image_root)


def test_another_encoder_is_said(shop: Shop) -> None:
    table = shop.store.read("image_embeddings", DAYS[1]).to_pandas()
    shop.store.write("image_embeddings", DAYS[1], table.assign(encoder_id="another"))
    found = shop.trace("a02", "colour")
    assert "have no vector of encoder another" in str(found.unexplained)
    assert shop.trace("a06", "colour").reproduced, "it has no photograph"


# ---- the view


@pytest.fixture
def database(shop: Shop) -> Callable[[str], list[tuple[object, ...]]]:
    def ask(sql: str) -> list[tuple[object, ...]]:
        publish(shop.store, shop.root / "atelier.duckdb", threads=1)
        with duckdb.connect(str(shop.root / "atelier.duckdb"), read_only=True) as con:
            return con.sql(sql).fetchall()

    return ask


def test_the_view_has_every_row_once_with_its_run_and_bundle(
    shop: Shop, database: Callable[[str], list[tuple[object, ...]]]
) -> None:
    rows = database("SELECT ds, article_id, attribute FROM attribute_lineage ORDER BY ALL")
    assert rows == database(f"SELECT ds, article_id, attribute FROM {TABLE} ORDER BY ALL")  # noqa: S608
    assert len(rows) == sum(len(stored(shop, ds)) for ds in DAYS[:2])
    assert database(
        "SELECT count(*) FROM attribute_lineage WHERE run_id IS NULL OR written_at IS NULL OR data_version IS NULL"
        " OR (prediction IS NOT NULL AND (model_id IS NULL OR model_training_day IS NULL OR model_code_version IS NULL"
        " OR model_seed IS NULL OR model_upstreams['articles'] IS NULL OR model_libraries['torch'] IS NULL))"
    ) == [(0,)]
    (found,) = database(
        "SELECT value, run_id, model_training_day, model_upstreams['articles'] FROM attribute_lineage"
        " WHERE article_id = 'a02' AND attribute = 'colour' AND ds = '2025-03-04'"
    )
    traced = shop.trace("a02", "colour")
    assert traced.model is not None
    articles = next(u.data_version for u in traced.model.upstreams if u.table == "articles")
    assert found == (traced.stored.value, traced.written.run_id, DAYS[1], articles)


def test_the_backbone_that_read_the_photographs_is_traced_and_shown(
    shop: Shop, database: Callable[[str], list[tuple[object, ...]]]
) -> None:
    assert shop.trace("a02", "colour", DAYS[1]).backbone_id is None, "its encoder was not fine-tuned here"
    tuned = shop.models.publish(
        BACKBONE,
        DAYS[0],
        lambda folder: (folder / "config.json").write_text("{}") and None,
        {},
        seed=3,
        code_version="t",
    )
    record_backbone(shop.root / "store", ENCODER, tuned.model_id)
    shop.predict(DAYS[1], annotations(catalogue()[:23]))
    found = shop.trace("a02", "colour", DAYS[1])
    assert found.backbone_id == tuned.model_id
    assert found.backbone is not None
    assert (found.backbone.name, found.backbone.training_day, found.backbone.seed) == (BACKBONE, str(DAYS[0]), 3)
    assert found.model is not None
    assert (BACKBONE, tuned.model_id, True) in [(u.table, u.data_version, u.current) for u in found.model.upstreams]
    shown = database("SELECT DISTINCT ds, backbone_id, backbone_training_day FROM attribute_lineage ORDER BY ds")
    assert (DAYS[1], tuned.model_id, DAYS[0]) in shown
    assert (DAYS[0], None, None) in shown
    shutil.rmtree(tuned.path)
    gone = shop.trace("a02", "colour", DAYS[1])
    assert (gone.backbone_id, gone.backbone) == (tuned.model_id, None)
    assert gone.model is not None
    assert [u.current for u in gone.model.upstreams if u.table == BACKBONE] == [False]
    assert gone.reproduced, "the vectors are in the cache"


def test_the_view_keeps_the_rows_of_a_bundle_that_is_gone(
    shop: Shop, database: Callable[[str], list[tuple[object, ...]]]
) -> None:
    rows = database("SELECT count(*) FROM attribute_lineage")
    shutil.rmtree(shop.models.path(MODEL, shop.models.pointer(MODEL, DAYS[0])))
    (other := shop.models.path(MODEL, "f" * 32)).mkdir()
    (other / "manifest.json").write_text("{}")
    with pytest.warns(UserWarning, match=f"{'f' * 32}.* is not a manifest"):
        found = database("SELECT ds, model_training_day, model_id IS NULL FROM attribute_lineage")
    assert [(len(found),)] == rows
    assert {row[:2] for row in found if not row[2]} == {(DAYS[0], None), (DAYS[1], DAYS[1])}


def test_the_bundles_are_a_table(shop: Shop, database: Callable[[str], list[tuple[object, ...]]]) -> None:
    found = database("SELECT name, model_id, training_day, seed, code_version FROM model_bundles ORDER BY training_day")
    assert found == [(MODEL, shop.models.pointer(MODEL, ds), ds, 0, "abc") for ds in DAYS[:2]]
    assert [m.model_id for m in shop.models.manifests()] == sorted(str(row[1]) for row in found)
    libraries = database("SELECT DISTINCT libraries['torch'] FROM model_bundles")
    assert libraries[0][0]


# ---- examples for the daily page


def test_examples_have_pages_and_old_ones_go(shop: Shop, tmp_path: Path) -> None:
    stale = tmp_path / f"ds={DAYS[1]}-lineage" / "stale.html"
    stale.parent.mkdir()
    stale.touch()
    examples = write_examples(shop.store, shop.tracer, DAYS[1], tmp_path)
    assert examples
    assert not stale.exists()
    assert {path.name for path in stale.parent.iterdir()} == {example.href.split("/")[1] for example in examples}
    table = stored(shop, DAYS[1])
    of_source = {name: table[table["source"] == name] for name in ("predicted", "abstained", "annotated")}
    wrong = of_source["annotated"].query("prediction.notna() and prediction != value")
    expected = {
        "the least certain": of_source["predicted"]["confidence"].min(),
        "the most certain": of_source["predicted"]["confidence"].max(),
        "abstained": of_source["abstained"]["confidence"].min(),
        "people say otherwise": wrong["confidence"].max(),
    }
    assert {e.why: e.lineage.stored.confidence for e in examples} == {w: c for w, c in expected.items() if c == c}
    for example in examples:
        page = (tmp_path / example.href).read_text()
        assert example.lineage.article_id in page
        assert example.lineage.reproduced
    assert write_examples(shop.store, shop.tracer, DAYS[2], tmp_path) is None


def test_page_names_are_safe_whatever_the_value_is_called() -> None:
    names = {page_name(*pair) for pair in (("a", "b"), ("../a", "b/c"), ("a", "b\0c"), ("", "ab"))}
    assert len(names) == 4
    assert all(re.fullmatch(r"[0-9a-f]{16}\.html", name) for name in names)
