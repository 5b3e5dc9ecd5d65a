"""What the tests of entrances share: few rows of every table that is read, and one odd text."""

import datetime
from typing import Any

import pandas as pd

from atelier.errors import AtelierError


class OddError(AtelierError):
    """The error of these tests."""


PAIRS = pd.DataFrame({"customer_id": ["u", "u", "v"], "article_id": ["a", "b", "a"]})
RECS = pd.DataFrame({"customer_id": ["u", "u", "v"], "article_id": ["a", "b", "b"], "rank": [1, 2, 1]})
DAY = datetime.date(2020, 3, 1)
HALF = pd.Series(["\ud800", "x", "y"], dtype=object)
"""A column whose first text is half a surrogate pair."""


def at(table: pd.DataFrame, metric: str, k: int = 2) -> Any:
    rows = table[(table["metric"] == metric) & (table["k"] == k) & (table["segment"] == "all")]
    return rows["value"].item()
