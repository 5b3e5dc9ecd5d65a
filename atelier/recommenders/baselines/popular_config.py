"""The configuration and the declaration of ``popular``.

What belongs here: every number that can be chosen. What does not: counting
(:mod:`atelier.recommenders.baselines.popular`).
"""

from typing import Annotated

from pydantic import Field

from atelier.recommenders.config import RecommenderConfig, Search
from atelier.recommenders.declaration import Declaration


class PopularConfig(RecommenderConfig):
    """Config of ``popular``."""

    window_days: Annotated[int | None, Search(choices=(None, 1, 3, 7, 14, 28), dated=True)] = Field(
        default=7, ge=1, description="How many days are counted, ending with the last in training; empty: all."
    )


DECLARATION = Declaration(
    name="popular",
    summary="The best-selling articles of a recent window, the same list for everybody: the baseline and the fallback.",
    config=PopularConfig,
    implementation="atelier.recommenders.baselines.popular:Popular",
    serves_anyone=True,
)
