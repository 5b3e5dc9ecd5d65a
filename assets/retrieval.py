"""Retrieval: which articles are like which.

What belongs here: the neighbours of every article, by each model that has vectors. What does not: the search itself
(:mod:`atelier.recommenders`, :mod:`atelier.retrieval`).
"""

import dagster as dg

from assets.recommenders import GROUP
from assets.stage import stage
from assets.step import Step

#: The models whose neighbours are kept: those that have a vector for an article.
MODELS = ("als",)


class SimilarConfig(dg.Config):
    """The lists of neighbours.

    Attributes:
        k: their length.
    """

    k: int = 10


@stage(produces=["similar_articles"], deps=[f"{name}_model" for name in MODELS], group=GROUP)
def similar_articles(step: Step, config: SimilarConfig) -> None:
    """The nearest articles in stock to every article that a model ranks."""
    from atelier import recommenders

    for name in MODELS:
        bundle = step.bundle(f"{name}_model")
        near = recommenders.load(bundle.path).similar(k=config.k)
        step.write("similar_articles", near.assign(model=name, model_id=bundle.model_id), part=name)
        step.note("similar_articles", **{f"{name}_articles": int(near["article_id"].nunique())})


STAGES = (similar_articles,)
