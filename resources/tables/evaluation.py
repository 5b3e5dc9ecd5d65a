"""Tables of how good the recommendations of a day were.

What belongs here: metrics and paired tests, judged out of time. What does not: studies
(:mod:`resources.tables.studies`).
"""

from resources.schema import Column, Table
from resources.tables.columns import SEEN_COLUMN, customer_id

OFFLINE_METRICS = Table(
    "offline_metrics",
    "derived",
    "The recommendations made on ds − horizon, judged by what customers did in (ds − horizon, ds].",
    key=("model", "seen", "metric", "k", "segment"),
    upstreams=("recommendations", "interactions", "articles"),
    part="model",
    job="judge",
    columns=(
        Column("model", "VARCHAR", "The recommender."),
        SEEN_COLUMN,
        Column("metric", "VARCHAR", "The metric, for example precision."),
        Column("k", "INTEGER", "Length of the list, or the rank for metrics by rank.", low=1),
        Column("segment", "VARCHAR", "Whom or what it covers; `all` is everyone."),
        Column("value", "DOUBLE", "The figure; null where it is undefined.", nullable=True),
        Column("standard_error", "DOUBLE", "Over customers; null where that has no meaning.", nullable=True, low=0),
        Column("customers", "BIGINT", "Customers it was computed from.", unit="customers", low=0),
    ),
)


CUSTOMER_METRICS = Table(
    "customer_metrics",
    "derived",
    "The values per customer behind offline_metrics, for paired tests.",
    key=("model", "seen", "customer_id", "metric", "k"),
    upstreams=("recommendations", "interactions"),
    part="model",
    large=True,
    job="judge",
    columns=(
        Column("model", "VARCHAR", "The recommender."),
        SEEN_COLUMN,
        customer_id(),
        Column("metric", "VARCHAR", "The metric."),
        Column("k", "INTEGER", "Length of the list.", low=1),
        Column("value", "DOUBLE", "The figure.", low=0),
    ),
)


MODEL_COMPARISONS = Table(
    "model_comparisons",
    "derived",
    "Every pair of recommenders, by a paired test on the same customers with history.",
    key=("seen", "metric", "k", "model", "baseline"),
    upstreams=("customer_metrics",),
    job="judge",
    columns=(
        SEEN_COLUMN,
        Column("metric", "VARCHAR", "The metric."),
        Column("k", "INTEGER", "Length of the list.", low=1),
        Column("model", "VARCHAR", "The recommender."),
        Column("baseline", "VARCHAR", "The recommender it is held against."),
        Column("difference", "DOUBLE", "Mean over customers of model − baseline."),
        Column("standard_error", "DOUBLE", "Of the difference.", nullable=True, low=0),
        Column(
            "p_value", "DOUBLE", "Two-sided paired t-test; null where nobody differs.", nullable=True, low=0, high=1
        ),
        Column("p_holm", "DOUBLE", "The same, Holm-corrected within seen, metric and k.", nullable=True, low=0, high=1),
        Column("customers", "BIGINT", "Customers compared.", unit="customers", low=0),
    ),
)
