"""The configuration and the declaration of ``two_tower``.

What belongs here: every number that can be chosen. What does not: the towers
(:mod:`atelier.recommenders.two_stage.two_tower`). Nothing heavy is imported.
"""

from typing import Annotated

from pydantic import Field, PositiveInt

from atelier.recommenders.config import RecommenderConfig, Search
from atelier.recommenders.declaration import Declaration


class TwoTowerConfig(RecommenderConfig):
    """Config of ``two_tower``. The widths are those of the published H&M system."""

    hidden: tuple[PositiveInt, ...] = Field(default=(128, 64), description="Widths of each tower's hidden layers.")
    factors: PositiveInt = Field(default=32, description="Length of the vectors that the towers give.")
    embedding: Annotated[int, Search(choices=(0, 16, 32, 64))] = Field(
        default=32, ge=0, description="Length of what is learned of each article beside its content; 0: content alone."
    )
    content_length: int = Field(
        default=128, ge=0, le=4096, description="Length to which content vectors are projected; 0: content is not read."
    )
    history: Annotated[PositiveInt, Search(choices=(5, 10, 20, 50))] = Field(
        default=20, description="The last interactions that are read of a customer."
    )
    customer_attributes: tuple[str, ...] = Field(
        default=(), description="Columns of customers that the customer tower reads."
    )
    temperature: Annotated[float, Search(0.03, 0.5, log=True)] = Field(
        default=0.1, gt=0, le=10, description="What cosines are divided by in the loss."
    )
    max_epochs: PositiveInt = Field(default=10, description="Passes over the positives.")
    batch_size: int = Field(default=512, ge=2, description="Positives of a step; the others are each one's negatives.")
    epoch_positives: PositiveInt = Field(default=1_000_000, description="Positives of an epoch, at most.")
    learning_rate: Annotated[float, Search(0.0003, 0.03, log=True)] = Field(
        default=0.003, gt=0, le=1, description="Adam's step."
    )

    held_out: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="The share of customers whose last interaction is not learned from, so that the training curve "
        "shows it too; 0: the curve is of training alone.",
    )
    ranking_negatives: int = Field(
        default=0,
        ge=0,
        description="Sampled articles for each positive on which a ranking network is trained together with the "
        "towers, for two_stage with ranker joint; 0: there is no such network.",
    )

    @property
    def reads_content(self) -> bool:
        """Whether it reads the vectors of articles."""
        return self.content_length > 0

    @property
    def customer_columns(self) -> tuple[str, ...]:
        """The columns of the frame of customers that are read."""
        return self.customer_attributes


DECLARATION = Declaration(
    name="two_tower",
    summary="Two networks give customers and articles vectors of one space, from features (Yi and others 2019).",
    config=TwoTowerConfig,
    implementation="atelier.recommenders.two_stage.two_tower:TwoTower",
    reads_content=True,
    has_vectors=True,
    serves_anyone=True,
)
