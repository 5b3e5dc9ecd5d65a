"""Columns that several tables share, and short forms of the kinds of column that occur most often.

What belongs here: a column that has to mean the same wherever it occurs, and how a text, a count, a share, an amount of
money is declared. What does not: tables.
"""

from typing import Any

from atelier.kinds import KINDS
from resources.schema import Column

MONEY = "DECIMAL(18,9)"
CURRENCY = "the retailer's currency"
DIGEST = "^[0-9a-f]{64}$"
INTERACTION_KINDS = KINDS
SEEN = ("excluded", "allowed")


def text(name: str, description: str, *lineage: str, **rules: Any) -> Column:
    """A column of text.

    Args:
        name: the column.
        description: what it holds.
        lineage: what it is computed from, as ``table.column``.
        rules: further attributes of :class:`~resources.schema.Column`.
    """
    return Column(name, "VARCHAR", description, lineage=lineage, **rules)


def count(name: str, description: str, unit: str | None = None, *lineage: str, **rules: Any) -> Column:
    """A number of things, from 0; arguments as in :func:`text`, and the unit that is counted."""
    return Column(name, "BIGINT", description, unit, lineage=lineage, **{"low": 0, **rules})


def share(name: str, description: str, *lineage: str, **rules: Any) -> Column:
    """A share or a probability, from 0 to 1; arguments as in :func:`text`."""
    return Column(name, "DOUBLE", description, lineage=lineage, low=0, high=1, **rules)


def figure(name: str, description: str, **rules: Any) -> Column:
    """A measured number that may be undefined; arguments as in :func:`text`."""
    return Column(name, "DOUBLE", description, nullable=True, **rules)


def money(name: str, description: str, *lineage: str, kind: str = MONEY, **rules: Any) -> Column:
    """An amount of money, from 0; arguments as in :func:`text`. ``kind`` is its DuckDB type."""
    return Column(name, kind, description, CURRENCY, low=0, lineage=lineage, **rules)


def article_id(description: str = "The article.", *lineage: str) -> Column:
    """The column ``article_id``."""
    return text("article_id", description, *lineage)


def customer_id(description: str = "The customer.", *lineage: str) -> Column:
    """The column ``customer_id``."""
    return text("customer_id", description, *lineage)


def rank(description: str) -> Column:
    """The column ``rank``, which counts from 1."""
    return Column("rank", "INTEGER", description, low=1)


#: What the attribute network reads of an article, and learns from.
READ_BY_MODEL = (
    "annotated_attributes.value",
    *(f"articles.{name}" for name in ("name", "description", "product_type", "brand", "division")),
    "images.digest",
)
MODEL = text("model", "The recommender.")
METRIC = text("metric", "The metric, for example precision.")
K = Column("k", "INTEGER", "Length of the list.", low=1)
CUSTOMERS = count("customers", "Customers it was computed from.", "customers")
COSINE = Column("similarity", "DOUBLE", "Cosine of the two vectors.", low=-1.000001, high=1.000001)
SEEN_COLUMN = text(
    "seen",
    "Whether the lists leave out what the customer had purchased (excluded) or may repeat it (allowed).",
    values=SEEN,
)
