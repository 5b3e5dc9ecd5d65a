"""als against the library that it uses: time to fit, and to rank unseen articles for every customer.

Run it as ``python -m benchmarks.als_against_implicit``. Both sides run in one process, in turns, with one BLAS thread
(OPENBLAS_NUM_THREADS=1), and the fastest of ``--repeats`` counts; what matters is the ratio. The bare library gets its
matrix ready-made and returns codes; ours starts from :class:`Interactions` and ends with identifiers.

Without ``--data`` interactions are drawn with skewed popularity. The full size (``--customers 1370000 --articles
105000 --interactions 31800000 --factors 200``) takes long: with ``--sample-customers 50000`` only that many of the
customers are drawn, with as many interactions each and among all articles. Lists are made one block of customers at a
time, so the cost for all customers, which is printed, is extrapolated in proportion to their number. ``--memory``
measures the peak memory of either side, each in a process of its own.

The run fails if fewer than 99% of the lists are the same, article by article: both sides fit alike, and two articles
are swapped only where the difference of their scores is below the precision of float32.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from atelier import recommenders
from atelier.interactions import Interactions
from benchmarks.ratios import Row, in_turns, peak_memory, run, table, write

NAME = "als_against_implicit"
SIDES = ("ours", "theirs")
ALPHA, REGULARIZATION = 20.0, 0.1
SAME = 0.99
"""The share of lists that have to be the same on both sides."""


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a Parquet file with customer_id and article_id")
    parser.add_argument("--customers", type=int, default=69_000)
    parser.add_argument("--articles", type=int, default=18_000)
    parser.add_argument("--interactions", type=int, default=250_000)
    parser.add_argument("--sample-customers", type=int, default=0, help="draw only so many of the customers; 0: all")
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--iterations", type=int, default=15)
    parser.add_argument("--k", type=int, default=30)
    parser.add_argument("--threads", type=int, default=0, help="0: one for each core")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="measure peak memory too")
    parser.add_argument("--side", choices=SIDES, help="run one side once and print its peak memory")
    parser.add_argument("--out", type=Path, help="where the rows are written as JSON")
    return parser.parse_args(given)


def interactions(customers: int, articles: int, count: int, sample: int = 0) -> pa.Table:
    """Drawn interactions: articles by a power law, each customer equally likely.

    Args:
        customers: the number of customers.
        articles: the number of articles.
        count: the number of interactions.
        sample: draw only so many of the customers, with as many interactions each; 0: all.
    """
    random = np.random.default_rng(0)
    drawn = sample or customers
    count = round(count * drawn / customers)
    chosen = (articles * random.random(count) ** 3).astype(np.int64)
    who = random.integers(0, drawn, count)
    return pa.table(
        {
            "customer_id": pc.utf8_lpad(pc.cast(pa.array(who), pa.string()), 64, "0"),
            "article_id": pc.utf8_lpad(pc.cast(pa.array(chosen), pa.string()), 10, "0"),
        }
    )


def read_or_draw(options: argparse.Namespace) -> pa.Table:
    """The interactions that the options select: those of a file, or drawn ones."""
    if options.data:
        return pq.read_table(options.data, columns=["customer_id", "article_id"])
    return interactions(options.customers, options.articles, options.interactions, options.sample_customers)


class TrainTest:
    """Both ways of fitting and ranking, on the same interactions.

    Args:
        options: see :func:`arguments`.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.data = Interactions.from_frame(read_or_draw(options))
        self._options = options
        self._settings = {"factors": options.factors, "iterations": options.iterations}
        shape = (len(self.data.customer_ids), len(self.data.article_ids))
        ones = np.ones(len(self.data), np.float32)
        self._matrix = csr_matrix((ones, (self.data.customers, self.data.articles)), shape=shape)
        recommenders.build("als")  # imports the model's libraries, whose time must not be measured
        self._confidence = self._matrix.copy()
        self._confidence.data = 1 + np.float32(ALPHA) * self._confidence.data

    def fit(self) -> Any:
        """Our model, fitted on interactions."""
        config = {**self._settings, "alpha": ALPHA, "regularization": REGULARIZATION, "threads": self._options.threads}
        return recommenders.build("als", **config).fit(self.data)

    def bare_fit(self) -> AlternatingLeastSquares:
        """The library's model, fitted on its matrix."""
        threads = self._options.threads
        bare = AlternatingLeastSquares(
            regularization=REGULARIZATION, num_threads=threads, random_state=0, **self._settings
        )
        with threadpool_limits(1, user_api="blas"):
            bare.fit(self._confidence, show_progress=False)
        return bare

    def recommend(self, model: Any) -> list[Any]:
        """Our lists, in batches with identifiers."""
        return list(model.recommend_batches(k=self._options.k))

    def bare_recommend(self, bare: AlternatingLeastSquares) -> tuple[np.ndarray, np.ndarray]:
        """The library's lists, as codes."""
        with threadpool_limits(1, user_api="blas"):
            found: tuple[np.ndarray, np.ndarray] = bare.recommend(
                np.arange(self._matrix.shape[0]), self._matrix, N=self._options.k
            )
        return found


def same_lists(ours: np.ndarray, theirs: np.ndarray) -> str:
    """The share of the lists [n, k] that are the same, as text.

    Raises:
        RuntimeError: too few are.
    """
    share = (ours == theirs).all(axis=1).mean()
    if not share >= SAME:
        raise RuntimeError(f"only {share:.2%} of the lists are the same, not {SAME:.0%}: the two sides do not agree")
    return f"{share:.2%} of the lists are the same in the same order"


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of the table.

    Raises:
        RuntimeError: the lists of the two sides differ.
    """
    sides = TrainTest(options)
    size = f"{len(sides.data.customer_ids):,} × {len(sides.data.article_ids):,} × {options.factors}"
    fit, (model, bare) = in_turns(options.repeats, sides.fit, sides.bare_fit)
    score, (batches, (ids, _)) = in_turns(
        options.repeats, lambda: sides.recommend(model), lambda: sides.bare_recommend(bare)
    )
    ours = np.concatenate([batch.column(1).indices.to_numpy() for batch in batches])
    same = same_lists(ours.reshape(ids.shape), ids)
    peer = "implicit"
    print(f"{sides.data}, {options.factors} factors, {options.iterations} iterations, k = {options.k}")
    if options.sample_customers:
        share = options.customers / len(sides.data.customer_ids)
        print(
            f"all {options.customers:,} customers at the sample's rate: ours {score[0].wall * share / 60:.1f} minutes, "
            f"{peer} {score[1].wall * share / 60:.1f} minutes"
        )
    goal = None if options.sample_customers else 1.1  # in a sample the setup weighs too much
    return [
        Row.of(NAME, f"als: fit, {size}", peer, *fit, goal=goal),
        Row.of(NAME, f"als: rank for all, {size}", peer, *score, goal=1.0, checked=same),
    ]


def run_side(options: argparse.Namespace) -> None:
    """Run one side once and print its peak memory in MiB."""
    sides = TrainTest(options)
    if options.side == "ours":
        sides.recommend(sides.fit())
    else:
        sides.bare_recommend(sides.bare_fit())
    print(peak_memory())


def peaks(options: argparse.Namespace) -> list[float]:
    """The peak memory in MiB of either side, from reading the interactions to the last list."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "interactions.parquet"
        pq.write_table(read_or_draw(options), data)
        given = [f"--{name}={getattr(options, name)}" for name in ("factors", "iterations", "k", "threads")]
        runs = [run(sys.executable, f"benchmarks.{NAME}", [f"--data={data}", *given, f"--side={s}"]) for s in SIDES]
    return [float(printed) for printed in runs]


def main() -> None:
    """Measure and print."""
    options = arguments()
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    if options.side:
        run_side(options)
        return
    rows = measure(options)
    print(table(rows))
    if options.memory:
        ours, theirs = peaks(options)
        print(f"peak memory, libraries and interactions included: ours {ours:,.0f} MiB, implicit {theirs:,.0f} MiB")
    write(rows, options.out)


if __name__ == "__main__":
    main()
