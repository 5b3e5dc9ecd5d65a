"""The configuration of ``transformer``, and its declaration.

What belongs here: every number that can be chosen of the transformer alone. What does not: what sequence models share
(:mod:`atelier.recommenders.sequential.config`).
"""

from typing import Annotated, Self

from pydantic import Field, PositiveInt, model_validator

from atelier.recommenders.config import Search, factors_for
from atelier.recommenders.declaration import Declaration
from atelier.recommenders.sequential.config import SequenceConfig


class TransformerConfig(SequenceConfig):
    """Config of ``transformer``."""

    blocks: Annotated[PositiveInt, Search(1, 4)] = Field(default=2, description="Causal blocks, one on the other.")
    heads: Annotated[PositiveInt, Search(choices=(1, 2, 4, 8))] = Field(
        default=4, description="Heads of the attention; factors is a multiple of it."
    )
    feed_forward: PositiveInt = Field(default=2, description="Units of a block's feed-forward layer, in factors.")
    gated: Annotated[bool, Search()] = Field(
        default=False, description="Whether learned gates weigh what each part of a block adds."
    )

    @model_validator(mode="after")
    def _heads_divide_factors(self) -> Self:
        if self.factors is not None and self.factors % self.heads:
            raise ValueError(f"factors ({self.factors}) is no multiple of heads ({self.heads})")
        return self

    def factors_of(self, articles: int) -> int:
        """The length of vectors for so many articles: as the config says, else what suits them and the heads."""
        return self.factors or -(-factors_for(articles) // self.heads) * self.heads


DECLARATION = Declaration(
    name="transformer",
    summary="Causal self-attention over the history, with content (Kang, McAuley 2018; Tikhonovich and others 2025).",
    config=TransformerConfig,
    implementation="atelier.recommenders.sequential.transformer:Transformer",
    reads_content=True,
    reasons_from_content=True,
    has_vectors=True,
)
