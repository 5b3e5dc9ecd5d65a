"""The configuration and the declaration of ``repeat``.

What belongs here: every number that can be chosen. What does not: the order of a customer's articles
(:mod:`atelier.recommenders.baselines.repeat`).
"""

from typing import Annotated

from pydantic import Field

from atelier.recommenders.baselines.popular_config import PopularConfig
from atelier.recommenders.config import Search
from atelier.recommenders.declaration import Declaration


class RepeatConfig(PopularConfig):
    """Config of ``repeat``."""

    own_articles: Annotated[int, Search(1, 100, log=True)] = Field(
        default=100, ge=1, le=1000, description="How many of a customer's last distinct articles are recommended."
    )


DECLARATION = Declaration(
    name="repeat",
    summary="A customer's own last articles, then popular ones: the baseline where lists may hold seen articles.",
    config=RepeatConfig,
    implementation="atelier.recommenders.baselines.repeat:Repeat",
    serves_anyone=True,
)
