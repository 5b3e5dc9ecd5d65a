"""What every model can be told whose article vectors may read content.

What belongs here: the fields that ``hybrid``, ``transformer`` and ``sequencer`` share. What does not: the models
(:mod:`atelier.recommenders.content_model`). Nothing heavy is imported.
"""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from atelier.recommenders.config import RecommenderConfig, Search


class ContentConfig(RecommenderConfig):
    """What every such model can be told."""

    mode: Literal["content", "collaborative", "hybrid"] = Field(
        default="hybrid",
        description="What an article's vector is made of: content, an embedding (collaborative), or both.",
    )
    factors: Annotated[PositiveInt | None, Search(16, 256, step=16)] = Field(
        default=None, description="Length of the vectors; empty: what suits the number of articles interacted with."
    )
    reads_styles: Annotated[bool, Search(content=True)] = Field(
        default=True,
        description="Whether articles of one style (product_code) share a second embedding, so that an article is "
        "known by its other colours; in mode hybrid, where the catalogue tells styles.",
    )
    hidden: tuple[PositiveInt, ...] = Field(
        default=(256,), description="Widths of the content network's hidden layers."
    )

    @property
    def reads_content(self) -> bool:
        """Whether it reads the vectors of articles: in every mode but ``collaborative``."""
        return self.mode != "collaborative"
