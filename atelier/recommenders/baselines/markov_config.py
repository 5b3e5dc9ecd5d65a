"""The configuration and the declaration of ``markov``.

What belongs here: every number that can be chosen. What does not: counting what follows what
(:mod:`atelier.recommenders.baselines.markov`).
"""

from typing import Annotated

from pydantic import Field

from atelier.recommenders.baselines.popular_config import PopularConfig
from atelier.recommenders.config import Search
from atelier.recommenders.declaration import Declaration


class MarkovConfig(PopularConfig):
    """Config of ``markov``."""

    history: Annotated[int, Search(1, 20, log=True)] = Field(
        default=5, ge=1, le=1000, description="How many of a customer's last interactions are read."
    )


DECLARATION = Declaration(
    name="markov",
    summary="What most often followed the customer's last articles, then popular ones: the baseline of orders.",
    config=MarkovConfig,
    implementation="atelier.recommenders.baselines.markov:Markov",
    serves_anyone=True,
    daily=False,
)
