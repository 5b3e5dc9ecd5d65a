"""What every recommender can be told.

What belongs here: the config that all others extend, and what configs share. What does not: the config of one model,
which stands beside it. Nothing heavy is imported: the launchpad reads these classes while the code location loads.
"""

import math
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

HIGHEST_SEED = 2**31 - 1
"""The highest seed that NumPy, torch, implicit and Annoy all accept."""


Choice = bool | int | float | str | None
"""A value that can be chosen for a field: what JSON, TOML and Optuna all have (None: the field is left empty)."""


@dataclass(frozen=True)
class Search:
    """Marks a field that :mod:`atelier.studies.tuning` tries, as ``Annotated[float, Search(0.01, 1, log=True)]``.

    What it leaves out follows from the field itself (:mod:`atelier.studies.search_space`): the values of a ``Literal``,
    true and false, the bounds of a number.

    Attributes:
        low: the lowest number that is tried.
        high: the highest one.
        log: whether numbers are drawn on a logarithmic scale: for steps of optimisers, weights of penalties.
        step: whole numbers are tried from ``low`` in such steps.
        choices: the values that are tried instead of a range; None leaves the field empty.
        dated: whether the field makes a difference only where interactions have dates.
        content: whether it makes one only where the model reads content.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    step: int = 1
    choices: tuple[Choice, ...] = ()
    dated: bool = False
    content: bool = False


class RecommenderConfig(BaseModel):
    """What every recommender can be told. Immutable; a field that does not exist, NaN and ∞ are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    seed: int = Field(default=0, ge=0, le=HIGHEST_SEED, description="Seed of everything random.")
    train_kinds: tuple[str, ...] = Field(
        default=("save", "bag", "purchase"), min_length=1, description="The kinds of interaction it learns from."
    )
    seen_kinds: tuple[str, ...] = Field(
        default=("purchase",), description="The kinds of interaction that make an article seen by a customer."
    )

    @property
    def reads_content(self) -> bool:
        """Whether a model with this config reads the vectors of articles."""
        return False

    @property
    def customer_columns(self) -> tuple[str, ...]:
        """The columns of the frame of customers that a model with this config reads."""
        return ()


def factors_for(articles: int) -> int:
    """A length of vectors that suits so many articles: √articles in whole eights, from 16 to 256.

    Longer vectors overfit a small catalogue: among the sample retailer's 945 articles 32 numbers gave better lists than
    128, among 46,000 real ones 256 gave better lists than 128.
    """
    return min(max(8 * round(math.sqrt(articles) / 8), 16), 256)
