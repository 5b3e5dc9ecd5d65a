"""Our metrics against RecTools' on the same lists and truth: equal values, and how long they take.

Run it as ``python -m benchmarks.metrics_against_rectools``. RecTools needs older libraries than ours: it gets an
environment of its own in ``var/benchmarks/rectools``, made from ``benchmarks/requirements-rectools.lock`` when it is
missing or the lock has changed. Each side runs in its own process and times one call on frames in memory, read from
the same Parquet files: ours :func:`atelier.metrics.evaluate`, RecTools' ``calc_metrics``. The sides take turns
``--rounds`` times, ``--repeats`` calls each, and the fastest call counts. Neither uses more than one thread.

Both give precision, recall, hit rate, NDCG, MAP, MRR and coverage at each k; ours also gives overlap, personalization
and standard errors, and its time includes encoding and checking of its input. RecTools gets the catalogue's articles
ready-made, and its pandas holds texts as Python objects, which are shared where equal and cache their hash. Values have
to agree to 1e-6, or the run fails. Identifiers are texts, as retailers have them, in one measurement and whole numbers
in another.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.environments import ENVIRONMENTS, ROOT, environment
from benchmarks.ratios import Row, Seconds, in_turns, run, table, write

NAME = "metrics_against_rectools"
LOCK = Path(__file__).with_name("requirements-rectools.lock")
ENVIRONMENT = ENVIRONMENTS / "rectools"
TOLERANCE = 1e-6


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=69_000)
    parser.add_argument("--articles", type=int, default=18_000)
    parser.add_argument("--length", type=int, default=30, help="of the lists")
    parser.add_argument("--k", type=int, nargs="+", default=[10, 20])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--environment", type=Path, default=ENVIRONMENT, help="where RecTools is, or will be")
    parser.add_argument("--out", type=Path, help="where the rows are written as JSON")
    return parser.parse_args(given)


def draw(options: argparse.Namespace, texts: bool) -> dict[str, pa.Table]:
    """Lists, truth and catalogue with skewed popularity; a list is shorter if it drew an article twice.

    A tenth of the truth is in the lists. No customer has more relevant articles than the smallest k, because beyond it
    the two definitions of MAP differ (ours divides by k, RecTools by the number of relevant articles).
    """
    random = np.random.default_rng(0)
    customers, articles, length = options.customers, options.articles, options.length
    drawn = (articles * random.random((customers, length)) ** 3).astype(np.int64)
    order = np.sort(drawn, axis=1, kind="stable")
    drawn[(order[:, 1:] == order[:, :-1]).any(axis=1)] += np.arange(length)  # a few twice, most once
    first = np.ones_like(drawn, bool)
    positions = np.argsort(drawn, axis=1, kind="stable")
    ordered = np.take_along_axis(drawn, positions, axis=1)
    np.put_along_axis(first[:, :], positions[:, 1:], ordered[:, 1:] != ordered[:, :-1], axis=1)
    rows, ranks = np.nonzero(first & (drawn < articles))
    bought = random.integers(0, customers, 3 * customers)
    chosen = (articles * random.random(len(bought)) ** 3).astype(np.int64)
    listed = random.integers(0, len(rows), len(bought) // 10)
    bought[: len(listed)], chosen[: len(listed)] = rows[listed], drawn[rows[listed], ranks[listed]]
    pairs = np.unique(bought * articles + chosen)
    who = pairs // articles
    pairs = pairs[np.arange(len(pairs)) - np.searchsorted(who, who) < min(options.k)]
    frames = {
        "recs": {"customer_id": rows, "article_id": drawn[rows, ranks], "rank": ranks + 1},
        "truth": {"customer_id": pairs // articles, "article_id": pairs % articles},
        "catalogue": {"article_id": np.arange(articles)},
    }
    widths = {"customer_id": 64, "article_id": 10} if texts else {}
    return {
        name: pa.table(
            {
                column: pc.utf8_lpad(pc.cast(pa.array(values), pa.string()), widths[column], "0")
                if column in widths
                else pa.array(values)
                for column, values in columns.items()
            }
        )
        for name, columns in frames.items()
    }


def ours(folder: Path, options: argparse.Namespace) -> tuple[Seconds, dict[str, float]]:
    """Our seconds and values, by ``metric@k``."""
    from atelier.metrics import evaluate

    frames = {name: pq.read_table(folder / f"{name}.parquet").to_pandas() for name in ("recs", "truth", "catalogue")}
    (seconds,), (found,) = in_turns(
        options.repeats,
        lambda: evaluate(frames["recs"], frames["truth"], options.k, catalogue=frames["catalogue"], attribute=None),
    )
    return seconds, {f"{row.metric}@{row.k}": float(row.value) for row in found.itertuples() if row.segment == "all"}


def theirs(folder: Path, options: argparse.Namespace) -> tuple[Seconds, dict[str, float]]:
    """RecTools' seconds and values, by ``metric@k``."""
    given = [str(folder), f"--repeats={options.repeats}", "--k", *map(str, options.k)]
    printed: dict[str, Any] = json.loads(
        run(environment(options.environment, LOCK), "benchmarks.rectools_side", given, cwd=ROOT).splitlines()[-1]
    )
    return Seconds(*printed["seconds"]), printed["values"]


def furthest(mine: dict[str, float], peers: dict[str, float]) -> float:
    """The greatest difference between values of the same name.

    Raises:
        RuntimeError: a value of the peer has no counterpart, or one differs by more than ``TOLERANCE``.
    """
    gaps = {name: abs(mine.get(name, float("nan")) - value) for name, value in peers.items()}
    wrong = [name for name, gap in gaps.items() if not gap <= TOLERANCE]
    if wrong:
        raise RuntimeError(f"values differ from RecTools' by more than {TOLERANCE}: {', '.join(wrong)}")
    return max(gaps.values())


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of the table."""
    rows = []
    for name, texts in (("texts", True), ("whole numbers", False)):
        with tempfile.TemporaryDirectory() as folder:
            for file, frame in draw(options, texts).items():
                pq.write_table(frame, Path(folder) / f"{file}.parquet")
            rounds = [(ours(Path(folder), options), theirs(Path(folder), options)) for _ in range(options.rounds)]
        mine, peer = (
            Seconds(*map(min, zip(*(seconds for seconds, _ in side), strict=True)))
            for side in zip(*rounds, strict=True)
        )
        (_, values), (_, peers) = rounds[-1]
        size = f"{options.customers:,} × {options.articles:,} × {options.length}"
        checked = f"{len(peers)} values equal to {furthest(values, peers):.0e}"
        rows.append(Row.of(NAME, f"metrics: {size}, ids {name}", "RecTools", mine, peer, goal=0.2, checked=checked))
    return rows


def main() -> None:
    """Measure and print."""
    options = arguments()
    rows = measure(options)
    print(table(rows))
    write(rows, options.out)


if __name__ == "__main__":
    main()
