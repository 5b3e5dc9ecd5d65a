"""Dividing outfits into parts for training, validation and testing.

What belongs here: splits by outfit, and splits that share no product. What does not: the questions that are asked of a
part (:mod:`atelier.outfits.questions`).

Outfits with exactly the same articles are counted once before they are divided, so that no test outfit was trained on.
"""

from typing import NamedTuple

import numpy as np

from atelier.arrays import Int64s
from atelier.outfits.outfits import Outfits

SHARES = (0.8, 0.1, 0.1)
"""Of training, validation and test."""


class Split(NamedTuple):
    """The three parts of one collection of outfits."""

    train: Outfits
    validation: Outfits
    test: Outfits


def split_by_outfit(outfits: Outfits, seed: int, shares: tuple[float, float, float] = SHARES) -> Split:
    """Divide outfits at random; an article may be in several parts.

    Args:
        outfits: of which exact duplicates are left out.
        seed: of the draw.
        shares: of the outfits, for training, validation and test; they sum to 1.

    Raises:
        ValueError: the shares do not sum to 1, or one is negative.
    """
    distinct = outfits.deduplicated()
    part = _parts(len(distinct), seed, shares)
    return Split(*(distinct.rows(np.flatnonzero(part == each)) for each in range(len(shares))))


def split_by_product(outfits: Outfits, seed: int, shares: tuple[float, float, float] = SHARES) -> Split:
    """Divide the articles at random, and give each part the outfits restricted to its articles.

    No article is in two parts, and so no product that is asked for was ever trained on. What is left of an outfit
    with fewer than two articles is left out (the disjoint split of M. Vasileva and others, Learning Type-Aware
    Embeddings for Fashion Compatibility, ECCV 2018, restricts outfits likewise).

    Args:
        outfits: of which exact duplicates are left out, before and after they are restricted.
        seed: of the draw.
        shares: of the articles, for training, validation and test; they sum to 1.

    Raises:
        ValueError: the shares do not sum to 1, or one is negative.
    """
    distinct = outfits.deduplicated()
    part = _parts(outfits.n_articles, seed, shares)
    return Split(*(distinct.restricted(part == each).deduplicated() for each in range(len(shares))))


def _parts(count: int, seed: int, shares: tuple[float, float, float]) -> Int64s:
    """The part of each of ``count`` things, int64 [count]; exact shares, rounded down but for the last."""
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"the shares of training, validation and test must sum to 1 and be at least 0, not {shares}")
    order = np.random.default_rng(seed).permutation(count)
    ends = np.floor(np.cumsum(shares)[:-1] * count + 1e-9).astype(np.int64)
    parts = np.empty(count, np.int64)
    parts[order] = np.searchsorted(ends, np.arange(count), side="right")
    return parts
