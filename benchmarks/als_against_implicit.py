"""als against the library that it stands on: time to fit, and to rank for every customer.

Run it as ``python -m benchmarks.als_against_implicit``. Both sides run in one process, in turns, with one BLAS thread,
and the fastest of ``--repeats`` counts; what matters is the ratio. The bare side gets its matrix ready-made and returns
numbers; ours starts from :class:`Interactions` and ends with identifiers. Without ``--data`` interactions are drawn
with skewed popularity; the last two columns say how many lists and scores agree between the two.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from atelier import recommenders
from atelier.interactions import Interactions


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a Parquet file with customer_id and article_id")
    parser.add_argument("--customers", type=int, default=70_000)
    parser.add_argument("--articles", type=int, default=18_000)
    parser.add_argument("--interactions", type=int, default=250_000)
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--iterations", type=int, default=15)
    parser.add_argument("--k", type=int, default=30)
    parser.add_argument("--threads", type=int, default=0, help="0: one for each core")
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def interactions(options: argparse.Namespace) -> Interactions:
    """What was given, or drawn: articles by a power law, each customer equally likely."""
    if options.data:
        return Interactions.from_frame(pq.read_table(options.data, columns=["customer_id", "article_id"]))
    random = np.random.default_rng(0)
    articles = (options.articles * random.random(options.interactions) ** 3).astype(np.int64)
    customers = random.integers(0, options.customers, options.interactions)
    return Interactions.from_frame(
        pd.DataFrame({
            "customer_id": pd.Series(customers).astype(str).str.zfill(64),
            "article_id": pd.Series(articles).astype(str).str.zfill(10),
        })
    )  # fmt: skip


def fastest(repeats: int, *actions: Callable[[], Any]) -> tuple[list[float], list[Any]]:
    """The seconds of the fastest of ``repeats`` runs of each action, taken in turns, and what each returned last."""
    seconds, results = [[float("inf")] * len(actions), [None] * len(actions)]
    for _ in range(repeats):
        for place, action in enumerate(actions):
            start = time.perf_counter()
            results[place] = action()
            seconds[place] = min(seconds[place], time.perf_counter() - start)
    return seconds, results


def measure(options: argparse.Namespace) -> list[tuple[str, float, float]]:
    """Rows of the table: what, seconds of ours, seconds of the bare library."""
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    data = interactions(options)
    print(f"{data}, {options.factors} factors, {options.iterations} iterations, k = {options.k}")
    shape = (len(data.customer_ids), len(data.article_ids))
    matrix = csr_matrix((np.ones(len(data), np.float32), (data.customers, data.articles)), shape=shape)
    settings = {"factors": options.factors, "iterations": options.iterations}
    config = {**settings, "alpha": 20.0, "regularization": 0.1, "threads": options.threads}
    confidence = matrix.copy()
    confidence.data = 1 + np.float32(20) * confidence.data

    def bare_fit() -> AlternatingLeastSquares:
        bare = AlternatingLeastSquares(regularization=0.1, num_threads=options.threads, random_state=0, **settings)
        with threadpool_limits(1, user_api="blas"):
            bare.fit(confidence, show_progress=False)
        return bare

    fit, (model, bare) = fastest(options.repeats, lambda: recommenders.build("als", **config).fit(data), bare_fit)

    def bare_recommend() -> tuple[np.ndarray, np.ndarray]:
        with threadpool_limits(1, user_api="blas"):
            found: tuple[np.ndarray, np.ndarray] = bare.recommend(np.arange(shape[0]), matrix, N=options.k)
        return found

    score, (batches, (ids, _)) = fastest(
        options.repeats, lambda: list(model.recommend_batches(k=options.k)), bare_recommend
    )
    ours = np.concatenate([batch.column(1).indices.to_numpy() for batch in batches]).reshape(ids.shape)
    print(f"{(ours == ids).all(axis=1).mean():.2%} of the lists are the same in the same order")
    return [("fit", *fit), ("recommend to all", *score)]


def main() -> None:
    """Measure and print."""
    print(f"\n{'':20}{'als (s)':>10}{'implicit (s)':>14}{'ratio':>8}")
    for name, ours, bare in measure(arguments()):
        print(f"{name:20}{ours:10.2f}{bare:14.2f}{ours / bare:8.2f}")


if __name__ == "__main__":
    main()
