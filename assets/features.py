"""Features: what sales tell of articles and customers, and the vector that content models read.

What belongs here: the feature tables and article_vectors. What does not: their SQL (:mod:`sql`), how vectors are
normalised (:mod:`atelier.article_vectors`).
"""

import dagster as dg

from assets.attributes import article_inputs, attribute_probabilities
from assets.stage import stage
from assets.step import Step
from sql import query

GROUP = "features"


class FeatureConfig(dg.Config):
    """The recent window.

    Attributes:
        window_days: the columns named ``_30d`` look at this many days that end with ds.
    """

    window_days: int = 30


def _compute(step: Step, table: str, entity: str, config: FeatureConfig) -> None:
    with step.connect(entity, "interactions") as con:
        step.write(table, con.sql(query(table), params={"as_of": step.ds, "window": config.window_days}))
    step.note(table, window_days=config.window_days)


@stage(produces=["article_features"], deps=["articles", "interactions"], group=GROUP)
def article_features(step: Step, config: FeatureConfig) -> None:
    """What sales tell of an article."""
    _compute(step, "article_features", "articles", config)


@stage(produces=["customer_features"], deps=["customers", "interactions"], group=GROUP)
def customer_features(step: Step, config: FeatureConfig) -> None:
    """What purchases tell of a customer."""
    _compute(step, "customer_features", "customers", config)
