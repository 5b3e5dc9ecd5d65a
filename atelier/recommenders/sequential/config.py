"""What every sequence model can be told.

What belongs here: the fields that ``transformer`` and ``sequencer`` share. What does not: the fields of one of them.
"""

import math
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from atelier.nn.loss_names import SequenceLossName
from atelier.recommenders.config import Search
from atelier.recommenders.content_config import ContentConfig
from atelier.recommenders.training_data.amount import MANY, Amount, OfMany

OF_MANY = OfMany(epoch=500_000, most=4_000_000)
"""What is passed of many interactions where the config does not say."""
CONSTANT_EPOCHS, CYCLE_EPOCHS, SMALL_CYCLE_EPOCHS = 40, 8, 20
"""Passes at most: with constant steps, which stop when lists get no better; in a cycle, which is to reach its end; in a
cycle over no more than ``SMALL`` interactions, where a pass is a few steps only."""
SMALL = 50_000


class SequenceConfig(ContentConfig):
    """Config of a model that is trained to predict each interaction of a history from those before it.

    The defaults were chosen on validation data: docs/sequence_models.md says what was tried.
    """

    history: Annotated[int, Search(10, 100, log=True)] = Field(
        default=50, ge=1, description="How many of a customer's last interactions are read, at most."
    )
    reads_kinds: bool = Field(default=True, description="Whether the kind of each interaction is an input.")
    reads_gaps: bool = Field(
        default=True, description="Whether the time since the interaction before is an input, in steps that double."
    )
    adds_similarity: bool = Field(
        default=True,
        description="Whether the score adds an article's cosine with the articles of the last interactions, times a "
        "learned weight. Only a tied output has it.",
    )
    similarity_start: float = Field(
        default=0.0,
        description="That weight before training. 5 learns faster where people choose again what they have, and slower "
        "where they never do.",
    )
    adds_co_occurrence: bool = Field(
        default=True,
        description="Whether the score adds how often an article stands near those of the last interactions in "
        "anybody's history, with weights fitted on the held-out interactions; where fewer than 100 of these say "
        "something, nothing is added.",
    )
    neighbours: Annotated[int, Search(20, 300, log=True)] = Field(
        default=100, ge=1, le=1000, description="How many articles that stand near an article are kept."
    )
    drop_consecutive_repeats: bool = Field(
        default=False,
        description="Whether interactions with the article of the interaction before are left out, in training and in "
        "histories. Of purchases they are information; of views they are noise.",
    )
    embedding_start: str | None = Field(
        default=None,
        min_length=1,
        description="A block of the articles' vectors (image, text, …) from whose principal components the embeddings "
        "that are read start; empty: they start at random.",
    )

    loss: Annotated[SequenceLossName, Search(choices=("sampled_softmax", "in_batch", "gbce"))] = Field(
        default="sampled_softmax",
        description="The ranking loss. full_softmax holds every article against a positive, in_batch the other "
        "positives of the batch, all others a sample.",
    )
    negatives: PositiveInt = Field(
        default=1000, description="How many articles are held against the positives of a batch, the same for all."
    )
    negative_popularity: Annotated[float, Search()] = Field(
        default=0.5,
        ge=0,
        le=1,
        description="How often an article is drawn as a negative goes with this power of its interactions; the loss "
        "gbce draws all equally often, whatever stands here.",
    )
    gbce_calibration: float = Field(default=0.75, ge=0, le=1, description="t of the loss gbce.")
    bpr_max_regularisation: float = Field(default=0.5, ge=0, description="λ of the loss bpr_max.")

    dropout: Annotated[float, Search(0, 0.6)] = Field(
        default=0.3, ge=0, lt=1, description="Share of units dropped in training."
    )
    content_dropout: Annotated[float, Search(0, 0.6, content=True)] = Field(
        default=0.3, ge=0, lt=1, description="Share of the content network's hidden units dropped in training."
    )
    batch_interactions: PositiveInt = Field(default=4096, description="Interactions per step, about.")
    newest_interactions: PositiveInt | None = Field(
        default=5_000_000,
        description="How many interactions are learned from at most: where histories hold more, the last ones of the "
        "customers who were there last. Empty, or without dates: all.",
    )
    epoch_interactions: PositiveInt | None = Field(
        default=None,
        description="How many interactions an epoch passes at most, chosen anew each time; empty: all where there are "
        f"up to {MANY:,}, and {OF_MANY.epoch:,} where there are more.",
    )
    max_interactions: PositiveInt | None = Field(
        default=None,
        description="How many interactions training passes at most, in whole epochs; empty: as max_epochs says where "
        f"there are up to {MANY:,} or epoch_interactions is given, otherwise {OF_MANY.most:,}.",
    )
    max_epochs: PositiveInt | None = Field(
        default=None,
        description=f"Epochs at most; empty: {CONSTANT_EPOCHS}, and where schedule is one_cycle as many as pass all "
        f"interactions {CYCLE_EPOCHS} times, or {SMALL_CYCLE_EPOCHS} times where there are up to {SMALL:,}.",
    )
    patience: PositiveInt = Field(
        default=5,
        description="Epochs without better lists of the held-out interactions before training stops; "
        "in a cycle of many short epochs a small number ends it before its steps get shorter.",
    )
    held_out: Literal["visit", "interaction"] = Field(
        default="visit",
        description="What of a customer decides when training stops: visit, the first interaction of the last visit "
        "(what came with it is left out), where 1,000 customers have two interactions or more before their last "
        "visit, otherwise the last interaction; interaction, always that.",
    )
    validation_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of the customers of whom an interaction is held out to decide when training stops.",
    )
    validation_customers: PositiveInt = Field(default=10_000, description="Of how many customers it is, at most.")
    counts_held_out: bool = Field(
        default=True,
        description="Whether the held-out interactions count in how often articles are chosen, by which negatives are "
        "drawn, and, once what they add is decided, in counts of neighbours. False: the model learns nothing from "
        "them, and reads them in histories alone.",
    )
    schedule: Literal["constant", "one_cycle"] = Field(
        default="one_cycle",
        description="What happens to all steps in training: one_cycle lets them rise to what is said here within the "
        "first 30% of training and then fall to nearly nothing.",
    )
    learning_rate: Annotated[PositiveFloat, Search(3e-4, 1e-2, log=True)] = Field(
        default=3e-3, description="AdamW's step for the networks, its highest where schedule is one_cycle."
    )
    weight_decay: Annotated[float, Search(1e-4, 0.3, log=True)] = Field(
        default=0.01, ge=0, description="AdamW's decay of the networks' weights."
    )
    embedding_optimiser: Literal["adagrad", "adam"] = Field(
        default="adagrad", description="What moves the embeddings, only those that a batch reads."
    )
    embedding_learning_rate: Annotated[PositiveFloat, Search(5e-3, 0.1, log=True)] = Field(
        default=0.02, description="Its step for the embeddings."
    )
    warm_start: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="What share of the epochs is enough where training starts from another model. With it the daily "
        "job starts from the model of the day before, if that has the same settings and was made from what is still "
        "stored; otherwise, and if this is empty, from random weights.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="Of the products of matrices in training; vectors and scores are always float32."
    )

    def amount(self, interactions: int, *, from_model: bool = False) -> Amount:
        """How many of so many interactions an epoch passes, and how many epochs there are at most.

        Args:
            interactions: how many there are.
            from_model: whether training starts from another model.
        """
        whole = Amount.of(
            interactions,
            epoch=self.epoch_interactions,
            most=self.max_interactions,
            of_many=OF_MANY,
            max_epochs=self.max_epochs or self._most_epochs(interactions),
        )
        share = self.warm_start if from_model and self.warm_start is not None else 1.0
        return replace(whole, epochs=math.ceil(share * whole.epochs))

    def _most_epochs(self, interactions: int) -> int:
        """As many epochs as suit the schedule; a cycle's are counted in passes, however often an epoch looks."""
        if self.schedule == "constant":
            return CONSTANT_EPOCHS
        passes = CYCLE_EPOCHS if interactions > SMALL else SMALL_CYCLE_EPOCHS
        each = min(interactions, self.epoch_interactions or (OF_MANY.epoch if interactions > MANY else interactions))
        return -(-passes * interactions // max(each, 1))

    @property
    def reads_content(self) -> bool:
        """Whether it reads the vectors of articles: in every mode but ``collaborative``, and for embedding_start."""
        return super().reads_content or self.embedding_start is not None
