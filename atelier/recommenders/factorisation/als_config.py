"""The configuration and the declaration of ``als``.

What belongs here: every number that can be chosen. What does not: the factorisation
(:mod:`atelier.recommenders.factorisation.als`).
"""

from typing import Annotated

from pydantic import Field

from atelier.recommenders.config import RecommenderConfig, Search
from atelier.recommenders.declaration import Declaration

MOST = 1_000.0
"""The greatest weight of one interaction, either way. Beyond it confidences no longer mean anything in float32."""


class ALSConfig(RecommenderConfig):
    """Config of ``als``. The defaults were chosen on validation days (docs/recommender_study.md)."""

    factors: Annotated[int | None, Search(16, 256, step=16)] = Field(
        default=None, ge=1, description="Length of the vectors; empty: what suits the number of articles."
    )
    iterations: Annotated[int, Search(5, 30)] = Field(
        default=15, ge=1, description="How often both sides are solved for."
    )
    regularization: Annotated[float, Search(0.01, 100, log=True)] = Field(
        default=10.0, ge=0, le=1e9, description="λ, the weight of the vectors' squared lengths."
    )
    alpha: Annotated[float, Search(1, 100, log=True)] = Field(
        default=20.0,
        gt=0,
        le=1e6,
        description="How much one purchase today raises the confidence above that of no interaction, which is 1.",
    )
    kind_weights: dict[str, Annotated[float, Field(ge=-MOST, le=MOST)]] = Field(
        default={"view": 0.1, "save": 0.5, "bag": 0.7, "purchase": 1.0},
        description="How much an interaction counts, by kind, −1,000 to 1,000; kinds that are not named count 1, "
        "`return` 0. An article to which a customer's interactions give 0 or less is not preferred.",
    )
    half_life_days: Annotated[float | None, Search(choices=(None, 7.0, 14.0, 30.0, 60.0, 120.0), dated=True)] = Field(
        default=30.0, gt=0, description="After how many days an interaction counts half; empty: it never fades."
    )
    threads: int = Field(
        default=0,
        ge=0,
        exclude=True,
        description="How many threads solve at once; 0: one for each core. The result does not depend on it.",
    )


DECLARATION = Declaration(
    name="als",
    summary="Matrix factorisation by alternating least squares over implicit feedback (Hu, Koren, Volinsky 2008).",
    config=ALSConfig,
    implementation="atelier.recommenders.factorisation.als:ALS",
    has_vectors=True,
)
