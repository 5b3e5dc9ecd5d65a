"""The rows that models learn from and are judged by: with purchases come the returns that cancel them."""

import duckdb
import pandas as pd
import pytest

from sql import query

ROWS = pd.DataFrame(
    {
        "ds": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]).date,
        "ordinal": [0, 0, 0, 0],
        "customer_id": "u",
        "article_id": "a",
        "occurred_at": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]),
        "kind": ["view", "purchase", "return", "save"],
    }
)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["purchase"], ["purchase", "return"]),
        (["save", "purchase"], ["purchase", "return", "save"]),
        (["view", "save"], ["view", "save"]),
        (["return"], ["return"]),
    ],
)
def test_returns_come_with_purchases(kinds: list[str], expected: list[str]) -> None:
    with duckdb.connect() as con:
        con.register("interactions", ROWS)
        learned = con.execute(query("training_interactions"), {"kinds": kinds}).df()
        origin = pd.Timestamp("2024-01-01").date()
        judged = con.execute(query("truth"), {"kinds": kinds, "origin": origin}).df()
    assert learned["kind"].tolist() == expected
    assert judged["kind"].tolist() == [kind for kind in expected if kind != "view"]
