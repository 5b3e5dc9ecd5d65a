"""Features of articles and customers computed from sales, and the vector that content models read.

What belongs here: the feature tables and article_vectors. What does not: their SQL (:mod:`sql`), how vectors are
normalised (:mod:`atelier.articles.vectors`).
"""

from typing import TYPE_CHECKING

import dagster as dg

from assets.stage import stage
from assets.step import Step
from resources.article_inputs import INPUTS, article_inputs
from resources.compute import gpu_pool
from sql import query

if TYPE_CHECKING:
    import pyarrow as pa

    from atelier.articles.table import Articles

GROUP = "features"


class FeatureConfig(dg.Config):
    """The recent window of the features.

    Attributes:
        window_days: the columns named ``_30d`` cover this many days, the last of which is ds.
    """

    window_days: int = 30


def _compute(step: Step, table: str, entity: str, config: FeatureConfig) -> None:
    with step.connect(entity, "interactions") as con:
        step.write(table, con.sql(query(table), params={"as_of": step.ds, "window": config.window_days}))
    step.note(table, window_days=config.window_days)


@stage(produces=["article_features"], deps=["articles", "interactions"], group=GROUP)
def article_features(step: Step, config: FeatureConfig) -> None:
    """Features of an article computed from its sales."""
    _compute(step, "article_features", "articles", config)


@stage(produces=["customer_features"], deps=["customers", "interactions"], group=GROUP)
def customer_features(step: Step, config: FeatureConfig) -> None:
    """Features of a customer computed from their purchases."""
    _compute(step, "customer_features", "customers", config)


@stage(
    produces=["article_vectors", "vector_space"],
    deps=[*INPUTS, "article_features", "predicted_attributes"],
    group=GROUP,
    checks={"vectors_have_length": "Whether no article's vector has length 0, with which nothing can be compared."},
    pool=gpu_pool(),
)
def article_vectors(step: Step) -> None:
    """The vector that content models read; the bundle ``vector_space`` holds the name and norm of each position."""
    import numpy as np

    from atelier.articles.table import Articles
    from atelier.articles.vectors import ArticleVectors, vectors_table

    inputs = article_inputs(step.store, step.cache, step.ds)
    sales = step.read("article_features")[["article_id", "sales_30d"]]
    articles = Articles.from_frame(inputs.merge(sales, on="article_id"))
    space = ArticleVectors()
    vectors = space.fit_transform(articles, _attributes(step, articles), as_of=step.ds)
    read = [*INPUTS, "article_features", "predicted_attributes"]
    bundle = step.save_model("vector_space", space.save, tables=read, seed=0)
    step.write("article_vectors", vectors_table(articles, vectors))
    empty = int((np.linalg.norm(vectors, axis=1) == 0).sum())
    step.check("vectors_have_length", not empty, f"{empty} of {len(vectors)} articles' vectors have length 0")
    blocks = space.positions["block"].value_counts()
    step.note("article_vectors", dimension=space.dimension, space=bundle.model_id)
    step.note("article_vectors", **{f"{block}_positions": int(n) for block, n in blocks.items()})


def _attributes(step: Step, articles: "Articles") -> "pa.Table":
    """The rows of predicted_attributes, each prediction set replaced by the same model's probabilities of all values.

    A prediction set leaves out improbable values, and holds all values where the model is unsure. A vector needs the
    probability of each value.
    """
    import pyarrow.compute as pc

    from atelier.attributes import AttributeModel, complete

    rows = step.store.read("predicted_attributes", step.ds)
    bundles = pc.unique(rows["model_id"]).drop_null().to_pylist()
    if not bundles:  # annotations only
        return rows
    bundle = step.models.bundle("attribute_model", bundles[0])
    model = AttributeModel.load(bundle.path, device=str(step.compute.apply()))
    return complete(model, articles, rows.filter(pc.equal(rows["source"], "annotated")), whole=True)


STAGES = (article_features, customer_features, article_vectors)
