"""als's reasons: against the formula written out, summing to the score, whoever is asked for and in what batches."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from atelier import recommenders
from atelier.errors import BundleError, UnknownIdentifier
from atelier.recommenders.factorisation import als_explanation
from atelier.recommenders.factorisation.als import ALS


def world(seed: int = 0) -> pd.DataFrame:
    """Sixty customers with 1 to 12 interactions, some repeated, among twenty-five articles."""
    random = np.random.default_rng(seed)
    customers = np.repeat(np.arange(60), random.integers(1, 13, 60))
    return pd.DataFrame(
        {
            "customer_id": [f"c{c:02d}" for c in customers],
            "article_id": [f"a{a:02d}" for a in (random.zipf(1.5, len(customers)) * 3 + customers) % 25],
            "occurred_at": pd.Timestamp("2020-03-01")
            + pd.to_timedelta(random.integers(0, 900, len(customers)), unit="h"),
        }
    )


@pytest.fixture(scope="module")
def model() -> ALS:
    built = recommenders.build("als", factors=6, regularization=0.7, alpha=4.0, threads=1).fit(world())
    assert isinstance(built, ALS)
    return built


def slow(model: ALS, customer: str, article: str) -> dict[str, float]:
    """Section 5 of the paper as it is printed: W of factors × factors, the term of each chosen article."""
    Y = model.weights["articles"].astype(np.float64)
    ids = model.article_ids.values.to_pylist()
    row = model.customer_profiles.ids.encode([customer])[0]
    frame = world()
    last, mine = frame.occurred_at.max(), frame[frame.customer_id == customer]
    amount = (0.5 ** ((last - mine.occurred_at) / pd.Timedelta("1D") / 30)).groupby(mine.article_id).sum()
    confidence = np.ones(len(ids))
    confidence[[ids.index(a) for a in amount.index]] += 4.0 * amount.to_numpy()
    W = np.linalg.inv(Y.T @ (confidence[:, None] * Y) + 0.7 * np.eye(6))
    assert row >= 0
    y = Y[ids.index(article)]
    return {a: float(y @ W @ Y[ids.index(a)] * confidence[ids.index(a)]) for a in amount.index}


def test_weights_are_those_of_the_paper(model: ALS) -> None:
    recs = model.recommend(k=5, exclude_seen=False).sample(frac=1, random_state=0)
    reasons = model.explain(recs, articles=99).to_pylist()
    assert any(len(found) > 5 for found in reasons)
    for customer, article, found in zip(recs.customer_id, recs.article_id, reasons, strict=True):
        terms = {a: w for a, w in slow(model, customer, article).items() if w > 0}
        assert {r["value"]: r["weight"] for r in found} == pytest.approx(terms, rel=1e-4, abs=1e-7)
        assert {r["kind"] for r in found} <= {"article"}
        weights = [r["weight"] for r in found]
        assert weights == sorted(weights, reverse=True)
    two = model.explain(recs).to_pylist()
    assert two == [found[:2] for found in reasons]


def test_terms_add_up_to_the_score_of_a_new_customer(model: ALS) -> None:
    """Nobody's terms are negative here, so that those above 0 are all of the score."""
    history = pd.DataFrame({"customer_id": "new", "article_id": ["a03", "a06", "a06", "gone"]})
    recs = model.recommend(histories=history, k=25, exclude_seen=False)
    reasons = model.explain(recs, histories=history, articles=99).to_pylist()
    whole = [found for found in reasons if len(found) == 2]
    assert len(whole) > 5
    for score, found in zip(recs.score, reasons, strict=True):
        if len(found) == 2:
            assert sum(r["weight"] for r in found) == pytest.approx(score, rel=1e-3)


def test_batches_do_not_matter(model: ALS, monkeypatch: pytest.MonkeyPatch) -> None:
    recs = model.recommend(k=4)
    whole = model.explain(recs, articles=3).to_pylist()
    monkeypatch.setattr("atelier.recommenders.factorisation.als_explanation.CELLS", 150)
    for one, other in zip(model.explain(recs, articles=3).to_pylist(), whole, strict=True):
        assert [r["value"] for r in one] == [r["value"] for r in other]
        assert [r["weight"] for r in one] == pytest.approx([r["weight"] for r in other])


def test_what_all_customers_share_is_worked_out_once_for_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    other = world(seed=1)
    model, fresh = (recommenders.build("als", factors=6, threads=1) for _ in "ab")
    recs = model.fit(world()).recommend(k=2)
    first = model.explain(recs).to_pylist()
    with monkeypatch.context() as patched:
        patched.setattr(als_explanation, "whitened", None)
        assert model.explain(recs).to_pylist() == first
    recs = model.fit(other).recommend(k=2)
    assert model.explain(recs).to_pylist() == fresh.fit(other).explain(recs).to_pylist()


def test_whom_and_what_it_cannot_rank() -> None:
    frame = world().assign(kind="purchase")
    viewed = pd.DataFrame(
        {
            "customer_id": ["c00", "looks"],
            "article_id": "only viewed",
            "kind": "view",
            "occurred_at": pd.Timestamp("2020-03-02"),
        }
    )
    model = recommenders.build("als", factors=6, threads=1).fit(pd.concat([frame, viewed]))
    asked = pd.DataFrame(
        {"customer_id": ["looks", "c00", "c00", "nobody"], "article_id": ["a01", "only viewed", "a02", "a02"]}
    )
    assert [None if found is None else bool(found) for found in model.explain(asked).to_pylist()] == [
        None,
        False,
        True,
        None,
    ]
    assert model.explain(asked.iloc[:0]).to_pylist() == []
    assert model.explain(asked.iloc[:1]).to_pylist() == [None]
    with pytest.raises(UnknownIdentifier, match="a99"):
        model.explain(pd.DataFrame({"customer_id": ["c00"], "article_id": ["a99"]}))


def test_without_regularisation_and_with_more_factors_than_articles() -> None:
    model = recommenders.build("als", factors=40, regularization=0.0, threads=1, iterations=3).fit(world())
    reasons = model.explain(model.recommend(k=2)).to_pylist()
    assert all(np.isfinite(r["weight"]) for found in reasons for r in found)


def test_a_bundle_without_histories_says_so(model: ALS) -> None:
    old = recommenders.build("als", factors=6, threads=1).fit(world())
    for name in ("history.starts", "history.columns", "history.confidence"):
        del old.customer_profiles.profiles[name]
    with pytest.raises(BundleError, match="train the model again"):
        old.explain(old.recommend(k=1))


def test_long_histories_are_solved_for_in_factors_to_the_same_weights(
    model: ALS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With six factors, histories of seven articles and more take the other way."""
    recs = model.recommend(k=6, exclude_seen=False)
    short = model.explain(recs, articles=99).to_pylist()
    monkeypatch.setattr(als_explanation, "LONG", 2)
    solved: list[int] = []
    plain = np.linalg.solve
    monkeypatch.setattr(np.linalg, "solve", lambda a, b: solved.append(a.shape[-1]) or plain(a, b))
    long = model.explain(recs, articles=99).to_pylist()
    assert max(solved) <= 6, "no matrix is longer than the vectors"
    assert any(len(found) > 6 for found in long)
    for one, other in zip(short, long, strict=True):
        assert [r["value"] for r in one] == [r["value"] for r in other]
        np.testing.assert_allclose([r["weight"] for r in one], [r["weight"] for r in other], rtol=1e-4)
    monkeypatch.setattr(als_explanation, "CELLS", 150)
    for one, other in zip(model.explain(recs, articles=99).to_pylist(), long, strict=True):
        assert [r["value"] for r in one] == [r["value"] for r in other]


def test_a_history_of_thousands_takes_no_square_of_it() -> None:
    frame = pd.concat([world(), pd.DataFrame({"customer_id": "bot", "article_id": [f"b{n:05d}" for n in range(4000)]})])
    built = recommenders.build("als", factors=8, iterations=1, threads=1).fit(frame[["customer_id", "article_id"]])
    assert isinstance(built, ALS)
    recs = built.recommend(["bot"], k=3, exclude_seen=False)
    tracemalloc.start()
    reasons = built.explain(recs, articles=10**9).to_pylist()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4000 * 4000 * 8 / 4
    assert 0 < max(len(found) for found in reasons) <= 4000
