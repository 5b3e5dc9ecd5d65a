"""The index of a model's articles against the model's own exact lists, with filters, on disk; and its recall."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.errors import BundleError, UnknownIdentifier
from atelier.ids import IdMap
from atelier.recommenders import article_index
from atelier.recommenders.article_index import ArticleIndex, ArticleIndexConfig, OtherModelError
from atelier.recommenders.index_recall import enough_nodes, recall_curve
from atelier.recommenders.vector_model import VectorRecommender

CONFIG = ArticleIndexConfig(trees=10, seed=3)


def world() -> tuple[pd.DataFrame, Catalogue]:
    """Two hundred customers and three hundred articles, every fifth out of stock, one that nobody chose."""
    random = np.random.default_rng(0)
    customers = np.repeat(np.arange(200), 15)
    articles = (random.zipf(1.3, len(customers)) * 7 + customers) % 300
    frame = pd.DataFrame(
        {"customer_id": [f"c{c:03d}" for c in customers], "article_id": [f"a{a:03d}" for a in articles]}
    )
    catalogue = pd.DataFrame({"article_id": [f"a{a:03d}" for a in range(300)] + ["new"]})
    catalogue["in_stock"] = np.arange(301) % 5 != 0
    vectors = random.normal(size=(301, 8)).astype(np.float32)
    return frame, Catalogue.from_frames(catalogue, vectors)


FRAME, CATALOGUE = world()


@pytest.fixture(scope="module", params=["als", "hybrid"])
def model(request: pytest.FixtureRequest) -> VectorRecommender[Any]:
    config = {"als": {"factors": 12, "threads": 1}, "hybrid": {"factors": 12, "hidden": [8], "max_epochs": 3}}
    built = recommenders.build(request.param, **config[request.param]).fit(FRAME, CATALOGUE)
    assert isinstance(built, VectorRecommender)
    return built


@pytest.fixture(scope="module")
def index(model: VectorRecommender[Any]) -> ArticleIndex:
    return ArticleIndex.build(model, CONFIG)


def alike(found: pd.DataFrame, exact: pd.DataFrame, value: str) -> None:
    """The same lists: where places differ, values tie to the last digits."""
    assert list(found.columns) == list(exact.columns)
    assert (found.dtypes == exact.dtypes).all()
    assert len(found) == len(exact)
    owner = found.columns[0]
    assert found[owner].tolist() == exact[owner].tolist()
    assert found["rank"].tolist() == exact["rank"].tolist()
    np.testing.assert_allclose(found[value], exact[value], rtol=1e-3, atol=1e-4)
    assert (found.iloc[:, 1] == exact.iloc[:, 1]).mean() > 0.98


def test_a_wide_search_gives_the_exact_lists(model: VectorRecommender[Any], index: ArticleIndex) -> None:
    wide = index.searching(1_000_000)
    asked = ["a007", "a010", "a123"]  # a010 is out of stock: it can be asked about
    alike(wide.similar(asked, k=20), model.similar(asked, k=20), "similarity")
    customers = [f"c{c:03d}" for c in range(0, 200, 7)]
    for exclude_seen in (True, False):
        found = wide.recommend(model, customers, k=15, exclude_seen=exclude_seen)
        alike(found, model.recommend(customers, k=15, exclude_seen=exclude_seen), "score")
    some = [f"a{a:03d}" for a in range(50, 120)]
    alike(
        wide.recommend(model, customers, k=9, candidates=some),
        model.recommend(customers, k=9, candidates=some),
        "score",
    )


def test_filters_leave_full_lists(model: VectorRecommender[Any], index: ArticleIndex) -> None:
    """Whatever the effort: min(k, what may be returned)."""
    few = [f"a{a:03d}" for a in range(200, 240)]
    stocked = {a for a in few if int(a[1:]) % 5} & set(FRAME.article_id)
    narrow = index.searching(10)
    near = narrow.similar(["a007", "a201"], k=50, eligible=few)
    sizes = near.groupby("article_id").similar_article_id.agg(set)
    assert sizes["a007"] == stocked
    assert sizes["a201"] == stocked - {"a201"}
    lists = narrow.recommend(model, ["c000", "c001"], k=50, candidates=few)
    seen = FRAME.groupby("customer_id").article_id.agg(set)
    for customer, rows in lists.groupby("customer_id"):
        assert set(rows.article_id) == stocked - seen[customer]
    assert narrow.recommend(model, ["c000"], k=12).article_id.nunique() == 12


def test_what_it_does_not_know(model: VectorRecommender[Any], index: ArticleIndex) -> None:
    with pytest.raises(UnknownIdentifier, match="nothing"):
        index.similar(["nothing"])
    if model.name == "als":
        with pytest.raises(UnknownIdentifier, match="'new'"):  # nobody chose it: it has no vector
            index.similar(["new"])
    else:
        assert len(index.similar(["new"], k=4)) == 4
    with pytest.raises(UnknownIdentifier, match="c999"):
        index.recommend(model, ["c999"])
    other = recommenders.build("als", factors=12, threads=1).fit(FRAME.head(500))
    with pytest.raises(OtherModelError, match="built from another"):
        index.recommend(other, ["c000"])


def test_a_look_up_reads_no_more_than_it_has_to(index: ArticleIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing all articles takes ten times as long as the search itself."""
    monkeypatch.setattr(IdMap, "_hashed", None)
    assert index.similar(["a007"], k=3, eligible=["a001"]).similar_article_id.tolist() == ["a001"]


def test_another_fit_of_the_same_articles_is_refused(
    model: VectorRecommender[Any], index: ArticleIndex, tmp_path: Path
) -> None:
    """Its lists would look right and be wrong."""
    other = recommenders.build(model.name, **{**model.config.model_dump(), "seed": 5}).fit(FRAME, CATALOGUE)
    assert other.article_ids == model.article_ids
    model.save(tmp_path / "model")
    index.save(tmp_path / "index")
    for asked in (index, ArticleIndex.load(tmp_path / "index"), index.searching(100)):
        asked.recommend(model, ["c000"])
        asked.recommend(recommenders.load(tmp_path / "model"), ["c000"])
        with pytest.raises(OtherModelError, match=r"built from another .* ArticleIndex\.build\(model\)"):
            asked.recommend(other, ["c000"])
    refitted = recommenders.build(model.name, **model.config.model_dump()).fit(FRAME, CATALOGUE)
    index.recommend(refitted, ["c000"])
    refitted.fit(FRAME[5:], CATALOGUE)
    with pytest.raises(OtherModelError):  # the same object, no longer the same model
        index.recommend(refitted, ["c000"])


def test_a_model_is_digested_once(
    model: VectorRecommender[Any], index: ArticleIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.recommend(model, ["c000"])
    monkeypatch.setattr(article_index, "_digest", None)
    index.recommend(model, ["c001"])


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_an_error(model: VectorRecommender[Any], index: ArticleIndex, k: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1, not {k}"):
        index.similar(["a007"], k=k)
    with pytest.raises(ValueError, match=f"at least 1, not {k}"):
        index.recommend(model, ["c000"], k=k)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"format": 1, "model": "als", "config": {}}, "has format 1, this version reads 2: run article_index again"),
        ({"format": 2, "model": "als", "config": {}}, "lacks vectors.*run article_index again"),
        ([], "index.json is missing or broken.*run article_index again"),
    ],
)
def test_an_index_that_does_not_know_its_model_is_refused(
    index: ArticleIndex, tmp_path: Path, described: Any, message: str
) -> None:
    index.save(tmp_path)
    (tmp_path / "index.json").write_text(json.dumps(described))
    with pytest.raises(BundleError, match=message):
        ArticleIndex.load(tmp_path)


def test_saved_and_loaded(model: VectorRecommender[Any], index: ArticleIndex, tmp_path: Path) -> None:
    index.save(tmp_path / "a")
    ArticleIndex.build(model, CONFIG).save(tmp_path / "b")
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert {"articles.parquet", "index.json", "cosine/forest.ann", "inner_product/index.json"} <= set(map(str, files))
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    loaded = ArticleIndex.load(tmp_path / "a")
    assert (loaded.config, loaded.model, loaded.dimension) == (CONFIG, model.name, 12)
    pd.testing.assert_frame_equal(loaded.similar(["a001"]), index.similar(["a001"]))
    pd.testing.assert_frame_equal(loaded.recommend(model, ["c003"]), index.recommend(model, ["c003"]))


@pytest.mark.parametrize("broken", ["index.json", "offered.safetensors", "articles.parquet", "cosine/forest.ann"])
def test_a_broken_folder_is_named(index: ArticleIndex, tmp_path: Path, broken: str) -> None:
    index.save(tmp_path)
    (tmp_path / broken).unlink()
    with pytest.raises(BundleError, match=str(tmp_path)):
        ArticleIndex.load(tmp_path)


def test_an_index_of_other_articles_is_refused(index: ArticleIndex, tmp_path: Path) -> None:
    index.save(tmp_path / "one")
    small = recommenders.build("als", factors=12, threads=1).fit(FRAME.head(100))
    assert isinstance(small, VectorRecommender)
    ArticleIndex.build(small, CONFIG).save(tmp_path / "other")
    (tmp_path / "other" / "articles.parquet").replace(tmp_path / "one" / "articles.parquet")
    with pytest.raises(BundleError, match="do not belong together"):
        ArticleIndex.load(tmp_path / "one")


def test_recall_is_measured_as_look_ups_are_made(model: VectorRecommender[Any], index: ArticleIndex) -> None:
    curve = recall_curve(index, model, k=5, queries=60, efforts=(1, 50, 1000, 1_000_000))
    assert curve.groupby("metric").used.sum().to_dict() == {"cosine": 1, "inner_product": 1}
    assert curve[curve.used].nodes.tolist() == [5000, 5000]
    assert 1_000_000 not in curve.nodes.tolist(), "more than four nodes for each article tell nothing"
    assert (curve.queries == 60).all()
    for _, rows in curve.groupby("metric"):
        assert rows.nodes.is_monotonic_increasing
        assert rows.recall.iloc[0] < rows.recall.iloc[-1]
        assert rows.recall.iloc[-1] > 0.99
    # By hand, with lists of identifiers.
    narrow = index.searching(50)
    asked = model.article_ids.values.to_pandas()
    asked = asked[pd.util.hash_pandas_object(asked, index=False).argsort()]
    asked = [article for article in asked if model.can_rank([article])[0]][:60]
    found, exact = narrow.similar(asked, k=5), model.similar(asked, k=5)
    both = found.merge(exact, on=["article_id", "similar_article_id"])
    expected = curve[(curve.metric == "cosine") & (curve.nodes == 50)].recall.item()
    assert len(both) / len(exact) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("least", "expected"),
    [(0.5, 500), (0.8, 500), (0.9, 1000), (0.97, 3000), (0.999, 3000)],
    ids=["the own are enough", "just so", "more", "the slower metric decides", "none is enough"],
)
def test_a_look_up_inspects_as_many_nodes_as_the_recall_takes(least: float, expected: int) -> None:
    found = {"cosine": (0.95, 0.99, 0.995, 0.996), "inner_product": (0.95, 0.8, 0.95, 0.99)}
    curve = pd.DataFrame(
        [
            (metric, nodes, nodes == 500, recall)
            for metric, recalls in found.items()
            for nodes, recall in zip((100, 500, 1000, 3000), recalls, strict=True)
        ],
        columns=["metric", "nodes", "used", "recall"],
    )
    assert enough_nodes(curve, least) == expected


def test_inner_products_are_found_among_vectors_of_very_different_lengths() -> None:
    """As a factorisation has them: most of them short. Planes through the origin found less than a tenth here."""
    from atelier.recommenders.index_recall import recall
    from atelier.search.annoy_forest import AnnoyConfig, AnnoyIndex
    from atelier.search.exact import ExactTopK
    from atelier.search.ragged import Pairs

    random = np.random.default_rng(0)
    n, codes = 6000, np.arange(6000, dtype=np.int32)
    vectors = (random.normal(size=(n, 32)) * random.lognormal(-2, 1.5, (n, 1))).astype(np.float32)
    queries = random.normal(size=(100, 32)).astype(np.float32)
    forest = AnnoyIndex.build(vectors, codes, n, AnnoyConfig(metric="inner_product", trees=20, search=600))
    exact = ExactTopK(vectors, codes, n)(queries, 10, Pairs.none())
    assert recall(forest(queries, 10, Pairs.none()), exact) > 0.8


@pytest.mark.parametrize(
    "name",
    ["articles.parquet", "offered.safetensors", "cosine/index.json", "cosine/forest.ann", "inner_product/forest.ann"],
)
def test_a_file_of_another_index_is_refused(
    model: VectorRecommender[Any], index: ArticleIndex, tmp_path: Path, name: str
) -> None:
    """The other has as many articles, of other names: nothing but the digest tells."""
    index.save(tmp_path / "one")
    other = ArticleIndex.build(model, CONFIG.model_copy(update={"seed": CONFIG.seed + 1}))
    other.article_ids = IdMap.from_values([f"other {name}" for name in model.article_ids.values.to_pylist()])
    other.in_stock = ~other.in_stock
    other.save(tmp_path / "other")
    (tmp_path / "other" / name).replace(tmp_path / "one" / name)
    with pytest.raises(BundleError, match=f"{name} is damaged, or the files of .* do not belong together"):
        ArticleIndex.load(tmp_path / "one")


def test_filters_may_be_masks_and_k_needs_no_memory(model: VectorRecommender[Any], index: ArticleIndex) -> None:
    known = model.article_ids.values.to_pylist()
    few = known[::7]
    mask = np.isin(known, few)
    tracemalloc.start()
    found = index.similar(["a001"], k=20_000_000, eligible=mask)
    lists = index.recommend(model, ["c003"], k=20_000_000, candidates=mask)
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()
    pd.testing.assert_frame_equal(found, index.similar(["a001"], k=len(few), eligible=few))
    pd.testing.assert_frame_equal(lists, index.recommend(model, ["c003"], k=len(few), candidates=few))
