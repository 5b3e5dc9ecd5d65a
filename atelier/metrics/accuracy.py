"""How well lists foresee what customers did: precision, recall, hit rate, NDCG, MAP, MRR.

What belongs here: the formulas of accuracy, for each customer (or any other group of relevant pairs). What does not:
means over customers and segments (:mod:`atelier.metrics.evaluate`).

For a customer with relevant set R and list L of length k (absent ranks are misses, k stays the divisor):

- precision@k = |L∩R| / k; recall@k = |L∩R| / |R|; hit_rate@k = 1 where L∩R is not empty, else 0
- ndcg@k = Σ_{hits} 1/log2(rank + 1) over the same sum for the ranks 1 … min(k, |R|) (Järvelin & Kekäläinen 2002,
  binary gains)
- map@k = Σ_{hits} precision@rank / min(k, |R|)
- mrr@k = 1 / rank of the first hit, 0 without one

Other libraries divide NDCG and MAP by other numbers; :class:`Divisors` offers these.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from atelier.metrics.encoding import PURCHASE, Floats, Ints, MetricsError, lengths
from atelier.metrics.lists import find_hits, prepare

ACCURACY = ("precision", "recall", "hit_rate", "ndcg", "map", "mrr")


MapBy = Literal["reachable", "relevant", "k"]
NdcgIdeal = Literal["reachable", "k"]


class Divisors(NamedTuple):
    """What the sums of NDCG and MAP are divided by.

    Attributes:
        map_by: ``reachable``: min(k, |R|), so that 1 can be reached; ``relevant``: |R|, as RecTools and scikit-learn's
            average precision; ``k``: k, as RecTools with ``divide_by_k``.
        ndcg_ideal: ``reachable``: the gains of a list whose ranks 1 … min(k, |R|) are hits; ``k``: those of k hits, the
            same for everybody, as RecTools by default.
    """

    map_by: MapBy = "reachable"
    ndcg_ideal: NdcgIdeal = "reachable"

    @classmethod
    def of(cls, map_by: str, ndcg_ideal: str) -> "Divisors":
        """The divisors of these names.

        Raises:
            MetricsError: there are none of that name.
        """
        for name, given, known in (("map_by", map_by, MapBy), ("ndcg_ideal", ndcg_ideal, NdcgIdeal)):
            if given not in get_args(known):
                raise MetricsError(f"{name} is {given!r}; there are {', '.join(get_args(known))}")
        return cls(map_by, ndcg_ideal)  # type: ignore[arg-type]


REACHABLE = Divisors()
"""What 1 can be reached by, whatever k and |R|: the default."""


def group_metrics(group: Ints, rank: Ints, relevant: Ints, ks: Sequence[int], divisors: Divisors = REACHABLE) -> Floats:
    """The six metrics of each group of relevant pairs.

    Args:
        group: the group of each hit, 0 … groups − 1. [hits]
        rank: the rank of each hit, from 1; at most one hit for each group and rank. [hits]
        relevant: |R| of each group, at least 1. [groups]
        ks: the list lengths, ascending.
        divisors: of NDCG and MAP.

    Returns:
        float64 [len(ACCURACY), len(ks), groups].
    """
    longest = ks[-1]
    values = np.zeros((len(ACCURACY), len(ks), len(relevant)))  # 0 wherever nothing was hit
    hits = np.bincount(group, minlength=len(relevant))
    hit, group = np.flatnonzero(hits), (np.cumsum(hits > 0) - 1)[group]
    hits, relevant, n = hits[hit], relevant[hit], len(hit)
    discount = 1.0 / np.log2(np.arange(2, longest + 2))
    ideal = discount.cumsum()
    order = np.argsort(group * np.int64(longest) + rank)
    group, rank = group[order], rank[order]
    before = np.cumsum(hits) - hits
    nth = np.arange(len(group)) - before[group] + 1  # which hit of its group it is, from 1
    first = rank[nth == 1]
    for i, k in enumerate(ks):
        best, inside = np.minimum(relevant, k), rank <= k
        groups, ranks = group[inside], rank[inside]
        found = np.bincount(groups, minlength=n)
        values[0, i, hit] = found / k
        values[1, i, hit] = found / relevant
        values[2, i, hit] = found > 0
        most = best if divisors.ndcg_ideal == "reachable" else k
        values[3, i, hit] = np.bincount(groups, discount[ranks - 1], minlength=n) / ideal[most - 1]
        parts = {"reachable": best, "relevant": relevant, "k": np.full(n, k)}[divisors.map_by]
        values[4, i, hit] = np.bincount(groups, nth[inside] / ranks, minlength=n) / parts
        values[5, i, hit] = np.where(first <= k, 1.0 / first, 0.0)
    return values


def per_customer(
    recs: Any,
    truth: Any,
    k: int | Iterable[int] = (10, 20),
    *,
    train: Any = None,
    exclude_seen: bool = False,
    truth_kinds: Sequence[str] = PURCHASE,
    seen_kinds: Sequence[str] = PURCHASE,
    customers: Iterable[Any] | None = None,
    map_by: MapBy = "reachable",
    ndcg_ideal: NdcgIdeal = "reachable",
) -> pd.DataFrame:
    """The six metrics of accuracy for every customer whose relevant set is not empty.

    Arguments as in :func:`atelier.metrics.evaluate`.

    Returns:
        customer_id (categorical), metric (categorical), k (int32), value (float64, never null), sorted by customer,
        then metric as in :data:`ACCURACY`, then k. A customer without a list has value 0 throughout.

    Raises:
        MetricsError: a column is missing, an identifier null, a rank given twice or below 1, no k, ``exclude_seen``
            without ``train``, or identifiers are texts here and numbers there.
    """
    ks, divisors = lengths(k), Divisors.of(map_by, ndcg_ideal)
    inputs = prepare(recs, truth, ks[-1], train, exclude_seen, truth_kinds, seen_kinds, customers)
    evaluated, group, relevant = np.unique(inputs.truth.customers, return_inverse=True, return_counts=True)
    hits = find_hits(inputs.truth, inputs.lists)
    values = group_metrics(group[hits.pair], hits.rank, relevant, ks, divisors)
    names = inputs.customer_ids.take(evaluated)
    rows = len(ACCURACY) * len(ks)
    return pd.DataFrame(
        {
            "customer_id": pd.Categorical.from_codes(np.repeat(np.arange(len(evaluated)), rows), names.to_pandas()),
            "metric": pd.Categorical.from_codes(
                np.tile(np.repeat(np.arange(len(ACCURACY)), len(ks)), len(evaluated)), pd.Index(ACCURACY)
            ),
            "k": np.tile(np.array(ks, np.int32), len(ACCURACY) * len(evaluated)),
            "value": np.moveaxis(values, -1, 0).ravel(),
        }
    )
