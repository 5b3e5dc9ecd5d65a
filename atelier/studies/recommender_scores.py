"""How the lists of one fit of the recommender study are evaluated, and the stored result.

What belongs here: the result of one fit, the evaluation task that all models of a study share, and its scores. What
does not: which models are fitted (:mod:`atelier.studies.recommender_study`), formulas (:mod:`atelier.metrics`).
"""

import base64
import warnings
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
from atelier.errors import AtelierError, NothingInCommonWarning
from atelier.ids import IdMap, column
from atelier.interactions import Interactions
from atelier.metrics import ACCURACY, PURCHASE, TRAIN_KINDS, article_segments, evaluate, per_customer
from atelier.metrics.segments import ACTIVITY_SEGMENTS, ALL, ARTICLE_SEGMENTS, activity_codes

Floats = NDArray[np.float64]

#: The metrics of each fit; those from coverage on have no value for a single customer here.
METRICS = ("precision", "recall", "hit_rate", "ndcg", "coverage", "overlap", "personalization", "novelty")
SEGMENTS = (ALL, *ACTIVITY_SEGMENTS, *ARTICLE_SEGMENTS)


class StudyError(AtelierError, ValueError):
    """A study cannot be run on the given data, or results of different studies were mixed."""


class RecommenderFitResult(BaseModel):
    """One fit and its evaluation. Immutable; it holds no identifier of a customer.

    Attributes:
        model: its name in the plan.
        share: the share of the training interactions that it was fitted on.
        seed: of the fit and of the sampled interactions; None: the fit is deterministic and serves for all seeds.
        k: the list length at which models are compared.
        tested: whether :func:`atelier.studies.recommender_tables.paired_tests_of` compares it; False for a ceiling.
        interactions: the number of interactions that it was fitted on.
        served: for how many of the evaluated customers it ranked itself; the others got the fallback's lists.
        judged: the number of evaluated customers; each has a list.
        seconds: processor seconds of the fit.
        ranking_seconds: processor seconds of making the lists.
        epochs: passes over the data; None for a model without epochs.
        scores: columns segment, metric, k, value, standard_error, customers, as :func:`atelier.metrics.evaluate` gives
            them; null where undefined.
        packed: the value of each customer, in the order of their ids, by segment and ``metric@k``, encoded as text;
            :meth:`values` reads it.
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
        """The value of each evaluated customer of a segment, in the order of their ids.

        Args:
            metric: one of :data:`METRICS`.
            k: the list length; None: the one at which models are compared.
            segment: one of :data:`SEGMENTS`.

        Returns:
            float64 [customers]; None for a metric that is not a mean over customers.
        """
        found = self.packed.get(segment, {}).get(f"{metric}@{k or self.k}")
        return None if found is None else unpacked(found)


@dataclass(frozen=True, eq=False)
class EvaluationTask:
    """The evaluation that all models of a study share: the customers, the truth, and what counts as seen.

    Attributes:
        customers: the customers for whom lists are made: text, sorted.
        train: all interactions before the lists, whatever share of them a model was fitted on: they determine what was
            seen, which customers are active, and which articles are warm, cold and new.
        truths: what customers did after that, by segment of articles and as a whole.
        catalogue: the articles of which coverage is a share: ``article_id``.
        activity: the position in ``ACTIVITY_SEGMENTS`` of each of ``customers``.
        ks: the lengths of lists, ascending.
        exclude_seen: whether lists and truth leave out earlier purchases.
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
        customers: Any = None,
        candidates: Any = None,
    ) -> Self:
        """The evaluation task; arguments as for :func:`atelier.studies.recommender_study.run_study`.

        Raises:
            StudyError: no customer has both history and truth.
        """
        evaluated = evaluated_customers(train, truth, customers)
        history = train.of_kinds(TRAIN_KINDS)
        counts = pd.Series(
            np.bincount(history.customers, minlength=len(history.customer_ids)),
            index=history.customer_ids.values.to_pandas(),
        )
        return cls(
            evaluated,
            train,
            {ALL: truth, **_by_article(truth, train)},
            _articles(train, catalogue, candidates),
            activity_codes(counts.reindex(evaluated).to_numpy()),
            ks,
            exclude_seen,
        )

    @property
    def seen(self) -> Interactions:
        """The interactions that make an article seen."""
        return self.train.of_kinds(PURCHASE)

    def scores(self, lists: pd.DataFrame) -> dict[str, list[Any]]:
        """The scores of the lists as columns: see :class:`RecommenderFitResult`."""
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
            with warnings.catch_warnings():
                if segment != ALL:  # lists may well have nothing in common with the cold articles that were bought
                    warnings.simplefilter("ignore", NothingInCommonWarning)
                names, values = self._values(lists, truth)
            parts[segment] = _packed(values, self.ks)
            if segment == ALL:
                positions = self.activity[self.customers.get_indexer(names)]
                for position, activity in enumerate(ACTIVITY_SEGMENTS):
                    parts[activity] = _packed(values[positions == position], self.ks)
        return parts

    def _values(self, lists: pd.DataFrame, truth: Interactions) -> tuple[pd.Index, Floats]:
        """Customers with a relevant article, ascending, and their values [customers, metrics, ks]."""
        table = per_customer(
            lists, truth, self.ks, train=self.train, exclude_seen=self.exclude_seen, customers=self.customers
        )
        shape = (-1, len(ACCURACY), len(self.ks))
        return pd.Index(table["customer_id"].cat.categories), table["value"].to_numpy(np.float64).reshape(shape)


def evaluated_customers(train: Any, truth: Any, customers: Any = None) -> pd.Index:
    """The customers of a study: those with a purchase in the truth and history in training; text, sorted.

    Args:
        train: :class:`Interactions` or a frame of them.
        truth: the same, of the days of the evaluation.
        customers: only these (texts, or a frame with ``customer_id``); None: all.

    Raises:
        StudyError: there are none.
    """
    history = Interactions.from_frame(train).of_kinds(TRAIN_KINDS).customer_ids.values
    found = Interactions.from_frame(truth).of_kinds(PURCHASE).customer_ids.values
    found = found.filter(pc.is_in(found, value_set=history))
    if customers is not None:
        chosen = IdMap.from_values(column(customers, "customer_id"), "customer_id").values
        found = found.filter(pc.is_in(found, value_set=chosen))
    if not len(found):
        raise StudyError(
            "no customer can be evaluated: none has a purchase in the truth and an interaction in training; "
            "take a longer truth, or another day"
        )
    ids: pd.Index = pd.Index(found.to_pandas().astype("str"))  # an IdMap sorts them
    return ids


def score_lists(lists: pd.DataFrame, task: EvaluationTask, **fields: Any) -> RecommenderFitResult:
    """The result of a fit from its lists.

    Args:
        lists: customer_id, article_id, rank.
        task: the evaluation task.
        fields: the other fields of :class:`RecommenderFitResult`.
    """
    return RecommenderFitResult(
        judged=len(task.customers), scores=task.scores(lists), packed=task.packed(lists), **fields
    )


def unpacked(text: str) -> Floats:
    """The values that :func:`_packed` encoded: float64 [customers]."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<f8").astype(np.float64)


def _packed(values: Floats, ks: Sequence[int]) -> dict[str, str]:
    """Values [customers, metrics, ks] as text by ``metric@k``, compressed: few of the values differ."""
    return {
        f"{metric}@{k}": base64.b64encode(zlib.compress(values[:, m, i].astype("<f8").tobytes())).decode()
        for m, metric in enumerate(ACCURACY)
        if metric in METRICS
        for i, k in enumerate(ks)
    }


def _by_article(truth: Interactions, train: Interactions) -> dict[str, Interactions]:
    """The truth by segment of its articles."""
    articles = pd.DataFrame({"article_id": truth.article_ids.values.to_pandas()})
    segments = article_segments(articles, train).set_index("article_id")["segment"]
    of_row = segments.reindex(articles["article_id"]).to_numpy()[truth.articles]
    return {name: truth.rows(of_row == name) for name in ARTICLE_SEGMENTS}


def _articles(train: Interactions, catalogue: Catalogue | None, candidates: Any) -> pd.DataFrame:
    """The articles of which coverage is a share: the candidates, else the catalogue, else those of training."""
    if candidates is not None:
        ids = IdMap.from_values(column(candidates, "article_id"), "article_id")
    else:
        ids = train.article_ids if catalogue is None else catalogue.ids
    return pd.DataFrame({"article_id": ids.values.to_pandas()})
