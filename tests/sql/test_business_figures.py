"""What a business asks for, each figure against a slow version that counts every window by itself."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.kinds import KINDS
from sql import query

DS = date(2025, 6, 30)
WINDOWS, BEFORE = [1, 3], 4
Z = 1.959963984540054
COLUMNS = ["customer_id", "article_id", "kind", "price", "ds"]


def back(days: int) -> date:
    return DS - timedelta(days=days)


def frame(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


def figures(rows: pd.DataFrame, days: Sequence[date], windows: Sequence[int], before: int) -> pd.DataFrame:
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE interactions"
            " (customer_id VARCHAR, article_id VARCHAR, kind VARCHAR, price DECIMAL(18,9), ds DATE)"
        )
        if len(rows):
            con.executemany("INSERT INTO interactions VALUES (?, ?, ?, ?, ?)", rows.to_numpy(object).tolist())
        params = {"as_of": DS, "windows": list(windows), "before": before, "days": [str(day) for day in days]}
        found = con.execute(query("business_figures"), params).df()
    return found.assign(day=pd.to_datetime(found["day"]).dt.date).set_index(["day", "window_days"])


def slow(rows: pd.DataFrame, days: Sequence[date], end: date, window: int) -> dict[str, Any] | None:
    """The same figures of one window, counted on its own rows."""
    wanted = {end - timedelta(days=n) for n in range(window)}
    if not wanted <= set(days):
        return None
    here = rows[rows["ds"].isin(wanted)]
    sold, views = here[here["kind"] == "purchase"], here[here["kind"] == "view"]
    active = set(here[here["kind"] != "return"]["customer_id"])
    viewed = views.groupby(["customer_id", "article_id"])["ds"].min()
    converted = sum(
        bool(len(sold[(sold["customer_id"] == c) & (sold["article_id"] == a) & (sold["ds"] >= first)]))
        for (c, a), first in viewed.items()
    )
    earlier_days = {end - timedelta(days=n) for n in range(window, 2 * window)}
    known = earlier_days <= set(days)
    before = set(rows[rows["ds"].isin(earlier_days) & (rows["kind"] != "return")]["customer_id"])
    priced = [price for price in sold["price"] if price is not None]
    return {
        "views": len(views),
        "purchases": len(sold),
        "returns": int((here["kind"] == "return").sum()),
        "revenue": None if len(sold) and not priced else float(sum(priced)),
        "active_customers": len(active),
        "buyers": sold["customer_id"].nunique(),
        "viewed_articles": len(viewed),
        "bought_after_view": converted,
        "earlier_customers": len(before) if known else None,
        "retained_customers": len(before & active) if known else None,
        "viewers": views["customer_id"].nunique(),
        "spending": [
            float(sum(p for p, c in zip(sold["price"], sold["customer_id"], strict=True) if c == who and p is not None))
            for who in sorted(active)
        ],
    }


def same(found: Any, expected: float | None) -> None:
    if expected is None:
        assert pd.isna(found)
    else:
        assert float(found) == pytest.approx(expected, abs=1e-7)


ROWS = st.lists(
    st.tuples(
        st.sampled_from("uvwx"),
        st.sampled_from("abc"),
        st.sampled_from(KINDS),
        st.sampled_from([None, Decimal("0.25"), Decimal("19.99")]),
        st.integers(0, 12).map(back),
    ),
    max_size=40,
).map(frame)
DAYS = st.sets(st.integers(0, 12), max_size=13).map(lambda missing: [back(n) for n in range(13) if n not in missing])


@settings(max_examples=30, deadline=None)
@given(rows=ROWS, days=st.one_of(st.just([back(n) for n in range(13)]), DAYS))
def test_every_figure_is_what_a_count_of_its_window_alone_finds(rows: pd.DataFrame, days: list[date]) -> None:
    rows = rows[rows["ds"].isin(days)]
    found = figures(rows, days, WINDOWS, BEFORE)
    for n in range(BEFORE + 1):
        for window in WINDOWS:
            expected = slow(rows, days, back(n), window)
            if expected is None:
                assert (back(n), window) not in found.index
                continue
            _compare(found.loc[(back(n), window)], expected, last=n == 0)


def _compare(row: "pd.Series[Any]", expected: dict[str, Any], *, last: bool) -> None:
    viewers, spending = expected.pop("viewers"), expected.pop("spending")
    for name, value in expected.items():
        same(row[name], value)
    active, revenue = expected["active_customers"], expected["revenue"]
    same(row["revenue_per_customer"], revenue / active if active and revenue is not None else None)
    error = pd.Series(spending).sem() if last and active > 1 and revenue is not None else None
    same(row["revenue_per_customer_error"], error)
    _share(row, "conversion", expected["bought_after_view"], expected["viewed_articles"], viewers)
    _share(
        row, "retention", expected["retained_customers"], expected["earlier_customers"], expected["earlier_customers"]
    )
    same(row["churn"], None if pd.isna(row["retention"]) else 1 - row["retention"])


def _share(row: "pd.Series[Any]", name: str, part: int | None, whole: int | None, sample: int | None) -> None:
    """A share and its Wilson interval: the p with (share − p)² = z² · p · (1 − p) / sample."""
    if part is None or not whole or not sample:
        assert row[[name, f"{name}_low", f"{name}_high"]].isna().all()
        return
    p, chance = part / whole, Z**2 / sample
    low, high = sorted(np.roots([1 + chance, -(2 * p + chance), p * p]).real)
    same(row[name], p)
    same(row[f"{name}_low"], max(low, 0))
    same(row[f"{name}_high"], min(high, 1))


def test_conversion_retention_and_churn_of_three_customers() -> None:
    rows = frame(
        [
            ("u", "a", "view", None, back(2)),
            ("u", "a", "purchase", Decimal(10), back(0)),  # bought after it was viewed
            ("u", "b", "purchase", Decimal(5), back(1)),  # never viewed
            ("v", "a", "purchase", Decimal(1), back(2)),  # bought before it was viewed
            ("v", "a", "view", None, back(1)),
            ("w", "c", "save", None, back(4)),  # was there in the window before, and is not in this one
            ("v", "c", "save", None, back(5)),
            ("x", "c", "return", None, back(0)),  # a return makes nobody active
        ]
    )
    row = figures(rows, [back(n) for n in range(6)], [3], 0).loc[(DS, 3)]
    assert (row["active_customers"], row["buyers"], row["revenue"]) == (2, 2, 16)
    assert row["revenue_per_customer"] == 8
    assert row["revenue_per_customer_error"] == pytest.approx(7)  # 15 and 1: s = √98, over √2
    assert (row["viewed_articles"], row["bought_after_view"], row["conversion"]) == (2, 1, 0.5)
    assert (row["earlier_customers"], row["retained_customers"]) == (2, 1)
    assert (row["retention"], row["churn"]) == (0.5, 0.5)
    assert 0 < row["retention_low"] < 0.5 < row["retention_high"] < 1


def test_a_view_that_left_the_window_converts_nothing() -> None:
    rows = frame([("u", "a", "view", None, back(3)), ("u", "a", "purchase", Decimal(1), back(0))])
    found = figures(rows, [back(n) for n in range(8)], [3, 4], 0)
    assert pd.isna(found.loc[(DS, 3), "conversion"])
    assert found.loc[(DS, 4), "conversion"] == 1


def test_an_empty_shop_has_nothing_and_a_day_that_is_not_stored_has_no_row() -> None:
    stored = figures(frame([]), [DS], [1], 1)
    assert stored.index.tolist() == [(DS, 1)]
    row = stored.loc[(DS, 1)]
    assert (row["purchases"], row["revenue"], row["active_customers"]) == (0, 0, 0)
    assert row[["conversion", "retention", "churn", "revenue_per_customer"]].isna().all()
    assert figures(frame([]), [], [1, 7], 28).empty


def test_a_window_of_which_a_day_is_missing_has_no_row() -> None:
    rows = frame([("u", "a", "purchase", Decimal(1), back(n)) for n in (0, 2)])
    found = figures(rows, [back(0), back(2), back(3)], [1, 2], 3)
    assert [(str(day), int(window)) for day, window in found.index] == [
        (str(back(3)), 1),
        (str(back(2)), 1),
        (str(back(2)), 2),
        (str(back(0)), 1),
    ]


def test_revenue_is_not_known_where_no_price_is() -> None:
    row = figures(frame([("u", "a", "purchase", None, DS)]), [DS], [1], 0).loc[(DS, 1)]
    assert row["purchases"] == 1
    assert pd.isna(row["revenue"])
    assert pd.isna(row["revenue_per_customer"])
