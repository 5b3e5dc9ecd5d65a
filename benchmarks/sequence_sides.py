"""What all sides of ``sequences_against_peers`` share: the data, the clock, the judging and the result.

What belongs here: whatever has to be the same on all sides. What does not: a library that only one side has (it is
imported by the interpreters of all), the sides themselves.
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel

from benchmarks.ratios import Seconds, in_turns, peak_memory

K = 10
"""The length of the lists that are judged."""
FEWEST = 4
"""Interactions of a customer at least: one is the truth, one decides when training stops, two are trained on."""

Integers = npt.NDArray[np.int64]


class Sequences(NamedTuple):
    """The interactions of n customers in order, m in all.

    Attributes:
        starts: int64 [n + 1]; customer i has the interactions ``starts[i]`` … ``starts[i + 1]`` − 1.
        articles: int64 [m], numbers from 0.
    """

    starts: Integers
    articles: Integers

    @classmethod
    def of(cls, customers: npt.NDArray[Any], articles: npt.NDArray[Any]) -> Self:
        """Of interactions that are sorted by customer, then time; customers with fewer than ``FEWEST`` are left out."""
        numbers = np.unique(customers, return_inverse=True)[1]
        kept = np.bincount(numbers)[numbers] >= FEWEST
        lengths = np.bincount(np.unique(customers[kept], return_inverse=True)[1])
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(starts, np.unique(articles[kept], return_inverse=True)[1].astype(np.int64))

    def drawn(self, customers: int) -> Self:
        """The interactions of so many customers drawn at random; of all if there are no more."""
        chosen = self.some(customers)
        lengths = np.diff(self.starts)
        owners = np.repeat(np.arange(len(lengths)), lengths)
        kept = np.isin(owners, chosen)
        return type(self).of(owners[kept], self.articles[kept])

    def save(self, folder: Path) -> None:
        """Write the file that :meth:`load` reads."""
        np.savez(folder / "sequences.npz", starts=self.starts, articles=self.articles)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        with np.load(folder / "sequences.npz") as arrays:
            return cls(arrays["starts"], arrays["articles"])

    def before(self, last: int) -> pd.DataFrame:
        """All but the last interactions of each customer: int64 ``customer, article, position`` (from 0), in order.

        Args:
            last: how many of each customer's interactions are left out.
        """
        lengths = np.diff(self.starts)
        customers = np.repeat(np.arange(len(lengths)), lengths)
        positions = np.arange(len(self.articles)) - self.starts[customers]
        kept = positions < lengths[customers] - last
        return pd.DataFrame({"customer": customers[kept], "article": self.articles[kept], "position": positions[kept]})

    def from_end(self, place: int) -> Integers:
        """Each customer's article at a place counted from the end, int64 [n]; 0 is the last."""
        return self.articles[self.starts[1:] - 1 - place]

    def some(self, most: int) -> Integers:
        """Customers drawn at random, at most so many, ascending; the same on all sides."""
        return np.sort(np.random.default_rng(0).permutation(len(self.starts) - 1)[:most])


class Quality(NamedTuple):
    """The means over customers, each of whom has one relevant article."""

    recall: float
    ndcg: float


def quality(lists: pd.DataFrame, truth: Integers, customers: Integers) -> Quality:
    """Recall and NDCG of lists of ``K``.

    Args:
        lists: ``customer, article, rank`` (from 1), whole numbers; a customer without a list has missed.
        truth: int64 [n], the relevant article of each customer.
        customers: int64 [m], whose means these are.

    Raises:
        ValueError: a rank is not among 1 … K, or a list is of nobody who was asked for.
    """
    ranks = lists["rank"].to_numpy()
    if not ((ranks >= 1) & (ranks <= K)).all() or not np.isin(lists["customer"].to_numpy(), customers).all():
        raise ValueError(f"the lists have ranks other than 1 to {K}, or are of customers who were not asked for")
    hits = ranks[truth[lists["customer"].to_numpy()] == lists["article"].to_numpy()]
    return Quality(len(hits) / len(customers), float((1 / np.log2(1 + hits)).sum()) / len(customers))


class Clock:
    """Seconds by the wall and of this process's processor time, of what runs within :meth:`running`.

    It stands still within :meth:`standing`, also inside of what runs.
    """

    def __init__(self, now: Callable[[], Seconds] | None = None) -> None:
        self._now = now or (lambda: Seconds(time.perf_counter(), time.process_time()))
        self._spent = Seconds(0.0, 0.0)
        self._since: Seconds | None = None

    @property
    def spent(self) -> Seconds:
        """The seconds so far."""
        if self._since is None:
            return self._spent
        now = self._now()
        return Seconds(*(a + c - b for a, b, c in zip(self._spent, self._since, now, strict=True)))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time within."""
        self._since = self._now()
        try:
            yield
        finally:
            self._spent, self._since = self.spent, None

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Do not count the time within, which lies inside of what runs."""
        self._spent, self._since = self.spent, None
        try:
            yield
        finally:
            self._since = self._now()


class Point(BaseModel, frozen=True, extra="forbid"):
    """What an epoch gave.

    Attributes:
        wall: seconds of training so far, without the judging.
        processor: the same in processor time.
        ndcg: NDCG@10 of the validation lists.
    """

    wall: float
    processor: float
    ndcg: float


class SideResult(BaseModel, frozen=True, extra="forbid"):
    """One side's fit, lists and memory.

    Attributes:
        name: the setting's name.
        settings: what was set, in words or as JSON.
        curve: of each epoch in order.
        kept: the epoch whose weights were kept, from 1.
        ended: why training ended.
        recall: recall@10 of the truth, by the weights that were kept.
        ndcg: NDCG@10 of the truth.
        scoring_wall: seconds of the lists of all customers.
        scoring_processor: the same in processor time.
        memory: peak of the whole process, in MiB, libraries included.
        threads: of the process.
    """

    name: str
    settings: str
    curve: tuple[Point, ...]
    kept: int
    ended: str
    recall: float
    ndcg: float
    scoring_wall: float
    scoring_processor: float
    memory: float
    threads: int

    @classmethod
    def of(
        cls,
        options: argparse.Namespace,
        curve: Sequence[Point],
        kept: int,
        ended: str,
        found: Quality,
        scoring: Seconds,
    ) -> Self:
        """The result of a process that ends now."""
        return cls(
            name=options.name,
            settings=options.settings,
            curve=tuple(curve),
            kept=kept,
            ended=ended,
            recall=found.recall,
            ndcg=found.ndcg,
            scoring_wall=scoring.wall,
            scoring_processor=scoring.processor,
            memory=peak_memory(),
            threads=options.threads,
        )

    @property
    def fit(self) -> Point:
        """The epoch whose weights were kept."""
        return self.curve[self.kept - 1]

    @property
    def best(self) -> Point:
        """The epoch with the best validation lists, the first of equals."""
        return max(self.curve, key=lambda point: point.ndcg)

    def reaches(self, ndcg: float) -> Point | None:
        """The first epoch with validation lists as good as this; None: there is none."""
        return next((point for point in self.curve if point.ndcg >= ndcg), None)

    def times_faster(self, other: "SideResult") -> float:
        """The processor time of the other to its best epoch over that of this side to one as good; nan: it has none."""
        reached = self.reaches(other.best.ndcg)
        return float("nan") if reached is None else other.best.processor / reached.processor


def say(name: str, curve: Sequence[Point]) -> None:
    """Tell on standard error what the last epoch gave; standard output is the result's."""
    last = curve[-1]
    print(f"{name}: epoch {len(curve)}, {last.processor:.0f} s, NDCG {last.ndcg:.4f}", file=sys.stderr, flush=True)


def side_arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that all sides have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="has sequences.npz")
    parser.add_argument("--name", required=True, help="of the setting")
    parser.add_argument("--settings", required=True, help="of the model, as JSON")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True, help="at most")
    parser.add_argument("--patience", type=int, required=True, help="epochs without better lists that end training")
    parser.add_argument("--limit", type=float, required=True, help="processor seconds that no further epoch may pass")
    parser.add_argument("--judged", type=int, required=True, help="customers of the curve, at most")
    parser.add_argument("--repeats-allowed", action="store_true", help="lists may hold what a customer had")
    return parser


def reason_to_stop(curve: Sequence[Point], epochs: int, patience: int, limit: float) -> str | None:
    """Why no further epoch is trained; None: one is.

    Args:
        curve: of the epochs so far, at least one.
        epochs: the most that are trained.
        patience: epochs without better lists.
        limit: processor seconds; an epoch that would pass it, if it takes as long as the one before, is not begun.
    """
    best = max(range(len(curve)), key=lambda epoch: curve[epoch].ndcg)
    if len(curve) - 1 - best >= patience:
        return f"{patience} epochs without better validation lists"
    if len(curve) >= epochs:
        return f"{epochs} epochs, the most allowed"
    last = curve[-1].processor - (curve[-2].processor if len(curve) > 1 else 0.0)
    return f"the limit of {limit:,.0f} processor seconds" if curve[-1].processor + last > limit else None


class Peer(Protocol):
    """A peer's model that is trained epoch by epoch."""

    def train(self) -> None:
        """Train for one epoch more, on all but the last two interactions of each customer."""
        ...

    def lists(self, customers: Integers, last: int) -> pd.DataFrame:
        """Lists of ``K`` as ``customer, article, rank``, made of all but the ``last`` interactions of each customer."""
        ...

    def weights(self) -> dict[str, Any]:
        """The weights as they are; what is given here changes when training goes on."""
        ...

    def restore(self, weights: dict[str, Any]) -> None:
        """Go back to a copy of such weights."""
        ...


MakePeer = Callable[[dict[str, Any], Sequences, bool], Peer]
"""Makes an untrained model of settings, sequences and whether lists may hold what a customer had."""


def measure_peer(options: argparse.Namespace, make: MakePeer) -> SideResult:
    """Train a peer until its validation lists get no better, and judge the lists of its best epoch.

    Keeping the best weights and making the validation lists are not counted in the time of training.

    Args:
        options: of :func:`side_arguments`.
        make: makes the peer's model.
    """
    sequences, settings = Sequences.load(options.folder), json.loads(options.settings)
    # What is imported and made at first use is not timed, on no side.
    make(settings, sequences.drawn(50), options.repeats_allowed).train()
    peer, clock = make(settings, sequences, options.repeats_allowed), Clock()
    judged = sequences.some(options.judged)
    curve: list[Point] = []
    best: dict[str, Any] = {}
    kept, ended = 0, None
    while ended is None:
        with clock.running():
            peer.train()
        ndcg = quality(peer.lists(judged, 2), sequences.from_end(1), judged).ndcg
        if not curve or ndcg > curve[kept - 1].ndcg:
            best, kept = copy.deepcopy(peer.weights()), len(curve) + 1
        curve.append(Point(wall=clock.spent.wall, processor=clock.spent.processor, ndcg=ndcg))
        say(options.name, curve)
        ended = reason_to_stop(curve, options.epochs, options.patience, options.limit)
    peer.restore(best)
    everyone = np.arange(len(sequences.starts) - 1)
    (seconds,), (found,) = in_turns(1, lambda: peer.lists(everyone, 1))
    reached = quality(found, sequences.from_end(0), everyone)
    return SideResult.of(options, curve, kept, ended, reached, seconds)
