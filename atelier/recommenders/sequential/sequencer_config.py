"""The configuration of ``sequencer``, the published preset, and its declaration.

What belongs here: every number that can be chosen of the sequencers alone. What does not: what sequence models share
(:mod:`atelier.recommenders.sequential.config`).
"""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from atelier.recommenders.config import Search, factors_for
from atelier.recommenders.declaration import Declaration
from atelier.recommenders.sequential.config import SequenceConfig

Cell = Literal["rnn", "lstm", "gru", "attention", "transformer"]


class SequencerConfig(SequenceConfig):
    """Config of ``sequencer``. The defaults are what validation said; :meth:`published` gives the thesis's."""

    cell: Annotated[Cell, Search()] = Field(
        default="gru",
        description="What reads the history: recurrent layers of a cell (rnn, lstm, gru), an LSTM whose states an LSTM "
        "decodes by attention (attention), or self-attention (transformer).",
    )
    layers: Annotated[PositiveInt, Search(1, 2)] = Field(
        default=1, description="Recurrent layers, one on the other; of attention the decoder's; of transformer blocks."
    )
    units: PositiveInt | None = Field(
        default=None, description="Units of each recurrent layer; empty: twice the factors."
    )
    heads: PositiveInt = Field(default=8, description="Heads of the cell transformer; factors is a multiple of it.")
    feed_forward: PositiveInt | None = Field(
        default=None, description="Units of the feed-forward layer of the cell transformer; empty: eight times factors."
    )
    output: Literal["tied", "untied"] = Field(
        default="tied",
        description="The vectors by which articles are ranked: those that are read of them (tied), or others, as the "
        "last layer of a classifier has them (untied).",
    )
    customer_factors: PositiveInt | None = Field(
        default=None,
        description="Length of a vector of each customer, which is joined with the state after the last interaction; "
        "empty: there is none.",
    )
    customer_attributes: tuple[str, ...] = Field(
        default=(),
        description="Columns of the customers, numbers or texts, from which a small network makes that vector; empty: "
        "it is an embedding of each customer.",
    )
    customer_hidden: PositiveInt = Field(default=32, description="Width of that network's hidden layer.")

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        if self.cell == "transformer" and self.factors is not None and self.factors % self.heads:
            raise ValueError(f"factors ({self.factors}) is no multiple of heads ({self.heads})")
        if self.customer_attributes and self.customer_factors is None:
            raise ValueError(
                "customer_attributes are given, and customer_factors is empty: say how long the vector is that is made "
                "of them"
            )
        return self

    @property
    def customer_columns(self) -> tuple[str, ...]:
        """The columns of the frame of customers that it reads."""
        return self.customer_attributes

    def factors_of(self, articles: int) -> int:
        """The length of vectors for so many articles: as the config says, else what suits them and the heads."""
        heads = self.heads if self.cell == "transformer" else 1
        return self.factors or -(-factors_for(articles) // heads) * heads

    @classmethod
    def published(cls, cell: Cell = "gru", **changes: object) -> Self:
        """The training of the H&M thesis, which learns from interactions of every kind and predicts them.

        Embeddings of 256 for customers and for articles; three recurrent layers of 512 (of ``attention`` the decoder's;
        of ``transformer`` one block of 8 heads and a feed-forward layer of 2,048) over the last 20 interactions without
        consecutive repeats; the latest state joined with the customer's vector; a linear layer over all articles, with
        a full softmax. Every prefix is a sample, each customer's last interaction (of 10,000 customers at most) is held
        out, Adam with one cycle, 2,048 samples a step, patience 3.

        Where the thesis contradicts itself or is silent:

        - Before the layer over all articles it has one of 512 units, which it calls twice the embedding size, and 512 +
          256 joined numbers are not that. Here a linear layer of 512 units reads the 768 joined numbers. The cell
          ``transformer`` has layers of 1,024, 512 and 256 units with leaky ReLU instead.
        - The layer over all articles has no bias of its own, so that a score is a product of two vectors: the layer
          before has one, and whatever it adds to everybody's vector gives each article a bias.
        - The peak of the cycle (0.001), the number of epochs (20 at most) and the dropout (0.1) are chosen.

        Args:
            cell: which of the five.
            changes: other fields.
        """
        numbers: dict[str, object] = {
            "cell": cell,
            "mode": "collaborative",
            "factors": 256,
            "customer_factors": 256,
            "layers": 1 if cell == "transformer" else 3,
            "units": 512,
            "heads": 8,
            "feed_forward": 2048,
            "output": "untied",
            "history": 20,
            "reads_kinds": False,
            "reads_gaps": False,
            "adds_co_occurrence": False,
            "drop_consecutive_repeats": True,
            "train_kinds": ("view", "save", "bag", "purchase"),
            "loss": "full_softmax",
            "dropout": 0.1,
            "schedule": "one_cycle",
            "embedding_optimiser": "adam",
            "learning_rate": 1e-3,
            "embedding_learning_rate": 1e-3,
            "weight_decay": 0.0,
            "batch_interactions": 2048,
            "epoch_interactions": 1_000_000_000,
            "newest_interactions": None,
            "max_epochs": 20,
            "patience": 3,
            "validation_share": 1.0,
            "held_out": "interaction",
        }
        return cls.model_validate(numbers | changes)


DECLARATION = Declaration(
    name="sequencer",
    summary="Recurrent layers, or attention, over the history, with content (Hidasi and Karatzoglou 2018).",
    config=SequencerConfig,
    implementation="atelier.recommenders.sequential.sequencer:Sequencer",
    reads_content=True,
    reasons_from_content=True,
    has_vectors=True,
    daily=False,
)
