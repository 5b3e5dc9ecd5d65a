"""Our transformer against RecTools' and RePlay's SASRec: quality, time to it, lists, memory.

    python -m benchmarks.sequences_against_peers --sequences beauty/Beauty.txt --kept FOLDER --plot PLOT.svg
    python -m benchmarks.sequences_against_peers --sequences hm_sequences --customers 10000 --repeats-allowed
    python -m benchmarks.sequences_against_peers --planted 3000 --out ROWS.json

``--planted`` draws so many customers who mostly go on from an article to one of a few that follow it: what there is to
be learned is known, and no data is needed. ``--sequences`` is a file as :mod:`benchmarks.leave_one_out` reads it, or
the folder of ``sequences.parquet``, whose consecutive repeats are dropped. Of each customer the last interaction is the
truth; the last but one is never trained on and decides when training stops, and is an input of the lists that are
judged by the truth. All articles are ranked, without those the customer had unless ``--repeats-allowed``.

Each library has an environment of its own, made from its lock beside this file when it is missing or the lock has
changed. Each side is a process of its own, one after the other, with the same number of threads. After each epoch all
write down the processor time of their training so far and NDCG@10 of the validation lists, which their public functions
make; making them is not counted. Ours counts its own look at the held-out interactions, the others keep the best
weights free of charge. **Time to the same quality** is the processor time until a peer's best epoch over that until
our first epoch as good. A peer whose next epoch would pass ``--limit`` ends there, and the table says so. With
``--kept`` a side that was measured before, with the same options and data, is not run again.

What belongs here: the data, the settings, running the sides, the table and the plot. What does not: the sides
(``our_sequences_side``, ``rectools_sequences_side``, ``replay_sequences_side``) and what they share
(``sequence_sides``).
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from atelier.interactions import Interactions
from atelier.report.figures import line_plot, standalone
from benchmarks.environments import ENVIRONMENTS, ROOT, environment
from benchmarks.hm_recommenders import read_sequences, reference_purchases
from benchmarks.leave_one_out import read
from benchmarks.ratios import Row, Seconds, run, write
from benchmarks.sequence_sides import FEWEST, Sequences, SideResult

NAME = "sequences_against_peers"
OURS = "transformer"
FOLLOWERS, FOLLOWS, LONGEST = 4, 0.7, 20
"""Of planted sequences: how many articles follow one, how often one of them does, and the longest history."""
GOAL = 3.0
"""How many times faster ours is to be to the same quality."""
SETTINGS: Mapping[str, Any] = {
    "factors": 128,
    "dropout": 0.5,
    "embedding_learning_rate": 0.02,
    "schedule": "constant",
    "learning_rate": 1e-3,
}
"""Of our side, by default: those of docs/sequence_models.md.

Every side trains until its lists get no better; a cycle would have to be told beforehand when that is.
"""


class Library(NamedTuple):
    """A library with sequence models.

    Attributes:
        title: what it is called.
        module: its side.
        lock: pins what its environment has.
    """

    title: str
    module: str
    lock: str

    @property
    def file(self) -> Path:
        """The lock's."""
        return Path(__file__).with_name(self.lock)

    def python(self, environments: Path) -> Path:
        """The interpreter of its environment, which is made if it is missing, in a folder of environments."""
        return environment(environments / Path(self.lock).stem.removeprefix("requirements-"), self.file)


RECTOOLS = Library("RecTools", "benchmarks.rectools_sequences_side", "requirements-rectools-torch.lock")
REPLAY = Library("RePlay", "benchmarks.replay_sequences_side", "requirements-replay.lock")
PEERS: Mapping[str, tuple[Library, Mapping[str, Any]]] = {
    "sasrec": (RECTOOLS, {"session_max_len": 50}),
    "sasrec_sampled": (RECTOOLS, {"session_max_len": 50, "loss": "sampled_softmax", "n_negatives": 256}),
    "gsasrec": (RECTOOLS, {"session_max_len": 50, "loss": "gBCE", "n_negatives": 256, "gbce_t": 0.75}),
    "esasrec": (RECTOOLS, {"session_max_len": 50, "layers": "ligr", "loss": "sampled_softmax", "n_negatives": 256}),
    "esasrec_small": (
        RECTOOLS,
        {"session_max_len": 20, "layers": "ligr", "loss": "sampled_softmax", "n_negatives": 32, "n_factors": 64},
    ),
    "replay": (REPLAY, {}),
    "replay_small": (REPLAY, {"max_sequence_length": 20, "embedding_dim": 64, "negatives": 256}),
}
"""The library of each peer and its settings, all else by the library's defaults: of RecTools 2 blocks, 4 heads, 256
factors, full softmax, dropout .2, Adam 1e-3, batches of 128; of RePlay 2 blocks, 4 heads, 192 factors, full softmax,
dropout .3, Adam 1e-3, and the same batches, for which it has no default. ``sasrec`` changes the length of histories
only; ``esasrec`` has eSASRec's layers and loss (Tikhonovich and others 2025, 2508.06450: LiGR, sampled softmax),
``gsasrec`` the loss of Petrov and Macdonald (2023); ``esasrec_small`` and ``replay_small`` are cut to train fast on a
processor, the latter with a softmax over sampled negatives."""


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--sequences", type=Path, help="a file of lines, or a folder with a Parquet file")
    source.add_argument("--planted", type=int, metavar="CUSTOMERS", help="draw the sequences of so many customers")
    parser.add_argument("--customers", type=int, help="so many drawn at random; all without it")
    parser.add_argument("--peers", nargs="+", choices=tuple(PEERS), default=["esasrec_small", "replay_small"])
    parser.add_argument("--ours", type=json.loads, default=SETTINGS, metavar="JSON", help="our transformer's settings")
    parser.add_argument("--threads", type=int, default=1, help="0: one for each core")
    parser.add_argument("--epochs", type=int, default=40, help="of every side, at most")
    parser.add_argument("--patience", type=int, default=4, help="epochs without better lists that end training")
    parser.add_argument("--limit", type=float, default=1500.0, help="processor seconds of a peer's training, at most")
    parser.add_argument("--judged", type=int, default=10_000, help="customers whose validation lists make the curve")
    parser.add_argument("--repeats-allowed", action="store_true", help="lists may hold what a customer had")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="where the libraries are, or will be")
    parser.add_argument("--kept", type=Path, help="a folder for the sides' results")
    parser.add_argument("--plot", type=Path, help="where the plot is written")
    parser.add_argument("--out", type=Path, help="where the rows of the table of speed are written as JSON")
    options = parser.parse_args(given)
    options.threads = options.threads or os.cpu_count() or 1
    return options


def sequences_of(path: Path, customers: int | None) -> Sequences:
    """The interactions of a file or folder, of all customers or so many drawn at random.

    Raises:
        FileNotFoundError: there is no such file or folder.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: --sequences is the file or folder of the data")
    found: Interactions = reference_purchases(read_sequences(path)) if path.is_dir() else read(path)
    whole = Sequences.of(found.customers, found.articles)
    return whole if customers is None else whole.drawn(customers)


def planted(customers: int) -> Sequences:
    """Sequences in which an article is mostly followed by one of ``FOLLOWERS`` others, else by any, by popularity."""
    random = np.random.default_rng(0)
    articles = max(customers // 3, 2 * FOLLOWERS)
    popularity = 1 / np.arange(10, articles + 10)
    often = popularity / popularity.sum()
    following = random.choice(articles, (articles, FOLLOWERS), p=often)
    places = np.empty((customers, LONGEST), np.int64)
    places[:, 0] = random.choice(articles, customers, p=often)
    for step in range(1, LONGEST):
        follows = random.random(customers) < FOLLOWS
        next_ones = following[places[:, step - 1], random.integers(0, FOLLOWERS, customers)]
        places[:, step] = np.where(follows, next_ones, random.choice(articles, customers, p=often))
    lengths = random.integers(FEWEST, LONGEST + 1, customers)
    there = np.arange(LONGEST) < lengths[:, None]
    return Sequences.of(np.repeat(np.arange(customers), lengths), places[there])


def measured(name: str, settings: Mapping[str, Any], folder: Path, options: argparse.Namespace) -> SideResult:
    """A side's result, which is read where it was kept.

    Args:
        name: ``OURS``, or one of ``PEERS``.
        settings: of the model.
        folder: has the sequences.
        options: of the command line.
    """
    given = [f"--name={name}", f"--settings={json.dumps(settings)}"]
    given += [f"--{key}={getattr(options, key)}" for key in ("threads", "epochs", "patience", "limit", "judged")]
    given += ["--repeats-allowed"] if options.repeats_allowed else []
    data = b"".join(np.ascontiguousarray(array).tobytes() for array in Sequences.load(folder))
    digest = hashlib.sha256(data + json.dumps(given).encode()).hexdigest()[:16]
    kept = None if options.kept is None else options.kept / f"{name}-{digest}.json"
    if kept is not None and kept.exists():
        return SideResult.model_validate_json(kept.read_text(encoding="utf-8"))
    if name == OURS:
        python, module = Path(sys.executable), "benchmarks.our_sequences_side"
    else:
        library, _ = PEERS[name]
        python, module = library.python(options.environments), library.module
    result = SideResult.model_validate_json(run(python, module, [str(folder), *given], cwd=ROOT).splitlines()[-1])
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return result


def table(results: Sequence[SideResult]) -> pd.DataFrame:
    """A row for each side; the first is ours.

    Returns:
        ``side, recall@10, ndcg@10, epochs`` (kept of trained), ``fit`` and ``an_epoch`` (processor seconds until the
        kept epoch, and for one), ``lists`` (processor seconds for all customers), ``memory`` (MiB), ``ours_as_good``
        (our processor seconds until the validation lists are as good as the side's best), ``faster`` (how many times
        that is less than the side's own time), ``lists_faster``, ``ended`` (why).
    """
    ours = results[0]
    rows = []
    for side in results:
        reached = ours.reaches(side.best.ndcg)
        rows.append(
            {
                "side": side.name,
                "recall@10": side.recall,
                "ndcg@10": side.ndcg,
                "epochs": f"{side.kept} of {len(side.curve)}",
                "fit": side.fit.processor,
                "an_epoch": side.curve[-1].processor / len(side.curve),
                "lists": side.scoring_processor,
                "memory": side.memory,
                "ours_as_good": np.nan if reached is None else reached.processor,
                "faster": ours.times_faster(side),
                "lists_faster": side.scoring_processor / ours.scoring_processor,
                "ended": side.ended,
            }
        )
    return pd.DataFrame(rows)


def verdict(results: Sequence[SideResult]) -> str:
    """Whether the goal was met, in words, for each side but the first, which is ours."""
    ours, lines = results[0], []
    for side in results[1:]:
        faster, better = ours.times_faster(side), ours.ndcg >= side.ndcg
        speed = "its best was never reached" if np.isnan(faster) else f"{faster:.1f} times faster to its best"
        lines.append(
            f"{side.name}: {speed}, NDCG@10 {'equal or better' if better else 'worse'}; "
            f"goal ({GOAL:.0f} times, equal or better) {'met' if better and faster >= GOAL else 'missed'}"
        )
    return "\n".join(lines)


def speed_rows(results: Sequence[SideResult], size: str) -> list[Row]:
    """The rows of the table of speed: of each peer the training to its best lists, and the lists of all customers.

    A quality that ours did not reach has all of our training as its time, and the row says so.
    """
    ours, rows, goal = results[0], [], 1 / GOAL
    for side in results[1:]:
        reached = ours.reaches(side.best.ndcg)
        to = reached or ours.curve[-1]
        told = f"validation NDCG@10 {side.best.ndcg:.4f} {'reached' if reached else 'NOT REACHED'}"
        told += (
            f"; of the truth {ours.ndcg:.4f} and {side.ndcg:.4f}, memory {ours.memory:,.0f} and {side.memory:,.0f} MiB"
        )
        library = PEERS[side.name][0].title
        fit, lists = f"transformer: fit to the same NDCG@10, {size}", f"transformer: lists of all customers, {size}"
        pair = Seconds(to.wall, to.processor), Seconds(side.best.wall, side.best.processor)
        rows.append(Row.of(NAME, fit, f"{library}, {side.name}", *pair, goal=goal, checked=told))
        scored = [Seconds(each.scoring_wall, each.scoring_processor) for each in (ours, side)]
        rows.append(Row.of(NAME, lists, f"{library}, {side.name}", *scored, goal=goal))
    return rows


def plot(results: Sequence[SideResult]) -> str:
    """Validation NDCG@10 of each side by the processor time of its training; an SVG that stands alone."""
    lines = {
        side.name: (np.array([point.processor for point in side.curve]), np.array([point.ndcg for point in side.curve]))
        for side in results
    }
    return standalone(line_plot(["NDCG@10 on validation"], [lines], "processor seconds of training", log_x=True))


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print, draw."""
    options = arguments(given)
    drawn = options.planted is not None
    sequences = planted(options.planted) if drawn else sequences_of(options.sequences, options.customers)
    settings = {OURS: options.ours} | {name: PEERS[name][1] for name in options.peers}
    with tempfile.TemporaryDirectory() as folder:
        sequences.save(Path(folder))
        results = [measured(name, chosen, Path(folder), options) for name, chosen in settings.items()]
    rows = table(results)
    size = f"{len(sequences.starts) - 1:,} customers, {sequences.articles.max() + 1:,} articles"
    print(f"{size}, {len(sequences.articles):,} interactions, {options.threads} threads\n")
    print(rows.to_string(index=False, float_format="{:.4g}".format))
    print(f"\n{verdict(results)}")
    short = f"{len(sequences.starts) - 1:,} × {sequences.articles.max() + 1:,}"
    write(speed_rows(results, short), options.out)
    if options.plot is not None:
        options.plot.write_text(plot(results), encoding="utf-8")


if __name__ == "__main__":
    main()
