"""Tables of engineered features of articles and customers.

What belongs here: what models read beside interactions. What does not: what models make.
"""

from resources.schema import Column, Table
from resources.tables.columns import article_id, count, customer_id, money, text

#: What the features are computed from, as lineage.
UNITS, DAY, PRICE, SHOP = (f"interactions.{name}" for name in ("ordinal", "occurred_at", "price", "channel"))
WHO, WHAT = "interactions.customer_id", "interactions.article_id"


def _price(name: str, description: str) -> Column:
    """A statistic of the prices paid; null where none is known."""
    return money(name, description, PRICE, kind="DOUBLE", nullable=True)


ARTICLE_FEATURES = Table(
    "article_features",
    "derived",
    "What sales tell of an article, up to ds.",
    key=("article_id",),
    upstreams=("articles", "interactions"),
    columns=(
        article_id("The article.", "articles.article_id"),
        count("sales", "Units sold.", "units", UNITS),
        Column("first_sale", "DATE", "Day of the first sale.", nullable=True, lineage=(DAY,)),
        Column("last_sale", "DATE", "Day of the last sale.", nullable=True, lineage=(DAY,)),
        count("distinct_customers", "Customers who bought it.", "customers", WHO),
        _price("price_mean", "Mean price per unit."),
        _price("price_std", "Sample standard deviation of the price; null below two units."),
        _price("price_median", "Median price per unit."),
        text(
            "most_common_channel",
            "Where most units were sold; ties go to the first in the alphabet.",
            SHOP,
            nullable=True,
        ),
        count("sales_30d", "Units sold in the window that ends with ds.", "units", UNITS),
        count("distinct_customers_30d", "Customers who bought it in the window that ends with ds.", "customers", WHO),
    ),
)


CUSTOMER_FEATURES = Table(
    "customer_features",
    "derived",
    "What purchases tell of a customer, up to ds.",
    key=("customer_id",),
    upstreams=("customers", "interactions"),
    large=True,
    columns=(
        customer_id("The customer.", "customers.customer_id"),
        count("transactions", "Units bought.", "units", UNITS),
        Column("first_purchase", "DATE", "Day of the first purchase.", nullable=True, lineage=(DAY,)),
        Column("last_purchase", "DATE", "Day of the last purchase.", nullable=True, lineage=(DAY,)),
        _price("price_mean", "Mean price per unit."),
        _price("price_std", "Sample standard deviation of the price; null below two units."),
        money("price_min", "Lowest price paid.", PRICE, nullable=True),
        money("price_max", "Highest price paid.", PRICE, nullable=True),
        money("total_spend", "Everything ever paid.", PRICE, kind="DECIMAL(38,9)"),
        count("distinct_articles", "Different articles bought.", "articles", WHAT),
        text(
            "most_used_channel",
            "Where most units were bought; ties go to the first in the alphabet.",
            SHOP,
            nullable=True,
        ),
        count("days_active", "Days from the first purchase to the last, both counted.", "days", DAY),
        Column("purchase_frequency", "DOUBLE", "Units bought per active day.", "units per day", low=0, lineage=(DAY,)),
        count("purchases_30d", "Units bought in the window that ends with ds.", "units", UNITS),
        _price("price_mean_30d", "Mean price in the window that ends with ds."),
        money("spend_30d", "Everything paid in the window that ends with ds.", PRICE, kind="DECIMAL(38,9)"),
    ),
)


CATALOGUE_MAP = Table(
    "catalogue_map",
    "derived",
    "Where each article with photographs lies on a map on which what looks alike lies together; only nearness counts.",
    key=("article_id",),
    may_have_no_rows=True,  # a retailer may have no photographs
    upstreams=("articles", "images", "image_embeddings"),
    columns=(
        article_id("The article.", "articles.article_id"),
        Column("x", "FLOAT", "Its place from left to right.", lineage=("image_embeddings.digest",)),
        Column("y", "FLOAT", "Its place from bottom to top.", lineage=("image_embeddings.digest",)),
    ),
)


ARTICLE_VECTORS = Table(
    "article_vectors",
    "derived",
    "The vector that content models read; its positions are named in its bundle.",
    key=("article_id",),
    upstreams=("articles", "article_features", "predicted_attributes", "image_embeddings", "images"),
    large=True,
    columns=(
        article_id("The article.", "articles.article_id"),
        Column(
            "vector",
            "FLOAT[]",
            "Unit length.",
            lineage=(
                *(f"articles.{name}" for name in ("product_type", "price", "available_from", "name", "description")),
                "article_features.sales_30d",
                "predicted_attributes.value",
                "predicted_attributes.model_id",
                "image_embeddings.digest",
            ),
        ),
    ),
)
