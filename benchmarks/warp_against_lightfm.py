"""Collaborative factorisation to the same precision: ``hybrid`` without content, and LightFM with the WARP loss.

Run it as ``python -m benchmarks.warp_against_lightfm``. LightFM itself, last released in 2023, does not build with
today's setuptools; measured is its fork by the maintainers of RecTools (rectools-lightfm), in an environment and a
process of its own (:mod:`benchmarks.environments`, :mod:`benchmarks.lightfm_side`).

Customers and articles are drawn with tastes, so that there is something to learn: a customer chooses by the inner
product of both tastes and by an article's popularity, never the same article twice. The last ``HELD`` choices of each
are validation. After each epoch either side ranks all articles for the first ``--judged`` customers, outside of its
clock; precision@10 is computed by one function. The quality is ``ENOUGH`` of the lower one of the two sides' best
precisions; either side's seconds are those until its first epoch as good as that. Ours include the figures by which
``hybrid`` itself decides when to stop; LightFM, which has no such rule, is stopped epochs after its best.

Both have vectors of ``--factors`` numbers and otherwise their own defaults (``hybrid`` in mode ``collaborative``);
LightFM's learning rate is the better one of those in ``RATES``, whose trials are not counted.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from atelier.interactions import Interactions
from atelier.nn.training_loop import Epoch
from atelier.recommenders.factorisation.hybrid import Hybrid
from atelier.recommenders.factorisation.hybrid_config import HybridConfig
from atelier.recommenders.factorisation.hybrid_network import Factorisation
from benchmarks.environments import ENVIRONMENTS, ROOT, peers
from benchmarks.lightfm_side import Float32s, Tastes, precision
from benchmarks.ratios import Row, Seconds, run, table, write
from benchmarks.sequence_sides import Clock

NAME = "warp_against_lightfm"
HELD = 3
"""The last choices of each customer, which nobody is trained on."""
ENOUGH = 0.99
RATES = (0.02, 0.05)
FIRST = datetime(2025, 1, 1)


class Point(NamedTuple):
    """What an epoch gave: seconds of training so far, and precision@10 of the validation lists."""

    wall: float
    processor: float
    precision: float


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=5000)
    parser.add_argument("--articles", type=int, default=2000)
    parser.add_argument("--choices", type=int, default=15, help="of a customer, on average")
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=40, help="at most")
    parser.add_argument("--judged", type=int, default=4000)
    parser.add_argument("--threads", type=int, default=0, help="0: one for each core")
    parser.add_argument("--environment", type=Path, default=ENVIRONMENTS / "peers", help="where the peer is")
    parser.add_argument("--out", type=Path, help="where the rows are written as JSON")
    return parser.parse_args(given)


def draw(options: argparse.Namespace) -> Tastes:
    """Customers with tastes and what they chose."""
    random = np.random.default_rng(0)
    n, articles = options.customers, options.articles
    tastes, looks = (random.standard_normal((size, 12)).astype(np.float32) for size in (n, articles))
    popularity = -0.7 * np.log1p(np.arange(articles))
    counts = HELD + 2 + random.poisson(max(options.choices - HELD - 2, 0), n)
    rows, chosen, later = [], [], np.zeros((n, HELD), np.int64)
    for customer in range(n):
        wanted = 1.2 * (looks @ tastes[customer]) + popularity + random.gumbel(size=articles)
        drawn = np.argpartition(-wanted, counts[customer])[: counts[customer]]
        order = random.permutation(drawn)
        rows.append(np.full(len(order) - HELD, customer))
        chosen.append(order[:-HELD])
        later[customer] = order[-HELD:]
    return Tastes(np.concatenate(rows), np.concatenate(chosen), later, np.array([n, articles]))


def interactions(tastes: Tastes) -> Interactions:
    """Atelier's interactions of the data, a customer's choices a day apart."""
    places = np.arange(len(tastes.customers)) - np.searchsorted(tastes.customers, tastes.customers)
    frame = {
        "customer_id": texts(tastes.customers),
        "article_id": texts(tastes.articles),
        "occurred_at": [FIRST + timedelta(days=int(place)) for place in places],
    }
    return Interactions.from_frame(pd.DataFrame(frame))


def texts(numbers: Any) -> "pd.Series[str]":
    """Whole numbers as identifiers, in the same order."""
    return pd.Series(np.asarray(numbers)).astype(str).str.zfill(8)


class Watched(Hybrid):
    """A hybrid whose articles' vectors can be asked for in the course of its fit."""

    network: Factorisation

    def _train(self, network: Factorisation, *given: Any) -> None:
        self.network = network
        super()._train(network, *given)

    def as_it_is(self, tastes: Tastes) -> Float32s:
        """The vectors of all articles of the data, float32 [articles, factors]; zero for those that nobody chose."""
        known = self.network.article_vectors(len(self.article_ids)).cpu().numpy()
        vectors = np.zeros((int(tastes.sizes[1]), known.shape[1]), np.float32)
        vectors[self.article_ids.values.to_numpy(zero_copy_only=False).astype(np.int64)] = known
        return vectors


def ours(tastes: Tastes, options: argparse.Namespace) -> list[Point]:
    """The curve of ``hybrid`` in mode ``collaborative``."""
    import torch

    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    config = HybridConfig(mode="collaborative", factors=options.factors, max_epochs=options.epochs)
    given, seen = interactions(tastes), tastes.seen
    shares = seen.multiply(1 / np.maximum(seen.sum(axis=1), 1)).tocsr()
    # What is imported and made at first use is not timed, on neither side.
    Hybrid(config.model_copy(update={"max_epochs": 1})).fit(given)
    model, clock, curve = Watched(config), Clock(), list[Point]()

    def look(_: Epoch) -> None:
        spent = clock.spent
        with clock.standing():
            vectors = model.as_it_is(tastes)
            reached = precision(tastes, np.asarray(shares @ vectors), vectors, options.judged)
            curve.append(Point(*spent, reached))

    model.watch = look
    with clock.running():
        model.fit(given)
    return curve


def theirs(tastes: Tastes, options: argparse.Namespace) -> list[Point]:
    """The curve of LightFM with the better one of ``RATES``."""
    threads = options.threads or os.cpu_count() or 1
    given = [f"--factors={options.factors}", f"--threads={threads}", f"--epochs={options.epochs}"]
    curves = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tastes.npz"
        tastes.save(file)
        for rate in RATES:
            tried = [str(file), *given, f"--judged={options.judged}", f"--learning-rate={rate}"]
            printed = run(peers(options.environment), "benchmarks.lightfm_side", tried, cwd=ROOT)
            curves.append([Point(*point) for point in json.loads(printed.splitlines()[-1])])
    return max(curves, key=best)


def best(curve: Sequence[Point]) -> float:
    """The best precision of a curve."""
    return max(point.precision for point in curve)


def to_the_same(ours: Sequence[Point], theirs: Sequence[Point]) -> tuple[Seconds, Seconds, str]:
    """The seconds of both sides to the same precision, and which one that is, as text."""
    enough = ENOUGH * min(best(ours), best(theirs))
    epochs = [next(epoch for epoch, point in enumerate(side) if point.precision >= enough) for side in (ours, theirs)]
    mine, other = (Seconds(*side[epoch][:2]) for side, epoch in zip((ours, theirs), epochs, strict=True))
    told = (
        f"to a precision@10 of {enough:.4f}: ours in {epochs[0] + 1} epochs (best {best(ours):.4f}), "
        f"theirs in {epochs[1] + 1} (best {best(theirs):.4f})"
    )
    return mine, other, told


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of the table."""
    tastes = draw(options)
    mine, peer, told = to_the_same(ours(tastes, options), theirs(tastes, options))
    size = f"{options.customers:,} × {options.articles:,} × {options.factors}"
    what = f"hybrid, collaborative: fit to the same precision, {size}"
    return [Row.of(NAME, what, "LightFM, WARP", mine, peer, checked=told)]


def main() -> None:
    """Measure and print."""
    options = arguments()
    rows = measure(options)
    print(table(rows))
    write(rows, options.out)


if __name__ == "__main__":
    main()
