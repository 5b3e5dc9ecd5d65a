"""The calendar of interactions: exact weekdays, months and weekends of a tiny store."""

from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from resources.feature_store import FeatureStore
from resources.publishing import publish
from resources.tables import REGISTRY

#: A Friday, a Saturday, a Sunday, and the Monday after the last day of a month.
DAYS = [date(2025, 2, 28), date(2025, 3, 1), date(2025, 3, 2), date(2025, 3, 3)]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    store = FeatureStore(tmp_path / "store")
    for day in DAYS:
        rows = {"ordinal": [0], "customer_id": "x", "article_id": "a", "kind": "purchase"}
        frame = pd.DataFrame(rows | {"occurred_at": pd.Timestamp(day)})
        store.write("interactions", day, frame.reindex(columns=list(REGISTRY["interactions"].by_name)))
    publish(store, tmp_path / "atelier.duckdb")
    return tmp_path / "atelier.duckdb"


def test_every_row_by_hand(database: Path) -> None:
    with duckdb.connect(database, read_only=True) as connection:
        rows = connection.execute("SELECT ds, weekday, month, weekend FROM interaction_calendar ORDER BY ds").fetchall()
        columns = connection.execute("SELECT * FROM interaction_calendar LIMIT 0").description
    assert rows == list(zip(DAYS, [5, 6, 7, 1], [2, 3, 3, 3], [False, True, True, False], strict=True))
    names = ["ds", "customer_id", "article_id", "kind", "occurred_at", "weekday", "month", "weekend"]
    assert [column[0] for column in columns] == names
