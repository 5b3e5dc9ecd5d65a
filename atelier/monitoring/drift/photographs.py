"""The figures of the vectors of photographs, from blocks of them.

What belongs here: how long they are, where their mean lies, how like they are to others of their product type. What
does not: the kinds of figure (:mod:`atelier.monitoring.drift.figures`), reading vectors
(:mod:`resources.day_figures`).

A large catalogue has 105,542 vectors of 2,048 numbers, 0.9 GB in single precision. They come in blocks, each is
computed with in double precision on its own, and nothing as large as all of them is made.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from atelier.monitoring.drift.figures import directions, figures, mean, projections, share, together

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class TypedVectors:
    """Of each article with photographs, the mean of their vectors.

    Attributes:
        types: str [n], the product type of each, empty where it has none.
        blocks: float64 [block, dimension], of all n in the order of ``types``.
    """

    types: NDArray[np.str_]
    blocks: Iterable[Floats]


@dataclass(frozen=True)
class Centres:
    """Where the vectors of a day lie, all at unit length.

    Attributes:
        middle: float64 [dimension], the mean of all.
        types: str [types], ascending.
        of_types: float64 [types, dimension], of each type the direction in which its mean lies from the middle; zero
            where it does not differ.
    """

    middle: Floats
    types: NDArray[np.str_]
    of_types: Floats


def centres(vectors: TypedVectors) -> Centres | None:
    """Where the vectors of a day lie; None where there are none."""
    if not len(vectors.types):
        return None
    types, codes = np.unique(vectors.types, return_inverse=True)
    sums, start = np.zeros((len(types), 0)), 0
    for block in vectors.blocks:
        if not sums.shape[1]:
            sums = np.zeros((len(types), block.shape[1]))
        np.add.at(sums, codes[start : start + len(block)], unit(block))
        start += len(block)
    middle = sums.sum(axis=0) / len(codes)
    return Centres(middle, types, unit(sums - np.bincount(codes)[:, None] * middle))


def vector_figures(today: TypedVectors, yesterday: Centres | None) -> pd.DataFrame:
    """Figures of the vectors of photographs.

    Args:
        today: the day's.
        yesterday: where those of the day before lay; None, or of another encoder: what needs it is left out.
    """
    if not len(today.types):
        return figures([])
    place = None if yesterday is None else pd.Index(yesterday.types).get_indexer(pd.Index(today.types))
    found: list[tuple[Floats, Floats, Floats]] = []
    start = 0
    for block in today.blocks:
        at_unit, part = unit(block), slice(start, start + len(block))
        start += len(block)
        like = np.zeros(0)
        if yesterday is not None and place is not None and len(yesterday.middle) == block.shape[1]:
            like = _likeness(at_unit, place[part], yesterday)
        found.append((np.linalg.norm(block, axis=1), at_unit @ directions(block.shape[1]), like))
    lengths, along, likeness = (np.concatenate([each[number] for each in found]) for number in range(3))
    own = [
        share("vectors: of length 0", int((lengths == 0).sum()), len(lengths)),
        mean("vectors: length", lengths),
        projections("vectors: mean", along),
    ]
    # Without one: another encoder, which the other figures tell.
    return together([*own, mean("vectors: likeness to their product type", likeness)])


def _likeness(at_unit: Floats, place: NDArray[np.intp], yesterday: Centres) -> Floats:
    """The cosine of each vector with yesterday's mean of its product type, both less yesterday's mean of all.

    What all photographs have in common, such as a white background, would hide what a type has of its own.

    Args:
        at_unit: float64 [n, dimension].
        place: int [n], the place of each one's type among yesterday's; -1: it was not there, and the cosine is nan.
        yesterday: see :class:`Centres`.
    """
    cosines = (unit(at_unit - yesterday.middle) * yesterday.of_types[place]).sum(axis=1)
    return np.asarray(np.where(place >= 0, cosines, np.nan))


def unit(vectors: Floats) -> Floats:
    """Vectors at unit length; those of length 0 stay so."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0), dtype=np.float64)
