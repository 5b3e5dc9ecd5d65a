"""The comparison over weeks and the pooled split: their data, their interval, and both on made-up purchases."""

import numpy as np
import pandas as pd
import pytest

from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from benchmarks import hm_two_stage as bench

SMALL = {"trees": 5, "min_examples_in_leaf": 5, "candidates": 20, "threads": 1}
CUSTOMERS = pd.DataFrame({"customer_id": [f"c{n:02d}" for n in range(30)], "age": [20.0, np.nan, 60.0] * 10})
CUSTOMERS = CUSTOMERS.assign(club_member_status="ACTIVE", fashion_news_frequency=["NONE", "Regularly", None] * 10)


def purchases(weeks: int = 12, seed: int = 0) -> Interactions:
    """Each week every customer buys a favourite and something else."""
    random, rows = np.random.default_rng(seed), []
    for week in range(weeks):
        for number, customer in enumerate(CUSTOMERS["customer_id"]):
            day = pd.Timestamp("2020-01-01") + pd.Timedelta(days=7 * week + int(random.integers(0, 7)))
            rows.append((customer, f"a{number % 5}", day))
            rows.append((customer, f"a{random.integers(5, 20)}", day))
    return Interactions.from_frame(pd.DataFrame(rows, columns=["customer_id", "article_id", "occurred_at"]))


SOLD = Catalogue.from_frames(pd.DataFrame({"article_id": [f"a{n}" for n in range(20)]}))


def test_each_week_is_the_truth_once_of_customers_with_history() -> None:
    values, costs = bench.weekly(purchases(), CUSTOMERS, SOLD, 2, SMALL)
    assert set(values) == set(bench.MODELS) == set(costs.seconds)
    for value in values.values():
        assert value.groupby(level=0).size().tolist() == [30, 30]
        assert value.between(0, 1).all()
    assert values["merge"].mean() > values["popular"].mean(), "everybody buys the favourite again"


def test_the_interval_takes_the_weeks_of_a_customer_together() -> None:
    index = pd.MultiIndex.from_tuples([(week, who) for week in (1, 2) for who in "abc"])
    ours = pd.Series([1.0, 0.5, 0.0, 1.0, 0.5, 0.0], index)
    theirs = pd.Series([0.0] * 6, index)
    table = bench.compared({"x": theirs, "two_stage with age": ours}).set_index("model")
    gap = table.loc["x"]
    assert gap["customer-weeks"] == 6
    assert gap["two_stage with age more by"] == 0.5
    # The sums of the customers' deviations are 1, 0 and −1.
    assert gap["high"] - 0.5 == pytest.approx(1.96 * np.sqrt(2) / 6)
    assert table.loc["two_stage with age", "low"] == 0


def test_pooled_precision_counts_what_anybody_bought() -> None:
    table, _ = bench.pooled(purchases(), CUSTOMERS, SOLD, SMALL)
    assert set(table["model"]) == set(bench.POOLED)
    popular = table[(table["model"] == "popular") & (table["k"] == 10)].iloc[0]
    data = purchases()
    times = np.sort(data.occurred_at)
    later = data.split_at(pd.Timestamp(times[int(0.85 * len(times))]).normalize())[1]
    anybody = set(later.article_ids.values.to_pylist())
    assert popular["pooled recall"] == pytest.approx(popular["pooled precision"] * 10 / len(anybody))
    assert popular["pooled precision"] >= popular["precision per customer"]
