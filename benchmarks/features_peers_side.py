"""The features of articles and customers as one writes them in plain pandas, in polars and in plain SQL.

What belongs here: the three ways of writing both tables, and timing them. What does not: Atelier, which the interpreter
that runs this may not be able to import; making the rows, comparing results (:mod:`benchmarks.features_against_peers`).
Prints one line of JSON: the seconds by table, from the file of rows to the file of features. Files:
``interactions.parquet`` with prices as floats and days as times, ``articles.parquet`` and ``customers.parquet`` with
the identifiers.
"""

import argparse
import importlib
import json
import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.ratios import in_turns

TABLES = ("article_features", "customer_features")
Make = Callable[[Path, datetime, timedelta], Any]
"""Makes a table's frame from the folder of files, the last day, and the length of the recent window."""


def pandas_articles(folder: Path, as_of: datetime, window: timedelta) -> Any:
    """The features of articles by pandas."""
    import pandas as pd

    rows = pd.read_parquet(folder / "interactions.parquet")
    sales = rows[rows["kind"] == "purchase"]
    recent = sales[sales["ds"] > as_of - window].groupby("article_id")
    found = sales.groupby("article_id").agg(
        sales=("ds", "size"),
        first_sale=("ds", "min"),
        last_sale=("ds", "max"),
        distinct_customers=("customer_id", "nunique"),
        price_mean=("price", "mean"),
        price_std=("price", "std"),
        price_median=("price", "median"),
    )
    found["most_common_channel"] = _most_common(sales, "article_id")
    found["sales_30d"] = recent.size()
    found["distinct_customers_30d"] = recent["customer_id"].nunique()
    known = pd.read_parquet(folder / "articles.parquet").set_index("article_id")
    counts = ["sales", "distinct_customers", "sales_30d", "distinct_customers_30d"]
    return known.join(found).fillna(dict.fromkeys(counts, 0)).sort_index().reset_index()


def pandas_customers(folder: Path, as_of: datetime, window: timedelta) -> Any:
    """The features of customers by pandas."""
    import pandas as pd

    rows = pd.read_parquet(folder / "interactions.parquet")
    bought = rows[rows["kind"] == "purchase"]
    recent = bought[bought["ds"] > as_of - window].groupby("customer_id")
    found = bought.groupby("customer_id").agg(
        transactions=("ds", "size"),
        first_purchase=("ds", "min"),
        last_purchase=("ds", "max"),
        price_mean=("price", "mean"),
        price_std=("price", "std"),
        price_min=("price", "min"),
        price_max=("price", "max"),
        total_spend=("price", "sum"),
        distinct_articles=("article_id", "nunique"),
    )
    found["most_used_channel"] = _most_common(bought, "customer_id")
    found["days_active"] = (found["last_purchase"] - found["first_purchase"]).dt.days + 1
    found["purchase_frequency"] = found["transactions"] / found["days_active"]
    found["purchases_30d"] = recent.size()
    found["price_mean_30d"] = recent["price"].mean()
    found["spend_30d"] = recent["price"].sum()
    known = pd.read_parquet(folder / "customers.parquet").set_index("customer_id")
    counts = ["transactions", "total_spend", "distinct_articles", "days_active", "purchase_frequency"]
    zeros = dict.fromkeys([*counts, "purchases_30d", "spend_30d"], 0)
    return known.join(found).fillna(zeros).sort_index().reset_index()


def _most_common(rows: Any, key: str) -> Any:
    """The most common channel of each key, the first in the alphabet of several."""
    counts = rows.groupby([key, "channel"]).size().rename("times").reset_index()
    ordered = counts.sort_values(["times", "channel"], ascending=[False, True])
    return ordered.drop_duplicates(key).set_index(key)["channel"]


def polars_articles(folder: Path, as_of: datetime, window: timedelta) -> Any:
    """The features of articles by polars."""
    import polars as pl

    sales = pl.scan_parquet(folder / "interactions.parquet").filter(pl.col("kind") == "purchase")
    recent = pl.col("ds") > as_of - window
    found = sales.group_by("article_id").agg(
        pl.len().alias("sales"),
        pl.col("ds").min().alias("first_sale"),
        pl.col("ds").max().alias("last_sale"),
        pl.col("customer_id").n_unique().alias("distinct_customers"),
        pl.col("price").mean().alias("price_mean"),
        pl.col("price").std().alias("price_std"),
        pl.col("price").median().alias("price_median"),
        recent.sum().alias("sales_30d"),
        pl.col("customer_id").filter(recent).n_unique().alias("distinct_customers_30d"),
    )
    channels = _polars_most_common(sales, "article_id", "most_common_channel")
    counts = ["sales", "distinct_customers", "sales_30d", "distinct_customers_30d"]
    known = pl.scan_parquet(folder / "articles.parquet")
    joined = known.join(found, on="article_id", how="left").join(channels, on="article_id", how="left")
    return joined.with_columns(pl.col(counts).fill_null(0)).sort("article_id").collect()


def polars_customers(folder: Path, as_of: datetime, window: timedelta) -> Any:
    """The features of customers by polars."""
    import polars as pl

    bought = pl.scan_parquet(folder / "interactions.parquet").filter(pl.col("kind") == "purchase")
    recent, price = pl.col("ds") > as_of - window, pl.col("price")
    found = bought.group_by("customer_id").agg(
        pl.len().alias("transactions"),
        pl.col("ds").min().alias("first_purchase"),
        pl.col("ds").max().alias("last_purchase"),
        price.mean().alias("price_mean"),
        price.std().alias("price_std"),
        price.min().alias("price_min"),
        price.max().alias("price_max"),
        price.sum().alias("total_spend"),
        pl.col("article_id").n_unique().alias("distinct_articles"),
        recent.sum().alias("purchases_30d"),
        price.filter(recent).mean().alias("price_mean_30d"),
        price.filter(recent).sum().alias("spend_30d"),
    )
    days = (pl.col("last_purchase") - pl.col("first_purchase")).dt.total_days() + 1
    found = found.with_columns(days.alias("days_active"), (pl.col("transactions") / days).alias("purchase_frequency"))
    channels = _polars_most_common(bought, "customer_id", "most_used_channel")
    counts = ["transactions", "total_spend", "distinct_articles", "days_active", "purchase_frequency"]
    known = pl.scan_parquet(folder / "customers.parquet")
    joined = known.join(found, on="customer_id", how="left").join(channels, on="customer_id", how="left")
    filled = joined.with_columns(pl.col([*counts, "purchases_30d", "spend_30d"]).fill_null(0))
    return filled.sort("customer_id").collect()


def _polars_most_common(rows: Any, key: str, name: str) -> Any:
    """The most common channel of each key, the first in the alphabet of several."""
    import polars as pl

    ordered = rows.group_by(key, "channel").len().sort("len", "channel", descending=[True, False])
    return ordered.group_by(key, maintain_order=True).agg(pl.col("channel").first().alias(name))


def duckdb_articles(folder: Path, as_of: datetime, window: timedelta) -> Any:
    """The features of articles by plain SQL."""
    return _duckdb(folder, "articles", "article_id", "most_common_channel", as_of, window, """
        count(*) AS sales, min(ds) AS first_sale, max(ds) AS last_sale,
        count(DISTINCT customer_id) AS distinct_customers, avg(price) AS price_mean, stddev_samp(price) AS price_std,
        median(price) AS price_median, count(*) FILTER (ds > $start) AS sales_30d,
        count(DISTINCT customer_id) FILTER (ds > $start) AS distinct_customers_30d""",
        ("sales", "distinct_customers", "sales_30d", "distinct_customers_30d"),
    )  # fmt: skip


def duckdb_customers(folder: Path, as_of: datetime, window: timedelta) -> Any:
    """The features of customers by plain SQL."""
    return _duckdb(folder, "customers", "customer_id", "most_used_channel", as_of, window, """
        count(*) AS transactions, min(ds) AS first_purchase, max(ds) AS last_purchase, avg(price) AS price_mean,
        stddev_samp(price) AS price_std, min(price) AS price_min, max(price) AS price_max, sum(price) AS total_spend,
        count(DISTINCT article_id) AS distinct_articles, date_diff('day', min(ds), max(ds)) + 1 AS days_active,
        count(*) / (date_diff('day', min(ds), max(ds)) + 1) AS purchase_frequency,
        count(*) FILTER (ds > $start) AS purchases_30d, avg(price) FILTER (ds > $start) AS price_mean_30d,
        sum(price) FILTER (ds > $start) AS spend_30d""",
        ("transactions", "total_spend", "distinct_articles", "days_active", "purchase_frequency", "purchases_30d",
         "spend_30d"),
    )  # fmt: skip


def _duckdb(
    folder: Path,
    known: str,
    key: str,
    channel: str,
    as_of: datetime,
    window: timedelta,
    figures: str,
    zero: Sequence[str],
) -> Any:
    """One row for each known identifier, with figures of its purchases and its most common channel."""
    import duckdb

    filled = ", ".join(f"coalesce({name}, 0) AS {name}" for name in zero)
    sql = f"""
        WITH bought AS (FROM '{folder}/interactions.parquet' WHERE kind = 'purchase'),
        found AS (SELECT {key}, {figures} FROM bought GROUP BY {key}),
        channels AS (
            SELECT {key}, channel AS {channel} FROM bought GROUP BY {key}, channel
            QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY count(*) DESC, channel) = 1
        )
        SELECT * REPLACE ({filled}) FROM '{folder}/{known}.parquet'
        LEFT JOIN found USING ({key}) LEFT JOIN channels USING ({key}) ORDER BY {key}"""  # noqa: S608 - our own names
    return duckdb.sql(sql, params={"start": as_of - window})


LIBRARIES: dict[str, tuple[Make, Make]] = {
    "pandas": (pandas_articles, pandas_customers),
    "polars": (polars_articles, polars_customers),
    "duckdb": (duckdb_articles, duckdb_customers),
}
"""By library, how it makes the two tables."""


def main() -> None:
    """Make both tables by one library, write them as ``<library>_<table>.parquet``, print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--library", choices=tuple(LIBRARIES), required=True)
    parser.add_argument("--as-of", type=datetime.fromisoformat, required=True)
    parser.add_argument("--window", type=int, required=True, help="days")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    options = parser.parse_args()
    os.environ["POLARS_MAX_THREADS"] = str(options.threads)
    library = importlib.import_module(options.library)  # what an import takes is not timed
    if options.library == "duckdb":
        library.execute(f"SET threads = {options.threads}")
    makes = dict(zip(TABLES, LIBRARIES[options.library], strict=True))
    write = "to_parquet" if options.library == "pandas" else "write_parquet"

    def table(name: str) -> None:
        frame = makes[name](options.folder, options.as_of, timedelta(days=options.window))
        getattr(frame, write)(options.folder / f"{options.library}_{name}.parquet")

    seconds, _ = in_turns(options.repeats, *(lambda name=name: table(name) for name in TABLES))
    print(json.dumps(dict(zip(TABLES, seconds, strict=True))))


if __name__ == "__main__":
    main()
