"""Training examples: for each positive some of the interactions before it, and negatives.

What belongs here: which articles can be negatives, and sampling inputs and negatives in batches. What does not: models,
losses. Everything is arrays in compressed rows, without a loop over customers or rows.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atelier.catalogue import Catalogue, CatalogueError
from atelier.frames import days
from atelier.ids import Codes, IdMap
from atelier.interactions import Interactions
from atelier.recommenders.training_data.positives import Window
from atelier.search.ragged import Indices, Mask, RaggedLists

ROUNDS = 20
"""How often a negative that the customer has interacted with is drawn again before it is left out."""


class TrainingBatch(NamedTuple):
    """b examples as article numbers.

    Attributes:
        customers: int32 [b].
        inputs: int32 [b, inputs]: articles of interactions before the positive; −1 where there are fewer.
        positives: int32 [b].
        negatives: int32 [n] shared by all, or [b, n].
        valid: bool [b, n]: whether a negative counts for an example.
        importance: float32, shaped as ``negatives``: the importance weight of each, one over its expected count.
    """

    customers: Codes
    inputs: Codes
    positives: Codes
    negatives: Codes
    valid: Mask
    importance: npt.NDArray[np.float32]

    def of(self, rows: slice) -> "TrainingBatch":
        """Some of the examples; negatives that all share stay all."""
        customers, inputs, positives, negatives, valid, importance = self
        if negatives.ndim > 1:
            negatives, importance = negatives[rows], importance[rows]
        return TrainingBatch(customers[rows], inputs[rows], positives[rows], negatives, valid[rows], importance)


def negative_pool(
    interactions: Interactions, catalogue: Catalogue | None, window: Window | None, rankable: Mask, needed: int
) -> Codes:
    """The articles that can be negatives, ascending: on sale throughout the window.

    Without dates of sale (``available_from``, ``available_until``) the articles with interactions count as on sale.
    Where fewer than ``needed`` were on sale throughout, the articles with interactions are taken.

    Args:
        interactions: the training interactions.
        catalogue: has the dates since and until when articles are sold.
        window: the days throughout which articles have to be on sale; None: the interactions have no dates.
        rankable: bool [n_articles], which articles the model can rank at all.
        needed: the number of negatives of an example.
    """
    sold = np.zeros(len(interactions.article_ids), dtype=bool)
    sold[interactions.articles] = True
    pool = np.flatnonzero(sold & rankable).astype(np.int32)
    if catalogue is None or window is None or "available_from" not in catalogue.frame:
        return pool
    throughout = np.flatnonzero(_on_sale(catalogue, window, interactions.article_ids) & rankable).astype(np.int32)
    return throughout if len(throughout) >= min(needed, len(pool)) else pool


def _on_sale(catalogue: Catalogue, window: Window, article_ids: IdMap) -> Mask:
    """Which articles were on sale on every day of a window: bool [n_articles]; False for those never on sale."""
    first = _days(catalogue, "available_from")
    throughout = first <= window.first  # False for NaT
    if "available_until" in catalogue.frame:
        last = _days(catalogue, "available_until")
        throughout &= np.isnat(last) | (last >= window.last)
    on_sale = np.zeros(len(article_ids), dtype=bool)
    on_sale[article_ids.encode(catalogue.ids.values)] = throughout
    return on_sale


def _days(catalogue: Catalogue, name: str) -> npt.NDArray[np.datetime64]:
    """The days of a column of the catalogue, datetime64[D], NaT where there is none."""
    return np.asarray(days(catalogue.frame[name], name, CatalogueError).to_numpy(zero_copy_only=False), "datetime64[D]")


class SharedNegatives:
    """Draws negatives that all examples of a batch share.

    If all articles are equally likely, the number drawn is fixed. Otherwise each article is drawn independently
    (Poisson sampling) and only the expected number is fixed, because then the inclusion probabilities are known
    exactly.

    Args:
        pool: int32, ascending: articles that can be negatives.
        counts: int [pool]: how often each was interacted with.
        negatives: how many are drawn; at most the size of the pool.
        popularity: an article is drawn in proportion to its count to the power of this.

    Attributes:
        importance: float32 [pool]: one over how often each article of the pool is drawn.
    """

    def __init__(self, pool: Codes, counts: npt.NDArray[np.integer], negatives: int, popularity: float) -> None:
        self._pool, self._size, self._uniform = pool, min(negatives, len(pool)), popularity == 0
        self._often = _inclusion(np.maximum(counts, 1.0) ** popularity, negatives)
        self.importance = (1 / self._often).astype(np.float32)

    def draw(self, random: np.random.Generator) -> Indices:
        """The positions in the pool of the articles drawn, ascending, each once."""
        if self._uniform:
            return np.sort(random.choice(len(self._pool), self._size, replace=False, shuffle=False))
        return np.flatnonzero(random.random(len(self._pool)) < self._often)


class Sampler:
    """Draws examples for positives.

    Args:
        interactions: the training interactions, of which inputs are drawn; no article of a customer's interactions is
            a negative for that customer.
        pool: int32, ascending: articles that can be negatives.
        inputs: the number of inputs of an example, at most.
        last: whether these are the last interactions before the positive; otherwise a random subset of those before it.
        negatives: the number of negatives of an example; at most the size of the pool where they are shared.
        shared: whether all examples of a batch have the same negatives. Those that a customer has interacted with do
            not count for that customer.
        popularity: an article is drawn in proportion to its number of interactions to the power of this.
    """

    def __init__(
        self,
        interactions: Interactions,
        pool: Codes,
        *,
        inputs: int,
        negatives: int,
        shared: bool,
        last: bool = False,
        popularity: float = 0.0,
    ) -> None:
        customers, articles = len(interactions.customer_ids), len(interactions.article_ids)
        self._customers, self._articles = interactions.customers, interactions.articles
        starts = np.zeros(customers + 1, dtype=np.int64)
        np.cumsum(np.bincount(self._customers, minlength=customers), out=starts[1:])
        self._starts = starts
        self._touched = RaggedLists.distinct(self._customers, self._articles, (customers, articles))
        self._pool, self._n_articles = pool, articles
        self._inputs, self._negatives = inputs, negatives
        self._chosen_inputs = _latest if last else _subsets
        counts = np.bincount(self._articles, minlength=articles)[pool]
        weights = np.maximum(counts, 1.0) ** popularity
        self._common = SharedNegatives(pool, counts, negatives, popularity) if shared else None
        self._often = negatives * weights / weights.sum()
        self._drawn_share = np.zeros(articles)
        self._drawn_share[pool] = weights / weights.sum()
        self._uniform = popularity == 0

    @property
    def articles(self) -> Indices:
        """The articles of the interactions, int64, ascending."""
        return np.flatnonzero(np.bincount(self._articles, minlength=self._n_articles))

    def batch(self, rows: Indices, random: np.random.Generator) -> TrainingBatch:
        """Examples for some positives.

        Args:
            rows: int64 [b], the positives as rows of the interactions.
            random: the generator with which inputs and negatives are drawn.
        """
        customers = self._customers[rows]
        first = self._starts[customers]
        chosen = self._chosen_inputs(rows - first, self._inputs, random)  # [b, inputs]
        inputs = np.where(chosen >= 0, self._articles[first[:, None] + np.maximum(chosen, 0)], np.int32(-1))
        if self._common is not None:
            negatives, valid = self._shared_negatives(self._common, customers, random)
        else:
            negatives, valid = self._own_negatives(customers, random)
        return TrainingBatch(
            customers, inputs, self._articles[rows], negatives, valid, self._importance(customers, negatives)
        )

    def _importance(self, customers: Codes, negatives: Codes) -> npt.NDArray[np.float32]:
        """One over the expected number of times that each negative is drawn."""
        places = np.searchsorted(self._pool, negatives)
        if self._common is not None:
            return self._common.importance[places]
        # A customer's own articles are drawn again, so that all others are drawn more often.
        touched = self._touched.of(customers)
        share = np.bincount(touched.rows, self._drawn_share[touched.codes], minlength=len(customers))
        importance: npt.NDArray[np.float64] = 1 / self._often[places] * np.maximum(1 - share, 0)[:, None]
        return importance.astype(np.float32)

    def _shared_negatives(
        self, common: SharedNegatives, customers: Codes, random: np.random.Generator
    ) -> tuple[Codes, Mask]:
        """Distinct articles for all customers, and the customers for whom each counts."""
        negatives = self._pool[common.draw(random)]
        column = np.full(self._n_articles, -1, dtype=np.int64)
        column[negatives] = np.arange(len(negatives))
        touched = self._touched.of(customers)
        touched = touched.where(column[touched.codes] >= 0)
        valid = np.ones((len(customers), len(negatives)), dtype=bool)
        valid[touched.rows, column[touched.codes]] = False
        return negatives, valid

    def _drawn(self, random: np.random.Generator, shape: tuple[int, ...]) -> Codes:
        """Articles of the pool, each drawn independently."""
        if self._uniform:
            return self._pool[random.integers(0, len(self._pool), shape)]
        return self._pool[random.choice(len(self._pool), shape, p=self._often / self._often.sum())]

    def _own_negatives(self, customers: Codes, random: np.random.Generator) -> tuple[Codes, Mask]:
        """Articles drawn for each customer, and whether each counts: False for one of the customer's own articles."""
        shape = (len(customers), self._negatives)
        pairs = self._touched.of(customers)
        touched = pairs.rows * self._n_articles + pairs.codes  # ascending: both the rows and the codes within each
        negatives = self._drawn(random, shape)
        rows = np.arange(len(customers), dtype=np.int64)[:, None] * self._n_articles
        hit = _among(rows + negatives, touched)
        for _ in range(ROUNDS):
            again = np.nonzero(hit)
            if not len(again[0]):
                break
            negatives[again] = self._drawn(random, (len(again[0]),))
            hit[again] = _among(again[0] * self._n_articles + negatives[again], touched)
        return negatives, ~hit


def _among(keys: npt.NDArray[np.int64], ascending: npt.NDArray[np.int64]) -> Mask:
    """Whether each key is in the sorted array."""
    if not len(ascending):
        return np.zeros(keys.shape, dtype=bool)
    position = np.minimum(np.searchsorted(ascending, keys), len(ascending) - 1)
    found: Mask = ascending[position] == keys
    return found


def _inclusion(weights: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    """Inclusion probabilities min(1, τ weight), with the τ for which their sum, the expected sample size, is ``size``.

    Source: C.-E. Särndal, B. Swensson, J. Wretman, Model Assisted Survey Sampling, 1992, section 3.6.1.
    """
    share = np.ones(len(weights))
    certain = np.zeros(len(weights), dtype=bool)
    while certain.sum() < min(size, len(weights)):
        share = np.where(certain, 1.0, (size - certain.sum()) * weights / weights[~certain].sum())
        if not (share > 1).any():
            return share
        certain = share >= 1
    return np.minimum(share, 1.0)


def _latest(sizes: Indices, m: int, random: np.random.Generator) -> Indices:
    """For each of n sizes the ``m`` largest numbers below it, int64 [n, m]; −1 where there are fewer.

    ``random`` is not used: the function has the signature of :func:`_subsets`.
    """
    latest: Indices = np.maximum(sizes[:, None] - 1 - np.arange(m), -1)
    return latest


def _subsets(sizes: Indices, m: int, random: np.random.Generator) -> Indices:
    """For each of n sizes a random subset of ``m`` numbers below it, each subset equally likely.

    Source: R. Floyd's algorithm, in J. Bentley, Programming Pearls: A Sample of Brilliance, CACM 1987, one draw at a
    time for all rows.

    Returns:
        int64 [n, m], in no particular order; where there are fewer than ``m`` numbers, all of them and −1.
    """
    chosen = np.full((len(sizes), m), -1, dtype=np.int64)
    for step in range(m):
        top = np.where(sizes > m, sizes - m + step, step)  # the largest number of this step
        drawn = random.integers(0, np.maximum(top, 0) + 1)
        taken = (chosen[:, :step] == drawn[:, None]).any(axis=1)
        number = np.where(taken | (sizes <= m), top, drawn)
        chosen[:, step] = np.where(number < sizes, number, -1)
    return chosen
