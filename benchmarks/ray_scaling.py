"""Photographs encoded, customers ranked for and interactions trained on in a second, here and on a Ray cluster.

Run it as ``python -m benchmarks.ray_scaling`` on a machine with at least as many free cores as workers: the nodes of
the cluster are processes of this machine. The same work is done by one process, and by 1 and 2 workers; each has one
thread. A rate counts from the first block that came back, or from the end of the first epoch; starting the workers is
a column of its own. Vectors and lists are compared, and the run fails where they differ; so it does where one worker
trains another network than one process.

What belongs here: made-up photographs and customers, and the table. What does not: the cluster
(:mod:`benchmarks.loopback_cluster`), the fits (:mod:`benchmarks.timed_fit`), the work itself.
"""

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.image_embedding import drawn
from benchmarks.loopback_cluster import loopback_cluster
from resources.compute import Compute

WORKERS = (1, 2)


@dataclass(frozen=True)
class Rate:
    """How fast a piece of work was.

    Attributes:
        first: seconds until the first part came back.
        whole: seconds until the last did.
        rows: rows a second between the two.
        digest: of what was made.
        ndcg: of a network that was trained, on held-out interactions.
    """

    first: float
    whole: float
    rows: float
    digest: str
    ndcg: float | None = None


def arguments() -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=int, default=640)
    parser.add_argument("--backbone", default="mobilenet_v2", help="with seeded weights")
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--articles", type=int, default=20_000)
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--training-customers", type=int, default=20_000)
    parser.add_argument("--only", nargs="*", choices=[*WORK, *TRAINED], default=[*WORK, *TRAINED])
    return parser.parse_args()


def timed(parts: Iterator[Any], rows_of: Callable[[Any], int], content: Callable[[Any], bytes]) -> Rate:
    """The rate of work that comes in parts; they are digested when all have come, outside of what is measured.

    Args:
        parts: what is made, part by part.
        rows_of: how many photographs or customers a part is of.
        content: what of a part has to be the same.
    """
    start = time.perf_counter()
    ends, made = [], []
    for part in parts:
        ends.append(time.perf_counter() - start)
        made.append(part)
    between = ends[-1] - ends[0]
    digest = hashlib.sha256(b"".join(map(content, made))).hexdigest()
    return Rate(ends[0], ends[-1], sum(map(rows_of, made[1:])) / between if between else float("nan"), digest)


def photographs(options: argparse.Namespace, folder: Path) -> Callable[[Compute], Rate]:
    """Encodes photographs, 64 at a time."""
    from atelier.images import Encoder
    from resources.image_worker import encoded_chunks

    paths = [path.name for path in drawn(folder, options.photographs)]
    digests = [hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in paths]
    encoder = Encoder.build(options.backbone, None, device="cpu", precision="float32", batch_size=8)

    def measure(compute: Compute) -> Rate:
        chunks = encoded_chunks(encoder, folder, paths, digests, 64, compute)
        return timed(chunks, lambda chunk: len(chunk.ok), lambda chunk: bytes(chunk.vectors.tobytes()))

    return measure


def customers(options: argparse.Namespace, folder: Path) -> Callable[[Compute], Rate]:
    """Ranks for all customers by als, in batches of 4,096."""
    from atelier import recommenders
    from resources.list_worker import SharedLists, request_of
    from resources.model_store import ModelStore

    random = np.random.default_rng(0)
    rows = 10 * options.customers
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{number:08d}" for number in random.integers(0, options.customers, rows)],
            "article_id": [f"a{number:06d}" for number in random.integers(0, options.articles, rows)],
            "occurred_at": pd.Timestamp("2020-03-01"),
            "kind": "purchase",
        }
    )
    models = ModelStore(folder)
    configs: dict[str, dict[str, Any]] = {
        "als": {"factors": options.factors, "iterations": 1, "threads": 1},
        "popular": {},
    }
    model, fallback = (
        models.publish(
            f"{name}_model",
            date(2020, 3, 1),
            recommenders.build(name, **config).fit(frame).save,
            {},
            seed=0,
            code_version="",
            run_id="",
        )
        for name, config in configs.items()
    )
    request = replace(request_of(models, model, fallback, None, k=30, explained_ranks=0), batch_size=4096)
    asked = pd.Series(frame["customer_id"].unique()).sort_values()

    def measure(compute: Compute) -> Rate:
        lists = SharedLists(request, compute).lists(asked, True)
        return timed(lists, lambda batch: int(batch["customer_id"].indices.to_numpy().max()) + 1, _plain)

    return measure


def training(name: str, options: argparse.Namespace) -> Callable[[Compute], Rate]:
    """Trains a network for four epochs."""
    import torch

    from atelier.nn.replicas import ALONE
    from benchmarks.timed_fit import EPOCHS, timed_fit
    from resources.cluster_training import fit_on_cluster

    fit = timed_fit(name, options.training_customers, options.articles)
    interactions = len(fit.fit.data[0])

    def measure(compute: Compute) -> Rate:
        start, before = time.perf_counter(), torch.get_num_threads()
        if compute.executor == "ray":
            made = fit_on_cluster(replace(compute, training_workers=compute.workers or 1), fit)
        else:
            compute.apply()
            made = fit(ALONE)
            torch.set_num_threads(before)
        whole = time.perf_counter() - start
        rate = (EPOCHS - 1) * interactions / made.between
        return Rate(whole - made.between, whole, rate, made.digest, made.ndcg)

    return measure


def _plain(batch: Any) -> bytes:
    """Articles and scores of a batch, whatever its dictionaries."""
    columns = (batch["article_id"].cast("string"), batch["score"])
    return b"".join(column.to_numpy(zero_copy_only=False).astype(str).tobytes() for column in columns)


def main() -> None:
    """Measure, compare and print."""
    options = arguments()
    Compute("cpu", 1).apply()  # here as in the workers: the last bits of vectors depend on PyTorch's threads
    with tempfile.TemporaryDirectory() as folder:
        makers = {name: partial(make, options, _made(Path(folder) / name)) for name, make in WORK.items()}
        makers |= {name: partial(training, name, options) for name in TRAINED}
        measures = {name: makers[name]() for name in options.only}
        found = {name: {0: measure(Compute("cpu", 1))} for name, measure in measures.items()}
        for workers in WORKERS:
            with loopback_cluster(nodes=workers, processors=1) as cluster:
                for name, measure in measures.items():
                    found[name][workers] = measure(Compute("cpu", 1, "ray", cluster.address, workers))
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    print(f"{'':<14}{'workers':>8}{'first (s)':>11}{'whole (s)':>11}{'rows/s':>10}{'ratio':>8}{'ndcg':>9}")
    for name, rates in found.items():
        for number, rate in rates.items():
            print(
                f"{name:<14}{number or 'local':>8}{rate.first:>11.1f}{rate.whole:>11.1f}{rate.rows:>10.1f}"
                f"{rate.rows / rates[0].rows:>8.2f}{'' if rate.ndcg is None else f'{rate.ndcg:9.4f}'}"
            )
        exact = [rate.digest for number, rate in rates.items() if name not in TRAINED or number < 2]
        if len(set(exact)) > 1:
            raise SystemExit(f"{name}: what the cluster made is not what one process made")
    print("vectors, lists and what one worker trains are the same, byte for byte")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


WORK = {"photographs": photographs, "customers": customers}
TRAINED = ("hybrid", "transformer")


if __name__ == "__main__":
    main()
