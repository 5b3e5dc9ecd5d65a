"""Columns and values that several tables share.

What belongs here: a column that has to mean the same wherever it occurs. What does not: tables.
"""

from resources.schema import Column

MONEY = "DECIMAL(18,9)"


DIGEST = "^[0-9a-f]{64}$"


INTERACTION_KINDS = ("view", "save", "bag", "purchase")


SEEN = ("excluded", "allowed")


def article_id(description: str = "The article.", *lineage: str) -> Column:
    """The column ``article_id``."""
    return Column("article_id", "VARCHAR", description, lineage=lineage)


def customer_id(description: str = "The customer.", *lineage: str) -> Column:
    """The column ``customer_id``."""
    return Column("customer_id", "VARCHAR", description, lineage=lineage)


def rank(description: str) -> Column:
    """The column ``rank``, which counts from 1."""
    return Column("rank", "INTEGER", description, low=1)


#: What the attribute network reads of an article, and learns from.
READ_BY_MODEL = (
    "annotated_attributes.value",
    "articles.name",
    "articles.description",
    "articles.product_type",
    "articles.brand",
    "articles.division",
    "images.digest",
)


SEEN_COLUMN = Column(
    "seen",
    "VARCHAR",
    "Whether the lists leave out what the customer had purchased (excluded) or may repeat it (allowed).",
    values=SEEN,
)
