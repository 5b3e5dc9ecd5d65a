"""The published training of the attribute network beside joint training: F1 reached, and the time to reach it.

    python -m benchmarks.attribute_training [--hm FOLDER [--vectors FILE.npz]] [--sizes published|small]
    python -m benchmarks.attribute_training --scale 105000

The first form trains the same network on the same articles in both ways, one after the other, and evaluates it on
styles held out. Without ``--hm`` the sample retailer is generated; with ``--hm`` the folder's ``articles.csv`` gives
names, descriptions and nine attributes (no metadata: they would leak), the NPZ file image vectors: ``names``, article
ids, and ``vectors``, float32 [n, dim]; articles without one are left out. The time is that of training alone, including
its own validation, without the encoding of articles and without the evaluation for the curve. The second form times
steps on synthetic articles, each way in a process of its own, and *extrapolates* to an epoch.

What belongs here: data, clock, table and plot. What does not: the trainings, and the cost of a step at scale
(:mod:`benchmarks.attribute_training_scale`).
"""

import argparse
import math
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from atelier.articles.splits import holdout
from atelier.attributes.config import AttributeConfig
from atelier.report.figures import line_plot, standalone
from atelier.sources.sample import SampleConfig, generate
from atelier.studies.attribute_plan import RECIPE as STUDIED
from benchmarks import attribute_training_scale as scale
from benchmarks.hm_articles import read_articles, with_labels, with_vectors
from resources.compute import Compute, pin_threads

if TYPE_CHECKING:
    import torch

    from atelier.attributes.model import AttributeModel

TRAINERS = ("joint", "published")
RECIPE = (*STUDIED, "weight_decay", "patience", "class_weighting", "attribute_balance", "label_smoothing")
PLOT = Path("docs/figures/attribute_training.svg")
SPACING = 1.15  # steps between evaluations grow by this factor, so that both curves are equally fine at any stage
SHARES = (1.0, 0.99, 0.95, 0.9)  # of the published training's best F1


@dataclass(frozen=True)
class Data:
    """Articles and labels, as for :meth:`AttributeModel.fit`."""

    name: str
    articles: pd.DataFrame
    labels: pd.DataFrame


@dataclass
class Curve:
    """The learning curve of one training.

    Attributes:
        way: of training.
        steps: of the optimiser, at each evaluation.
        wall: seconds of training until then.
        busy: seconds of processor time until then, of all threads.
        f1: mean weighted F1 on the test articles at each evaluation.
        final: the same with the final weights; nan where training was cut off.
    """

    way: str
    steps: list[int] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    f1: list[float] = field(default_factory=list)
    final: float = float("nan")

    def reached(self, f1: float) -> int | None:
        """The index of the first evaluation with at least this F1; None where there is none."""
        return next((index for index, value in enumerate(self.f1) if value >= f1), None)


class CutOff(Exception):
    """Training has reached its time limit."""


def sample_data(folder: Path, articles: int, photographs: bool) -> Data:
    """The sample retailer's articles and annotations on its last day; photographs through the seeded small backbone."""
    config = SampleConfig(articles=articles, customers=20, days=28, photographs=photographs)
    generate(folder, config)

    def last(table: str) -> pd.DataFrame:
        return pd.read_parquet(max((folder / table).glob("ds=*.parquet")))

    frame = last("articles")
    if photographs:
        frame["embeddings"] = frame["article_id"].map(_embedded(folder, last("images")))
    return Data(f"sample retailer, {articles:,} articles", frame, last("annotated_attributes"))


def _embedded(folder: Path, images: pd.DataFrame) -> dict[Any, list[Any]]:
    from atelier.images import Encoder

    images = images.sort_values(["article_id", "shot"])
    encoded = Encoder.build("small", None, device="cpu").encode(images["path"].tolist(), root=folder / "images")
    owners = images.loc[encoded.ok, "article_id"]
    return pd.Series(list(encoded.vectors), index=owners).groupby(level=0).agg(list).to_dict()


def hm_data(folder: Path, vectors: Path | None) -> Data:
    """The articles of a folder in the H&M layout: text, image vectors, nine attributes; no metadata."""
    frame = read_articles(folder)
    articles, labels = with_labels(frame if vectors is None else with_vectors(frame, vectors))
    return Data(f"H&M, {len(articles):,} articles", articles, labels)


def config_of(way: str, sizes: str, articles: int) -> AttributeConfig:
    """A network of the published or the small sizes, with the published training or with ours for so many articles."""
    layers = AttributeConfig.published() if sizes == "published" else AttributeConfig.small()
    recipe = AttributeConfig.published() if way == "published" else AttributeConfig.for_data(articles)
    # The published training trains one network, not an ensemble.
    changes = {name: getattr(recipe, name) for name in RECIPE} | {"min_samples": None, "members": 1}
    return AttributeConfig.model_validate(layers.model_dump() | changes)


def run(data: Data, way: str, config: AttributeConfig, limit: float, device: "torch.device") -> Curve:
    """Train in one way and follow the F1 on the test articles.

    Args:
        data: all articles; a fifth of the styles is held out for testing.
        way: of training, for the table.
        config: the network's config.
        limit: seconds of training after which it is cut off.
        device: where to compute.
    """
    from atelier.attributes.model import AttributeModel, Monitor

    held_out = holdout(data.articles, 0.2)
    unseen = set(data.articles.loc[held_out, "article_id"])
    theirs = data.labels["article_id"].isin(unseen)
    labels = data.labels[theirs]
    # Only labelled articles, because the evaluations for the curve should not take longer than the training.
    test = data.articles[held_out & data.articles["article_id"].isin(labels["article_id"])]
    curve, clock = Curve(way), Clock(device)

    def look(step: int, model: "AttributeModel") -> None:
        if curve.steps and step < SPACING * curve.steps[-1]:
            return
        with clock.stopped() as (wall, busy):
            curve.steps.append(step)
            curve.wall.append(wall)
            curve.busy.append(busy)
            curve.f1.append(mean_f1(model, test, labels))
        if wall > limit:
            raise CutOff

    try:
        model = AttributeModel(config, device=device).fit(
            data.articles[~held_out], data.labels[~theirs], monitor=Monitor(1, look)
        )
        curve.final = mean_f1(model, test, labels)
    except CutOff:
        print(f"{way}: cut off after {limit:,.0f} s of training")
    return curve


def mean_f1(model: "AttributeModel", articles: pd.DataFrame, labels: pd.DataFrame) -> float:
    """Mean weighted F1 over attributes."""
    from atelier.attributes.evaluation import evaluate

    table = evaluate(model, articles, labels).set_index(["attribute", "metric"])["value"]
    return float(table["mean", "weighted_f1"])


class Clock:
    """Wall and processor seconds since the first pause, without the seconds of pauses."""

    def __init__(self, device: "torch.device") -> None:
        self._device = device
        self._begun: tuple[float, float] | None = None

    @contextmanager
    def stopped(self) -> Iterator[tuple[float, float]]:
        """Pause the clock in a ``with`` block; gives the seconds until then."""
        stopped = self._now()
        begun = self._begun or stopped
        yield stopped[0] - begun[0], stopped[1] - begun[1]
        now = self._now()
        self._begun = begun[0] + now[0] - stopped[0], begun[1] + now[1] - stopped[1]

    def _now(self) -> tuple[float, float]:
        import torch

        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter(), time.process_time()


def as_text(joint: Curve, published: Curve) -> str:
    """A table of the final and the best F1, and of the time of both trainings to shares of the published best F1."""
    rows = [
        ("mean weighted F1, test", "joint", "published", "difference"),
        *(
            _compared(name, *pair)
            for name, pair in (
                ("with the final weights", (joint.final, published.final)),
                ("at the best evaluation", (max(joint.f1), max(published.f1))),
            )
        ),
        ("steps", f"{joint.steps[-1]:,}", f"{published.steps[-1]:,}", ""),
        ("seconds of training", f"{joint.wall[-1]:.1f}", f"{published.wall[-1]:.1f}", ""),
        ("", "", "", ""),
        ("seconds to F1 of", "joint", "published", "ratio", "ratio, CPU"),
        *(_time_to(joint, published, share) for share in SHARES),
    ]
    return "\n".join(f"{row[0]:<26}" + "".join(f"{cell:>12}" for cell in row[1:]) for row in rows)


def _compared(name: str, ours: float, theirs: float) -> tuple[str, ...]:
    return name, f"{ours:.4f}", f"{theirs:.4f}", f"{ours - theirs:+.4f}"


def _time_to(joint: Curve, published: Curve, share: float) -> tuple[str, ...]:
    goal = share * max(published.f1)
    reached = joint.reached(goal), published.reached(goal)
    times = ["never" if i is None else f"{c.wall[i]:.1f}" for c, i in zip((joint, published), reached, strict=True)]
    return f"{goal:.4f} ({share:.0%} of best)", *times, *(f"{ratio:.1f}" for ratio in ratios(joint, published, goal))


def ratios(joint: Curve, published: Curve, goal: float) -> tuple[float, float]:
    """The time of published training to an F1 divided by that of joint training, wall and processor; nan if never."""
    ours, theirs = joint.reached(goal), published.reached(goal)
    if not ours or not theirs:  # None: the F1 was never reached; 0: before the first step
        return math.nan, math.nan
    return published.wall[theirs] / joint.wall[ours], published.busy[theirs] / joint.busy[ours]


def draw(curves: Sequence[Curve], title: str, path: Path) -> None:
    """Write the learning curves of both trainings, over wall and processor seconds, as SVG."""
    panels = {"Mean F1, wall clock": "wall", "Mean F1, processor time": "busy"}
    lines = [
        {c.way: (np.array(getattr(c, clock), dtype=np.float64), np.array(c.f1, dtype=np.float64)) for c in curves}
        for clock in panels.values()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(standalone(line_plot(list(panels), lines, f"seconds of training ({title})")))


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=int, default=2_500, help="of the sample retailer")
    parser.add_argument("--photographs", action="store_true", help="draw and embed the sample retailer's photographs")
    parser.add_argument("--hm", type=Path, metavar="FOLDER", help="articles.csv in the H&M layout instead")
    parser.add_argument("--vectors", type=Path, metavar="FILE", help="NPZ file of their image vectors")
    parser.add_argument("--sizes", choices=("published", "small"), default="published", help="of the network's layers")
    parser.add_argument("--limit", type=float, default=math.inf, help="seconds after which a training is cut off")
    parser.add_argument("--plot", type=Path, default=PLOT, help=f"where the plot goes; default: {PLOT}")
    parser.add_argument("--scale", type=int, metavar="ARTICLES", help="time steps on synthetic articles instead")
    parser.add_argument("--steps", type=int, nargs=2, default=(30, 60), metavar=("JOINT", "PUBLISHED"))
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = arguments(given)
    pin_threads()
    compute = Compute(options.device, options.threads)
    print(compute.describe() | {"threads": options.threads, "load": os.getloadavg()[0]})
    if options.scale:
        steps = dict(zip(TRAINERS, options.steps, strict=True))
        configs = {way: config_of(way, options.sizes, options.scale) for way in TRAINERS}
        print(scale.as_text(scale.measure(configs, options.scale, steps, compute), options.scale))
        return
    device = compute.apply()
    with tempfile.TemporaryDirectory() as folder:
        if options.hm:
            data = hm_data(options.hm, options.vectors)
        else:
            data = sample_data(Path(folder), options.articles, options.photographs)
    curves = [
        run(data, way, config_of(way, options.sizes, len(data.articles)), options.limit, device) for way in TRAINERS
    ]
    print(f"{data.name}; {len(data.labels):,} labels; {options.sizes} sizes; a fifth of the styles is held out")
    print(as_text(*curves))
    draw(curves, data.name, options.plot)


if __name__ == "__main__":
    main()
