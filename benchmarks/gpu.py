"""What a GPU is used for: vectors of photographs, trainings, exact lists; each beside what limits it.

    python -m benchmarks.gpu FOLDER [--only images training lists] [--plot docs/gpu.svg]

``FOLDER`` keeps the figures (``figures.jsonl``): what was measured on a GPU of the same name, in the same sizes, by the
same code and PyTorch, is not measured again, so that a run that was stopped goes on. It says beforehand how much there
is to do.

- **images**, for each backbone: photographs a second of the bare network in bfloat16, also compiled, on pixels that lie
  on the device; of decoding and scaling alone; and of the whole way from files in the disk cache to vectors, once
  compiled (unless ``--plain``) and read by as many threads as there are cores, once as a night does it whose settings
  nobody changed. The limit is the lower of decoding and that network, the goal half of it. Beside it the lowest cosine
  of the vectors, without what all share, to those that a processor makes in float32 of pixels that Pillow decoded, and
  the share of the ten nearest neighbours that are the same.
- **training**: seconds of a fit, and billions of operations a second of its products of matrices. The limit is what the
  device does in a product of two large float32 matrices.
- **lists**: the 30 best of all articles for every customer, exactly, without 20 that each had; the same limit.

``--device cpu --small`` runs all of it on a processor, in sizes that only show that it runs.

What belongs here: what is measured and its table. What does not: the same on a processor beside peers
(:mod:`benchmarks.speed`), the trainings (:mod:`benchmarks.training_limits`).
"""

import argparse
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch
from pydantic import BaseModel

from atelier.code_version import code_version
from atelier.devices import choose_device
from atelier.errors import AtelierError, DamagedFile
from atelier.images.device_decoding import DeviceDecoder
from atelier.images.embedding import Encoder, Vectors
from atelier.progress import progress
from atelier.report import figures
from atelier.search.exact import ExactTopK
from atelier.search.ragged import Pairs, Ranked
from benchmarks import training_limits
from benchmarks.image_embedding import drawn
from benchmarks.kept_figures import append, read
from benchmarks.machine_limits import GIGA
from benchmarks.ratios import in_turns
from resources.compute import Compute

PARTS = ("images", "training", "lists")
NEIGHBOURS = 10
K, EXCLUDED = 30, 20


class Sizes(NamedTuple):
    """How much is measured.

    Attributes:
        backbones: networks for photographs.
        photographs: files that are encoded.
        compared: of them, whose vectors a processor makes too.
        batch: photographs computed at a time.
        fit: customers, articles and interactions of a training.
        lists: customers and articles, and the length of their vectors.
        product: side of the square matrices whose product says what the device does.
    """

    backbones: tuple[str, ...]
    photographs: int
    compared: int
    batch: int
    fit: tuple[int, int, int]
    lists: tuple[int, int, int]
    product: int


FULL = Sizes(
    ("vgg16", "resnet50", "resnet152"), 20_000, 200, 256, (200_000, 100_000, 3_000_000), (1_370_000, 105_000, 200), 8192
)
SMALL = Sizes(("mobilenet_v2",), 12, 12, 4, (300, 100, 2_000), (300, 200, 8), 256)
MINUTES = {"images": 2.0, "training": 1.5, "lists": 2.0}
"""About how long a measurement of each part takes in full; guesses, since no GPU was there when they were written."""


class Figure(BaseModel, frozen=True, extra="forbid"):
    """One measurement.

    Attributes:
        part: of :data:`PARTS`.
        what: was measured.
        value: the figure.
        unit: of value, limit and goal.
        device: the name of the device.
        sizes: in which it was measured, in words, with PyTorch's version and a digest of the code.
        limit: what nothing can pass here; None: it is a limit itself, or there is none.
        goal: what was hoped for.
        said: more about it.
    """

    part: str
    what: str
    value: float
    unit: str
    device: str
    sizes: str
    limit: float | None = None
    goal: float | None = None
    said: str = ""


class Bench:
    """Measures on one device.

    Args:
        device: where.
        sizes: how much.
        compiled: whether networks are compiled too.
    """

    def __init__(self, device: torch.device, sizes: Sizes, *, compiled: bool) -> None:
        self.device, self.sizes, self._compiled = device, sizes, compiled
        made_by = f"torch {torch.__version__}, code {code_version('benchmarks.gpu')[:12]}"
        self.described = f"{sizes}, {'compiled' if compiled else 'plain'}, {made_by}"
        self.name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"

    def tasks(self, only: Sequence[str]) -> dict[str, Callable[[], list[Figure]]]:
        """What there is to measure, by name; each gives some figures."""
        all_tasks: dict[str, tuple[str, Callable[[], list[Figure]]]] = {
            **{f"images {name}": ("images", partial(self.images, name)) for name in self.sizes.backbones},
            **{f"training {name}": ("training", partial(self.training, name)) for name in training_limits.FITS},
            "lists": ("lists", self.lists),
        }
        return {name: task for name, (part, task) in all_tasks.items() if part in only}

    def figure(self, part: str, what: str, value: float, unit: str, **more: float | str | None) -> Figure:
        """A figure of this device."""
        given = {"part": part, "what": what, "value": value, "unit": unit, "device": self.name}
        return Figure.model_validate(given | {"sizes": self.described} | more)

    def seconds(self, action: Callable[[], object], repeats: int = 2) -> float:
        """Seconds by the clock until the device has done what an action asks of it, the least of some runs."""

        def finished() -> None:
            action()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)

        (spent,), _ = in_turns(repeats, finished)
        return spent.wall

    def rate(self) -> float:
        """Billions of operations a second in a product of large float32 matrices."""
        side = self.sizes.product
        a, b = (torch.randn(side, side, device=self.device) for _ in range(2))
        return 2 * side**3 / GIGA / self.seconds(lambda: a @ b, repeats=5)

    def images(self, backbone: str) -> list[Figure]:
        """Photographs a second, and how near the vectors are to a processor's."""
        with tempfile.TemporaryDirectory() as folder:
            few = drawn(Path(folder), min(self.sizes.photographs, 500))  # drawing takes longer than encoding
            paths = [few[place % len(few)] for place in range(self.sizes.photographs)]
            encoder = self._encoder(backbone)
            fast = self._encoder(backbone, compiled=True) if self._compiled else encoder
            decoding = self._decoding(encoder, few)
            bare = self._network(encoder)
            compiled = self._network(fast) if self._compiled else bare
            limit = min(decoding, compiled)
            hashes = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in few}
            digests = [hashes[path] for path in paths]  # as the daily job has them
            fast.encode(paths[: self.sizes.batch])
            whole = len(paths) / self.seconds(lambda: fast.encode(paths, digests=digests), repeats=1)
            nightly = self._encoder(backbone, threads=Compute().threads)
            nightly.encode(paths[: self.sizes.batch])
            night = len(paths) / self.seconds(lambda: nightly.encode(paths, digests=digests), repeats=1)
            said = self._compared(encoder, few[: self.sizes.compared])
        per = "photographs/s"
        rows = [self.figure("images", f"{backbone}: network, {encoder.precision}", bare, per)]
        if self._compiled:
            rows.append(self.figure("images", f"{backbone}: network, compiled", compiled, per))
        return [
            *rows,
            self.figure("images", f"{backbone}: decoding and scaling", decoding, per),
            self.figure("images", f"{backbone}: files to vectors", whole, per, limit=limit, goal=limit / 2, said=said),
            self.figure("images", f"{backbone}: files to vectors, a night's defaults", night, per, limit=limit),
        ]

    def _encoder(self, backbone: str, *, threads: int | None = None, compiled: bool = False) -> Encoder:
        return Encoder.build(
            backbone,
            None,
            device=self.device,
            batch_size=self.sizes.batch,
            threads=threads or os.cpu_count() or 1,
            decoding="device",
            compiled=compiled,
        )

    def _decoding(self, encoder: Encoder, paths: Sequence[Path]) -> float:
        decoder = DeviceDecoder(encoder.preprocessing, self.device)
        size = self.sizes.batch
        files = [decoder.prepare(path.read_bytes(), path.name, inspected=True) for path in paths]
        batches = [files[start : start + size] for start in range(0, len(files), size)]
        decoder(batches[0])
        return len(files) / self.seconds(lambda: [decoder(batch) for batch in batches])

    def _network(self, encoder: Encoder) -> float:
        side, size = encoder.preprocessing.crop, self.sizes.batch
        pixels = torch.randint(0, 256, (size, 3, side, side), dtype=torch.uint8, device=self.device)
        times = max(1, min(20, self.sizes.photographs // size))
        encoder.output(pixels)
        return times * size / self.seconds(lambda: [encoder.output(pixels) for _ in range(times)])

    def _compared(self, encoder: Encoder, paths: Sequence[Path]) -> str:
        host = Encoder(encoder.backbone, "cpu", "float32", decoding="host")
        expected = host.encode(paths).vectors
        again = Encoder(encoder.backbone, self.device, batch_size=self.sizes.batch, decoding="device")
        found = again.encode(paths).vectors
        a, b = (_unit(vectors) for vectors in (expected, found))
        near_a, near_b = (_nearest(vectors) for vectors in (a, b))
        same = np.mean([len(np.intersect1d(x, y)) / len(x) for x, y in zip(near_a, near_b, strict=True)])
        return f"cosine to a processor's ≥ {(a * b).sum(1).min():.4f}, {same:.1%} of {NEIGHBOURS} nearest the same"

    def training(self, name: str) -> list[Figure]:
        """Seconds of a fit, and what its products do in them."""
        customers, articles, interactions = self.sizes.fit
        given = training_limits.arguments(["--only", name])
        given.customers, given.articles, given.interactions = customers, articles, interactions
        given.device = str(self.device)
        ((what, fit),) = training_limits.fits(given)
        operations = training_limits.counted(fit)
        spent, rate = self.seconds(fit, repeats=1), self.rate()
        said = f"{spent:.1f} s for {interactions:,} interactions"
        return [self.figure("training", what, operations / spent, "billion operations/s", limit=rate, said=said)]

    def lists(self) -> list[Figure]:
        """The best articles of all customers."""
        customers, articles, dim = self.sizes.lists
        random = np.random.default_rng(0)
        vectors, queries = (random.standard_normal((n, dim), dtype=np.float32) for n in (articles, customers))
        rows = np.repeat(np.arange(customers), EXCLUDED)
        excluded = Pairs(rows, random.integers(0, articles, len(rows)).astype(np.int32))
        search = ExactTopK(vectors, np.arange(articles, dtype=np.int32), articles, self.device)

        def ranked() -> Ranked:
            return search(queries, min(K, articles), excluded)

        spent, operations = self.seconds(ranked, repeats=1), 2 * customers * articles * dim / GIGA
        what, unit = f"{K} best of {articles:,} for {customers:,}", "billion operations/s"
        return [self.figure("lists", what, operations / spent, unit, limit=self.rate(), said=f"{spent:.1f} s")]


def _unit(vectors: Vectors) -> Vectors:
    centred = vectors - vectors.mean(0)  # without what all photographs share
    return np.asarray(centred / np.linalg.norm(centred, axis=1, keepdims=True), np.float32)


def _nearest(vectors: Vectors) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    return np.argsort(-cosines, axis=1)[:, : min(NEIGHBOURS, len(vectors) - 1)]


def table(rows: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| what | measured | limit | share of it | goal | |", "|---|---|---|---|---|---|"]
    for row in rows:
        limit, share, goal = (
            "" if value is None else shown
            for value, shown in (
                (row.limit, f"{row.limit:,.0f}" if row.limit else ""),
                (row.limit, f"{row.value / row.limit:.0%}" if row.limit else ""),
                (row.goal, f"{row.goal:,.0f}" if row.goal else ""),
            )
        )
        lines.append(f"| {row.what} | {row.value:,.0f} {row.unit} | {limit} | {share} | {goal} | {row.said} |")
    return "\n".join(lines)


def plot(rows: Sequence[Figure]) -> str:
    """The share of its limit that each figure reaches; an SVG that stands alone."""
    shares = [(row.what, row.value / row.limit) for row in rows if row.limit]
    with figures.styled():
        drawing, (axis,) = figures.subplots(1, 7.2, 0.7 + 0.42 * len(shares))
        axis.barh(np.arange(len(shares)), [share for _, share in shares], height=0.6, color=figures.SERIES[1])
        axis.set_yticks(np.arange(len(shares)), [what for what, _ in shares], fontsize=8.5)
        axis.set_ylim(len(shares) - 0.5, -0.5)
        axis.set_xlim(0, 1)
        axis.set_xlabel("share of what limits it")
        return figures.standalone(figures.svg(drawing))


def measured(bench: Bench, only: Sequence[str], file: Path) -> Iterator[Figure]:
    """The figures of all tasks; those that the file has are not measured again, the others are added to it."""
    before = [row for row in read(file, Figure) if (row.device, row.sizes) == (bench.name, bench.described)]
    done = {name for row in before for name in bench.tasks(only) if _belongs(row, name)}
    yield from (row for row in before if row.part in only)
    left = {name: task for name, task in bench.tasks(only).items() if name not in done}
    minutes = sum(MINUTES[name.partition(" ")[0]] for name in left)
    print(f"{bench.name}: {len(left)} measurements to do; in full sizes about {minutes:.0f} minutes, a guess")
    for task in progress(list(left.values()), "on the device", unit="measurement"):
        found = task()
        append(file, found)
        yield from found


def _belongs(row: Figure, task: str) -> bool:
    """Whether a figure came of the task of that name; all of a task's figures are written together."""
    part, _, name = task.partition(" ")
    return row.part == part and row.what.startswith((f"{name}:", f"{name},")) if name else row.part == part


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="keeps the figures")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="sizes that only show that everything runs")
    parser.add_argument("--plain", action="store_true", help="compile no network: there is no C compiler")
    parser.add_argument("--plot", type=Path, help="where the plot is written")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print, draw."""
    options = arguments(given)
    try:
        device = choose_device(options.device)
    except AtelierError as error:
        raise SystemExit(f"{error}; to see that it runs: --device cpu --small --plain") from None
    options.folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(device, SMALL if options.small else FULL, compiled=not options.plain)
    try:
        rows = list(measured(bench, options.only, options.folder / "figures.jsonl"))
    except DamagedFile as error:
        raise SystemExit(str(error)) from None
    print(f"\n{bench.name}, torch {torch.__version__}\n\n{table(rows)}")
    if options.plot is not None:
        options.plot.write_text(plot(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
