"""What lists are like, whatever customers then did: coverage, overlap, personalization, novelty, shares.

What belongs here: formulas over the matrix of lists. What does not: anything that looks at the truth
(:mod:`atelier.metrics.accuracy`), anything by rank (:mod:`atelier.metrics.by_rank`).

- coverage@k = distinct recommended articles of the catalogue / distinct articles in the catalogue
- overlap@k = 1 − distinct recommendation sets / recommendation sets (unordered; one for each customer with a list)
- personalization@k = 1 − mean cosine similarity over all pairs of different customers' sets. With the vectors
  x_u = 1_{L_u}/√|L_u|, the sum over pairs is (‖Σ_u x_u‖² − U) / 2, so it is exact in one pass over the lists.
- novelty@k = mean of −log2 p(i) over a list, then over customers; p(i) = (purchases of i + 1) / (purchases + articles),
  over the catalogue, in training (self-information: Zhou et al. 2010, eq. 4, with add-one smoothing)
- intra_list_diversity@k = mean over all pairs of different articles in a list of 1 − cosine of their vectors, then over
  customers (Ziegler et al. 2005, eq. 5, with cosine as similarity). With unit vectors v the sum over pairs is
  (‖Σ_i v_i‖² − n) / 2, so it is exact in one pass over the ranks.
- recommended_share@k = share of all recommended articles that have a given value of an attribute
"""

from collections.abc import Sequence

import numpy as np

from atelier.arrays import Float32s
from atelier.metrics.encoding import Floats, Ints

LISTS = 4096
"""Lists whose vectors are summed at once."""


def coverage(articles: Ints, in_catalogue: Ints) -> float:
    """Share of the catalogue that is recommended to anybody; nan without a catalogue.

    Args:
        articles: article codes, −1 where absent. [lists, k]
        in_catalogue: the codes of the catalogue's articles, distinct.
    """
    if not len(in_catalogue):
        return float("nan")
    recommended = np.zeros(max(int(in_catalogue.max()), int(articles.max(initial=-1))) + 2, bool)
    for column in articles.T:
        recommended[column] = True  # the last one where there is none
    return float(recommended[in_catalogue].mean())


def overlap(articles: Ints) -> float:
    """Share of lists that repeat another customer's set; nan without a list. Articles [lists, k], −1 where absent."""
    present = (articles >= 0).any(axis=1)
    if not present.any():
        return float("nan")
    # Equal sets have equal sums of random numbers, whatever their order: only where sums meet are sets compared.
    numbers = np.random.default_rng(0).integers(0, 2**63, int(articles.max()) + 2, dtype=np.uint64)
    sums = np.zeros(len(articles), np.uint64)
    for column in articles.T:
        sums += numbers.take(column)
    ordered = np.sort(sums[present])
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    alike = articles[present & np.isin(sums, twice)]
    return (len(alike) - len(np.unique(np.sort(alike, axis=1), axis=0))) / len(ordered)


def personalization(articles: Ints) -> float:
    """How unlike different customers' sets are; nan below two lists. Articles [lists, k], −1 where absent."""
    sizes = (articles >= 0).sum(axis=1)
    count = int((sizes > 0).sum())
    if count < 2:
        return float("nan")
    weights = 1.0 / np.sqrt(np.maximum(sizes, 1))
    total = np.zeros(int(articles.max()) + 2)
    for column in articles.T:
        total += np.bincount(column + 1, weights, len(total))
    total = total[1:]
    similarity = (float(total @ total) - count) / (count * (count - 1.0))
    # Rounding may leave −1e−17 or 1 + 1e−16.
    return 1.0 - min(max(similarity, 0.0), 1.0)


def information(purchases: Ints, in_catalogue: Ints) -> Floats:
    """Self-information −log2 p(i) of each article, in bits.

    Args:
        purchases: training purchases of each article code. [articles]
        in_catalogue: the codes of the catalogue's articles, over which p sums to 1.
    """
    return np.asarray(-np.log2((purchases + 1.0) / (purchases[in_catalogue].sum() + len(in_catalogue))), np.float64)


def novelty(articles: Ints, bits: Floats) -> Floats:
    """Mean self-information of each list; lists without an article are left out. float64 [lists that are not empty]."""
    present = articles >= 0
    sizes = present.sum(axis=1)
    total = np.where(present, bits[articles], 0.0).sum(axis=1)
    return np.asarray(total[sizes > 0] / sizes[sizes > 0], np.float64)


def intra_list_diversity(articles: Ints, vectors: Float32s, ks: Sequence[int]) -> list[Floats]:
    """How unlike each other the articles of each list are: 0 where all are the same, 1 where no two are alike.

    Args:
        articles: article codes, −1 where absent. [lists, longest k]
        vectors: one row for each article code; articles whose vector is zero (nothing is known) are left out of their
            lists. [article codes, dim]
        ks: the list lengths.

    Returns:
        For each k float64 [lists that have two articles with a vector or more].
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    unit = vectors / np.maximum(lengths, np.finfo(np.float32).tiny).astype(np.float32)[:, None]
    known = np.append(lengths > 0, False)
    found: list[list[Floats]] = [[] for _ in ks]
    for start in range(0, len(articles), LISTS):
        part = articles[start : start + LISTS]
        total, count = np.zeros((len(part), vectors.shape[1])), np.zeros(len(part))
        for rank, column in enumerate(part.T, start=1):
            rows = np.flatnonzero(known[column])
            total[rows] += unit[column[rows]]
            count[rows] += 1
            if rank in ks:
                several = count > 1
                n = count[several]
                alike = (np.square(total[several]).sum(axis=1) - n) / (n * (n - 1))
                found[ks.index(rank)].append(1 - np.clip(alike, -1, 1))  # rounding may leave 1 + 1e−8
    return [np.concatenate(parts) if parts else np.zeros(0) for parts in found]


def shares(articles: Ints, value_codes: Ints, size: int) -> Floats:
    """Share of all recommended articles with each value of an attribute; nan without any.

    Args:
        articles: article codes, −1 where absent; any shape.
        value_codes: the code of each article's value, −1 where it has none. [article codes]
        size: how many values there are.
    """
    if not size:
        return np.zeros(0)
    found = articles[articles >= 0]
    counts = np.bincount(value_codes[found] + 1, minlength=size + 1)[1:]
    return np.asarray(counts / len(found) if len(found) else np.full(size, np.nan), np.float64)
