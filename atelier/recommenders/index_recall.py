"""The recall of an index against exact search, by search effort.

What belongs here: recall, and its curve over search effort. What does not: the search, exact or approximate.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from atelier.ids import Codes
from atelier.recommenders.article_index import METRICS, ArticleIndex
from atelier.recommenders.vector_model import VectorRecommender, unit
from atelier.search.annoy_forest import Metric
from atelier.search.exact import ExactTopK
from atelier.search.ragged import Pairs, Ranked, Scores

EFFORTS = (100, 300, 1000, 3000, 10_000, 30_000)
"""The search efforts of the curve: nodes inspected in a look-up."""


def recall(approximate: Ranked, exact: Ranked) -> float:
    """Recall@k of an index: the share of the exact lists' articles that the approximate lists hold.

    Args:
        approximate: n lists of an index.
        exact: the exact lists of the same n queries; −1 beyond a list's end.
    """
    wanted = exact.codes >= 0
    n_articles = int(max(exact.codes.max(initial=0), approximate.codes.max(initial=0))) + 1
    rows = np.arange(len(exact.codes))[:, None] * n_articles
    mine = (rows + approximate.codes)[approximate.codes >= 0]
    return float(np.isin((rows + exact.codes)[wanted], mine).mean()) if wanted.any() else 1.0


def recall_curve(
    index: ArticleIndex,
    model: VectorRecommender[Any],
    *,
    k: int = 10,
    queries: int = 1000,
    efforts: Sequence[int] = EFFORTS,
) -> pd.DataFrame:
    """Recall@k of both forests against exact search, with the filters of look-ups: in stock, unseen, not the query.

    Args:
        index: an index of the model's articles.
        model: the model whose vectors are searched exactly.
        k: length of the lists.
        queries: the number of query articles and customers, at most; chosen by a fixed hash of their identifiers.
        efforts: nodes inspected, besides the index's own; those above four for each article are left out.

    Returns:
        ``metric``, ``nodes``, ``used`` (the index's own effort: one row of each metric), ``recall``, ``queries``.
    """
    eligible: Codes = np.flatnonzero(index.in_stock).astype(np.int32)
    rows = []
    for metric in METRICS:
        vectors, excluded = _queries(model, metric, queries)
        exact = _exact(model, metric, eligible)(vectors, k, excluded)
        own = index.config.search or index.config.trees * k
        others = [nodes for nodes in efforts if nodes != own and nodes <= 4 * len(index.article_ids)]
        for nodes in sorted([own, *others]):
            searched = index if nodes == own else index.searching(nodes)
            found = searched.forests[metric](vectors, k, excluded, index.in_stock)
            rows.append((metric, nodes, nodes == own, recall(found, exact), len(vectors)))
    return pd.DataFrame(rows, columns=["metric", "nodes", "used", "recall", "queries"])


def enough_nodes(curve: pd.DataFrame, least: float) -> int:
    """The nodes that a look-up has to inspect: a catalogue of many articles takes more than a small one.

    Args:
        curve: of an index, from :func:`recall_curve`.
        least: the recall that both metrics are to reach.

    Returns:
        The fewest of those tried with which they do, and no fewer than the index's own; the most where none is enough.
    """
    own = int(curve.loc[curve["used"], "nodes"].max())
    lowest = curve[curve["nodes"] >= own].groupby("nodes")["recall"].min().sort_index()
    enough = lowest.index[lowest >= least]
    return int(enough[0] if len(enough) else lowest.index[-1])


def _queries(model: VectorRecommender[Any], metric: Metric, size: int) -> tuple[Scores, Pairs]:
    """The vectors of a sample of articles or customers, and the articles that the list of each leaves out."""
    if metric == "cosine":
        codes: Codes = np.flatnonzero(model.ranked).astype(np.int32)
        codes = codes[sample_by_hash(model.article_ids.take(codes), size)]
        return unit(model.compared_vectors(codes)), Pairs(np.arange(len(codes)), codes)
    served = model.customer_profiles.ids.take(model.customer_profiles.rankable)
    queries = model.queries(served.take(pa.array(sample_by_hash(served, size))))
    return queries.vectors, queries.seen


def _exact(model: VectorRecommender[Any], metric: Metric, eligible: Codes) -> ExactTopK:
    cosine = metric == "cosine"
    vectors = unit(model.compared_vectors(eligible)) if cosine else model.article_vectors(eligible)
    return model.exact_search(vectors, eligible)


def sample_by_hash(ids: pa.Array, size: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The positions of the ``size`` identifiers with the smallest hashes, ascending: the same ones on every day."""
    hashes = pd.util.hash_pandas_object(ids.to_pandas(), index=False).to_numpy()
    return np.sort(np.argsort(hashes, kind="stable")[:size])
