"""Outfits made of purchases, counted by hand."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from atelier.interactions import Interactions
from atelier.outfits.baskets import baskets

KINDS = pd.Series({"dress": "Dress", "gown": "Dress", "shoe": "Shoe", "bag": "Bag", "thing": None})


def bought(*rows: tuple[str, str, str]) -> Interactions:
    frame = pd.DataFrame(rows, columns=["customer_id", "article_id", "occurred_at"])
    return Interactions.from_frame(frame.assign(occurred_at=pd.to_datetime(frame["occurred_at"]), kind="purchase"))


def members(table: pd.DataFrame) -> dict[str, list[str]]:
    return {str(name): sorted(rows) for name, rows in table.groupby("outfit_id", sort=False)["article_id"]}


def test_one_article_of_each_type_that_a_customer_bought_on_a_day() -> None:
    purchases = bought(
        ("ann", "dress", "2026-03-01 09:00"),
        ("ann", "gown", "2026-03-01 10:00"),  # a second dress
        ("ann", "shoe", "2026-03-01 18:00"),
        ("ann", "shoe", "2026-03-01 19:00"),  # a second unit
        ("ann", "bag", "2026-03-02 09:00"),  # alone on its day
        ("bob", "bag", "2026-03-02 09:00"),
        ("bob", "shoe", "2026-03-02 09:30"),
        ("bob", "thing", "2026-03-02 09:40"),  # of no type
        ("bob", "gone", "2026-03-02 09:50"),  # not in the catalogue
        ("cat", "thing", "2026-03-02 09:40"),
        ("cat", "shoe", "2026-03-02 09:40"),
    )
    found = baskets(purchases, KINDS, most=10)
    assert members(found) == {"ann 2026-03-01": ["dress", "shoe"], "bob 2026-03-02": ["bag", "shoe"]}
    assert members(baskets(purchases, KINDS, most=1)) == {"bob 2026-03-02": ["bag", "shoe"]}


PURCHASES = st.tuples(st.sampled_from(["ann", "bob"]), st.sampled_from([*KINDS.index, "gone"]), st.integers(0, 60))


@given(st.lists(PURCHASES, min_size=1, max_size=30, unique_by=lambda row: row[2]), st.integers(1, 4))
def test_baskets_equal_the_slow_version(rows: list[tuple[str, str, int]], most: int) -> None:
    first = pd.Timestamp(2026, 3, 1)
    found: dict[tuple[str, str], dict[str, str]] = {}
    for customer, article, at in sorted(rows, key=lambda row: row[2]):
        day = str((first + pd.Timedelta(hours=at)).date())
        if pd.notna(kind := KINDS.get(article)):
            found.setdefault((day, customer), {}).setdefault(kind, article)
    large = {f"{who} {day}": sorted(found[day, who].values()) for day, who in sorted(found) if len(found[day, who]) > 1}
    expected = dict(list(large.items())[-most:])
    purchases = bought(*((customer, article, str(first + pd.Timedelta(hours=at))) for customer, article, at in rows))
    assert list(members(baskets(purchases, KINDS, most)).items()) == list(expected.items())


def test_very_large_baskets_are_left_out() -> None:
    kinds = pd.Series({f"a{place}": f"T{place}" for place in range(9)})
    many = bought(*(("ann", f"a{place}", "2026-03-01") for place in range(9)))
    assert baskets(many, kinds, most=10).empty
    assert len(baskets(many, kinds.head(8), most=10)) == 8


def test_without_dates_or_rows_there_are_none() -> None:
    undated = Interactions.from_frame(pd.DataFrame({"customer_id": ["ann", "ann"], "article_id": ["dress", "shoe"]}))
    for purchases in (undated, bought()):
        found = baskets(purchases, KINDS, most=10)
        assert found.empty
        assert found.columns.tolist() == ["outfit_id", "article_id"]
