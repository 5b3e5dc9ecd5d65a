"""A frozen model on later days, and what stands at each rank."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from atelier.interactions import Interactions
from atelier.studies.frozen_study import by_rank, longevity
from atelier.studies.recommender_plan import StudiedModel
from atelier.studies.recommender_scores import StudyError
from atelier.studies.results_cache import ResultsCache
from tests.studies.tiny import ALS

ORIGIN = date(2025, 3, 5)
MARKOV = StudiedModel(recommender="markov", config={"history": 1})
POPULAR = StudiedModel(recommender="popular")


def shop() -> Interactions:
    """Customers who go round five articles, one a day: what comes next follows from the last day alone."""
    rows = [
        (f"c{customer}", f"a{(customer + day) % 5}", pd.Timestamp("2025-03-01") + pd.Timedelta(days=day))
        for customer in range(10)
        for day in range(12)
    ]
    return Interactions.from_frame(pd.DataFrame(rows, columns=["customer_id", "article_id", "occurred_at"]))


def test_a_frozen_model_that_reads_on_follows_and_frozen_lists_do_not() -> None:
    table = longevity(shop(), ORIGIN, {"markov": MARKOV}, days=6, k=1)
    rows = table[table["metric"] == "hit_rate"]
    values = {name: rows.loc[rows["histories"] == name, "value"].tolist() for name in ("frozen", "reads on")}
    # Frozen lists hold what follows the article of the fifth day: right on the first day, and again five days later.
    assert values["frozen"] == [1, 0, 0, 0, 0, 1]
    assert values["reads on"] == [1] * 6
    assert (table["customers"] == 10).all()
    assert set(table["metric"]) == {"hit_rate", "ndcg"}


def test_nothing_later_than_the_day_before_is_read() -> None:
    whole = shop()
    table = longevity(whole, ORIGIN, {"markov": MARKOV, "popular": POPULAR}, days=3, k=2)
    early, _ = whole.split_at("2025-03-09")
    changed = Interactions.from_frame(
        pd.concat([early.to_frame(), pd.DataFrame({"customer_id": ["c0"], "article_id": ["new"],
                   "occurred_at": [pd.Timestamp("2025-03-10")]})])
    )  # fmt: skip
    pd.testing.assert_frame_equal(
        longevity(changed, ORIGIN, {"markov": MARKOV, "popular": POPULAR}, days=3, k=2), table
    )


def test_what_is_kept_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from atelier.studies import frozen_study

    kept = {"cache": ResultsCache(tmp_path), "data": {"data": "shop"}}
    table = longevity(shop(), ORIGIN, {"markov": MARKOV}, days=2, k=1, **kept)  # type: ignore[arg-type]
    monkeypatch.setattr(frozen_study, "fit_model", lambda *_: pytest.fail("it was fitted again"))
    again = longevity(shop(), ORIGIN, {"markov": MARKOV}, days=2, k=1, **kept)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(table, again)


def test_a_day_without_purchases_has_no_figures() -> None:
    whole = shop()
    table = longevity(whole, ORIGIN, {"popular": POPULAR}, days=9, k=1)
    assert sorted(table["day"].unique()) == list(range(1, 8))
    early, _ = whole.split_at("2025-03-06")
    with pytest.raises(StudyError, match="no customer who was known on 2025-03-05 purchased on the 9 days after it"):
        longevity(early, ORIGIN, {"popular": POPULAR}, days=9, k=1)


def test_the_means_at_each_rank_are_those_of_the_lists() -> None:
    train, truth = shop().split_at("2025-03-06")
    articles = pd.DataFrame(
        {
            "article_id": [f"a{place}" for place in range(6)],
            "price": [10.0, 20, 30, 40, 50, 600],
            "available_from": pd.Timestamp("2025-02-01"),
        }
    )
    table = by_rank(train, truth, {"markov": MARKOV, "als": ALS}, articles, as_of=ORIGIN, k=2)
    rows = table.set_index(["model", "metric", "segment", "k"])["value"].astype(float)
    # Two customers stand at each article, so each of the five comes first in two lists.
    assert rows["markov", "mean_price_at_rank", "all", 1] == pytest.approx(30)
    assert rows["markov", "mean_popularity_at_rank", "all", 1] == pytest.approx(10)
    assert rows["als", "mean_age_days_at_rank", "all", 2] == pytest.approx(32)
    whole = table[(table["segment"] == "catalogue") & (table["metric"] == "mean_price_at_rank")]
    assert whole["value"].tolist() == pytest.approx([125, 125])
    assert np.isfinite(rows.to_numpy()).all()


def test_without_prices_and_dates_popularity_is_left() -> None:
    train, truth = shop().split_at("2025-03-06")
    articles = pd.DataFrame({"article_id": [f"a{place}" for place in range(5)]})
    annoy = ALS.model_copy(update={"search": "annoy"})
    table = by_rank(train, truth, {"als": ALS, "als_annoy": annoy}, articles, k=2)
    assert set(table["metric"]) == {"mean_popularity_at_rank"}
    sides = [
        table[table["model"] == name].drop(columns="model").reset_index(drop=True) for name in ("als", "als_annoy")
    ]
    pd.testing.assert_frame_equal(sides[0], sides[1])
