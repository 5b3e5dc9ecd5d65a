"""How long the questions of ``atelier serve`` take on a retailer of any size, beside reading the same files otherwise.

What belongs here: a made-up store, its published database and sorted file, the questions of a customer's and an
article's page, and a peer that answers the same from the same Parquet files: pyarrow's dataset reader, as pandas uses
it. What does not: pages as a whole, which the tests of ``tests/web`` ask for.

Run it with ``python -m benchmarks.serve --rows 3000000``; 31,800,000 rows are H&M's two years.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.dataset as ds

from resources.feature_store import FeatureStore
from resources.histories import make_histories
from resources.published import PublishedDatabase
from resources.publishing import publish
from resources.tables import REGISTRY

FIRST = date(2020, 1, 1)
FULL_ROWS, FULL_DAYS, FULL_CUSTOMERS, FULL_ARTICLES = 31_800_000, 734, 1_372_000, 105_542
LIST = 12
DOLLAR = "$"

CUSTOMER = "sha256('customer' || {})"  # 64 characters, as H&M's are
ARTICLE = "printf('%010d', 100000000 + {})"
INTERACTIONS = f"""
    SELECT
        row_number() OVER () - 1 AS ordinal,
        {CUSTOMER.format("customer")} AS customer_id,
        {ARTICLE.format("article")} AS article_id,
        occurred_at,
        'purchase' AS kind,
        price,
        channel,
        CAST(NULL AS VARCHAR) AS session_id
    FROM (
        SELECT
            CAST(floor($customers * pow(random(), 2)) AS BIGINT) AS customer,
            CAST(floor($articles * pow(random(), 2)) AS BIGINT) AS article,
            CAST($day AS TIMESTAMP) + to_seconds(CAST(n % 86400 AS INTEGER)) AS occurred_at,
            CAST(1 + 100 * random() AS DECIMAL(18, 9)) AS price,
            CASE WHEN random() < 0.7 THEN '2' ELSE '1' END AS channel
        FROM range($rows) AS numbers(n)
    ) AS drawn"""  # noqa: S608 - ours
ARTICLES = f"""
    SELECT {ARTICLE.format("n")} AS article_id, 'article ' || n AS name, 10.0 AS price, true AS in_stock
    FROM range($articles) AS numbers(n)"""  # noqa: S608 - ours
CUSTOMERS = f"SELECT {CUSTOMER.format('n')} AS customer_id, 30 AS age FROM range($customers) AS numbers(n)"  # noqa: S608
LISTS = f"""
    SELECT
        'als' AS model, 'excluded' AS seen, {CUSTOMER.format("customers.n")} AS customer_id, places.n AS rank,
        true AS served, {ARTICLE.format("(customers.n * 31 + places.n) % $articles")} AS article_id, 1.0 AS score,
        false AS fallback, 'bundle' AS model_id
    FROM range($customers) AS customers(n), range(1, {LIST + 1}) AS places(n)"""  # noqa: S608 - ours


@dataclass(frozen=True)
class Size:
    """How large the made-up retailer is.

    Attributes:
        rows: interactions in all.
        days: over how many days.
        customers: whom they are drawn from.
        articles: which they are drawn from.
    """

    rows: int
    days: int
    customers: int
    articles: int

    @classmethod
    def of(cls, rows: int) -> "Size":
        """A retailer with days, customers and articles in proportion to H&M's."""
        share = rows / FULL_ROWS
        days, customers, articles = (round(share * full) for full in (FULL_DAYS, FULL_CUSTOMERS, FULL_ARTICLES))
        return cls(rows, max(2, days), max(10, customers), max(10, articles))


@dataclass(frozen=True)
class Timing:
    """What asking many times took.

    Attributes:
        name: what was asked.
        wall: seconds of each.
        processor: processor seconds of each.
    """

    name: str
    wall: Sequence[float]
    processor: Sequence[float]

    def cells(self) -> str:
        """The row of a Markdown table: p50 and p95 of both, in milliseconds."""
        figures = [1000 * np.quantile(of, q) for of in (self.wall, self.processor) for q in (0.5, 0.95)]
        return " | ".join([self.name, *(f"{figure:,.1f}" for figure in figures)])


def fill(store: FeatureStore, size: Size, seed: float = 0.5) -> None:
    """Write the made-up retailer's partitions, each day one file, as ingest writes them."""
    last = FIRST + timedelta(days=size.days - 1)
    shares = {"customers": size.customers, "articles": size.articles}
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(f"SELECT setseed({seed})")

        def relation(table: str, select: str, **parameters: object) -> duckdb.DuckDBPyRelation:
            wanted = {name: value for name, value in (shares | parameters).items() if DOLLAR + name in select}
            made = connection.execute(f"CREATE OR REPLACE TABLE made AS {select}", wanted)
            names = [name for name, *_ in made.execute("DESCRIBE made").fetchall()]
            absent = [f'CAST(NULL AS {c.type}) AS "{c.name}"' for c in REGISTRY[table].columns if c.name not in names]
            return connection.sql(f"SELECT {', '.join(['*', *absent])} FROM made")  # noqa: S608 - the registry's names

        for back in range(size.days):
            day = FIRST + timedelta(days=back)
            rows = size.rows // size.days + (back < size.rows % size.days)
            store.write("interactions", day, relation("interactions", INTERACTIONS, day=day, rows=rows))
        store.write("articles", last, relation("articles", ARTICLES))
        store.write("customers", last, relation("customers", CUSTOMERS))
        store.write("recommendations", last, relation("recommendations", LISTS), part="als")


def timed(name: str, ask: Callable[[str], object], asked: Sequence[str]) -> Timing:
    """Ask once for each; the first question is not counted."""
    ask(asked[0])
    wall, processor = [], []
    for each in asked:
        begun, used = time.perf_counter(), time.process_time()
        ask(each)
        wall.append(time.perf_counter() - begun)
        processor.append(time.process_time() - used)
    return Timing(name, wall, processor)


def timings(root: Path, customers: Sequence[str], articles: Sequence[str], peer: int) -> Iterator[Timing]:
    """The questions of the pages by the sorted file, without it, and by pyarrow; the latter two ``peer`` times."""
    database = root / "atelier.duckdb"
    with_file = PublishedDatabase(database, root / "store", root / "serve" / "histories.duckdb", threads=1)
    without = PublishedDatabase(database, root / "store", root / "none.duckdb", threads=1, seconds=600)
    files = sorted(map(str, (root / "store" / "interactions").rglob("*.parquet")))
    lists = sorted(map(str, (root / "store" / "recommendations").rglob("*.parquet")))

    def history(of: PublishedDatabase) -> Callable[[str], object]:
        def ask(customer: str) -> object:
            with of.reading() as reader:
                return reader.histories("customer_history", customer=customer, most=200)

        return ask

    def sales(of: PublishedDatabase) -> Callable[[str], object]:
        def ask(article: str) -> object:
            with of.reading() as reader:
                return reader.histories("article_sales", article=article)

        return ask

    def questions(name: str, parameter: str, **more: object) -> Callable[[str], object]:
        def ask(value: str) -> object:
            with with_file.reading() as reader:
                return reader.frame(name, **{parameter: value}, **more)

        return ask

    def scanned(of: Sequence[str], column: str) -> Callable[[str], object]:
        return lambda value: ds.dataset(of).to_table(filter=ds.field(column) == value).to_pandas()

    yield timed("a customer's history, sorted file", history(with_file), customers)
    yield timed("the same, DuckDB over the store's files", history(without), customers[:peer])
    yield timed("the same, pyarrow and pandas over the same files", scanned(files, "customer_id"), customers[:peer])
    yield timed("an article's sales by week, sorted file", sales(with_file), articles)
    yield timed("the same, DuckDB over the store's files", sales(without), articles[:peer])
    yield timed("the same, pyarrow and pandas over the same files", scanned(files, "article_id"), articles[:peer])
    yield timed(
        "a customer's lists", questions("customer_lists", "customer", places=10, model="als", made_on=None), customers
    )
    yield timed("the same, pyarrow and pandas", scanned(lists, "customer_id"), customers[:peer])
    yield timed("a customer's row", questions("customer", "customer"), customers)
    yield timed(
        "customers by how they begin", questions("find_customers", "text", most=100), [c[:6] for c in customers]
    )
    yield timed("an article's row", questions("article", "article"), articles)


def main() -> None:
    """Make the retailer, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--peer", type=int, default=20, help="questions to what reads every file")
    given = parser.parse_args()
    root, size = Path(tempfile.mkdtemp(prefix="atelier-serve-")), Size.of(given.rows)
    try:
        store = FeatureStore(root / "store", threads=1)
        fill(store, size)
        database = root / "atelier.duckdb"
        used = time.process_time()
        summary = publish(store, database, threads=1)
        published, used = time.process_time() - used, time.process_time()
        target = root / "serve" / "histories.duckdb"
        rows = make_histories(database, target, threads=1, memory_limit="4GB")
        sorting = time.process_time() - used
        stored = sum(file.stat().st_size for file in (root / "store").rglob("*.parquet"))
        print(
            f"{rows:,} interactions of {size.customers:,} customers and {size.articles:,} articles on {size.days} days;"
            f" publishing took {published:.1f} processor seconds ({summary.size / 2**20:.1f} MiB), the sorted file "
            f"{sorting:.1f} ({target.stat().st_size / 2**20:.1f} MiB; the store's files {stored / 2**20:.1f})\n"
        )
        draw = np.random.default_rng(0)
        customers = _drawn(root, "customer_id", given.questions, draw)
        articles = _drawn(root, "article_id", given.questions, draw)
        print("| question | p50 ms | p95 ms | p50 processor ms | p95 processor ms |\n|---|---|---|---|---|")
        for timing in timings(root, customers, articles, given.peer):
            print(f"| {timing.cells()} |", flush=True)
    finally:
        shutil.rmtree(root)


def _drawn(root: Path, column: str, count: int, draw: np.random.Generator) -> list[str]:
    """Identifiers of random rows of interactions: whoever does more is asked for more often."""
    select = f"SELECT {column} FROM interactions ORDER BY ds, ordinal"  # noqa: S608 - one of two columns
    with duckdb.connect(root / "atelier.duckdb", read_only=True) as connection:
        there = connection.execute(select).fetchnumpy()[column]
    return [str(each) for each in there[draw.integers(0, len(there), count)]]


if __name__ == "__main__":
    main()
