"""The study: one question for all models, the same interactions, honest seconds, and killed studies go on."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.metrics import ACCURACY, evaluate
from atelier.studies import recommender_study
from atelier.studies.recommender_plan import RecommenderFit, RecommenderStudyPlan, StudiedModel
from atelier.studies.recommender_scores import (
    SEGMENTS,
    EvaluationTask,
    RecommenderFitResult,
    StudyError,
    evaluated_customers,
)
from atelier.studies.recommender_study import run_study
from atelier.studies.recommender_tables import paired_tests_of, scores_of
from atelier.studies.results_cache import CachedResultError, ResultsCache
from tests.studies.tiny import ALS, POPULAR, REPEAT, TRAIN, TRUTH, frame

DATA = {"interactions": "1"}


@pytest.fixture(scope="module")
def shop() -> tuple[Interactions, Interactions]:
    """Sixty customers, each of one of four tastes, and what they do next."""
    rng = np.random.default_rng(0)
    tastes = np.arange(60) % 4

    def draw(most: int) -> pd.DataFrame:
        counts = rng.integers(1, most, len(tastes))
        who = np.repeat(np.arange(len(tastes)), counts)
        what = tastes[who] * 10 + np.minimum(rng.geometric(0.2, len(who)), 10) - 1
        return pd.DataFrame({"customer_id": [f"u{n:02d}" for n in who], "article_id": [f"a{n:02d}" for n in what]})

    return Interactions.from_frame(draw(12)), Interactions.from_frame(draw(6))


@pytest.fixture
def plan() -> RecommenderStudyPlan:
    return RecommenderStudyPlan(models={"popularity": POPULAR, "als": ALS}, seeds=(0, 1, 2), shares=(1.0, 0.5), k=5)


def told(result: RecommenderFitResult) -> dict[str, Any]:
    """A result but for the time it took."""
    return result.model_dump(exclude={"seconds", "ranking_seconds"})


# ---- figures


def test_figures_are_those_of_the_metrics_and_follow_from_the_customers(
    shop: tuple[Interactions, Interactions], plan: RecommenderStudyPlan
) -> None:
    train, truth = shop
    plan = plan.model_copy(update={"shares": (1.0,), "further_k": (3,)})
    results = run_study(train, truth, plan)
    model = recommenders.build("als", **ALS.config, seed=2).fit(train)
    lists = model.recommend(evaluated_customers(train, truth), 5)
    catalogue = pd.DataFrame({"article_id": train.article_ids.values.to_pandas()})
    expected = evaluate(lists, truth, (3, 5), train=train, catalogue=catalogue, exclude_seen=True)
    expected.loc[expected["metric"] == "novelty", "standard_error"] = pd.NA  # no value for each customer is kept
    expected = expected.set_index(["segment", "metric", "k"])[["value", "standard_error", "customers"]]
    (last,) = (result for result in results if result.model == "als" and result.seed == 2)
    table = scores_of([last]).set_index(["segment", "metric", "k"])[["value", "standard_error", "customers"]]
    assert set(table.index.get_level_values("segment")) == set(SEGMENTS)
    pd.testing.assert_frame_equal(table, expected.reindex(table.index), check_dtype=False, atol=1e-12, rtol=0)
    for segment, metric, k in table.index:
        values = last.values(metric, k, segment)
        if metric in ACCURACY:
            assert values is not None
            assert len(values) == table.loc[(segment, metric, k), "customers"]
            if len(values):
                assert values.mean() == pytest.approx(table.loc[(segment, metric, k), "value"])


def test_scores_are_means_over_seeds(shop: tuple[Interactions, Interactions], plan: RecommenderStudyPlan) -> None:
    results = run_study(*shop, plan)
    table = scores_of(results).set_index(["share", "model", "segment", "metric", "k"])
    assert list(dict.fromkeys(table.index.droplevel([2, 3, 4]))) == [
        (1.0, "popularity"),
        (1.0, "als"),
        (0.5, "popularity"),
        (0.5, "als"),
    ]
    fits = [result for result in results if result.model == "als" and result.share == 1]
    values = np.stack([fit.values("recall") for fit in fits])  # type: ignore[arg-type]
    row = table.loc[(1.0, "als", "all", "recall", 5)]
    assert row["value"] == pytest.approx(values.mean())
    assert row["deviation"] == pytest.approx(values.mean(axis=1).std(ddof=1))
    assert row["deviation"] > 0
    assert row["standard_error"] == pytest.approx(stats.sem(values.mean(axis=0)))
    assert (row["seeds"], row["customers"]) == (3, values.shape[1])
    assert table.loc[(1.0, "popularity", "all", "recall", 5), "seeds"] == 1
    assert table.loc[(0.5, "popularity", "all", "recall", 5), "seeds"] == 3
    assert table.loc[(0.5, "popularity", "all", "recall", 5), "deviation"] > 0


# ---- shares


def test_every_model_is_given_the_same_interactions(
    shop: tuple[Interactions, Interactions], plan: RecommenderStudyPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[tuple[str, float, int], list[str]] = {}
    real = recommender_study.fit_model

    def noted(train: Interactions, studied: StudiedModel, seed: int, *rest: Any, **named: Any) -> Any:
        rows = train.to_frame()[["customer_id", "article_id"]]
        share = len(train) / len(shop[0])
        given.setdefault((studied.recommender, round(share, 1), seed), []).append(rows.to_csv())
        return real(train, studied, seed, *rest, **named)

    monkeypatch.setattr(recommender_study, "fit_model", noted)
    plan = plan.model_copy(update={"shares": (1.0, 0.4)})
    results = run_study(*shop, plan)
    assert [result.model for result in results if result.share == 1] == ["popularity", "als", "als", "als"]
    assert sum(key[0] == "popular" and key[1] == 1 for key in given) == 1, "popularity is fitted once"
    for fit in results:
        if fit.share < 1:
            assert 0.25 < fit.interactions / len(shop[0]) < 0.55
    samples = {fit.seed: recommender_study.subsample(shop[0], 0.4, fit.seed) for fit in results if fit.seed is not None}
    assert len({sample.to_frame().to_csv() for sample in samples.values()}) == 3
    for (_, share, seed), frames in given.items():
        if share < 1:
            assert set(frames) == {samples[seed].to_frame()[["customer_id", "article_id"]].to_csv()}


def test_a_share_keeps_each_interaction_with_that_probability() -> None:
    train = Interactions.from_frame(frame([(f"u{n % 50:02d}", f"a{n:04d}") for n in range(2_000)]))
    kept = [recommender_study.subsample(train, 0.25, seed) for seed in range(5)]
    for sample in kept:
        assert len(sample) == pytest.approx(500, abs=5 * (2_000 * 0.25 * 0.75) ** 0.5)
        assert set(sample.article_ids.values.to_pylist()) <= set(train.article_ids.values.to_pylist())
    again = recommender_study.subsample(train, 0.25, 3)
    pd.testing.assert_frame_equal(again.to_frame(), kept[3].to_frame())
    assert recommender_study.subsample(train, 1.0, 0) is train
    assert len(recommender_study.subsample(train, 1e-6, 0)) == 1


def test_the_question_is_the_same_at_every_share(shop: tuple[Interactions, Interactions]) -> None:
    train, truth = shop
    plan = RecommenderStudyPlan(models={"als": ALS}, seeds=(0,), shares=(1.0, 0.1), k=5)
    inputs = recommender_study.Study.of(train, truth, plan, None, None, None)
    bought = set(zip(*train.to_frame()[["customer_id", "article_id"]].to_numpy(str).T, strict=True))
    popular = None
    for fit in plan.fits():
        sample = inputs.sample(fit)
        model = sample.fit(ALS, 0)
        lists, served = inputs.lists(model, fit)
        assert set(lists["customer_id"]) == set(inputs.task.customers)
        assert not bought & set(zip(lists["customer_id"], lists["article_id"], strict=True))
        popular = sample.fallback.recommend(inputs.task.customers, 5)
    left = ~model.can_serve(inputs.task.customers)
    assert served == (~left).sum() < len(left), "the case has to leave somebody without history"
    lost = set(inputs.task.customers[left])
    columns = ["customer_id", "article_id", "rank"]
    got, expected = (each[each["customer_id"].isin(lost)][columns].reset_index(drop=True) for each in (lists, popular))
    pd.testing.assert_frame_equal(got, expected)
    full, sparse = run_study(train, truth, plan)
    assert full.values().shape == sparse.values().shape  # type: ignore[union-attr]
    assert (sparse.served, sparse.judged) == (served, len(left))


# ---- what is recommended, to whom


def test_only_candidates_are_recommended_and_covered(shop: tuple[Interactions, Interactions]) -> None:
    train, truth = shop
    few = ["a00", "a01", "a10", "never sold"]
    plan = RecommenderStudyPlan(models={"popularity": POPULAR}, seeds=(0,), shares=(1.0,), k=5, exclude_seen=False)
    inputs = recommender_study.Study.of(train, truth, plan, None, None, few)
    lists, _ = inputs.lists(inputs.sample(plan.fits()[0]).fit(POPULAR, 0), plan.fits()[0])
    assert set(lists["article_id"]) == set(few[:3])
    (found,) = run_study(train, truth, plan, candidates=few)
    table = scores_of([found]).set_index(["segment", "metric"])
    assert table.loc[("all", "coverage"), "value"] == 3 / 4


def test_only_models_that_read_content_are_given_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    articles = pd.DataFrame({"article_id": list("abcde")})
    catalogue = Catalogue.from_frames(articles, np.eye(5, dtype=np.float32), list("vwxyz"))
    given = {}

    class Told:
        def __init__(self, name: str) -> None:
            self.name = name

        def fit(self, train: Any, catalogue: Catalogue, customers: Any) -> None:
            given[self.name] = catalogue.vectors

    monkeypatch.setattr(recommenders, "build", lambda name, device, **config: Told(config["mode"]))
    train = Interactions.from_frame(TRAIN)
    for name, studied in RecommenderStudyPlan.published(4).models.items():
        if studied.recommender == "hybrid":
            recommender_study.fit_model(train, studied, 0, catalogue)
            assert (given[name] is None) == (name == "collaborative")


def test_a_wrong_config_is_found_before_the_first_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommender_study, "run_fit", lambda *_: pytest.fail("something was fitted"))
    wrong = StudiedModel(recommender="als", config={"factor": 3})
    with pytest.raises(ValidationError, match="factor"):
        run_study(TRAIN, TRUTH, RecommenderStudyPlan(models={"popularity": POPULAR, "als": wrong}))
    with pytest.raises(recommenders.UnknownModelError, match="oracle"):
        run_study(TRAIN, TRUTH, RecommenderStudyPlan(models={"als": StudiedModel(recommender="oracle")}))


def test_a_fallback_that_cannot_serve_everyone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommender_study, "run_fit", lambda *_: pytest.fail("something was fitted"))
    with pytest.raises(StudyError, match=r"the fallback als cannot rank for customers .*: take popular"):
        run_study(TRAIN, TRUTH, RecommenderStudyPlan(models={"popularity": POPULAR}, fallback=ALS))


def test_seconds_are_those_of_the_model_alone(
    shop: tuple[Interactions, Interactions], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit of als takes a second here, one of the fallback a minute; all purchases are read once for a sample."""
    clock, seen, real = [0.0], [0], recommender_study.fit_model

    def slow(train: Interactions, studied: StudiedModel, *rest: Any, **named: Any) -> Any:
        clock[0] += 60 if studied == POPULAR else 1
        return real(train, studied, *rest, **named)

    def read(task: EvaluationTask) -> Interactions:
        seen[0] += 1
        return task.train

    monkeypatch.setattr(recommender_study, "fit_model", slow)
    monkeypatch.setattr(recommender_study.time, "process_time", lambda: clock[0])
    monkeypatch.setattr(EvaluationTask, "seen", property(read))
    results = run_study(*shop, RecommenderStudyPlan(models={"als": ALS, "again": ALS}, seeds=(0, 1), shares=(0.1,)))
    assert all(fit.served < fit.judged for fit in results), "the case has to need the fallback"
    assert [(fit.seconds, fit.ranking_seconds) for fit in results] == [(1, 0)] * 4
    assert seen == [2]


# ---- keeping


RUN_FIT = recommender_study.run_fit


class Killed(BaseException):
    """The process is gone."""


class Counter:
    """Runs fits until it is killed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
        self.fits: list[RecommenderFit] = []

        def counted(fit: RecommenderFit, inputs: Any) -> RecommenderFitResult:
            if len(self.fits) == most:
                raise Killed
            self.fits.append(fit)
            return RUN_FIT(fit, inputs)

        monkeypatch.setattr(recommender_study, "run_fit", counted)


def test_a_killed_study_goes_on_where_it_was(
    shop: tuple[Interactions, Interactions], plan: RecommenderStudyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ResultsCache(tmp_path / "kept")
    killed = Counter(monkeypatch, most=6)
    with pytest.raises(Killed):
        run_study(*shop, plan, cache=kept, data=DATA)
    assert killed.fits == plan.fits()[:6]
    assert len(list(kept.folder.iterdir())) == 6
    rest = Counter(monkeypatch, most=99)
    resumed = run_study(*shop, plan, cache=kept, data=DATA)
    assert rest.fits == plan.fits()[6:]
    again = Counter(monkeypatch, most=0)
    assert run_study(*shop, plan, cache=kept, data=DATA) == resumed
    assert again.fits == []
    Counter(monkeypatch, most=99)
    whole = run_study(*shop, plan)
    assert [told(result) for result in resumed] == [told(result) for result in whole]
    pd.testing.assert_frame_equal(scores_of(resumed), scores_of(whole))
    pd.testing.assert_frame_equal(paired_tests_of(resumed), paired_tests_of(whole))


def test_another_question_starts_anew_and_another_model_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = RecommenderStudyPlan(models={"popularity": POPULAR}, seeds=(0,), shares=(1.0,), k=2)

    def fits(plan: RecommenderStudyPlan = small, data: dict[str, str] = DATA, **asked: Any) -> list[str]:
        counter = Counter(monkeypatch, most=9)
        run_study(TRAIN, TRUTH, plan, cache=ResultsCache(tmp_path), data=data, **asked)
        return [fit.model for fit in counter.fits]

    assert fits() == ["popularity"]
    assert fits() == []
    assert fits(data={"interactions": "2"}) == ["popularity"]
    assert fits(customers=["u1"]) == ["popularity"]
    assert fits(device="auto") == ["popularity"]
    assert fits(candidates=["a", "b"]) == ["popularity"]
    assert fits(candidates=["b", "a"]) == []
    assert fits(small.model_copy(update={"models": {"popularity": POPULAR, "repeat": REPEAT}})) == ["repeat"]
    assert fits(small.model_copy(update={"k": 3})) == ["popularity"]
    assert fits(small.model_copy(update={"exclude_seen": False})) == ["popularity"]
    monkeypatch.setattr("atelier.studies.results_cache.code_version", lambda *_: "other code")
    assert fits() == ["popularity"]


@pytest.mark.parametrize(
    "module",
    [
        "interactions.py",
        "ids.py",
        "catalogue.py",
        "recommenders/factorisation/als.py",
        "metrics/accuracy.py",
        "nn/training_loop.py",
        "nn/ranking_losses.py",
        "search/exact.py",
        "devices.py",
    ],
)
def test_what_a_fit_reads_is_part_of_the_code(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes
    before = recommender_study.made_by()
    changed = f"atelier/{module}"
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * path.as_posix().endswith(changed))
    assert recommender_study.made_by() != before


def test_one_fit_under_two_names_is_made_once(tmp_path: Path) -> None:
    models = {"one": ALS, "two": ALS.model_copy(update={"config": {**ALS.config, "alpha": 20.0}})}
    plan = RecommenderStudyPlan(models=models, seeds=(0,), shares=(1.0,), k=2)
    results = run_study(TRAIN, TRUTH, plan, cache=ResultsCache(tmp_path), data={"data": "tiny"})
    assert len(list(tmp_path.iterdir())) == 1
    assert [result.model for result in results] == ["one", "two"]
    assert results[0].model_copy(update={"model": "two"}) == results[1]


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_annoy_finds_what_exact_search_finds_among_few(
    shop: tuple[Interactions, Interactions], exclude_seen: bool
) -> None:
    """So few articles fit into the nodes that are looked at; who has no history gets the fallback's list."""
    models = {"exact": ALS, "annoy": ALS.model_copy(update={"search": "annoy"}), "popular": POPULAR}
    plan = RecommenderStudyPlan(models=models, seeds=(0,), shares=(1.0, 0.1), k=3, exclude_seen=exclude_seen)
    results = {(result.model, result.share): result for result in run_study(*shop, plan)}
    for share in (1.0, 0.1):
        exact, annoy = results["exact", share], results["annoy", share]
        assert exact.scores == annoy.scores
        assert exact.packed == annoy.packed
        assert exact.served == annoy.served
    assert results["annoy", 0.1].served < results["annoy", 0.1].judged
    assert results["annoy", 1.0].scores != results["popular", 1.0].scores


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    small = RecommenderStudyPlan(models={"popularity": POPULAR}, seeds=(0,), shares=(1.0,), k=2)
    run_study(TRAIN, TRUTH, small, cache=ResultsCache(tmp_path), data=DATA)
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text()[:-10])
    with pytest.raises(CachedResultError, match=rf"{file.name}.*delete it"):
        run_study(TRAIN, TRUTH, small, cache=ResultsCache(tmp_path), data=DATA)


def test_nothing_is_kept_of_data_that_nobody_can_tell(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="identifies"):
        run_study(TRAIN, TRUTH, RecommenderStudyPlan(models={"p": POPULAR}), cache=ResultsCache(tmp_path))


def test_no_customer_is_named_in_what_is_kept(tmp_path: Path) -> None:
    small = RecommenderStudyPlan(models={"popularity": POPULAR}, seeds=(0,), shares=(1.0,), k=2)
    run_study(TRAIN, TRUTH, small, cache=ResultsCache(tmp_path), data=DATA)
    (file,) = tmp_path.iterdir()
    assert not any(f'"{customer}"' in file.read_text() for customer in set(TRAIN["customer_id"]))
