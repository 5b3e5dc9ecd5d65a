"""The job ``image_backbone``, and photographs encoded with what it made."""

from collections.abc import Callable
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pandas as pd
import pytest

from assets import image_backbone
from assets.image_backbone import learnable, visible_articles
from assets.report import _fine_tuned, _untrained
from assets.step import Step
from atelier.images import FineTuned
from dagster_project.build import build_defs
from dagster_project.commands.promote import promote_backbone
from dagster_project.run import run_job
from resources.encoders import backbone_of, encoder_of
from resources.model_store import ModelStore
from resources.settings_file import promote_encoder
from tests.end_to_end.house import House

QUICK = {"fine_tune_backbone": {"epochs": 1, "views": 1}}


@pytest.fixture(scope="module")
def trained(make_house: Callable[..., House], ingested: House) -> House:
    """A home with its raw tables, and a backbone of the last day but one. Its settings may be changed and put back."""
    made = make_house(like=ingested)
    train(made, made.ds - timedelta(days=1))
    return made


def train(house: House, day: date) -> dict[str, Any]:
    """Run the job; its metadata."""
    result = run_job(build_defs(house.home), house.instance, "image_backbone", day, config=QUICK)
    (event,) = result.asset_materializations_for_node("fine_tune_backbone")
    return dict(event.metadata)


def encode(house: House, day: date) -> tuple[dict[str, Any], dict[str, bool]]:
    """Encode a day's photographs; metadata and checks."""
    job = build_defs(house.home).get_repository_def().get_job("daily_retrain")
    result = job.execute_in_process(
        instance=house.instance, partition_key=day.isoformat(), asset_selection=[dg.AssetKey("image_embeddings")]
    )
    (event,) = result.asset_materializations_for_node("image_embeddings")
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    return {name: value.value for name, value in event.metadata.items()}, checks


def test_promoted_each_photograph_is_encoded_once_with_it(trained: House) -> None:
    before, after = trained.ds - timedelta(days=1), trained.ds
    first, checks = encode(trained, after)
    assert first["encoder_id"].startswith("small-")
    assert checks["encoder_not_from_future"]
    promote_backbone(trained.home, anyway=True)
    try:
        promoted, checks = encode(trained, after)
        assert promoted["encoder_id"].startswith("compact-")
        assert promoted["encoded"] == len(trained.store.read("images", after).to_pandas()["digest"].unique())
        assert checks["encoder_not_from_future"]
        # What has read the day is known from its encoder, and lineage asks for it.
        bundle = ModelStore(trained.home.store).pointer("image_backbone", before)
        assert promoted["image_backbone"] == bundle
        assert backbone_of(trained.home.store, [promoted["encoder_id"]]) == bundle
        assert backbone_of(trained.home.store, [first["encoder_id"]]) is None
        again, _ = encode(trained, after)
        assert (again["encoded"], again["encoder_id"]) == (0, promoted["encoder_id"])
        same_day, checks = encode(trained, before)
        assert checks["encoder_not_from_future"]
        assert same_day["encoded"] == 0
    finally:
        promote_encoder(trained.home, None)
    back, _ = encode(trained, after)
    assert (back["encoded"], back["encoder_id"]) == (0, first["encoder_id"])
    for each in (first, promoted):
        found = encoder_of(trained.home, ModelStore(trained.home.store), each["encoder_id"])
        assert found.encoder_id == each["encoder_id"], "a photograph is looked up by the encoder of that day"


def test_the_report_warns_of_what_read_the_day_whatever_the_settings_say_now(trained: House) -> None:
    def warnings(house: House) -> list[bool]:
        """Whether the remark on a fine-tuned backbone is shown, and whether that on an untrained one is not."""
        step = SimpleNamespace(store=house.store, models=ModelStore(house.home.store), home=house.home, ds=day)
        return [_fine_tuned(cast("Step", step), day), _untrained(cast("Step", step)) is None]

    day = trained.ds
    encode(trained, day)
    assert warnings(trained) == [False, False]
    promote_backbone(trained.home, anyway=True)
    try:
        assert warnings(trained) == [False, False], "the day was encoded before"
        encode(trained, day)
    finally:
        promote_encoder(trained.home, None)
    assert warnings(trained) == [True, True], "it is no longer promoted, but its vectors are still read"
    encode(trained, day)


def test_a_day_before_the_backbones_own_is_a_warning(trained: House) -> None:
    before = trained.ds - timedelta(days=1)
    train(trained, trained.ds)
    promote_backbone(trained.home, trained.ds, anyway=True)
    try:
        _, checks = encode(trained, before)
    finally:
        promote_encoder(trained.home, None)
    assert not checks["encoder_not_from_future"]
    assert checks["contract"]


def test_its_metadata_are_numbers_a_table_and_a_picture(trained: House) -> None:
    metadata = train(trained, trained.ds - timedelta(days=1))
    for name in ("mean_weighted_f1_before", "mean_weighted_f1_after", "photographs", "validation", "styles_kept_back"):
        assert isinstance(metadata[name].value, (int, float)), name
    assert "product_type" in metadata["figures"].value
    assert "data:image/svg+xml" in metadata["training"].value


def test_the_same_day_again_is_the_same_bundle(trained: House) -> None:
    day, models = trained.ds - timedelta(days=1), ModelStore(trained.home.store)
    first = models.pointer("image_backbone", day)
    train(trained, day)
    assert models.pointer("image_backbone", day) == first


def test_labels_of_the_styles_that_judge_attributes_teach_it_nothing(
    trained: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise in the place of every label of a reserved style: the same weights, byte for byte."""
    day, models = trained.ds - timedelta(days=1), ModelStore(trained.home.store)
    bundle = models.bundle("image_backbone", models.pointer("image_backbone", day))
    learned_from = set(FineTuned.load(bundle.path).articles)
    articles = trained.store.read("articles", day).to_pandas()
    others = set(articles["article_id"]) - learned_from
    assert len(others) > 0.15 * len(articles)
    read = Step.read

    def noisy(step: Step, table: str) -> pd.DataFrame:
        frame = read(step, table)
        if table == "annotated_attributes":
            theirs = frame["article_id"].isin(others)
            frame.loc[theirs, "value"] = [f"noise {n % 3}" for n in range(int(theirs.sum()))]
        return frame

    def noisy_types(step: Step) -> pd.DataFrame:
        frame = visible_articles(step)
        frame.loc[frame["article_id"].isin(others), "product_type"] = "noise"
        return frame

    monkeypatch.setattr(Step, "read", noisy)
    monkeypatch.setattr(image_backbone, "visible_articles", noisy_types)
    train(trained, day)
    again = models.bundle("image_backbone", models.pointer("image_backbone", day))
    assert again.manifest.files["weights.safetensors"] == bundle.manifest.files["weights.safetensors"]


def test_an_article_that_is_not_on_sale_yet_teaches_it_nothing(trained: House) -> None:
    day, models = trained.ds - timedelta(days=1), ModelStore(trained.home.store)
    bundle = models.bundle("image_backbone", models.pointer("image_backbone", day))
    one = FineTuned.load(bundle.path).articles[0]
    articles = trained.store.read("articles", day).to_pandas()
    later = articles.assign(available_from=articles["available_from"].mask(articles["article_id"] == one, trained.ds))
    trained.store.write("articles", day, later)
    try:
        train(trained, day)
        again = models.bundle("image_backbone", models.pointer("image_backbone", day))
        assert one not in set(FineTuned.load(again.path).articles)
    finally:
        trained.store.write("articles", day, articles)


def test_the_category_is_learned_as_well_unless_people_annotate_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_backbone, "visible_articles", lambda step: step.read("articles"))

    class Days:
        """A step that reads three articles."""

        def __init__(self, attribute: str) -> None:
            self.tables = {
                "articles": pd.DataFrame(
                    {
                        "article_id": ["a", "b", "c"],
                        "product_code": ["1", "2", "3"],
                        "product_type": ["Dress", None, "Top"],
                    }
                ),
                "annotated_attributes": pd.DataFrame({"article_id": ["a"], "attribute": [attribute], "value": ["x"]}),
                "images": pd.DataFrame({"article_id": ["c", "a"], "shot": [0, 0], "path": ["c.jpg", "a.jpg"]}),
            }

        def read(self, table: str) -> pd.DataFrame:
            return self.tables[table].copy()

        def note(self, *_: Any, **__: Any) -> None:
            pass

    _, labels = learnable(Days("colour"))  # type: ignore[arg-type]
    assert sorted(map(tuple, labels.to_numpy().tolist())) == [
        ("a", "colour", "x"),
        ("a", "product_type", "Dress"),
        ("c", "product_type", "Top"),
    ]
    _, labels = learnable(Days("product_type"))  # type: ignore[arg-type]
    assert labels.to_numpy().tolist() == [["a", "product_type", "x"]]
