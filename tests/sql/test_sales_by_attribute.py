"""How do floral dresses sell? Exact figures on a tiny store."""

import importlib.resources
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from resources.feature_store import FeatureStore
from resources.publishing import VIEWS, publish
from resources.tables import REGISTRY

FIRST, SECOND = date(2025, 3, 1), date(2025, 3, 2)
TYPES = {"a": "Dress", "b": "Dress", "c": "Top", "d": None, "bare": "Dress"}


def frame(table: str, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns).reindex(columns=list(REGISTRY[table].by_name))


def sales(day: date, *rows: tuple[str, str, str | None]) -> pd.DataFrame:
    articles, kinds, prices = zip(*rows, strict=True)
    paid = [Decimal(price) if price else None for price in prices]
    return frame(
        "interactions",
        ordinal=range(len(rows)),
        customer_id="x",
        article_id=articles,
        kind=kinds,
        price=paid,
        occurred_at=pd.Timestamp(day),
    )


def attributes(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    articles, names, values, sources = zip(*rows, strict=True)
    table = frame(
        "predicted_attributes", article_id=articles, attribute=names, value=values, source=sources, text_digest="0" * 64
    )
    return table.assign(image_digests=[[] for _ in rows])


@pytest.fixture
def database(tmp_path: Path) -> Path:
    store = FeatureStore(tmp_path / "store")
    for day, types in ((FIRST, dict.fromkeys(TYPES, "Trousers")), (SECOND, TYPES)):
        store.write(
            "articles", day, frame("articles", article_id=list(types), product_type=list(types.values()), in_stock=True)
        )
    # On the first day floral was taken for dots; the newest catalogue knows better, and describes both days' sales.
    store.write("predicted_attributes", FIRST, attributes(("a", "pattern", "dots", "predicted")))
    store.write(
        "predicted_attributes",
        SECOND,
        attributes(
            ("a", "pattern", "floral", "annotated"),
            ("a", "fit", "slim", "predicted"),
            ("b", "pattern", "floral", "predicted"),
            ("c", "pattern", "floral", "annotated"),
            ("d", "pattern", "solid", "abstained"),
        ),
    )
    store.write(
        "interactions",
        FIRST,
        sales(
            FIRST,
            ("a", "purchase", "10.10"),
            ("a", "purchase", "10.20"),
            ("a", "view", "10.10"),
            ("a", "bag", "9"),
            ("b", "view", "5"),
            ("bare", "purchase", "7"),
            ("c", "purchase", None),
            ("gone", "purchase", "1"),
        ),
    )
    store.write(
        "interactions",
        SECOND,
        sales(
            SECOND,
            ("a", "purchase", "0.1"),
            ("b", "purchase", "0.2"),
            ("b", "save", "5"),
            ("c", "purchase", "4"),
            ("d", "purchase", "3"),
        ),
    )
    path = tmp_path / "atelier.duckdb"
    publish(store, path)
    return path


def ask(database: Path, sql: str) -> Sequence[tuple[Any, ...]]:
    with duckdb.connect(database, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_every_row_by_hand(database: Path) -> None:
    rows = ask(database, "FROM sales_by_attribute ORDER BY ALL")
    assert rows == [
        (FIRST, "Dress", "fit", "slim", "predicted", 2, Decimal("20.3"), 1),
        (FIRST, "Dress", "pattern", "floral", "annotated", 2, Decimal("20.3"), 1),
        (FIRST, "Top", "pattern", "floral", "annotated", 1, None, 1),
        (SECOND, "Dress", "fit", "slim", "predicted", 1, Decimal("0.1"), 1),
        (SECOND, "Dress", "pattern", "floral", "annotated", 1, Decimal("0.1"), 1),
        (SECOND, "Dress", "pattern", "floral", "predicted", 1, Decimal("0.2"), 1),
        (SECOND, "Top", "pattern", "floral", "annotated", 1, Decimal(4), 1),
        (SECOND, None, "pattern", "solid", "abstained", 1, Decimal(3), 1),
    ]


def test_how_floral_dresses_sell(database: Path) -> None:
    question = (
        "SELECT ds, sum(units), sum(revenue) FROM sales_by_attribute WHERE product_type = 'Dress'"
        " AND attribute = 'pattern' AND value = 'floral' GROUP BY ds ORDER BY ds"
    )
    assert ask(database, question) == [(FIRST, 2, Decimal("20.3")), (SECOND, 2, Decimal("0.3"))]
    assert ask(database, "SELECT count(*) FROM sales_by_attribute WHERE value = 'dots'") == [(0,)]


def test_the_columns_are_typed_and_explained(database: Path) -> None:
    described = {row[0]: row[1] for row in ask(database, "DESCRIBE sales_by_attribute")}
    assert described == {
        "ds": "DATE",
        "product_type": "VARCHAR",
        "attribute": "VARCHAR",
        "value": "VARCHAR",
        "source": "VARCHAR",
        "units": "BIGINT",
        "revenue": "DECIMAL(38,9)",
        "articles": "BIGINT",
    }
    ((comment,),) = ask(database, "SELECT comment FROM duckdb_views() WHERE view_name = 'sales_by_attribute'")
    assert all(name in comment for name in ("units", "revenue", "articles", "source", "Purchases only", "newest"))


def test_nothing_sold_and_nothing_described_gives_no_rows(tmp_path: Path) -> None:
    publish(FeatureStore(tmp_path / "store"), tmp_path / "atelier.duckdb")
    assert ask(tmp_path / "atelier.duckdb", "FROM sales_by_attribute") == []


def test_views_are_installed_with_the_package() -> None:
    """The wheel takes what pyproject.toml lists as package data; publishing looks beside the package `sql`."""
    import tomllib

    root = Path(__file__).resolve().parents[2]
    setuptools = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    installed = importlib.resources.files("sql")
    listed = {path for pattern in setuptools["package-data"]["sql"] for path in Path(str(installed)).glob(pattern)}
    views = set(VIEWS.glob("*.sql"))
    assert views
    assert views <= listed
