"""The configuration and the declaration of ``item_knn``.

What belongs here: every number that can be chosen. What does not: the cosine
(:mod:`atelier.recommenders.baselines.item_knn`).
"""

from pydantic import Field

from atelier.recommenders.baselines.popular_config import PopularConfig
from atelier.recommenders.declaration import Declaration


class ItemKNNConfig(PopularConfig):
    """Config of ``item_knn``."""

    history: int = Field(default=50, ge=1, le=1000, description="How many of a customer's last interactions are read.")
    neighbours: int = Field(
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
