"""The configuration of ``hybrid``: what it reads, what it is trained on and how, and the published preset.

What belongs here: every number that can be chosen. What does not: what is learned from data.
"""

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt

from atelier.nn.ranking_losses import LossName
from atelier.recommenders.base import RecommenderConfig
from atelier.recommenders.vector_model import factors_for


class HybridConfig(RecommenderConfig):
    """Config of ``hybrid``. The defaults suit sparse data; :meth:`published` gives the paper's.

    They were chosen on days of real purchases that no figure is reported of (docs/recommender_study.md says what was
    tried); the loss too: there sampled softmax found as much as WMRB, and more where articles may be repeated.

    Attributes:
        mode: what an article's vector is made of: ``content``, ``collaborative`` (an embedding), or both, ``hybrid``.
        factors: length of the vectors; None: what suits the number of articles interacted with
            (:func:`~atelier.recommenders.vector_model.factors_for`).
        hidden: widths of the content network's hidden layers.
        dropout: share of its hidden units dropped in training.
        customer_attributes: columns of the frame of customers that a small network reads; numbers or texts.
        customer_hidden: width of that network's hidden layer.
        history: how many of a customer's last interactions make up their vector; None: all.
        inputs: how many interactions before the positive make up the customer's vector in training, at most.
        inputs_drawn: which of them: ``random`` ones, as published, or the ``last``.
        min_inputs: how many have to precede a positive.
        min_interactions: customers with fewer are not trained on.
        positives: ``window``: the interactions of the window's last part; ``last``: each customer's last ones;
            ``auto``: the window's where it has at least ``min_window_days``.
        positives_share: how large the last part is, of the window's days or of each customer's interactions; 1: every
            interaction that something precedes.
        epoch_positives: how many positives an epoch passes at most, chosen anew each time.
        min_window_days: see ``positives``.
        repeat_positives: whether an article that the customer had before can be a positive.
        negatives: how many articles that the customer never touched are held against a positive.
        negative_sampling: ``shared``: all examples of a batch have the same negatives, so that few vectors are
            computed; ``per_customer``: each has its own, as published.
        negatives_on_sale: which articles can be negatives: those interacted with at any time (``ever``), or only those
            on sale throughout the whole ``window``, as published, or throughout the days of the ``positives``. An
            article that is never a negative is ranked too high: where the assortment changes, only ``ever`` learns it.
        negative_popularity: how often an article is drawn as a negative goes with this power of its interactions: 0
            draws all equally often, as published; 1 draws them as often as they are chosen.
        loss: see :mod:`atelier.nn.ranking_losses`.
        rank_scale: r of the loss; ``articles/sampled`` is one over how often a negative is drawn, so that sums over
            the sample estimate sums over all articles.
        l2_embedding: weight of the embeddings' mean squared length in the loss.
        l2_content: weight of the content vectors' mean squared length in the loss.
        batch_size: positives per step.
        max_epochs: passes over the positives at most.
        patience: epochs without a lower loss of the held-out customers before training stops.
        validation_share: share of the customers held out to decide that.
        learning_rate: Adam's step for the networks.
        embedding_learning_rate: Adagrad's step for the embeddings.
        precision: of the products of matrices in training; vectors and scores are always float32.
    """

    mode: Literal["content", "collaborative", "hybrid"] = "hybrid"
    factors: PositiveInt | None = None
    hidden: tuple[PositiveInt, ...] = (256,)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    customer_attributes: tuple[str, ...] = ()
    customer_hidden: PositiveInt = 32
    history: PositiveInt | None = None

    inputs: PositiveInt = 5
    inputs_drawn: Literal["random", "last"] = "random"
    min_inputs: PositiveInt = 1
    min_interactions: int = Field(default=2, ge=2)
    positives: Literal["auto", "window", "last"] = "auto"
    positives_share: float = Field(default=1.0, gt=0, le=1)
    epoch_positives: PositiveInt = 1_000_000
    min_window_days: PositiveInt = 30
    repeat_positives: bool = True

    negatives: PositiveInt = 1000
    negative_sampling: Literal["shared", "per_customer"] = "shared"
    negatives_on_sale: Literal["ever", "window", "positives"] = "ever"
    negative_popularity: float = Field(default=0.0, ge=0, le=1)
    loss: LossName = "sampled_softmax"
    rank_scale: PositiveFloat | Literal["articles/sampled"] = "articles/sampled"
    l2_embedding: float = Field(default=0.0, ge=0)
    l2_content: float = Field(default=0.0, ge=0)

    batch_size: PositiveInt = 1024
    max_epochs: PositiveInt = 100
    patience: PositiveInt = 5
    validation_share: float = Field(default=0.1, ge=0, lt=1)
    learning_rate: PositiveFloat = 3e-3
    embedding_learning_rate: PositiveFloat = 0.05
    precision: Literal["float32", "bfloat16"] = "float32"

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
            "epoch_positives": 1_000_000_000,
            "patience": 5,
            "learning_rate": 1e-3,
            "embedding_learning_rate": 0.05,
        }
        return cls.model_validate(numbers | changes)
