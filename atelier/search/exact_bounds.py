"""Products of queries and articles, and the proof of which articles can be in a list.

What belongs here: products of matrices in float32 and in bfloat16, how far each may be off, and the articles that can
be in a row's list whatever the errors are. What does not: the scores and lists themselves
(:mod:`atelier.search.exact`).

Let a product give p for each score s, with |p − s| ≤ e for all articles of a row, and let g be no higher than the row's
k-th highest p. Then k articles have s ≥ g − e. So every article of the list has s ≥ g − e too, and p ≥ g − 2e: no
article below that can be in it. How large e is:

- float32, vectors x and y of length d: the sum of d products, in whatever order, is off by at most γ |x| |y| with
  γ = d 2⁻²⁴ / (1 − d 2⁻²⁴) (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1). The scores too
  are such sums, so that e is twice that.
- bfloat16: with x' and y' the rounded vectors, x'·y' − x·y = (x' − x)·y' + x·(y' − y), by Cauchy and Schwarz at most
  |x' − x| |y'| + |x| |y' − y|, whose lengths are measured. To it come the float32 sums of x'·y' and of the score, and
  the rounding of the sum to bfloat16, which is off by at most 2⁻⁸ of itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from atelier.devices import has_bfloat16
from atelier.search.ragged import Indices

Floats = npt.NDArray[np.float64]

CPU = torch.device("cpu")
GROUPS = 16
"""Groups of articles for each place in a list: more make the bound tighter, fewer make it cheaper."""
HALF = 2.0**-8
"""How far a number rounded to bfloat16 may be off, as a share of itself."""
SINGLE = 2.0**-24
"""The same of float32."""
TINY = 2.0**-120
"""More than is lost for each position by processors that round numbers below 2⁻¹²⁶ to zero."""
LARGEST = 2.0**100
"""Sums of vectors this long might overflow, so that bfloat16 proves nothing about them."""
SLACK = 1 + 2.0**-10
"""The factor by which bounds are widened, because they too are computed in floating point."""
TILE = 32
"""Numbers in bfloat16 that the processor multiplies at once."""
FEW = 16
"""Scoring one candidate costs about as much as the float32 products with this many articles."""


class Excluded(NamedTuple):
    """Cells of a block that must not be reached: ``rows`` int64 [n], ascending, and ``places`` int64 [n]."""

    rows: Indices
    places: Indices

    def of(self, rows: Indices, n: int) -> "Excluded":
        """The cells of the given of ``n`` rows (ascending), counted by their place in ``rows``."""
        place = np.full(n, -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        mine = place[self.rows]
        return Excluded(mine[mine >= 0], self.places[mine >= 0])


class CandidateCells(NamedTuple):
    """Cells of a block that lists are made of.

    Attributes:
        rows: int64 [cells], ascending.
        places: int64 [cells], ascending within a row.
        unproven: int64, ascending: the rows about which nothing is proven, and which have no cells here.
    """

    rows: Indices
    places: Indices
    unproven: Indices


class Float32Products:
    """Products in float32: every row is proven. They stay on the device; only the cells that reach a bound leave it.

    Args:
        vectors: float32 [m, dim], of the articles, in main memory.
        device: where products are computed.
    """

    def __init__(self, vectors: Tensor, device: torch.device = CPU) -> None:
        self._vectors, self._device = vectors.to(device), device
        self._longest = _longest(vectors)
        self._buffer = torch.empty(0, len(vectors), device=device)

    def reach(self, queries: Tensor, k: int, excluded: Excluded) -> CandidateCells:
        """The cells among which are the ``k`` best of each query (float32 [n, dim]) that is not excluded."""
        if len(self._buffer) < len(queries):
            shape = len(queries), len(self._vectors)
            self._buffer = torch.empty(shape, device=self._device)  # kept: fresh memory costs as much as products
        with _full_precision():
            scores = torch.mm(queries.to(self._device), self._vectors.T, out=self._buffer[: len(queries)])
        _exclude(scores, excluded, -np.inf)
        error = 2 * _summation(_lengths(queries), self._longest, queries.shape[1])
        with np.errstate(over="ignore"):  # a bound of −∞ is right: every score reaches it
            least = np.nextafter((_kth(scores, k) - 2 * error).astype(np.float32), np.float32(-np.inf))
        return _cells(scores, np.maximum(least, -np.finfo(np.float32).max), np.zeros(0, np.int64))


class BFloat16Products:
    """Products in bfloat16, several times faster where the processor has instructions for it.

    They prove something about a row where its list has positive scores only and few enough articles can be in it.

    Args:
        vectors: float32 [m, dim], of the articles.
    """

    def __init__(self, vectors: Tensor) -> None:
        self._rounded = _tiled(vectors.bfloat16())
        self._longest, self._longest_rounded = _longest(vectors), _longest(self._rounded)
        self._off = _longest(vectors - self._rounded[:, : vectors.shape[1]])
        self._buffer = torch.empty(0, len(vectors), dtype=torch.bfloat16)

    @staticmethod
    def is_native() -> bool:
        """Whether this processor multiplies matrices of bfloat16 by instructions of its own, summing in float32."""
        return has_bfloat16(torch.device("cpu")) and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]

    def reach(self, queries: Tensor, k: int, excluded: Excluded) -> CandidateCells:
        """The cells among which are the ``k`` best of each query (float32 [n, dim]) that is not excluded."""
        n, m = len(queries), len(self._rounded)
        if m <= k:
            return CandidateCells(np.zeros(0, np.int64), np.zeros(0, np.int64), np.arange(n))
        if len(self._buffer) < n:
            self._buffer = torch.empty(n, m, dtype=torch.bfloat16)
        rounded = queries.bfloat16()
        products = torch.mm(_tiled(rounded), self._rounded.T, out=self._buffer[:n])
        # The bits of positive numbers, read as integers, are in the numbers' own order, and negative ones are negative.
        bits = products.view(torch.int16)
        _exclude(bits, excluded, np.iinfo(np.int16).min)
        kth = _kth(bits, k)
        bound = torch.from_numpy(kth).view(torch.bfloat16).double().numpy()
        least = (bound * (1 - HALF) - 2 * self._error(queries, rounded)) / (1 + HALF) / SLACK
        proven = (kth > 0) & (least > TINY) & (least < LARGEST)
        lowest = torch.from_numpy(np.where(proven, least, 1.0)).bfloat16().view(torch.int16).numpy() - 1
        lowest = np.where(proven, lowest, np.iinfo(np.int16).max).astype(np.int16)
        return self._few(_cells(bits, lowest, np.flatnonzero(~proven)), n)

    def _error(self, queries: Tensor, rounded: Tensor) -> Floats:
        """How far sums may be off from scores, before they are rounded, [n, 1]."""
        lengths, dim = _lengths(queries), queries.shape[1]
        products = _lengths(queries - rounded) * self._longest_rounded + lengths * self._off
        sums = _summation(_lengths(rounded), self._longest_rounded, dim) + _summation(lengths, self._longest, dim)
        return products * SLACK + sums

    def _few(self, found: CandidateCells, n: int) -> CandidateCells:
        """Without the rows that reach so many cells that float32 is cheaper."""
        many = np.bincount(found.rows, minlength=n) * FEW > len(self._rounded) + 1024
        if not many.any():
            return found
        keep = ~many[found.rows]
        return CandidateCells(found.rows[keep], found.places[keep], np.union1d(found.unproven, np.flatnonzero(many)))


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products of float32 in float32, also where the caller let torch round them (``set_float32_matmul_precision``)."""
    libraries: tuple[Any, ...] = torch.backends.mkldnn.matmul, torch.backends.cuda.matmul  # type: ignore[attr-defined]
    before = [library.fp32_precision for library in libraries]
    for library in libraries:
        library.fp32_precision = "ieee"
    try:
        yield
    finally:
        for library, precision in zip(libraries, before, strict=True):
            library.fp32_precision = precision


def _tiled(vectors: Tensor) -> Tensor:
    """The vectors with zeros added up to whole tiles of the processor: 200 numbers take twice as long as 224."""
    return functional.pad(vectors, (0, -vectors.shape[1] % TILE))


def _is_numpys(scores: Tensor) -> bool:
    """Whether NumPy is asked: in main memory it finds few cells among many several times faster than torch."""
    return scores.device.type == "cpu"


def _exclude(scores: Tensor, excluded: Excluded, lowest: float) -> None:
    """Give the excluded cells the lowest number."""
    if _is_numpys(scores):
        scores.numpy()[excluded.rows, excluded.places] = lowest
    else:
        cells = tuple(torch.from_numpy(each).to(scores.device) for each in excluded)
        scores.index_put_(cells, torch.tensor(lowest, dtype=scores.dtype, device=scores.device))


def _kth(scores: Tensor, k: int) -> npt.NDArray[Any]:
    """A number no higher than each row's k-th highest, [n, 1]: the k-th highest of the maxima of disjoint groups.

    Articles that are missing count as the lowest number.
    """
    n, m = scores.shape
    if m <= k:
        return np.full((n, 1), -np.inf, dtype=np.float32)
    groups = min(GROUPS * k, m)
    depth = m // groups
    # Group g holds the articles g, g + groups, …: neighbours in id, which are alike, fall into different groups.
    maxima = scores[:, : groups * depth].view(n, depth, groups).amax(dim=1).cpu().numpy()  # [n, groups]
    bound: npt.NDArray[Any] = np.partition(maxima, groups - k, axis=1)[:, groups - k, None]
    return bound


def _cells(scores: Tensor, least: npt.NDArray[Any], unproven: Indices) -> CandidateCells:
    """The cells of scores [n, m] that reach their row's ``least`` [n, 1]."""
    if _is_numpys(scores):
        return CandidateCells(*np.divmod(np.flatnonzero(scores.numpy() >= least), scores.shape[1]), unproven)
    reached = (scores >= torch.from_numpy(least).to(scores.device)).nonzero().cpu().numpy()
    return CandidateCells(reached[:, 0], reached[:, 1], unproven)


def _summation(lengths: Floats, longest: float, dim: int) -> Floats:
    """How far sums in float32 of ``dim`` products may be off, given the lengths of the vectors on either side."""
    gamma = dim * SINGLE / (1 - dim * SINGLE)
    return (gamma * lengths * longest + dim * TINY * (1 + lengths + longest)) * SLACK


def _lengths(vectors: Tensor) -> Floats:
    """The length of each vector, [n, 1]."""
    squares: Floats = torch.linalg.vector_norm(vectors, dim=1, keepdim=True, dtype=torch.float64).numpy()
    return squares


def _longest(vectors: Tensor) -> float:
    """The greatest length of a vector."""
    return float(_lengths(vectors).max(initial=0.0))
