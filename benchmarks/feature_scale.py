"""The features of articles and customers at full size: H&M's 31.8 million transactions, generated.

    python -m benchmarks.feature_scale [--rows 31800000] [--customers 1371980] [--articles 105542] [--days 734]
        [--threads 2] [--memory-limit 8GB] [--folder FOLDER]

Both queries of the daily job read the whole history: medians, numbers of distinct customers and the sums of the last 30
days cannot be had from the day before; sums and deviations could. Each is timed with the memory limit of the store's
DuckDB, beside a bare count of the same rows, so that the figure is also a ratio of one run. pandas is not asked: it
holds the rows in memory many times over.

What belongs here: making the rows, timing the queries, printing. What does not: the queries (:mod:`sql`).
"""

import argparse
import resource
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow.parquet as pq

from resources.tables.columns import MONEY
from sql import query

FIRST_DAY = date(2018, 9, 20)
#: Few articles sell much, and few customers buy much: a uniform number to this power.
SKEW = 3
ROWS = """
    COPY (
        SELECT
            'c' || lpad(CAST(CAST(floor(pow(random(), {skew}) * {customers}) AS BIGINT) AS VARCHAR), 9, '0')
                AS customer_id,
            lpad(CAST(CAST(floor(pow(random(), {skew}) * {articles}) AS BIGINT) AS VARCHAR), 10, '0') AS article_id,
            'purchase' AS kind,
            CAST(round(0.5 + random() * 60, 2) AS {money}) AS price,
            CASE WHEN random() < 0.7 THEN 'online' ELSE 'store' END AS channel,
            DATE '{first}' + CAST(number * {days} // {rows} AS INTEGER) AS ds
        FROM range({rows}) AS made(number)
    ) TO '{file}' (FORMAT parquet, ROW_GROUP_SIZE 1000000)"""


def make(folder: Path, rows: int, customers: int, articles: int, days: int) -> Path:
    """The transactions as a Parquet file, in the order of their days; one that is there already is taken."""
    file = folder / f"interactions_{rows}_{customers}_{articles}_{days}.parquet"
    if not file.exists():
        half = file.with_suffix(".part")
        with duckdb.connect() as connection:
            connection.execute("SET threads = 1")
            connection.execute("SELECT setseed(0.5)")
            connection.execute(
                ROWS.format(
                    skew=SKEW,
                    customers=customers,
                    articles=articles,
                    days=days,
                    rows=rows,
                    first=FIRST_DAY,
                    money=MONEY,
                    file=half,
                )
            )
        half.rename(file)
    return file


def connect(file: Path, customers: int, articles: int, threads: int, memory: str) -> duckdb.DuckDBPyConnection:
    """A connection that has the three views that the queries read."""
    connection = duckdb.connect()
    connection.execute(f"SET threads = {int(threads)}")
    connection.execute(f"SET memory_limit = '{memory}'")
    connection.execute(f"SET temp_directory = '{file.parent}'")
    connection.read_parquet(str(file)).create_view("interactions")
    for name, key, count, text in (
        ("customers", "customer_id", customers, "'c' || lpad(CAST(number AS VARCHAR), 9, '0')"),
        ("articles", "article_id", articles, "lpad(CAST(number AS VARCHAR), 10, '0')"),
    ):
        connection.execute(f"CREATE TABLE {name} AS SELECT {text} AS {key} FROM range({int(count)}) AS made(number)")  # noqa: S608 - our own names
    return connection


def timed(connection: duckdb.DuckDBPyConnection, sql: str, file: Path, **params: object) -> tuple[int, float, float]:
    """Rows, seconds and processor seconds of a query whose result is written as Parquet."""
    clock, processor = time.perf_counter(), time.process_time()
    connection.sql(sql, params=params or None).write_parquet(str(file))
    seconds = time.perf_counter() - clock, time.process_time() - processor
    return pq.read_metadata(file).num_rows, *seconds


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Make the rows and print what the queries cost."""
    file = make(folder, options.rows, options.customers, options.articles, options.days)
    last = FIRST_DAY + timedelta(days=options.days - 1)
    connection = connect(file, options.customers, options.articles, options.threads, options.memory_limit)
    asked = {
        "count of rows": ("SELECT count(DISTINCT ds), count(*), sum(price) FROM interactions", {}),
        **{name: (query(name), {"as_of": last, "window": 30}) for name in ("article_features", "customer_features")},
    }
    print(f"{options.rows:,} rows, {options.threads} threads, memory limit {options.memory_limit}")
    for name, (sql, params) in asked.items():
        rows, clock, processor = timed(connection, sql, folder / "result.parquet", **params)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        costs = f"{clock:6.1f} s {processor:6.1f} processor s, peak of the process {peak:,.0f} MB"
        print(f"{name:18} {rows:>10,} rows {costs}")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=31_800_000)
    parser.add_argument("--customers", type=int, default=1_371_980)
    parser.add_argument("--articles", type=int, default=105_542)
    parser.add_argument("--days", type=int, default=734)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-limit", default="8GB")
    parser.add_argument("--folder", type=Path)
    return parser.parse_args(given)


def main() -> None:
    """Measure, in a folder that is kept or in a passing one."""
    options = arguments()
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
        measure(options, options.folder)
        return
    with TemporaryDirectory() as folder:
        measure(options, Path(folder))


if __name__ == "__main__":
    main()
