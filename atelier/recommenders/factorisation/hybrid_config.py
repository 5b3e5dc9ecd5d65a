"""The configuration of ``hybrid``, the published preset, and its declaration.

What belongs here: every number that can be chosen. What does not: what is learned from data.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt

from atelier.nn.loss_names import LossName
from atelier.recommenders.config import Search, factors_for
from atelier.recommenders.content_config import ContentConfig
from atelier.recommenders.declaration import Declaration
from atelier.recommenders.training_data.amount import MANY, Amount, OfMany

OF_MANY = OfMany(epoch=250_000, most=3_000_000)
"""What is passed of many positives where the config does not say."""


class HybridConfig(ContentConfig):
    """Config of ``hybrid``. The defaults suit sparse data; :meth:`published` gives the paper's.

    They were chosen on days of real purchases that no figure is reported of (docs/recommender_study.md says what was
    tried); the loss too: there sampled softmax found as much as WMRB, and more where articles may be repeated.
    """

    dropout: Annotated[float, Search(0, 0.6, content=True)] = Field(
        default=0.3, ge=0, lt=1, description="Share of its hidden units dropped in training."
    )
    customer_attributes: tuple[str, ...] = Field(
        default=(), description="Columns of the customers that a small network reads; numbers or texts."
    )
    customer_hidden: PositiveInt = Field(default=32, description="Width of that network's hidden layer.")
    history: Annotated[PositiveInt | None, Search(choices=(None, 5, 10, 20, 50))] = Field(
        default=None, description="How many of a customer's last interactions make up their vector; empty: all."
    )

    inputs: Annotated[PositiveInt, Search(1, 20, log=True)] = Field(
        default=5,
        description="How many interactions before the positive make up the customer's vector in training, at most.",
    )
    inputs_drawn: Annotated[Literal["random", "last"], Search()] = Field(
        default="random", description="Which of them: random ones, as published, or the last."
    )
    min_inputs: PositiveInt = Field(default=1, description="How many interactions have to precede a positive.")
    min_interactions: int = Field(default=2, ge=2, description="Customers with fewer are not trained on.")
    positives: Literal["auto", "window", "last"] = Field(
        default="auto",
        description="Which interactions are positives: those of the window's last part, each customer's last ones, or "
        "(auto) the window's where it has at least min_window_days.",
    )
    positives_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="How large the last part is, of the window's days or of each customer's interactions; 1: every "
        "interaction that something precedes.",
    )
    newest_positives: PositiveInt | None = Field(
        default=None,
        description="How many positives are learned from at most: the newest, in whole days. What is older remains an "
        "input. Empty, or without dates: all; on a week of real purchases fewer gave worse lists.",
    )
    epoch_positives: PositiveInt | None = Field(
        default=None,
        description="How many positives an epoch passes at most, chosen anew each time; empty: all where there are up "
        f"to {MANY:,}, and {OF_MANY.epoch:,} where there are more.",
    )
    max_positives: PositiveInt | None = Field(
        default=None,
        description="How many positives training passes at most, in whole epochs; empty: as max_epochs says where "
        f"there are up to {MANY:,} or epoch_positives is given, otherwise {OF_MANY.most:,}.",
    )
    min_window_days: PositiveInt = Field(default=30, description="See positives.")
    repeat_positives: bool = Field(
        default=True, description="Whether an article that the customer had before can be a positive."
    )

    negatives: PositiveInt = Field(
        default=1000, description="How many articles that the customer never touched are held against a positive."
    )
    negative_sampling: Literal["shared", "per_customer"] = Field(
        default="shared",
        description="shared: all examples of a batch have the same negatives, so that few vectors are computed; "
        "per_customer: each has its own, as published.",
    )
    negatives_on_sale: Literal["ever", "window", "positives"] = Field(
        default="ever",
        description="Which articles can be negatives: those interacted with at any time (ever), or only those on sale "
        "throughout the whole window, as published, or throughout the days of the positives. An article that is never "
        "a negative is ranked too high: where the assortment changes, only ever learns it.",
    )
    negative_popularity: Annotated[float, Search()] = Field(
        default=0.0,
        ge=0,
        le=1,
        description="How often an article is drawn as a negative goes with this power of its interactions: 0 draws all "
        "equally often, as published; 1 draws them as often as they are chosen.",
    )
    loss: Annotated[LossName, Search()] = Field(default="sampled_softmax", description="The ranking loss.")
    rank_scale: PositiveFloat | Literal["articles/sampled"] = Field(
        default="articles/sampled",
        description="r of the loss; articles/sampled is one over how often a negative is drawn, so that sums over the "
        "sample estimate sums over all articles.",
    )
    l2_embedding: float = Field(
        default=0.0, ge=0, description="Weight of the embeddings' mean squared length in the loss."
    )
    l2_content: float = Field(
        default=0.0, ge=0, description="Weight of the content vectors' mean squared length in the loss."
    )

    batch_size: PositiveInt = Field(default=1024, description="Positives per step.")
    max_epochs: PositiveInt = Field(default=100, description="Passes over the positives at most.")
    patience: PositiveInt = Field(
        default=5, description="Epochs without a lower loss of the held-out customers before training stops."
    )
    validation_share: float = Field(
        default=0.1, ge=0, lt=1, description="Share of the customers held out to decide when training stops."
    )
    learning_rate: Annotated[PositiveFloat, Search(3e-4, 1e-2, log=True, content=True)] = Field(
        default=3e-3, description="Adam's step for the networks."
    )
    embedding_learning_rate: Annotated[PositiveFloat, Search(5e-3, 0.2, log=True)] = Field(
        default=0.05, description="Adagrad's step for the embeddings."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="Of the products of matrices in training; vectors and scores are always float32."
    )

    @classmethod
    def undated(cls, **changes: object) -> Self:
        """Settings that validation data without dates preferred to the defaults (docs/recommender_study.md).

        Only the last five interactions are read, because the order is all that is known of time, and negatives are
        drawn as often as they are chosen.
        """
        numbers: dict[str, object] = {"inputs_drawn": "last", "inputs": 5, "history": 5, "negative_popularity": 1.0}
        return cls.model_validate(numbers | changes)

    def amount(self, positives: int) -> Amount:
        """How many of so many positives an epoch passes, and how many epochs there are at most."""
        return Amount.of(
            positives, epoch=self.epoch_positives, most=self.max_positives, of_many=OF_MANY, max_epochs=self.max_epochs
        )

    @property
    def customer_columns(self) -> tuple[str, ...]:
        """The columns of the frame of customers that it reads."""
        return self.customer_attributes

    def sized(self, articles: int) -> Self:
        """The same config with a length of vectors, where it is left to the number of articles."""
        return self.model_copy(update={"factors": self.factors or factors_for(articles)})

    @classmethod
    def published(cls, **changes: object) -> Self:
        """The published training: Cardoso, Daolio and Vargas (KDD 2018), the section on recommendations.

        Vectors of 200; the last twelfth of the window as positives (a month of a year), 5 random interactions before
        each as input, customers with fewer than 6 discarded, 100 negatives for each positive, WMRB as printed, batches
        of 1,024, at most 100 epochs. What the paper does not say (widths, steps of the optimisers, patience) is fixed
        at what trained well.
        """
        numbers: dict[str, object] = {
            "factors": 200,
            "inputs": 5,
            "min_inputs": 5,
            "min_interactions": 6,
            "positives": "window",
            "positives_share": 1 / 12,
            "negatives": 100,
            "negative_sampling": "per_customer",
            "negatives_on_sale": "window",
            "negative_popularity": 0.0,
            "inputs_drawn": "random",
            "loss": "wmrb",
            "rank_scale": 1.0,
            "batch_size": 1024,
            "max_epochs": 100,
            "validation_share": 0.1,
            "dropout": 0.0,
            "hidden": (256,),
            "repeat_positives": True,
            "newest_positives": None,
            "epoch_positives": 1_000_000_000,
            "patience": 5,
            "learning_rate": 1e-3,
            "embedding_learning_rate": 0.05,
        }
        return cls.model_validate(numbers | changes)


DECLARATION = Declaration(
    name="hybrid",
    summary="Asymmetric factorisation over content and embeddings (Cardoso, Daolio, Vargas 2018).",
    config=HybridConfig,
    implementation="atelier.recommenders.factorisation.hybrid:Hybrid",
    reads_content=True,
    reasons_from_content=True,
    has_vectors=True,
)
