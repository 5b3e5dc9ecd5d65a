"""What the class of a recommender adds to what all of them share.

What belongs here: the attributes of every recommender and the methods that a model defines, or may define anew: how it
learns (`_fit`), what it keeps of a customer (`_profile`), how it ranks (`_ranker`), how it compares articles
(`_neighbour_ranker`). They work on numbers only, never on identifiers. What does not: what a caller asks of a
recommender (:mod:`atelier.recommenders.base`), any model.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
import pandas as pd

from atelier.bundles import Array
from atelier.catalogue import Catalogue
from atelier.ids import Codes, IdMap
from atelier.interactions import Interactions
from atelier.recommenders.config import RecommenderConfig
from atelier.recommenders.customer_profiles import CustomerProfiles
from atelier.recommenders.declaration import Declaration
from atelier.search.ragged import Indices, Mask, Pairs, Ranked

if TYPE_CHECKING:
    from atelier.nn.replicas import Replicas
    from atelier.nn.training_loop import Watch

Ranker = Callable[[Indices, Pairs], Ranked]
"""Ranks for rows of the profiles (int64 [n]), leaving out the given pairs of (place among these n, article)."""
NeighbourRanker = Callable[[Codes], Ranked]
"""Ranks the neighbours of articles (int32 [n]), themselves left out."""

ConfigT = TypeVar("ConfigT", bound=RecommenderConfig)


class AbstractRecommender(ABC, Generic[ConfigT]):
    """What a recommender holds, and the methods that its class adds.

    Args:
        config: None: all defaults.
        device: where to compute, as PyTorch names it, or ``auto``. It belongs to no bundle: what was trained on a GPU
            ranks on a processor too.

    Attributes:
        config: its settings.
        article_ids: every article of the training data or of the catalogue.
        in_stock: bool [n_articles]: in the catalogue and in stock (without a catalogue: all).
        ranked: bool [n_articles]: whether the model can rank it.
        customer_profiles: the customers it was trained with.
        weights: the trained arrays, by name, but for what belongs to a customer.
        training_state: a file in which a network that is trained step by step keeps its state, so that the same ``fit``
            resumes where the process was killed; None: nothing is kept. Models that are not trained so ignore it.
        watch: is told of each epoch of a network that is trained step by step, whose figures then hold ``ndcg``, the
            mean of 1 / log2(1 + rank) of interactions that were held out; what it raises ends the fit. The model is the
            same with and without it. None: nobody is told. Models that are not trained so ignore it.
        replicas: the processes that train the network together, each of which calls the same ``fit``; None: this one by
            itself. Only models that :attr:`trains_on_replicas` heed it.
    """

    declaration: ClassVar[Declaration]
    name: ClassVar[str]
    Config: ClassVar[type[RecommenderConfig]]

    def __init_subclass__(cls) -> None:
        """Take name and config from the declaration, where the class has one."""
        if declaration := vars(cls).get("declaration"):
            cls.name, cls.Config = declaration.name, declaration.config

    def __init__(self, config: ConfigT | None = None, device: str = "cpu") -> None:
        self.device = device
        self.config: ConfigT = config if config is not None else self.Config()  # type: ignore[assignment]
        self.article_ids: IdMap
        self.in_stock: Mask
        self.ranked: Mask
        self.customer_profiles: CustomerProfiles
        self.weights: dict[str, Array] = {}
        self.training_state: Path | None = None
        self.watch: Watch | None = None
        self.replicas: Replicas | None = None

    @property
    def ranks_unsold(self) -> bool:
        """Whether it can rank an article that nobody has interacted with."""
        return False

    @property
    def trains_on_replicas(self) -> bool:
        """Whether several processes can train it together (:attr:`replicas`)."""
        return False

    def _rankable(self, train: Interactions, catalogue: Catalogue | None) -> Mask:
        """Which articles the model can rank, bool [n_articles].

        These are those that occur in its training data and, where it ranks others too, those that have content.
        """
        rankable = self._described(catalogue)
        rankable[train.articles] = True
        return rankable

    def _described(self, catalogue: Catalogue | None) -> Mask:
        """Which articles have content that is read for lists, bool [n_articles]."""
        described = np.zeros(len(self.article_ids), dtype=bool)
        if self.ranks_unsold and catalogue is not None and catalogue.vectors is not None:
            described[self.article_ids.encode(catalogue.ids.values)] = catalogue.vectors.any(axis=1)
        return described

    def _preferred(self, interactions: Interactions, *, fitting: bool) -> Interactions:
        """The rows that speak for a preference; all of them, unless the model weighs rows.

        Args:
            interactions: rows of ``train_kinds``, at least one when fitting.
            fitting: whether they are trained on; otherwise they are histories for a model that was trained.
        """
        return interactions

    @abstractmethod
    def _fit(self, train: Interactions, catalogue: Catalogue | None, customers: Any) -> dict[str, Array]:
        """Train: fill ``weights`` and return the profiles, one row for each customer of ``train.customer_ids``.

        ``train.articles`` are numbers in ``article_ids``.
        """

    def _fit_with_returns(
        self, train: Interactions, everything: Interactions, catalogue: Catalogue | None, customers: Any
    ) -> dict[str, Array]:
        """As :meth:`_fit`, for a model that looks back at earlier days, when it was not yet known what is sent back.

        Args:
            train: what :meth:`_fit` reads: a purchase that was sent back at any time is not among these rows.
            everything: all rows that ``fit`` was given, of every kind, under their own numbers.
            catalogue: as :meth:`_fit` reads it.
            customers: likewise.
        """
        return self._fit(train, catalogue, customers)

    @abstractmethod
    def _profile(self, history: Interactions) -> dict[str, Array]:
        """The profiles of new customers, one row for each of ``history.customer_ids``."""

    def _attribute_profile(self, customers: Any, history: Interactions) -> dict[str, Array]:
        """What the profiles of new customers hold of their attributes: nothing, unless the model reads any.

        Args:
            customers: what was asked for: a frame, which may have columns of attributes, texts, or None.
            history: theirs; the profiles have a row for each of its ``customer_ids``.
        """
        return {}

    @abstractmethod
    def _ranker(self, profiles: dict[str, Array], eligible: Codes, k: int) -> Ranker:
        """Prepare to rank the ``eligible`` articles (ascending) for customers with these profiles."""

    @abstractmethod
    def _neighbour_ranker(self, eligible: Codes, k: int) -> NeighbourRanker:
        """Prepare to rank the ``eligible`` articles (ascending) as neighbours of articles."""

    def training_figures(self) -> dict[str, float | None]:
        """Key figures of the last fit, for example its best loss, by name; not part of the bundle."""
        return {}

    def training_curve(self) -> pd.DataFrame:
        """How well the model learned, after each step of its training that was looked at; part of the bundle.

        Returns:
            A row for each step, part of the data (``training``, ``held_out``) and figure (``loss``, ``auc``,
            ``precision``, ``recall``): ``step, part, figure, value``. No rows for a model without such figures.
        """
        return pd.DataFrame(columns=["step", "part", "figure", "value"])
