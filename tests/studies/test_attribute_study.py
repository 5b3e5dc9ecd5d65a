"""The study: the same articles for all variants, hidden means hidden, one judgement, and killed studies go on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from atelier.articles.errors import ArticlesError
from atelier.attributes import AttributeConfig, AttributeModel, evaluate
from atelier.attributes.labels import Heads, labels_of
from atelier.attributes.scores import BY_STEP
from atelier.studies import attribute_study as study_module
from atelier.studies.attribute_fits import (
    AttributeFitResult,
    TrainTest,
    confusions,
    guess_figures,
    network_guesses,
    run_fit,
    steps_between_looks,
)
from atelier.studies.attribute_plan import LINEAR_BASELINES, NETWORKS, AttributeFit, AttributeStudyPlan, trained_as
from atelier.studies.attribute_study import confusions_of, run_study, scores_of
from atelier.studies.results_cache import CachedResultError, ResultsCache
from tests.attributes.conftest import Planted, plant

DATA = {"articles": "1"}


@pytest.fixture(scope="module")
def planted() -> Planted:
    """A smaller catalogue than that of the other tests: a study is many trainings."""
    return plant(120)


@pytest.fixture
def quick(tiny: AttributeConfig) -> AttributeConfig:
    return tiny.model_copy(update={"max_epochs": 2})


@pytest.fixture
def plan(quick: AttributeConfig) -> AttributeStudyPlan:
    return AttributeStudyPlan(network=quick, variants=("all", "linear_text"), follow_every=0)


def sides_of(planted: Planted, plan: AttributeStudyPlan, split: Any = "style") -> TrainTest:
    return TrainTest.of(planted.articles, planted.labels, plan, split)


# ---- splits


def test_styles_are_on_one_side_or_on_both(planted: Planted, plan: AttributeStudyPlan) -> None:
    shared = {}
    for split in plan.splits:
        sides = sides_of(planted, plan, split)
        train, test = (set(sides.articles[side].names) for side in ("train", "test"))
        assert not train & test
        assert train | test == set(planted.articles["article_id"])
        assert 0 < len(test) <= 12
        styles = [set(sides.articles[side].styles) for side in ("train", "test")]
        shared[split] = styles[0] & styles[1]
        for side, articles in (("train", train), ("test", test)):
            mine = planted.labels[planted.labels["article_id"].isin(articles)]
            pd.testing.assert_frame_equal(sides.labels[side].drop(columns="row"), mine.reset_index(drop=True))
    assert shared["random"]
    assert not shared["style"]


def test_every_variant_is_judged_on_the_same_labels(planted: Planted, quick: AttributeConfig) -> None:
    plan = AttributeStudyPlan(network=quick, follow_every=0)
    scores = scores_of(run_study(planted.articles, planted.labels, plan))
    assert set(scores["variant"]) == {*NETWORKS, *LINEAR_BASELINES} - {"published"}
    shared = scores[scores["metric"].isin(["samples", "classes", "majority_weighted_f1", "majority_accuracy"])]
    different = shared.groupby(["split", "side", "attribute", "metric"])["value"].nunique(dropna=False)
    assert (different == 1).all()
    assert not scores.duplicated(["split", "variant", "attribute", "metric", "side", "step"]).any()


# ---- judging


def test_a_network_is_judged_as_it_is_every_day(
    planted: Planted, tiny: AttributeConfig, plan: AttributeStudyPlan
) -> None:
    sides = sides_of(planted, plan)
    model = AttributeModel(tiny).fit(sides.articles["train"], sides.labels["train"])
    rare = pd.DataFrame({"article_id": sides.articles["test"].names[:2], "attribute": "colour", "value": "x"})
    truth = pd.concat([rare, sides.labels["test"]]).drop_duplicates(["article_id", "attribute"])
    truth = labels_of(sides.articles["test"], truth)
    daily = evaluate(model, sides.articles["test"], truth).set_index(["attribute", "metric"])["value"]
    ours = guess_figures(truth, network_guesses(model, replace(sides, labels={"test": truth}))["test"], model.heads)
    ours = ours.set_index(["attribute", "metric"])["value"]
    assert len(ours) == 6 * 4
    pd.testing.assert_series_equal(ours, daily.reindex(ours.index), check_exact=True)


def test_a_tiny_case_has_exact_figures() -> None:
    labels = pd.DataFrame(
        [("1", "c", "a"), ("2", "c", "a"), ("3", "c", "b"), ("4", "c", "rare"), ("1", "unknown", "z")],
        columns=["article_id", "attribute", "value"],
    )
    heads = Heads.fit(pd.DataFrame({"attribute": "c", "value": ["a", "b", "b"]}), 1)
    found = guess_figures(labels, np.array(["a", "b", "b", None, None], dtype=object), heads)
    figures = found.pivot(index="attribute", columns="metric", values="value")
    c = figures.loc["c"]
    assert (c["samples"], c["classes"], c["accuracy"]) == (4, 2, 0.5)
    # a: F1 2·1/(2+1), weight 2/4; b: 2·1/(1+2), weight 1/4; rare: 0.
    assert c["weighted_f1"] == pytest.approx(2 / 4 * 2 / 3 + 1 / 4 * 2 / 3)
    assert c["majority_accuracy"] == 1 / 4  # training says b most often
    assert c["majority_weighted_f1"] == pytest.approx(1 / 4 * 2 / 5)
    assert figures.loc["unknown", ["samples", "classes"]].tolist() == [1, 0]
    assert np.isnan(figures.loc["unknown", "weighted_f1"])
    assert figures.loc["mean", "samples"] == 5
    assert figures.loc["mean", "weighted_f1"] == c["weighted_f1"], (
        "what cannot be predicted is no attribute of the mean"
    )


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("xy"), st.sampled_from("abc"), st.sampled_from(["a", "b", None]))))
def test_confusions_count_every_guess_once(rows: list[tuple[str, str, str | None]]) -> None:
    labels = pd.DataFrame([row[:2] for row in rows], columns=["attribute", "value"], dtype="str")
    guesses = np.array([row[2] for row in rows], dtype=object)
    found = confusions(labels, guesses)
    expected = [row for row in rows if row[2] is not None]
    counted = {(r.attribute, r.actual, r.predicted): r.articles for r in found.itertuples()}
    assert counted == {row: expected.count(row) for row in expected}


def test_rows_of_a_confusion_matrix_sum_to_one(planted: Planted, plan: AttributeStudyPlan) -> None:
    results = run_study(planted.articles, planted.labels, plan)
    pairs = confusions_of(results)
    assert set(pairs["split"]) == {"random", "style"}
    assert np.allclose(pairs.groupby(["split", "attribute", "actual"])["share"].sum(), 1)
    scores = scores_of(results)
    samples = scores[(scores["metric"] == "samples") & (scores["side"] == "test") & (scores["variant"] == "all")]
    counted = pairs.groupby(["split", "attribute"])["articles"].sum()
    expected = samples[samples["attribute"] != "mean"].set_index(["split", "attribute"])["value"]
    assert counted.to_dict() == expected.astype(int).to_dict()


def test_without_the_network_there_are_no_confusions(planted: Planted, plan: AttributeStudyPlan) -> None:
    linear = plan.model_copy(update={"variants": ("linear_text",), "splits": ("style",)})
    assert confusions_of(run_study(planted.articles, planted.labels, linear)).empty


# ---- hiding


@pytest.mark.parametrize(
    ("variant", "columns"),
    [
        ("without_text", ["text"]),
        ("without_images", ["embeddings"]),
        ("without_metadata", ["product_type", "brand", "division"]),
        ("text_only", ["embeddings", "product_type", "brand", "division"]),
        ("images_only", ["text", "product_type", "brand", "division"]),
    ],
)
def test_what_is_hidden_has_no_influence(
    planted: Planted, plan: AttributeStudyPlan, variant: str, columns: list[str]
) -> None:
    shuffled = planted.articles.copy()
    order = np.random.default_rng(1).permutation(len(shuffled))
    for column in columns:
        shuffled[column] = shuffled[column].to_numpy()[order]
    fit = AttributeFit("style", variant)
    ours, other = (
        run_fit(fit, TrainTest.of(articles, planted.labels, plan, "style"), plan)
        for articles in (planted.articles, shuffled)
    )
    assert ours.scores == other.scores
    everything = (
        run_fit(AttributeFit("style", "all"), TrainTest.of(articles, planted.labels, plan, "style"), plan)
        for articles in (planted.articles, shuffled)
    )
    assert next(everything).scores != next(everything).scores, "the case would not show an influence"


def test_each_input_brings_what_was_planted_in_it(tiny: AttributeConfig) -> None:
    planted = plant(240)
    patient = tiny.model_copy(update={"validation_share": 0.0})  # all passes: too few articles to decide when to stop
    plan = AttributeStudyPlan(
        network=patient,
        splits=("style",),
        variants=("text_only", "images_only", *LINEAR_BASELINES),
        test_share=0.3,
        follow_every=0,
    )
    scores = scores_of(run_study(planted.articles, planted.labels, plan))
    f1 = scores[(scores["metric"] == "weighted_f1") & (scores["side"] == "test")]
    f1 = f1.pivot(index="variant", columns="attribute", values="value")
    for variant in ("text_only", "linear_text"):
        assert f1.loc[variant, "neckline"] > 0.9
        assert f1.loc[variant, "colour"] < 0.6
    for variant in ("images_only", "linear_images"):
        assert f1.loc[variant, "neckline"] < 0.6
    assert f1.loc["images_only", "colour"] > 0.8
    assert f1.loc["linear_joined", "neckline"] > 0.8


# ---- following


def test_following_shows_the_way_and_changes_nothing(planted: Planted, plan: AttributeStudyPlan) -> None:
    sides = sides_of(planted, plan)
    plain, followed = (
        run_fit(AttributeFit("style", "all"), sides, plan.model_copy(update={"follow_every": every}))
        for every in (0, 4)
    )
    scores = pd.DataFrame(followed.scores)
    steps = sorted(set(scores.loc[scores["metric"] == BY_STEP, "step"]))
    assert steps == list(range(0, followed.steps + 1, 4))
    assert set(scores.loc[scores["metric"] == BY_STEP, "side"]) == {"train", "test"}
    rest = scores[scores["metric"] != BY_STEP].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, pd.DataFrame(plain.scores))
    assert set(rest["step"]) == {followed.steps}
    assert followed.seconds > 0


def test_only_so_many_articles_are_looked_at(planted: Planted, plan: AttributeStudyPlan) -> None:
    sides = sides_of(planted, plan)
    few = sides.labelled(5, seed=0)
    for side in ("train", "test"):
        assert len(few.articles[side]) == 5
        assert set(few.articles[side].names) == set(few.labels[side]["article_id"])
        mine = sides.labels[side]["article_id"].isin(few.articles[side].names)
        assert len(few.labels[side]) == mine.sum()


def test_the_published_training_is_the_published_one(quick: AttributeConfig) -> None:
    published = trained_as(quick, "published")
    assert (published.training, published.batch_size, published.learning_rate) == ("published", 64, 0.01)
    assert (published.joint_units, published.tokens) == (quick.joint_units, quick.tokens)
    joint = trained_as(AttributeConfig.published(), "joint")
    assert (joint.training, joint.joint_units, joint.learning_rate) == ("joint", 8192, AttributeConfig().learning_rate)
    assert trained_as(quick, "joint") is quick


@pytest.mark.parametrize(
    ("config", "labels", "every"),
    [
        (AttributeConfig(batch_size=128, max_epochs=30), 12_800, 75),  # 100 steps a pass, 3,000 in all
        (AttributeConfig(batch_size=128, max_epochs=60), 12_800, 100),
        (AttributeConfig.published(), 64_000, 1_000),
        (AttributeConfig.published(), 6_400, 250),
        (AttributeConfig.published(), 3, 2),
    ],
)
def test_looks_are_as_often_as_the_data_want(config: AttributeConfig, labels: int, every: int) -> None:
    frame = pd.DataFrame({"article_id": [f"a{n}" for n in range(labels)]})
    assert steps_between_looks(config, frame) == every


def test_the_published_training_is_followed_too(planted: Planted, quick: AttributeConfig) -> None:
    ours = trained_as(quick, "published").model_copy(update={"max_epochs": 1, "evaluate_every": 2})
    plan = AttributeStudyPlan(network=quick, published=ours, splits=("style",), variants=("published",))
    (result,) = run_study(planted.articles, planted.labels, plan)
    scores = pd.DataFrame(result.scores)
    steps = sorted(set(scores.loc[scores["metric"] == BY_STEP, "step"]))
    assert steps == list(range(result.steps + 1))  # few enough to look at each
    assert not result.confusions


# ---- keeping


class Killed(BaseException):
    """The process is gone."""


class Counter:
    """Runs fits until it is killed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
        self.fits: list[AttributeFit] = []

        def counted(fit: AttributeFit, *arguments: Any, **options: Any) -> AttributeFitResult:
            if len(self.fits) == most:
                raise Killed
            self.fits.append(fit)
            return run_fit(fit, *arguments, **options)

        monkeypatch.setattr(study_module, "run_fit", counted)


def test_a_killed_study_goes_on_where_it_was(
    planted: Planted, plan: AttributeStudyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ResultsCache(tmp_path / "kept")
    killed = Counter(monkeypatch, most=3)
    with pytest.raises(Killed):
        run_study(planted.articles, planted.labels, plan, kept=kept, data=DATA)
    assert killed.fits == plan.fits()[:3]
    assert len(list(kept.folder.iterdir())) == 3
    rest = Counter(monkeypatch, most=1)
    resumed = run_study(planted.articles, planted.labels, plan, kept=kept, data=DATA)
    assert rest.fits == plan.fits()[3:]
    Counter(monkeypatch, most=4)
    whole = run_study(planted.articles, planted.labels, plan)
    assert [r.model_copy(update={"seconds": 0.0}) for r in resumed] == [
        r.model_copy(update={"seconds": 0.0}) for r in whole
    ]
    pd.testing.assert_frame_equal(scores_of(resumed), scores_of(whole))


def test_other_data_starts_anew_and_another_variant_does_not(
    planted: Planted, plan: AttributeStudyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ResultsCache(tmp_path)
    small = plan.model_copy(update={"variants": ("linear_text",), "splits": ("style",)})

    def fits(plan: AttributeStudyPlan, data: dict[str, str] = DATA) -> list[str]:
        counter = Counter(monkeypatch, most=9)
        run_study(planted.articles, planted.labels, plan, kept=kept, data=data)
        return [fit.variant for fit in counter.fits]

    assert fits(small) == ["linear_text"]
    assert fits(small) == []
    assert fits(small, {"articles": "2"}) == ["linear_text"]
    assert fits(small.model_copy(update={"variants": ("linear_text", "linear_images")})) == ["linear_images"]
    assert fits(small.model_copy(update={"test_share": 0.2})) == ["linear_text"]
    monkeypatch.setattr("atelier.studies.results_cache.code_version", lambda *_: "other code")
    assert fits(small) == ["linear_text"]


def test_a_damaged_result_is_named(planted: Planted, plan: AttributeStudyPlan, tmp_path: Path) -> None:
    small = plan.model_copy(update={"variants": ("linear_text",), "splits": ("style",)})
    run_study(planted.articles, planted.labels, small, kept=ResultsCache(tmp_path), data=DATA)
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text()[:-10])
    with pytest.raises(CachedResultError, match=rf"{file.name}.*delete it"):
        run_study(planted.articles, planted.labels, small, kept=ResultsCache(tmp_path), data=DATA)


def test_nothing_is_kept_of_data_that_nobody_can_tell(
    planted: Planted, plan: AttributeStudyPlan, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="identifies"):
        run_study(planted.articles, planted.labels, plan, kept=ResultsCache(tmp_path))


# ---- odd input


def test_an_unknown_variant_is_named(planted: Planted, plan: AttributeStudyPlan) -> None:
    with pytest.raises(ArticlesError, match=r"without_brand.*without_text"):
        run_study(planted.articles, planted.labels, plan.model_copy(update={"variants": ("without_brand",)}))


@pytest.mark.parametrize("labels", [0, 1])
def test_few_labels_and_bare_articles_have_a_plain_outcome(quick: AttributeConfig, labels: int) -> None:
    """One attribute with one value, or none at all; of the articles only the ids are known."""
    articles = pd.DataFrame({"article_id": [f"a{n}" for n in range(20)]})
    known = pd.DataFrame({"article_id": articles["article_id"], "attribute": "c", "value": "only"})[: 20 * labels]
    plan = AttributeStudyPlan(network=quick, variants=("all", "without_metadata", *LINEAR_BASELINES))
    results = run_study(articles, known, plan)
    scores, pairs = scores_of(results), confusions_of(results)
    f1 = scores[(scores["metric"] == "weighted_f1") & (scores["attribute"] == "c")]["value"]
    assert (f1 == 1).all()
    assert len(f1) == labels * 2 * 5 * 2
    assert len(pairs) == labels * 2


def test_all_variants_predict_the_same_values(quick: AttributeConfig) -> None:
    published = trained_as(quick, "published").model_copy(update={"min_samples": 500})
    with pytest.raises(ValidationError, match=rf"min_samples is 500, network.min_samples {quick.min_samples}"):
        AttributeStudyPlan(network=quick, published=published)


@pytest.mark.parametrize("labelled", [1_200, 8_000, 105_000])
def test_whatever_suits_the_data_can_be_trained_as_published(labelled: int) -> None:
    plan = AttributeStudyPlan(network=AttributeConfig.for_data(labelled), variants=("all", "published"))
    published = AttributeConfig.model_validate(plan.config_of("published").model_dump())
    assert (published.training, published.members, published.batch_size) == ("published", 1, 64)
    assert plan.config_of("all") == AttributeConfig.for_data(labelled)
