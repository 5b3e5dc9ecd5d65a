"""The injected faults: each changes what it says and nothing else, the same way every time."""

import re
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.injected_faults import FAULTS, Day, Fault

DS = date(2026, 3, 4)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "drift.md"


def frames(ds: date, seed: int) -> dict[str, pd.DataFrame]:
    """A tiny retailer's tables of one day."""
    rng = np.random.default_rng(seed)
    articles = [f"{number:04d}" for number in range(40)]
    customers = [f"c{number:02d}" for number in range(30)]
    minutes = np.sort(rng.integers(120, 1_400, size=400))
    return {
        "articles": pd.DataFrame(
            {
                "article_id": articles,
                "description": [f"a red dress number {number}" for number in articles],
                "brand": [f"brand {number % 4}" for number in range(40)],
                "price": [Decimal(number + 1) for number in range(40)],
            }
        ),
        "customers": pd.DataFrame({"customer_id": customers, "age": pd.array(range(20, 50), dtype="Int16")}),
        "annotated_attributes": pd.DataFrame(
            {"article_id": articles, "attribute": "colour", "value": ["red", "blue", "green", "blue"] * 10}
        ),
        "images": pd.DataFrame({"article_id": articles, "shot": 0, "digest": [f"d{number}" for number in articles]}),
        "interactions": pd.DataFrame(
            {
                "customer_id": rng.choice(customers, size=400),
                "article_id": rng.choice(articles, size=400),
                "occurred_at": pd.Timestamp(ds) + pd.to_timedelta(minutes, unit="min"),
                "kind": rng.choice(["view", "save", "purchase"], size=400),
                "price": [Decimal(number % 9 + 1) for number in range(400)],
                "channel": rng.choice(["web", "app"], size=400),
            }
        ),
        "vectors": pd.DataFrame(
            {
                "digest": [f"d{number}" for number in articles],
                "embedding": list(rng.random((40, 3), dtype=np.float32) + 1),
            }
        ),
        "recommendations": pd.DataFrame(
            [
                (model, customer, rank, articles[(3 * number + rank) % 40])
                for model in ("als", "popular")
                for number, customer in enumerate(customers)
                for rank in (1, 2)
            ],
            columns=["model", "customer_id", "rank", "article_id"],
        ).astype(dict.fromkeys(("model", "customer_id", "article_id"), "category")),  # as they are read
    }


@pytest.fixture
def day() -> Day:
    return Day(DS, frames(DS, 0), frames(DS - timedelta(days=1), 1), np.random.default_rng(7))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_changes_every_table_that_it_returns_and_no_other(day: Day, fault: Fault) -> None:
    before = frames(DS, 0)
    changed = fault.inject(day)
    assert changed
    for name, frame in changed.items():
        assert list(frame.columns) == list(before[name].columns)
        assert not frame.reset_index(drop=True).equals(before[name].astype(frame.dtypes))
    for name, frame in before.items():
        pd.testing.assert_frame_equal(day.today[name], frame)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_same_seed_gives_the_same_fault(day: Day, fault: Fault) -> None:
    again = Day(DS, frames(DS, 0), frames(DS - timedelta(days=1), 1), np.random.default_rng(7))
    first, second = fault.inject(day), fault.inject(again)
    assert first.keys() == second.keys()
    for name, frame in first.items():
        pd.testing.assert_frame_equal(frame, second[name])


def test_what_a_fault_must_not_give_away_stays_as_it_was(day: Day) -> None:
    by_name = {fault.name: fault.inject(day) for fault in FAULTS}
    labels = by_name["labels_shuffled"]["annotated_attributes"]
    assert sorted(labels["value"]) == sorted(day.today["annotated_attributes"]["value"])
    assert set(by_name["photographs_swapped"]["images"]["digest"]) == set(day.today["images"]["digest"])
    renumbered = by_name["customers_renumbered"]["interactions"]
    assert set(renumbered["customer_id"]) <= set(day.today["customers"]["customer_id"])
    again = by_name["day_delivered_again"]["interactions"]
    assert set(again["occurred_at"].dt.date) == {DS}
    assert set(by_name["time_zone_off"]["interactions"]["occurred_at"].dt.date) == {DS}
    lists = by_name["lists_permuted"]["recommendations"]
    assert sorted(lists["article_id"]) == sorted(day.today["recommendations"]["article_id"])


def test_the_page_lists_the_same_faults_in_the_same_words() -> None:
    written = re.findall(r"^\| (\w+) \| (\w[^|]*\.) \|$", PAGE.read_text(), re.MULTILINE)
    listed = [(name, says) for name, says in written if name in {fault.name for fault in FAULTS}]
    assert listed == [(fault.name, fault.says) for fault in FAULTS]
