"""The comparison of starts over days: which days, what is known on each, and a run on made-up data."""

from datetime import date

import numpy as np
import pandas as pd

from atelier.interactions import Interactions
from benchmarks import warm_start_days as bench
from tests.benchmarks.test_hm_week_two_stage import week


def transactions() -> Interactions:
    return Interactions.from_frame(week().rename(columns={"t_dat": "occurred_at"}))


def test_a_day_knows_nothing_of_the_next_one() -> None:
    found = list(bench.days(transactions(), date(2020, 9, 17)))
    assert [each.day for each in found] == [date(2020, 9, day) for day in range(17, 22)]
    for each in found:
        assert each.train.occurred_at.max() == np.datetime64(each.day)
        assert set(each.truth.occurred_at.astype("datetime64[D]").tolist()) == {each.day + pd.Timedelta(days=1)}


def test_both_starts_are_judged_on_the_same_customers_of_each_day() -> None:
    config = {"mode": "collaborative", "factors": 8, "heads": 2, "blocks": 1, "max_epochs": 2, "negatives": 20}
    configs = {"random": config, "yesterday": config | {"max_epochs": 1}}
    table = bench.compared(transactions(), date(2020, 9, 19), configs, None)
    assert list(table.start) == ["random", "random", "yesterday", "random", "yesterday"]
    both = table[table.day > table.day.min()]
    assert both.groupby("start").epochs.unique().map(list).to_dict() == {"random": [2], "yesterday": [1]}
    assert (both.groupby("day").customers.nunique() == 1).all()
    assert both[bench.SHOWN[0]].between(0, 1).all()
    for _, rows in both.groupby("day"):
        random, yesterday = rows.itertuples()
        assert np.isclose(yesterday.difference, yesterday.hit_rate - random.hit_rate)
