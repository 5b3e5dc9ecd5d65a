"""How far training is from what the machine's products of matrices allow; docs/speed.md has the table.

Run it as ``python -m benchmarks.training_limits [--threads 1]``. Each training is done twice: once while PyTorch counts
the multiply-adds of all products of matrices, forward and backward, and once while nobody counts and processor seconds
are taken. The limit is the operations (a multiply-add is two) over what this machine does in a product of two large
float32 matrices, measured in the same run. What is no product, such as looking up rows, norms, activations and moving
weights, has no part in the limit, so that no training reaches it.

Recommenders are fitted on drawn purchases of a catalogue with content; a fit is all of it: reading, examples, training,
judging, profiles. Of the attribute network ``--steps`` steps are taken on drawn articles of the published shape.

What belongs here: trainings beside their limit. What does not: what a machine can do
(:mod:`benchmarks.machine_limits`), peers, quality.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from atelier import recommenders
from atelier.attributes.config import AttributeConfig
from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.progress import progress
from benchmarks.als_against_implicit import interactions
from benchmarks.attribute_training_scale import prepared
from benchmarks.machine_limits import GIGA, products
from benchmarks.ratios import in_turns
from resources.compute import Compute

FITS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "hybrid": ("hybrid", {"max_epochs": 2}),
    "transformer": ("transformer", {"max_epochs": 2}),
    "sequencer:gru": ("sequencer", {"cell": "gru", "max_epochs": 2}),
    "two_tower": ("two_tower", {"max_epochs": 2}),
}
FEATURES, FILLED = 512, 20
"""Positions of an article's content, and how many of them are not zero."""
LARGE = 2048
"""The size of the square matrices whose product says what the machine does."""


class Limit(NamedTuple):
    """A training beside its limit.

    Attributes:
        what: the training.
        seconds: processor seconds.
        operations: billions, of products of matrices.
        rate: billions that the machine does in a processor second.
    """

    what: str
    seconds: float
    operations: float
    rate: float

    def line(self) -> str:
        """A line of the table."""
        limit = self.operations / self.rate
        return f"{self.what:<28}{self.seconds:>10.1f}{self.operations:>14.0f}{limit:>10.1f}{self.seconds / limit:>8.1f}"


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=5_000)
    parser.add_argument("--articles", type=int, default=20_000)
    parser.add_argument("--interactions", type=int, default=50_000)
    parser.add_argument("--steps", type=int, default=10, help="of the attribute network")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="of the recommenders")
    parser.add_argument("--only", nargs="*", default=[*FITS, "attributes"])
    return parser.parse_args(given)


def counted(action: Callable[[], object]) -> float:
    """The billions of operations of the products of matrices that an action does."""
    with FlopCounterMode(display=False) as counter:
        action()
    return float(counter.get_total_flops()) / GIGA


def fit(name: str, device: str, settings: Mapping[str, Any], train: Interactions, catalogue: Catalogue) -> object:
    """Fit a recommender from the beginning."""
    return recommenders.build(name, device, **settings).fit(train, catalogue)


def fits(options: argparse.Namespace) -> Iterable[tuple[str, Callable[[], object]]]:
    """What fits each recommender once, on the same purchases."""
    random = np.random.default_rng(0)
    bought = interactions(options.customers, options.articles, options.interactions).to_pandas()
    days = np.sort(random.integers(0, 60, len(bought)))
    bought["occurred_at"] = pd.Timestamp(2025, 1, 1) + pd.to_timedelta(days, unit="D")
    train = Interactions.from_frame(bought)
    content = np.zeros((options.articles, FEATURES), np.float32)
    content[np.arange(options.articles)[:, None], random.integers(0, FEATURES, (options.articles, FILLED))] = 1
    names = [f"{article:010d}" for article in range(options.articles)]
    catalogue = Catalogue.from_frames(pd.DataFrame({"article_id": names}), content)
    for what, (name, settings) in FITS.items():
        if what in options.only:
            yield f"{what}, fit", partial(fit, name, options.device, settings, train, catalogue)


def trainings(options: argparse.Namespace) -> Iterable[tuple[str, Callable[[], object]]]:
    """What is measured: each action trains from the beginning, or goes on training."""
    yield from fits(options)
    if "attributes" in options.only:
        training, _ = prepared(
            AttributeConfig.for_data(options.articles), options.articles, Compute("cpu", options.threads)
        )
        yield f"attributes, {options.steps} steps", lambda: [training.step() for _ in range(options.steps)]


def measure(options: argparse.Namespace) -> list[Limit]:
    """The trainings beside their limits."""
    torch.set_num_threads(options.threads)
    amount, product = products(LARGE, torch.float32)
    found = []
    for what, action in progress(list(trainings(options)), "trainings"):
        operations = counted(action)
        [spent, large], _ = in_turns(1, action, product)
        [again], _ = in_turns(3, product)
        found.append(Limit(what, spent.processor, operations, amount / min(large.processor, again.processor)))
    return found


def main() -> None:
    """Measure and print."""
    options = arguments()
    print(f"{options.threads} threads, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}")
    limits = measure(options)
    fastest = max(each.rate for each in limits)
    print(f"products of large matrices: {fastest:.0f} billion operations a processor second\n")
    print(f"{'':<28}{'seconds':>10}{'operations':>14}{'limit':>10}{'times':>8}")
    print("\n".join(each._replace(rate=fastest).line() for each in limits))


if __name__ == "__main__":
    main()
