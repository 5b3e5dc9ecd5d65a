"""Interactions come as recommenders learn from them: in their order, each text in memory once."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from resources.feature_store import FeatureStore
from resources.frames import dictionary_table
from resources.tables import REGISTRY
from resources.training_interactions import as_they_came, training_interactions

DAY = date(2026, 3, 4)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=12))
def test_rows_come_by_day_and_ordinal_however_they_were_read(places: list[tuple[int, int]]) -> None:
    names = pa.array([f"{number} of {place}" for number, place in enumerate(places)])
    days = pa.array([DAY + timedelta(days=day) for day, _ in places], pa.date32())
    table = pa.table({"customer_id": names, "ds": days, "ordinal": pa.array([each for _, each in places], pa.int64())})
    found = as_they_came(table)
    assert found.column_names == ["customer_id"]
    order = sorted(range(len(places)), key=places.__getitem__)
    assert found.column("customer_id").to_pylist() == names.take(pa.array(order, pa.int64())).to_pylist()


def event(ds: date, ordinal: int, kind: str = "purchase", **columns: object) -> dict[str, Any]:
    moment = datetime(ds.year, ds.month, ds.day, 12)
    names = {"customer_id": "u", "article_id": f"a{ordinal}", "occurred_at": moment}
    return dict.fromkeys(REGISTRY["interactions"].by_name) | names | {"ordinal": ordinal, "kind": kind} | columns


def test_what_came_up_to_a_day_in_its_order(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "store", threads=1)
    for after in range(3):
        ds = DAY + timedelta(days=after)
        rows = [event(ds, ordinal, article_id=f"d{after}-{ordinal}") for ordinal in (1, 0)]
        rows += [event(ds, 2, "view", customer_id="v"), event(ds, 3, "return", article_id="d0-1")]
        store.write("interactions", ds, pd.DataFrame(rows))
    found = training_interactions(store, ["purchase"], DAY + timedelta(days=1))
    assert found.kinds is not None
    names = found.article_ids.take(found.articles).to_pylist()
    assert names == ["d0-0", "d0-1", "d0-1", "d1-0", "d1-1", "d0-1"]
    assert list(found.kinds) == ["purchase", "purchase", "return"] * 2
    assert training_interactions(store, ["save"], DAY).customer_ids.values.to_pylist() == []


def test_a_column_of_numbers_keeps_no_text_in_memory() -> None:
    with duckdb.connect() as con:
        size, columns = 300_000, "i AS n, i / 2.0 AS x, 'the same text of more than twelve letters' AS t"
        table = dictionary_table(con.sql(f"SELECT {columns} FROM range({size}) AS s(i)"))  # noqa: S608 — our own
    assert table.schema.types == [pa.int64(), pa.float64(), pa.dictionary(pa.int32(), pa.string())]
    np.testing.assert_array_equal(table.column("x").to_numpy(), np.arange(size) / 2)
    before = pa.total_allocated_bytes()
    del table
    freed = before - pa.total_allocated_bytes()
    assert freed >= 16 * size, "the numbers lie in Arrow's own memory and not in a batch of DuckDB's"
