"""The configuration of ``sequencer``, and its declaration.

What belongs here: every number that can be chosen of the recurrent models alone. What does not: what sequence models
share (:mod:`atelier.recommenders.sequential.config`).
"""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from atelier.recommenders.config import Search, factors_for
from atelier.recommenders.declaration import Declaration
from atelier.recommenders.sequential.config import SequenceConfig


class SequencerConfig(SequenceConfig):
    """Config of ``sequencer``."""

    cell: Annotated[Literal["rnn", "lstm", "gru"], Search()] = Field(default="gru", description="The recurrent cell.")
    layers: Annotated[PositiveInt, Search(1, 2)] = Field(default=1, description="Recurrent layers, one on the other.")
    units: PositiveInt | None = Field(default=None, description="Units of each layer; empty: twice the factors.")

    def factors_of(self, articles: int) -> int:
        """The length of vectors for so many articles: as the config says, else what suits them."""
        return self.factors or factors_for(articles)


DECLARATION = Declaration(
    name="sequencer",
    summary="Recurrent layers over the history, with content (Hidasi and Karatzoglou 2018).",
    config=SequencerConfig,
    implementation="atelier.recommenders.sequential.sequencer:Sequencer",
    reads_content=True,
    has_vectors=True,
    daily=False,
)
