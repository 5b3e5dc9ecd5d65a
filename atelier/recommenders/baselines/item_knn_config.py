"""The configuration and the declaration of ``item_knn``.

What belongs here: every number that can be chosen. What does not: the cosine
(:mod:`atelier.recommenders.baselines.item_knn`).
"""

from typing import Annotated

from pydantic import Field

from atelier.recommenders.baselines.popular_config import PopularConfig
from atelier.recommenders.config import Search
from atelier.recommenders.declaration import Declaration


class ItemKNNConfig(PopularConfig):
    """Config of ``item_knn``."""

    history: Annotated[int, Search(1, 100, log=True)] = Field(
        default=50, ge=1, le=1000, description="How many of a customer's last interactions are read."
    )
    neighbours: Annotated[int, Search(20, 300, log=True)] = Field(
        default=100, ge=1, le=1000, description="How many neighbours of an article are kept, itself among them."
    )


DECLARATION = Declaration(
    name="item_knn",
    summary="What the customers of the same articles chose (cosine), then popular ones: the baseline of neighbours.",
    config=ItemKNNConfig,
    implementation="atelier.recommenders.baselines.item_knn:ItemKNN",
    serves_anyone=True,
    daily=False,
)
