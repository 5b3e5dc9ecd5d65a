"""Outfits made of purchases, counted by hand."""

import pandas as pd

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
