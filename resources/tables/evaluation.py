"""Tables of how good the recommendations of a day were.

What belongs here: metrics and paired tests, judged out of time. What does not: studies
(:mod:`resources.tables.studies`).
"""

from resources.schema import Column, Table
from resources.tables.columns import CUSTOMERS, METRIC, MODEL, SEEN_COLUMN, K, count, customer_id, figure, share, text

OFFLINE_METRICS = Table(
    "offline_metrics",
    "derived",
    "The recommendations made on ds − horizon, judged by what customers did in (ds − horizon, ds].",
    key=("model", "seen", "metric", "k", "segment"),
    upstreams=("recommendations", "interactions", "articles"),
    part="model",
    job="judge",
    columns=(
        MODEL,
        SEEN_COLUMN,
        METRIC,
        Column("k", "INTEGER", "Length of the list, or the rank for metrics by rank.", low=1),
        text("segment", "Whom or what it covers; `all` is everyone."),
        figure("value", "The figure; null where it is undefined."),
        figure("standard_error", "Over customers; null where that has no meaning.", low=0),
        CUSTOMERS,
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
        MODEL,
        SEEN_COLUMN,
        customer_id(),
        text("metric", "The metric."),
        K,
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
        text("metric", "The metric."),
        K,
        MODEL,
        text("baseline", "The recommender it is held against."),
        Column("difference", "DOUBLE", "Mean over customers of model − baseline."),
        figure("standard_error", "Of the difference.", low=0),
        share("p_value", "Two-sided paired t-test; null where nobody differs.", nullable=True),
        share("p_holm", "The same, Holm-corrected within seen, metric and k.", nullable=True),
        count("customers", "Customers compared.", "customers"),
    ),
)
