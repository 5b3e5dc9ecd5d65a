"""How one set of lists of the recommender study is judged, and what is kept of it.

What belongs here: the result of one fit, the question that all models of a study are asked, and its figures. What does
not: which models are fitted (:mod:`atelier.studies.recommender_study`), formulas (:mod:`atelier.metrics`).
"""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from atelier.catalogue import Catalogue
from atelier.errors import AtelierError
from atelier.ids import IdMap, column
from atelier.interactions import Interactions
from atelier.metrics import ACCURACY, PURCHASE, TRAIN_KINDS, article_segments, evaluate, per_customer
from atelier.metrics.segments import ACTIVITY_SEGMENTS, ALL, ARTICLE_SEGMENTS, activity_places

Floats = NDArray[np.float64]

#: What is told of each fit; the last one has no value of a single customer.
METRICS = ("precision", "recall", "hit_rate", "ndcg", "coverage")
SEGMENTS = (ALL, *ACTIVITY_SEGMENTS, *ARTICLE_SEGMENTS)


class StudyError(AtelierError, ValueError):
    """A study cannot be made of what was given, or its results do not belong together."""


class RecommenderFitResult(BaseModel):
    """One fit and its judgement. Immutable; it holds no identifier of a customer.

    Attributes:
        model: its name in the plan.
        share: of the training interactions it was given.
        seed: of the fit and of the interactions kept; None: nothing in it was random, so it stands for every seed.
        k: the list length that models are compared at.
        tested: whether :func:`atelier.studies.recommender_study.paired_tests_of` compares it; not so for a ceiling.
        interactions: how many it was given.
        served: for how many of the judged customers it ranked itself; the others got the fallback's lists.
        judged: how many customers got a list.
        seconds: of the processor, for the fit.
        ranking_seconds: of the processor, for the lists.
        epochs: passes over the data, where it makes any.
        scores: columns segment, metric, k, value, standard_error, customers, as :func:`atelier.metrics.evaluate` gives
            them; null where undefined.
        packed: by segment and ``metric@k`` the value of each customer, in the order of their ids; read by
            :meth:`values`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    share: float = 1.0
    seed: int | None = None
    k: int
    tested: bool = True
    interactions: int = 0
    served: int = 0
    judged: int = 0
    seconds: float = 0.0
    ranking_seconds: float = 0.0
    epochs: int | None = None
    scores: dict[str, list[Any]]
    packed: dict[str, dict[str, str]]

    def values(self, metric: str = "precision", k: int | None = None, segment: str = ALL) -> Floats | None:
        """The value of each customer judged in a segment, in the order of their ids.

        Args:
            metric: one of :data:`METRICS`.
            k: the list length; None: the one that models are compared at.
            segment: one of :data:`SEGMENTS`.

        Returns:
            float64 [customers]; None for what is no mean over customers.
        """
        found = self.packed.get(segment, {}).get(f"{metric}@{k or self.k}")
        return None if found is None else unpacked(found)


@dataclass(frozen=True, eq=False)
class EvaluationTask:
    """What every model of a study is asked: for whom, what is right, and what counts as seen.

    Attributes:
        customers: whom lists are made for: text, sorted.
        train: all that was known when the lists are made, whatever share of it a model was given: it says what was
            seen, who is active and which articles are warm, cold and new.
        truths: what customers did then, by segment of articles and as a whole.
        catalogue: article_id of all that coverage is a share of.
        activity: the place in ``ACTIVITY_SEGMENTS`` of each of ``customers``.
        ks: the lengths of lists, ascending.
        exclude_seen: whether what was purchased before is left out of lists and of what is right.
    """

    customers: pd.Index
    train: Interactions
    truths: dict[str, Interactions]
    catalogue: pd.DataFrame
    activity: NDArray[np.integer[Any]]
    ks: tuple[int, ...]
    exclude_seen: bool

    @classmethod
    def of(
        cls,
        train: Interactions,
        truth: Interactions,
        ks: tuple[int, ...],
        *,
        exclude_seen: bool,
        catalogue: Catalogue | None = None,
        judged: Any = None,
        candidates: Any = None,
    ) -> Self:
        """The question; arguments as for :func:`atelier.studies.recommender_study.run_study`.

        Raises:
            StudyError: nobody has both history and truth.
        """
        customers = judged_customers(train, truth, judged)
        history = train.of_kinds(TRAIN_KINDS)
        counts = pd.Series(
            np.bincount(history.customers, minlength=len(history.customer_ids)),
            index=history.customer_ids.values.to_pandas(),
        )
        return cls(
            customers,
            train,
            {ALL: truth, **_by_article(truth, train)},
            _articles(train, catalogue, candidates),
            activity_places(counts.reindex(customers).to_numpy()),
            ks,
            exclude_seen,
        )

    @property
    def seen(self) -> Interactions:
        """The interactions that make an article seen."""
        return self.train.of_kinds(PURCHASE)

    def scores(self, lists: pd.DataFrame) -> dict[str, list[Any]]:
        """The figures of the lists as columns: see :class:`RecommenderFitResult`."""
        table = evaluate(
            lists,
            self.truths[ALL],
            self.ks,
            train=self.train,
            catalogue=self.catalogue,
            exclude_seen=self.exclude_seen,
            customers=self.customers,
            attribute=None,
        )
        table = table[table["metric"].isin(METRICS) & table["segment"].isin(SEGMENTS)]
        order = table["segment"].map(SEGMENTS.index).to_numpy(), table["metric"].map(METRICS.index).to_numpy()
        table = table.iloc[np.lexsort((table["k"], order[1], order[0]))]
        columns = ("segment", "metric", "k", "value", "standard_error", "customers")
        return {name: [None if value is pd.NA else value for value in table[name].tolist()] for name in columns}

    def packed(self, lists: pd.DataFrame) -> dict[str, dict[str, str]]:
        """The values of each customer by segment and metric: see :class:`RecommenderFitResult`."""
        parts: dict[str, dict[str, str]] = {}
        for segment, truth in self.truths.items():
            names, values = self._values(lists, truth)
            parts[segment] = _packed(values, self.ks)
            if segment == ALL:
                places = self.activity[self.customers.get_indexer(names)]
                for place, activity in enumerate(ACTIVITY_SEGMENTS):
                    parts[activity] = _packed(values[places == place], self.ks)
        return parts

    def _values(self, lists: pd.DataFrame, truth: Interactions) -> tuple[pd.Index, Floats]:
        """Customers with a relevant article, ascending, and their values [customers, metrics, ks]."""
        table = per_customer(
            lists, truth, self.ks, train=self.train, exclude_seen=self.exclude_seen, customers=self.customers
        )
        shape = (-1, len(ACCURACY), len(self.ks))
        return pd.Index(table["customer_id"].cat.categories), table["value"].to_numpy(np.float64).reshape(shape)


def judged_customers(train: Any, truth: Any, judged: Any = None) -> pd.Index:
    """Whom a study ranks for: customers with a purchase in the truth and history in training; text, sorted.

    Args:
        train: :class:`Interactions` or a frame of them.
        truth: the same, of the time that is judged.
        judged: only these (texts, or a frame with ``customer_id``); None: all.

    Raises:
        StudyError: there is nobody.
    """
    history = Interactions.from_frame(train).of_kinds(TRAIN_KINDS).customer_ids.values
    found = Interactions.from_frame(truth).of_kinds(PURCHASE).customer_ids.values
    found = found.filter(pc.is_in(found, value_set=history))
    if judged is not None:
        asked = IdMap.from_values(column(judged, "customer_id"), "customer_id").values
        found = found.filter(pc.is_in(found, value_set=asked))
    if not len(found):
        raise StudyError(
            "nobody can be judged: no customer has a purchase in the truth and an interaction in training; "
            "take a longer truth, or another day"
        )
    ids: pd.Index = pd.Index(found.to_pandas().astype("str"))  # sorted, as those of an IdMap are
    return ids


def score_lists(lists: pd.DataFrame, task: EvaluationTask, **told: Any) -> RecommenderFitResult:
    """The result of a fit from its lists.

    Args:
        lists: customer_id, article_id, rank.
        task: what was asked.
        told: the other fields of :class:`RecommenderFitResult`.
    """
    return RecommenderFitResult(
        judged=len(task.customers), scores=task.scores(lists), packed=task.packed(lists), **told
    )


def unpacked(text: str) -> Floats:
    """The numbers of :func:`_packed`."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<f8").astype(np.float64)


def _packed(values: Floats, ks: Sequence[int]) -> dict[str, str]:
    """Values [customers, metrics, ks] as text by ``metric@k``: they are few different ones, so it is short."""
    return {
        f"{metric}@{k}": base64.b64encode(zlib.compress(values[:, m, i].astype("<f8").tobytes())).decode()
        for m, metric in enumerate(ACCURACY)
        if metric in METRICS
        for i, k in enumerate(ks)
    }


def _by_article(truth: Interactions, train: Interactions) -> dict[str, Interactions]:
    """The truth of the articles of each segment."""
    articles = pd.DataFrame({"article_id": truth.article_ids.values.to_pandas()})
    segments = article_segments(articles, train).set_index("article_id")["segment"]
    of_row = segments.reindex(articles["article_id"]).to_numpy()[truth.articles]
    return {name: truth.rows(of_row == name) for name in ARTICLE_SEGMENTS}


def _articles(train: Interactions, catalogue: Catalogue | None, candidates: Any) -> pd.DataFrame:
    """What coverage is a share of: the candidates, else the catalogue, else what was trained on."""
    if candidates is not None:
        ids = IdMap.from_values(column(candidates, "article_id"), "article_id")
    else:
        ids = train.article_ids if catalogue is None else catalogue.ids
    return pd.DataFrame({"article_id": ids.values.to_pandas()})
