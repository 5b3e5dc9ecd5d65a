"""The attribute stages where there is little or nothing to learn, and the checks on what the model promises."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import MagicMock

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from assets.attribute_study import AttributeStudy, study_attributes
from assets.attributes import (
    AttributeTraining,
    attribute_config,
    attribute_model,
    predicted_attributes,
    short_of_coverage,
    styles_per_article,
)
from assets.catalogue_errors import ErrorSearch, catalogue_errors
from assets.features import article_vectors
from assets.image_backbone import learnable
from assets.stage import Stage
from assets.step import CheckResult, RunResources, Step
from atelier.articles.vectors import ArticleVectors
from atelier.attributes import AttributeConfig
from atelier.monitoring.limits import GateLimits
from atelier.report.attributes import attributes_section
from resources.compute import Compute
from resources.contracts import audit
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.storage import open_storage
from resources.tables import REGISTRY

DAY = date(2026, 3, 1)
ARTICLES = 60
COLOURS = ("red", "blue")
NO_LABELS = pd.DataFrame({"article_id": [], "attribute": [], "value": []}, dtype="str")
QUICK = AttributeTraining(max_epochs=2, test_share=0.2)


def articles() -> pd.DataFrame:
    """Dresses and tops whose text names their colour, and one article of which nothing but the id is known."""
    ids = [f"a{place:02d}" for place in range(ARTICLES)]
    known = pd.DataFrame(
        {
            "article_id": ids,
            "product_code": [f"p{place // 2}" for place in range(ARTICLES)],
            "name": [f"{COLOURS[place // 2 % 2]} garment" for place in range(ARTICLES)],
            "product_type": ["Dress" if place % 3 else "Top" for place in range(ARTICLES)],
            "in_stock": True,
        }
    )
    return pd.concat([known, pd.DataFrame({"article_id": ["bare"], "in_stock": [False]})], ignore_index=True)


def labels(attribute: str, values: list[str], prefix: str = "a") -> pd.DataFrame:
    """One label for each of the first articles."""
    ids = [f"{prefix}{place:02d}" for place in range(len(values))]
    return pd.DataFrame({"article_id": ids, "attribute": attribute, "value": values})


def colours() -> pd.DataFrame:
    return labels("colour", [COLOURS[place // 2 % 2] for place in range(ARTICLES - 10)])


def empty(table: str) -> pa.Table:
    return pa.table({column.name: pa.nulls(0) for column in REGISTRY[table].columns})


def filled(table: str, frame: pd.DataFrame) -> pa.Table:
    columns = REGISTRY[table].columns
    return pa.table(
        {
            column.name: pa.array(frame[column.name], from_pandas=True)
            if column.name in frame
            else pa.nulls(len(frame))
            for column in columns
        }
    )


class Run:
    """The stages of a day, run one after the other on a catalogue of their own; what they wrote and noticed."""

    def __init__(self, root: Path, labels: pd.DataFrame, config: AttributeTraining = QUICK) -> None:
        self.root = root
        self.store = FeatureStore(root, threads=1, audit=audit)
        inputs = FeatureStore(root, threads=1)  # what comes in is not what is tested: no audit
        self.models = ModelStore(root)
        sales = articles()[["article_id"]].assign(sales=0, distinct_customers=0, sales_30d=0, distinct_customers_30d=0)
        inputs.write("articles", DAY, filled("articles", articles()))
        inputs.write("annotated_attributes", DAY, filled("annotated_attributes", labels))
        inputs.write("article_features", DAY, filled("article_features", sales))
        for table in ("images", "image_embeddings"):
            inputs.write(table, DAY, empty(table))
        self.checks: dict[str, CheckResult] = {}
        self.metadata: dict[str, Mapping[str, Any]] = {}
        self.run(attribute_model, {"config": config})
        self.run(predicted_attributes, {})
        self.run(article_vectors, {})
        self.metrics = self.store.read("attribute_metrics", DAY).to_pandas()
        self.predicted = self.store.read("predicted_attributes", DAY).to_pandas()

    def run(self, stage: Stage, arguments: Mapping[str, Any]) -> None:
        home = cast(
            "Any", SimpleNamespace(storage=open_storage(self.root), settings=SimpleNamespace(gates=GateLimits()))
        )
        step = Step(RunResources(home, self.store, self.models, Compute("cpu", 1)), [DAY], "run", "1")
        stage.compute(step, **arguments)
        self.metadata |= {asset: step.outcome.notes[asset] for asset in stage.produces}
        self.checks |= {check.name: check for check in step.outcome.checks}

    def figures(self, attribute: str) -> dict[str, float]:
        mine = self.metrics[self.metrics["attribute"] == attribute]
        return dict(zip(mine["metric"], mine["value"], strict=True))

    def of(self, attribute: str) -> pd.DataFrame:
        return self.predicted[self.predicted["attribute"] == attribute].set_index("article_id")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Beside colour: an attribute of one value, one of values too rare, one of articles and types that are gone."""
    parts = [
        colours(),
        labels("care", ["hand wash"] * 40),
        labels("finish", ["matt", "satin", "gloss"]),
        labels("cuff", ["french"] * 30, prefix="gone"),
    ]
    return Run(tmp_path_factory.mktemp("odd"), pd.concat(parts, ignore_index=True))


def test_an_attribute_of_a_single_value_is_predicted_with_certainty(odd: Run) -> None:
    care = odd.of("care")
    assert set(care["value"]) == {"hand wash"}
    assert (care["confidence"] == 1).all()
    assert set(care["source"]) == {"annotated", "predicted"}
    figures = odd.figures("care")
    assert (figures["classes"], figures["accuracy"], figures["set_size"], figures["abstained"]) == (1, 1, 1, 0)
    assert odd.checks["above_majority"].passed, "nothing is to be gained over a single value"


def test_an_attribute_of_values_too_rare_keeps_its_labels_and_is_not_predicted(odd: Run) -> None:
    finish = odd.of("finish")
    assert finish["value"].to_dict() == {"a00": "matt", "a01": "satin", "a02": "gloss"}
    assert set(finish["source"]) == {"annotated"}
    assert finish[["prediction", "confidence", "alternatives", "model_id"]].isna().all(axis=None)


def test_labels_of_articles_that_are_gone_give_nothing(odd: Run) -> None:
    assert odd.of("cuff").empty
    assert not odd.figures("cuff")


def test_an_article_with_nothing_but_an_id_gets_every_attribute_that_can_be_predicted(odd: Run) -> None:
    mine = odd.predicted[odd.predicted["article_id"] == "bare"]
    assert mine["attribute"].tolist() == ["care", "colour"]
    assert mine["value"].notna().all()
    assert odd.checks["every_article_has_attributes"].passed


def test_too_few_calibration_labels_leave_everything_possible(odd: Run) -> None:
    assert odd.figures("colour")["calibration_samples"] < 9
    own = odd.of("colour").query("source != 'annotated'")
    assert set(own["source"]) == {"abstained"}
    assert {tuple(sorted(item["value"] for item in items)) for items in own["alternatives"]} == {("blue", "red")}
    assert own["value"].isin(COLOURS).all()
    assert odd.metadata["predicted_attributes"]["abstained"] == len(own)


def test_article_vectors_hold_the_whole_distribution(odd: Run) -> None:
    space = ArticleVectors.load(odd.models.bundle("vector_space", odd.models.pointer("vector_space", DAY)).path)
    vectors = odd.store.read("article_vectors", DAY).to_pandas().set_index("article_id")["vector"]
    places = [space.names.index(f"attributes: colour={value}") for value in ("blue", "red")]
    norms = space.positions["norm"].to_numpy()[places]
    annotated = vectors["a00"][places] * norms
    assert (annotated > 0).tolist() == [False, True], "an annotated value is certain"
    likely = {item["value"]: item["probability"] for item in odd.of("colour").loc["bare", "alternatives"]}
    told = vectors["bare"][places] * norms
    np.testing.assert_allclose(told / told.sum(), [likely["blue"], likely["red"]], rtol=1e-4)


@pytest.mark.parametrize(
    ("given", "attributes"),
    [
        (NO_LABELS, []),
        (labels("finish", ["matt", "satin", "gloss"]), []),
        (labels("colour", ["red"] * 30, prefix="gone"), []),
        (pd.concat([labels("care", ["hand wash"] * 20), labels("fit", ["slim"] * 20)]), ["care", "fit"]),
    ],
    ids=["nothing labelled", "all too rare", "all labels of articles that are gone", "one value each"],
)
def test_a_catalogue_with_little_to_learn_runs_through(
    tmp_path: Path, given: pd.DataFrame, attributes: list[str]
) -> None:
    run = Run(tmp_path, given)
    # The article that is nothing but an id has no vector unless something is predicted of it; the check says so.
    expected = set() if attributes else {"vectors_have_length"}
    assert {name for name, check in run.checks.items() if not check.passed} == expected
    assert sorted(run.predicted.loc[run.predicted["source"] != "annotated", "attribute"].unique()) == attributes
    known = set(articles()["article_id"])
    assert len(run.predicted.query("source == 'annotated'")) == given["article_id"].isin(known).sum()
    assert run.figures("mean")["classes"] == len(attributes)
    assert len(run.store.read("article_vectors", DAY)) == ARTICLES + 1
    page = attributes_section(run.metrics).html
    assert all(f"<th scope=row>{name}</th>" in page for name in [*attributes, "mean"])


@pytest.mark.parametrize(
    ("stage", "config", "learns"),
    [
        (attribute_model.compute, [AttributeTraining()], "atelier.attributes.fit_and_evaluate"),
        (study_attributes.compute, [AttributeStudy()], "atelier.studies.attribute_study.run_study"),
        (catalogue_errors.compute, [ErrorSearch()], "atelier.attributes.label_errors.out_of_fold"),
        (learnable, [], "atelier.attributes.leakage_guard.held_out_articles"),
    ],
)
def test_sizes_suit_the_labelled_articles_and_not_the_catalogue(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stage: Any, config: list[Any], learns: str
) -> None:
    catalogue = pd.DataFrame({"article_id": [f"a{place}" for place in range(4_000)], "product_code": "p"})
    some = [*catalogue["article_id"][:1_000], *(f"gone{place}" for place in range(2_500))]
    step = MagicMock(ds=DAY, compute=Compute("cpu", 1))
    step.home.root = tmp_path
    step.read.return_value = pd.DataFrame({"article_id": some, "attribute": "colour", "value": "red"})
    step.models.made_by.return_value = None  # no bundle of the same inputs is there
    monkeypatch.setattr("assets.attributes._backbones", lambda _: [])
    for module in ("attributes", "attribute_study", "catalogue_errors"):
        monkeypatch.setattr(f"assets.{module}.article_inputs", lambda *_: catalogue)
    monkeypatch.setattr("assets.image_backbone.visible_articles", lambda _: catalogue)
    learn = MagicMock(side_effect=InterruptedError)
    monkeypatch.setattr(learns, learn)
    with pytest.raises(InterruptedError):
        stage(step, *config)
    chosen = getattr(learn.call_args.args[2], "network", learn.call_args.args[2])
    assert chosen.batch_size == AttributeConfig.for_data(1_000).batch_size
    assert (
        chosen.joint_units <= AttributeConfig.for_data(1_000).joint_units < AttributeConfig.for_data(4_000).joint_units
    )


def test_an_impossible_search_for_errors_is_named_before_it_trains(odd: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atelier.attributes.label_errors.out_of_fold", MagicMock(side_effect=InterruptedError))
    with pytest.raises(dg.Failure, match=r"max_epochs.*greater than or equal to 1"):
        odd.run(catalogue_errors, {"config": ErrorSearch(max_epochs=0)})
    with pytest.raises(ValueError, match="score"):
        ErrorSearch.model_validate({"score": "luck"})


def test_where_an_attribute_applies_can_be_said(tmp_path: Path) -> None:
    config = QUICK.model_copy(update={"applies": {"colour": ["Top"]}})
    run = Run(tmp_path, colours(), config)
    types = articles().set_index("article_id")["product_type"]
    own = run.of("colour").query("source != 'annotated'")
    assert set(types[own.index].fillna("none")) == {"Top", "none"}, "and to articles of no known type"


# ---- the promise


def metrics(**attributes: tuple[float, int, int]) -> pd.DataFrame:
    """Coverage, held-out labels and calibration labels by attribute."""
    names = ("coverage", "samples", "calibration_samples")
    rows = [
        (name, metric, value)
        for name, figures in attributes.items()
        for metric, value in zip(names, figures, strict=True)
    ]
    return pd.DataFrame([*rows, ("mean", "coverage", 0.1)], columns=["attribute", "metric", "value"])


def test_attributes_that_fall_short_of_the_promise_are_named() -> None:
    table = metrics(fit=(0.7, 500, 500), neck=(0.88, 500, 500), heel=(0.5, 30, 8), odd=(0.6, 5, 500))
    assert short_of_coverage(table, 0.9) == ["fit"]
    assert short_of_coverage(table, 0.6) == []
    assert short_of_coverage(table, 0.9, independent=0.01) == [], "all of a few styles: it may be chance"
    assert short_of_coverage(metrics(), 0.9) == []


def test_a_model_that_keeps_its_promise_seldom_fails_the_check() -> None:
    rng = np.random.default_rng(0)
    failed = 0
    for _ in range(100):
        coverages = rng.beta(46, 5, size=10)  # of 50 calibration labels 46 are held
        held = rng.binomial(200, coverages) / 200
        failed += bool(short_of_coverage(metrics(**{f"a{n}": (h, 200, 50) for n, h in enumerate(held)}), 0.9))
    assert failed <= 4


def test_styles_are_counted_where_they_are_known() -> None:
    assert styles_per_article(pd.DataFrame({"product_code": ["p", "p", "q", None]})) == 0.75
    assert styles_per_article(pd.DataFrame({"product_code": []})) == 0.0


def test_the_study_offers_nothing_that_it_does_not_use() -> None:
    """Of sets it judges none: a coverage would only give its kept results other names."""
    assert not {"coverage", "applies"} & set(AttributeStudy.model_fields)
    assert attribute_config(AttributeStudy(seed=3, max_epochs=7), 1000) == AttributeConfig.for_data(1000).model_copy(
        update={"seed": 3, "max_epochs": 7}
    )


def test_the_launchpad_can_choose_the_coverage() -> None:
    assert attribute_config(AttributeTraining(coverage=0.95), 1000).coverage == 0.95
    chosen = attribute_config(AttributeTraining(preset="published", applies={"fit": ["Dress"]}), 1000)
    assert (chosen.coverage, chosen.applies) == (0.9, {"fit": ("Dress",)})
    with pytest.raises(dg.Failure, match="coverage"):
        attribute_config(AttributeTraining(coverage=1.0), 1000)
