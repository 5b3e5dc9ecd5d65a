"""The comparisons between days: what is unusual is named with its day, what is usual is not."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from assets.checks import changed_rows, changed_values, missing_days, moved_labels
from assets.step import days_of_run
from resources.feature_store import FeatureStore
from resources.retailer import Settings

DAY = date(2026, 3, 1)
LABELS = "annotated_attributes"


def day(number: int) -> date:
    return DAY + timedelta(days=number)


def labels(**counts: Mapping[str, int]) -> pa.Table:
    """Labels with so many articles for each value of each attribute."""
    rows = [
        (attribute, value)
        for attribute, values in counts.items()
        for value, count in values.items()
        for _ in range(count)
    ]
    return pa.table(
        {
            "article_id": [f"a{number:04d}" for number in range(len(rows))],
            "attribute": pa.array([attribute for attribute, _ in rows], pa.string()),
            "value": pa.array([value for _, value in rows], pa.string()),
        }
    )


def interactions(ds: date, rows: int) -> pa.Table:
    return pa.table(
        {
            "ordinal": pa.array(range(rows), pa.int64()),
            "customer_id": pa.array(["c"] * rows, pa.string()),
            "article_id": pa.array(["a"] * rows, pa.string()),
            "occurred_at": pa.array([ds] * rows, pa.date32()),
            "kind": pa.array(["purchase"] * rows, pa.string()),
            "price": pa.nulls(rows),
            "channel": pa.nulls(rows),
            "session_id": pa.nulls(rows),
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store", threads=1)


def write_labels(store: FeatureStore, counts: Mapping[int, int]) -> None:
    store.write_range(LABELS, [(day(n), labels(neckline={"v": count})) for n, count in counts.items()])


def write_interactions(store: FeatureStore, counts: Mapping[int, int]) -> None:
    store.write_range("interactions", [(day(n), interactions(day(n), count)) for n, count in counts.items()])


def days(*numbers: int) -> Sequence[date]:
    return [day(number) for number in numbers]


@pytest.mark.parametrize(
    ("rows", "unusual"), [(10, False), (12, False), (13, True), (9, False), (8, True), (0, True)], ids=str
)
def test_a_snapshot_may_change_by_a_fifth_in_a_day(store: FeatureStore, rows: int, unusual: bool) -> None:
    write_labels(store, {0: 10, 1: rows})
    expected = {day(1): [f"{LABELS}: {rows} rows on {day(1)}, 10 before"]} if unusual else {}
    assert changed_rows(store, LABELS, days(0, 1)) == expected


def test_a_snapshot_is_held_against_yesterday_alone(store: FeatureStore) -> None:
    write_labels(store, {0: 100, 1: 10, 2: 10, 4: 50})
    assert changed_rows(store, LABELS, days(1, 2, 3, 4)) == {day(1): [f"{LABELS}: 10 rows on {day(1)}, 100 before"]}


def test_only_the_days_asked_for_are_judged(store: FeatureStore) -> None:
    write_labels(store, {0: 10, 1: 30, 2: 90})
    assert changed_rows(store, LABELS, days(2)) == {day(2): [f"{LABELS}: 90 rows on {day(2)}, 30 before"]}


def test_the_first_day_and_an_empty_store_have_nothing_to_be_held_against(store: FeatureStore) -> None:
    assert changed_rows(store, "interactions", days(0)) == {}
    assert moved_labels(store, days(0)) == {}
    write_labels(store, {0: 10})
    write_interactions(store, {0: 1_000})
    assert changed_rows(store, LABELS, days(0)) == {}
    assert changed_rows(store, "interactions", days(0)) == {}
    assert moved_labels(store, days(0)) == {}


@pytest.mark.parametrize(("rows", "unusual"), [(4, False), (36, False), (37, True), (3, True)], ids=str)
def test_events_are_held_against_the_median_of_seven_days(store: FeatureStore, rows: int, unusual: bool) -> None:
    # The median of days 1 to 7 is 12: that of yesterday alone (60), the mean (20) or eight days (11) is another.
    write_interactions(store, {0: 1, 1: 5, 2: 10, 3: 11, 4: 12, 5: 20, 6: 22, 7: 60, 8: rows})
    expected = {day(8): [f"interactions: {rows} rows on {day(8)}, 12 before"]} if unusual else {}
    assert changed_rows(store, "interactions", days(8)) == expected


def test_labels_that_move_are_named_with_attribute_and_days(store: FeatureStore) -> None:
    before = labels(neckline={"V": 10, "crew": 10}, colour={"red": 10, "blue": 10})
    after = labels(neckline={"V": 14, "crew": 6}, colour={"red": 11, "blue": 9})  # by 0.2 and by 0.05
    store.write_range(LABELS, [(day(0), before), (day(1), after)])
    assert moved_labels(store, days(0, 1)) == {day(1): [f"labels of neckline moved between {day(0)} and {day(1)}"]}


def test_shares_count_and_not_numbers_of_labels(store: FeatureStore) -> None:
    store.write_range(LABELS, [(day(n), labels(neckline={"V": 3**n, "crew": 2 * 3**n})) for n in range(3)])
    assert moved_labels(store, days(1, 2)) == {}


def test_attributes_and_values_that_come_or_vanish_have_moved(store: FeatureStore) -> None:
    store.write_range(
        LABELS,
        [
            (day(0), labels(neckline={"V": 10}, colour={"red": 10}, fit={"slim": 9})),
            (day(1), labels(neckline={"V": 8, "crew": 2}, colour={"red": 10}, size={"M": 1})),
        ],
    )
    assert moved_labels(store, days(1)) == {
        day(1): [f"labels of fit, neckline, size moved between {day(0)} and {day(1)}"]
    }


def test_an_unchanged_snapshot_has_not_moved_and_is_not_read(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = labels(neckline={"V": 5, "crew": 5})
    store.write_range(LABELS, [(day(n), same) for n in range(3)])

    def connect(**_: object) -> None:
        raise AssertionError("partitions of one file were compared")

    monkeypatch.setattr(store, "connect", connect)
    assert moved_labels(store, days(0, 1, 2)) == {}
    assert changed_rows(store, LABELS, days(0, 1, 2)) == {}


def test_labels_are_not_compared_over_a_gap(store: FeatureStore) -> None:
    store.write_range(LABELS, [(day(0), labels(neckline={"V": 9})), (day(2), labels(neckline={"crew": 9}))])
    assert moved_labels(store, days(1, 2)) == {}


def test_every_day_from_the_first_on_must_be_there(store: FeatureStore) -> None:
    write_interactions(store, {0: 1, 2: 0, 4: 1, 6: 1})  # a day without rows has been ingested all the same
    absent = [f"{day(n)} is not ingested" for n in (1, 3, 5)]
    assert missing_days(store, DAY, days(2)) == {day(2): absent[:1]}
    assert missing_days(store, DAY, days(0, 1, 2, 3, 4, 5)) == {
        **dict.fromkeys(days(1, 2), absent[:1]),
        **dict.fromkeys(days(3, 4), absent[:2]),
        day(5): absent,
    }
    assert missing_days(store, day(2), days(2)) == {}
    assert missing_days(store, day(-1), days(0)) == {day(0): [f"{day(-1)} is not ingested"]}


def test_values_that_come_or_go_are_named(store: FeatureStore) -> None:
    store.write_range(
        LABELS,
        [
            (day(0), labels(colour={"beige": 3, "blue": 3}, fit={"slim": 1})),
            (day(1), labels(colour={"beige": 3, "blue": 3}, fit={"slim": 2})),
            (day(2), labels(colour={"neutral": 3, "blue": 2, "navy": 1}, fit={"slim": 2})),
            (day(4), labels(colour={"red": 1})),
        ],
    )
    expected = f"{day(2)}: new colour=navy, new colour=neutral, gone colour=beige"
    assert changed_values(store, days(0, 1, 2, 3, 4)) == {day(2): [expected]}


@pytest.mark.parametrize("keys", [("2025-03-02", "2025-03-03"), ("2025-03-03", "2025-03-06"), ("2025-3-3", "2025-3-3")])
def test_a_run_of_days_that_the_home_does_not_have_fails_at_once(keys: tuple[str, str]) -> None:
    settings = Settings(source="sample", path="retailer", first_day=date(2025, 3, 3), last_day=date(2025, 3, 5))
    with pytest.raises(dg.Failure, match="the run's partition: ") as refused:
        days_of_run(dg.PartitionKeyRange(*keys), settings)
    assert not refused.value.allow_retries
    whole = dg.PartitionKeyRange("2025-03-03", "2025-03-05")
    assert days_of_run(whole, settings) == [date(2025, 3, day) for day in (3, 4, 5)]
