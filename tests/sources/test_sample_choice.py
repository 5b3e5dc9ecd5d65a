"""The choice model: it sums to one, the sampler follows it, and the oracle's ranking is the best there is."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from atelier.sources.sample import SampleConfig, behaviour, choice, generate, taxonomy
from atelier.sources.sample.choice import Choice

SMALL = SampleConfig(
    articles=40,
    customers=30,
    days=14,
    seed=3,
    photographs=False,
    styles=4,
    repeat=0.0,
    sessions_per_customer=1.0,
    outfits_per_article=0.0,
)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("retailer")
    generate(root, SMALL)
    return root / "truth"


@pytest.fixture(scope="module")
def model(truth: Path) -> Choice:
    return Choice.load(truth)


def test_probabilities_sum_to_one_over_what_is_on_sale(truth: Path, model: Choice) -> None:
    for day in (0, 6, 13):
        p = choice.choice_probabilities(truth, None, SMALL.first_day + timedelta(days=day))
        np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-12)
        assert (p[:, ~model.available(day)] == 0).all()
        assert (p[:, model.available(day)] > 0).all()


def test_probabilities_equal_the_formula_written_out(model: Choice) -> None:
    """Σ_z θ_uz φ_z(i), computed with loops from the parameters alone."""
    day, customer, config = 9, 7, model.config
    moved = min(max((day - model.drift_from[customer]) / choice.DRIFT_DAYS, 0.0), 1.0)
    theta = (1 - moved) * model.taste_before[customer].astype(float) + moved * model.taste_after[customer]
    theta /= theta.sum()
    of_year = (config.first_day + timedelta(days=day)).timetuple().tm_yday
    expected = np.zeros(len(model.articles))
    for z in range(config.styles):
        weights = np.zeros(len(model.articles))
        for i in range(len(model.articles)):
            if not model.launched[i] <= day <= model.leaves[i]:
                continue
            age = max(day - model.launched[i], 0)
            weights[i] = np.exp(model.likings[z, i] + model.popularity[i])
            weights[i] *= 1 + config.novelty_boost * np.exp(-age / config.novelty_days)
            weights[i] *= 1 - config.slow_start * np.exp(-age / config.slow_start_days)
            weights[i] *= np.exp(model.seasonality[i] * np.cos(2 * np.pi * (of_year - model.peak[i]) / 365.25))
            if model.markdown_from[i] <= day:
                weights[i] *= np.exp(choice.MARKDOWN_PULL * model.markdown[i])
        expected += theta[z] * weights / weights.sum()
    np.testing.assert_allclose(model.probabilities(day, np.array([customer]))[0], expected, rtol=1e-9)


def _draws(model: Choice, day: int, customer: int, sessions: int, seed: int) -> np.ndarray:
    """Articles that one customer considers in many sessions, drawn exactly as a day is drawn."""
    rng = np.random.default_rng(seed)
    shelf = behaviour.Shelf.of(model, day)
    tastes = np.repeat(model.tastes(day, np.array([customer])), sessions, axis=0)
    groups = behaviour.pick(rng, tastes @ shelf.group_shares)
    groups = np.where(rng.random(sessions) < choice.ANYTHING, -1, groups)
    return shelf.draw(rng, tastes, groups)


@pytest.mark.parametrize(("day", "customer"), [(0, 0), (8, 5), (13, 29)])
def test_the_sampler_follows_the_probabilities(model: Choice, day: int, customer: int) -> None:
    drawn = np.bincount(_draws(model, day, customer, 40_000, 11), minlength=len(model.articles))
    p = model.probabilities(day, np.array([customer]))[0]
    assert drawn[p == 0].sum() == 0
    expected = 40_000 * p[p > 0]
    common = expected >= 5
    observed = np.append(drawn[p > 0][common], drawn[p > 0][~common].sum())
    expected = np.append(expected[common], expected[~common].sum())
    if expected[-1] == 0:
        observed, expected = observed[:-1], expected[:-1]
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_the_chi_square_test_notices_a_wrong_model(model: Choice) -> None:
    """The same draws against the probabilities of the customer next in taste: the test above can fail."""
    drawn = np.bincount(_draws(model, 8, 5, 40_000, 11), minlength=len(model.articles))
    distance = np.abs(model.tastes(8, np.arange(30)) - model.tastes(8, np.array([5]))).sum(axis=1)
    other = int(np.argmin(np.where(distance > 0.1, distance, np.inf)))
    p = model.probabilities(8, np.array([other]))[0]
    common = 40_000 * p >= 5
    observed, expected = drawn[common], p[common]
    assert stats.chisquare(observed, expected / expected.sum() * observed.sum()).pvalue < 1e-6


def test_whole_days_follow_the_probabilities(model: Choice) -> None:
    """Views of all customers over many replays of one day, sessions, contexts and all; first views are independent."""
    articles = _articles(model)
    counts, expected = np.zeros(len(model.articles)), np.zeros(len(model.articles))
    everyone = np.arange(len(model.customers))
    p = model.probabilities(5, everyone)
    for seed in range(150):
        events = behaviour.draw_day(model, articles, behaviour.Memory.empty(30), 5, np.random.default_rng(seed))
        first = events.to_pandas().query("kind == 'view'").drop_duplicates("session_id")
        counts += np.bincount(np.searchsorted(model.articles, first["article_id"]), minlength=len(counts))
        expected += p[np.searchsorted(model.customers, first["customer_id"])].sum(axis=0)
    common = expected >= 5
    assert counts.sum() > 2_000
    scaled = expected[common] / expected[common].sum() * counts[common].sum()
    assert stats.chisquare(counts[common], scaled).pvalue > 1e-3


def _articles(model: Choice) -> "behaviour.Articles":
    from atelier.sources.sample import catalogue
    from atelier.sources.sample.generate import stream

    return catalogue.draw_articles(model.config, stream(model.config, "catalogue"))


def test_expected_purchases_are_what_happens(model: Choice) -> None:
    """1 − exp(−Λ) against the share of replayed weeks in which an article was bought at least once."""
    articles, customer, replays = _articles(model), 4, 300
    bought = np.zeros(len(model.articles))
    busy = Choice(**{**model.__dict__, "rate": np.where(np.arange(30) == customer, 3.0, 1e-9)})
    for seed in range(replays):
        seen = np.zeros(len(bought), dtype=bool)
        for day in (5, 6):
            events = behaviour.draw_day(
                busy, articles, behaviour.Memory.empty(30), day, np.random.default_rng([seed, day])
            ).to_pandas()
            own = events[(events["kind"] == "purchase") & (events["customer_id"] == model.customers[customer])]
            seen[np.searchsorted(model.articles, own["article_id"])] = True
        bought += seen
    chance = -np.expm1(-choice.expected_purchases(busy, np.array([customer]), 5, 6)[0])
    sigma = np.sqrt(np.maximum(chance * (1 - chance), 1e-4) / replays)
    deviations = (bought / replays - chance) / sigma
    assert np.abs(deviations).max() < 4.5
    assert np.sqrt(np.mean(deviations[chance > 0.01] ** 2)) < 1.4


def test_oracle_ranks_by_the_probability_of_being_bought(truth: Path, model: Choice) -> None:
    day = SMALL.first_day + timedelta(days=6)
    ranking = choice.oracle_lists(truth.parent, None, day, horizon=7, k=5)
    scores = -np.expm1(-choice.expected_purchases(model, np.arange(30), 7, 13))
    for row, (customer, rows) in enumerate(ranking.groupby("customer_id")):
        assert customer == model.customers[row]
        assert rows["rank"].tolist() == [1, 2, 3, 4, 5]
        best = sorted(range(len(model.articles)), key=lambda i: (-scores[row, i], i))[:5]
        assert rows["article_id"].tolist() == model.articles[best].tolist()


def test_oracle_leaves_out_what_was_seen(truth: Path) -> None:
    day = SMALL.first_day + timedelta(days=6)
    free = choice.oracle_lists(truth.parent, ["c00000003"], day, horizon=7, k=5)
    seen = free[["customer_id", "article_id"]].head(2)
    without = choice.oracle_lists(truth.parent, ["c00000003"], day, horizon=7, k=5, seen=seen)
    assert without["article_id"].tolist()[:3] == free["article_id"].tolist()[2:]
    assert not set(without["article_id"]) & set(seen["article_id"])
    assert len(without) == 5


def test_oracle_recommends_candidates_only(truth: Path) -> None:
    day = SMALL.first_day + timedelta(days=6)
    free = choice.oracle_lists(truth.parent, None, day, 7, k=5)
    allowed = sorted(set(free["article_id"]))[::2]
    lists = choice.oracle_lists(truth.parent, None, day, 7, k=5, candidates=allowed)
    assert set(lists["article_id"]) <= set(allowed)
    both = lists.merge(free, on=["customer_id", "article_id"], suffixes=("", "_free"))
    assert (both["score"] == both["score_free"]).all()
    assert (both["rank"] <= both["rank_free"]).all()


def test_blocks_do_not_matter(truth: Path) -> None:
    day = SMALL.first_day + timedelta(days=6)
    pd.testing.assert_frame_equal(
        choice.oracle_lists(truth.parent, None, day, 7, block=7),
        choice.oracle_lists(truth.parent, None, day, 7, block=4096),
    )


def test_unknown_customers_are_named(truth: Path) -> None:
    with pytest.raises(ValueError, match="stranger"):
        choice.choice_probabilities(truth, ["stranger"], date(2025, 3, 4))


def test_a_model_read_back_is_the_same(model: Choice, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = Choice.load(tmp_path)
    for name, value in model.__dict__.items():
        np.testing.assert_array_equal(value, getattr(again, name), err_msg=name)


def test_tastes_drift(model: Choice) -> None:
    late = choice.DRIFT_DAYS + SMALL.days
    everyone = np.arange(30)
    np.testing.assert_allclose(model.tastes(-int(late), everyone), model.taste_before, atol=1e-6)
    np.testing.assert_allclose(model.tastes(int(2 * late), everyone), model.taste_after, atol=1e-6)
    assert np.abs(model.taste_before - model.taste_after).max() > 0.1


def test_groups_cover_the_types() -> None:
    assert {kind.group for kind in taxonomy.TYPES} == set(taxonomy.GROUPS)
