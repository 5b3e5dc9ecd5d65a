"""The features of articles and customers by the pipeline's SQL, and by plain pandas, polars and SQL: same figures.

Run it as ``python -m benchmarks.features_against_peers``. The rows are generated as for
:mod:`benchmarks.feature_scale`. What is timed goes from a Parquet file of purchases to a Parquet file of features: ours
is the query of the steps ``article_features`` and ``customer_features`` (without the audit that a step makes), in
DuckDB with ``--threads``; polars and plain SQL in DuckDB have as many threads, pandas has one, as it is. Each has a
process of its own (:mod:`benchmarks.features_peers_side`), pandas and polars in an environment of their own
(:mod:`benchmarks.environments`).

Prices are decimals in the store, so that sums do not depend on threads, and days are dates. pandas would hold either as
Python objects, so the peers get a file with prices as floats and days as times, made before the clock starts. The run
fails where a figure differs by more than ``TOLERANCE``, which is what sums of floats leave.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from benchmarks.environments import ENVIRONMENTS, ROOT, peers
from benchmarks.feature_scale import FIRST_DAY, connect, make
from benchmarks.features_peers_side import LIBRARIES, TABLES
from benchmarks.ratios import Row, Seconds, in_turns, run, table, write
from sql import query

NAME = "features_against_peers"
PEERS = {"pandas": "pandas", "polars": "polars", "duckdb": "DuckDB, plain SQL"}
WINDOW = 30
"""Days of the columns named ``_30d``."""
TOLERANCE = 1e-7
"""Of a figure, relative to itself, or absolute below 1."""


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--customers", type=int, default=130_000)
    parser.add_argument("--articles", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--threads", type=int, default=0, help="0: one for each core")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--environment", type=Path, default=ENVIRONMENTS / "peers", help="where the peers are")
    parser.add_argument("--out", type=Path, help="where the rows are written as JSON")
    return parser.parse_args(given)


def ours(connection: duckdb.DuckDBPyConnection, folder: Path, options: argparse.Namespace) -> dict[str, Seconds]:
    """What either table took; they are written as ``ours_<table>.parquet``."""
    last = FIRST_DAY + timedelta(days=options.days - 1)

    def made(name: str) -> None:
        asked = connection.sql(query(name), params={"as_of": last, "window": WINDOW})
        asked.write_parquet(str(folder / f"ours_{name}.parquet"))

    seconds, _ = in_turns(options.repeats, *(lambda name=name: made(name) for name in TABLES))
    return dict(zip(TABLES, seconds, strict=True))


def for_peers(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write the files that the peers read."""
    rows = "SELECT * REPLACE (CAST(price AS DOUBLE) AS price, CAST(ds AS TIMESTAMP) AS ds) FROM interactions"
    connection.sql(rows).write_parquet(str(folder / "interactions.parquet"))
    for name in ("articles", "customers"):
        connection.table(name).write_parquet(str(folder / f"{name}.parquet"))


def theirs(library: str, folder: Path, options: argparse.Namespace) -> dict[str, Seconds]:
    """What either table took by a library; they are written as ``<library>_<table>.parquet``."""
    last = FIRST_DAY + timedelta(days=options.days - 1)
    given = [f"--library={library}", f"--as-of={last}", f"--window={WINDOW}", f"--threads={options.threads}"]
    python = sys.executable if library == "duckdb" else peers(options.environment)
    module = "benchmarks.features_peers_side"
    printed = run(python, module, [str(folder), *given, f"--repeats={options.repeats}"], cwd=ROOT)
    return {name: Seconds(*seconds) for name, seconds in json.loads(printed.splitlines()[-1]).items()}


def same_figures(mine: pd.DataFrame, peers: pd.DataFrame) -> str:
    """How far two tables of features with one row for each identifier are apart, as text.

    Raises:
        RuntimeError: they have other columns or identifiers, or a figure differs.
    """
    if set(mine) != set(peers) or len(mine) != len(peers):
        raise RuntimeError(f"tables of {len(mine):,} and {len(peers):,} rows; not in both: {set(mine) ^ set(peers)}")
    key = mine.columns[0]
    left, right = (frame.sort_values(key, ignore_index=True) for frame in (mine, peers))
    furthest = 0.0
    for name in mine.columns:
        a, b = left[name], right[name]
        if isinstance(a.dtype, np.dtype) and a.dtype.kind in "if":
            x, y = a.to_numpy(np.float64), b.to_numpy(np.float64)
            apart = np.abs(x - y) / np.maximum(np.abs(x), 1)
            wrong = ~((apart <= TOLERANCE) | (np.isnan(x) & np.isnan(y)))
            furthest = max(furthest, float(np.nanmax(apart, initial=0)))
        else:
            wrong = ~((a == b) | (a.isna() & b.isna())).to_numpy()
        if wrong.any():
            raise RuntimeError(
                f"{name} differs for {wrong.sum():,} of {len(mine):,}, first for {left[key][wrong].iloc[0]}"
            )
    return f"{len(mine.columns) - 1} figures of {len(mine):,} equal to {furthest:.0e}"


def read(file: Path) -> pd.DataFrame:
    """A table of features with numbers as floats or whole numbers, and days as times."""
    frame: pd.DataFrame = pq.read_table(file).to_pandas()
    for name in frame.columns:
        if name.startswith(("first_", "last_")):
            frame[name] = pd.to_datetime(frame[name]).astype("datetime64[s]")
        elif name == "total_spend" or name.startswith(("price_", "spend_")):
            frame[name] = frame[name].astype(float)
    return frame


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of the table.

    Raises:
        RuntimeError: a figure of a peer differs from ours.
    """
    rows = []
    options.threads = options.threads or os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = make(folder, options.rows, options.customers, options.articles, options.days)
        with connect(file, options.customers, options.articles, options.threads, "8GB") as connection:
            for_peers(connection, folder)
            mine = ours(connection, folder, options)
        others: Mapping[str, dict[str, Seconds]] = {one: theirs(one, folder, options) for one in LIBRARIES}
        for made in TABLES:
            for library, seconds in others.items():
                equal = same_figures(read(folder / f"ours_{made}.parquet"), read(folder / f"{library}_{made}.parquet"))
                what = f"{made}: {options.rows:,} purchases"
                rows.append(Row.of(NAME, what, PEERS[library], mine[made], seconds[made], checked=equal))
    return rows


def main() -> None:
    """Measure and print."""
    options = arguments()
    rows = measure(options)
    print(table(rows))
    write(rows, options.out)


if __name__ == "__main__":
    main()
