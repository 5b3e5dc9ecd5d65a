"""Tables of engineered features of articles and customers.

What belongs here: what models read beside interactions. What does not: what models make.
"""

from resources.schema import Column, Table
from resources.tables.columns import MONEY, article_id, customer_id

ARTICLE_FEATURES = Table(
    "article_features",
    "derived",
    "What sales tell of an article, up to ds.",
    key=("article_id",),
    upstreams=("articles", "interactions"),
    columns=(
        article_id("The article.", "articles.article_id"),
        Column("sales", "BIGINT", "Units sold.", unit="units", low=0, lineage=("interactions.ordinal",)),
        Column("first_sale", "DATE", "Day of the first sale.", nullable=True, lineage=("interactions.occurred_at",)),
        Column("last_sale", "DATE", "Day of the last sale.", nullable=True, lineage=("interactions.occurred_at",)),
        Column(
            "distinct_customers",
            "BIGINT",
            "Customers who bought it.",
            unit="customers",
            low=0,
            lineage=("interactions.customer_id",),
        ),
        Column(
            "price_mean",
            "DOUBLE",
            "Mean price per unit.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "price_std",
            "DOUBLE",
            "Sample standard deviation of the price; null below two units.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "price_median",
            "DOUBLE",
            "Median price per unit.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "most_common_channel",
            "VARCHAR",
            "Where most units were sold; ties go to the first in the alphabet.",
            nullable=True,
            lineage=("interactions.channel",),
        ),
        Column(
            "sales_30d",
            "BIGINT",
            "Units sold in the window that ends with ds.",
            unit="units",
            low=0,
            lineage=("interactions.ordinal",),
        ),
        Column(
            "distinct_customers_30d",
            "BIGINT",
            "Customers who bought it in the window that ends with ds.",
            unit="customers",
            low=0,
            lineage=("interactions.customer_id",),
        ),
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
        Column("transactions", "BIGINT", "Units bought.", unit="units", low=0, lineage=("interactions.ordinal",)),
        Column(
            "first_purchase", "DATE", "Day of the first purchase.", nullable=True, lineage=("interactions.occurred_at",)
        ),
        Column(
            "last_purchase", "DATE", "Day of the last purchase.", nullable=True, lineage=("interactions.occurred_at",)
        ),
        Column(
            "price_mean",
            "DOUBLE",
            "Mean price per unit.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "price_std",
            "DOUBLE",
            "Sample standard deviation of the price; null below two units.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "price_min",
            MONEY,
            "Lowest price paid.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "price_max",
            MONEY,
            "Highest price paid.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "total_spend",
            "DECIMAL(38,9)",
            "Everything ever paid.",
            unit="the retailer's currency",
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "distinct_articles",
            "BIGINT",
            "Different articles bought.",
            unit="articles",
            low=0,
            lineage=("interactions.article_id",),
        ),
        Column(
            "most_used_channel",
            "VARCHAR",
            "Where most units were bought; ties go to the first in the alphabet.",
            nullable=True,
            lineage=("interactions.channel",),
        ),
        Column(
            "days_active",
            "BIGINT",
            "Days from the first purchase to the last, both counted.",
            unit="days",
            low=0,
            lineage=("interactions.occurred_at",),
        ),
        Column(
            "purchase_frequency",
            "DOUBLE",
            "Units bought per active day.",
            unit="units per day",
            low=0,
            lineage=("interactions.occurred_at",),
        ),
        Column(
            "purchases_30d",
            "BIGINT",
            "Units bought in the window that ends with ds.",
            unit="units",
            low=0,
            lineage=("interactions.ordinal",),
        ),
        Column(
            "price_mean_30d",
            "DOUBLE",
            "Mean price in the window that ends with ds.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "spend_30d",
            "DECIMAL(38,9)",
            "Everything paid in the window that ends with ds.",
            unit="the retailer's currency",
            low=0,
            lineage=("interactions.price",),
        ),
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
                "articles.product_type",
                "articles.price",
                "articles.available_from",
                "articles.name",
                "articles.description",
                "article_features.sales_30d",
                "predicted_attributes.value",
                "predicted_attributes.model_id",
                "image_embeddings.digest",
            ),
        ),
    ),
)
