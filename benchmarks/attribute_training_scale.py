"""The cost of a step of each training of the attribute network on a catalogue of full size.

What belongs here: synthetic articles with the published shape, the time of some steps, the memory. What does not: F1
(:mod:`benchmarks.attribute_training`, whose option ``--scale`` runs this). An epoch's time is extrapolated, and the
table says so.
"""

import multiprocessing
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from atelier.attributes.config import AttributeConfig
from benchmarks.ratios import peak_memory
from resources.compute import Compute

if TYPE_CHECKING:
    from atelier.attributes.encoding import EncodedArticles
    from atelier.attributes.labels import Heads
    from atelier.attributes.network.joint_training import JointTraining
    from atelier.attributes.network.per_attribute_training import PerAttributeTraining

# As many photographs, product types and attributes as published, and as many labels missing: 13 to 99% (at 99.9% of
# 105,000 articles no value would have the 500 labels that it needs). Numbers of words, brands and classes are ours.
SHOTS, DIMENSION, TYPES, TOKENS, WORDS, BRANDS, DIVISIONS = 4, 512, 318, 50, 20_000, 1_000, 2
LABELLED = np.geomspace(0.87, 0.01, 34)
CLASSES = np.linspace(24, 2, 34).astype(int)
WARM_UP = 2  # steps that also allocate


@dataclass(frozen=True)
class Cost:
    """The cost of some steps of a training.

    Attributes:
        way: of training.
        batch: articles per step.
        steps: the number of timed steps.
        seconds: wall seconds per step.
        busy: seconds of processor time per step, of all threads.
        epoch: the number of steps in which as many labels are seen as there are.
        labels: the number of labels.
        before: the process's peak memory in bytes before the first step: articles and network.
        peak: the same after the last step.
        gpu: the peak of a GPU's memory in bytes that tensors took; 0 without a GPU.
    """

    way: str
    batch: int
    steps: int
    seconds: float
    busy: float
    epoch: int
    labels: int
    before: int
    peak: int
    gpu: int


def measure(
    configs: Mapping[str, AttributeConfig], articles: int, steps: Mapping[str, int], compute: Compute
) -> list[Cost]:
    """Time steps of each training in a process of its own, so that the peak memory of each is its own.

    Args:
        configs: by way of training.
        articles: the number of synthetic articles.
        steps: the number of steps to time, by way of training.
        compute: device and threads.
    """
    costs = []
    for way, config in configs.items():
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            costs.append(process.submit(cost, config, articles, steps[way], compute).result())
    return costs


def prepared(
    config: AttributeConfig, articles: int, compute: Compute
) -> "tuple[JointTraining | PerAttributeTraining, int]":
    """A network in training on synthetic articles, and how many labels they have."""
    import torch

    from atelier.attributes.network.architecture import AttributeNetwork, Sizes
    from atelier.attributes.network.batches import ArticleBatches
    from atelier.attributes.network.training import TRAINERS

    device = compute.apply()
    torch.manual_seed(config.seed)
    encoded, targets, heads = synthetic(articles, config.tokens)
    sizes = Sizes(DIMENSION, TYPES, WORDS, BRANDS, DIVISIONS, heads.sizes)
    network = AttributeNetwork(config, sizes).to(device).train()
    labelled = targets >= 0
    rows = torch.from_numpy(np.flatnonzero(labelled.any(axis=1))).to(device)
    feed = ArticleBatches(encoded, network, device)
    train = TRAINERS[config.training]
    return train(network, feed, torch.from_numpy(targets).to(device), heads, config, rows), int(labelled.sum())


def cost(config: AttributeConfig, articles: int, steps: int, compute: Compute) -> Cost:
    """Time steps in this process."""
    import torch

    training, labels = prepared(config, articles, compute)
    device = compute.torch_device()
    epoch = training.steps_per_epoch
    before, times = peak_memory(), []
    for _ in range(steps + WARM_UP):
        float(training.step().total)  # waits for a GPU
        times.append((time.perf_counter(), time.process_time()))
    # The mean, not the median, because steps of different attributes take different times.
    seconds, busy = np.diff(times, axis=0)[WARM_UP - 1 :].mean(axis=0).tolist()
    gpu = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    before, peak = (int(mib * 2**20) for mib in (before, peak_memory()))
    return Cost(config.training, config.batch_size, steps, seconds, busy, epoch, labels, before, peak, gpu)


def synthetic(articles: int, tokens: int) -> "tuple[EncodedArticles, npt.NDArray[np.int64], Heads]":
    """Random articles of full texts and photographs, their labels [articles, attributes], −1 unlabelled, and heads."""
    from atelier.articles.image_vectors import ImageVectors
    from atelier.attributes.encoding import EncodedArticles
    from atelier.attributes.labels import UNLABELLED, Head, Heads

    rng = np.random.default_rng(0)
    encoded = EncodedArticles(
        shots=ImageVectors(rng.standard_normal((articles * SHOTS, DIMENSION), np.float32), np.full(articles, SHOTS)),
        tokens=rng.integers(2, WORDS, (articles, tokens), dtype=np.int32),
        types=rng.integers(0, TYPES, articles),
        brands=rng.integers(0, BRANDS, articles),
        divisions=rng.integers(0, DIVISIONS, articles),
    )
    targets = rng.integers(0, CLASSES, (articles, len(CLASSES)))
    targets[rng.random(targets.shape) >= LABELLED] = UNLABELLED
    counts = [np.bincount(column[column >= 0], minlength=size) for column, size in zip(targets.T, CLASSES, strict=True)]
    heads = [
        Head(f"attribute {index:02}", np.arange(size).astype(str).astype(object), samples)
        for index, (size, samples) in enumerate(zip(CLASSES, counts, strict=True))
    ]
    return encoded, targets, Heads(tuple(heads))


def as_text(costs: list[Cost], articles: int) -> str:
    """The costs as a table."""
    lines = [
        f"{articles:,} synthetic articles, {SHOTS} × {DIMENSION} shots, {TYPES} product types, {len(CLASSES)}",
        f"attributes of {CLASSES.sum()} classes, {costs[0].labels:,} labels",
        f"{'':<12}{'articles':>10}{'steps':>8}{'seconds a step':>18}{'steps in':>10}{'epoch,':>14}{'memory, GB':>14}"
        f"{'GPU,':>8}",
        f"{'training':<12}{'a step':>10}{'timed':>8}{'wall':>9}{'CPU':>9}{'an epoch':>10}{'extrapolated':>14}"
        f"{'before, peak':>14}{'GB':>8}",
    ]
    for cost in costs:
        memory = f"{cost.before / 1e9:.1f}, {cost.peak / 1e9:.1f}"
        lines.append(
            f"{cost.way:<12}{cost.batch:>10}{cost.steps:>8}{cost.seconds:>9.3f}{cost.busy:>9.3f}{cost.epoch:>10,}"
            f"{cost.seconds * cost.epoch / 60:>10.1f} min{memory:>14}{cost.gpu / 1e9:>8.1f}"
        )
    lines.append(
        "In an epoch as many labels are seen as there are. Its time is wall seconds × steps, not measured: on a machine"
        " that is busy with other work, go by the CPU seconds."
    )
    return "\n".join(lines)
