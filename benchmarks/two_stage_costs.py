"""What two stages cost on the week: processor seconds, memory, and what ranking for everybody would take.

What belongs here: that. What does not: what lists are worth (:mod:`benchmarks.hm_week_two_stage`).
"""

import copy
import resource
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from atelier.recommenders.two_stage.two_stage import TwoStage

K = 12
RANKED = 100
"""Candidates of a customer whose ranking is extrapolated."""
FULL_CUSTOMERS = 1_370_000
"""Customers of the whole retailer."""


@dataclass
class Costs:
    """Processor seconds of the parts, by name."""

    seconds: dict[str, float] = field(default_factory=dict)

    def of(self, name: str, work: Callable[[], Any]) -> Any:
        """Do the work and add what it cost."""
        start = time.process_time()
        result = work()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start
        return result


def extrapolated(model: TwoStage, sample: int = 4096) -> dict[str, float]:
    """What ranking 100 candidates for all customers of the retailer would cost, from a sample of those with history.

    Memory is the most that Python and numpy hold at once beyond the model, for a quarter of the sample and for all of
    it: it goes by the chunk that is ranked at once.
    """
    model = copy.copy(model)
    model.config = model.config.model_copy(update={"candidates": RANKED})
    able = np.flatnonzero(model.moment().inputs.histories.lengths > 0)
    chosen = np.random.default_rng(0).permutation(able)[:sample]
    ids = model.customer_profiles.ids.take(np.sort(chosen))

    def ranked(part: int) -> float:
        start = time.process_time()
        for _ in model.recommend_batches(ids[:part], K, exclude_seen=False):
            pass
        return time.process_time() - start

    found: dict[str, float] = {"candidates of each": RANKED}
    for part in (len(chosen) // 4, len(chosen)):
        found[f"seconds of {part:,}"] = ranked(part)
        tracemalloc.start()
        ranked(part)
        found[f"MB held for {part:,}"] = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    found[f"processor hours of {FULL_CUSTOMERS:,}"] = (
        found[f"seconds of {len(chosen):,}"] / len(chosen) * FULL_CUSTOMERS / 3600
    )
    return found


def peak() -> float:
    """The most memory that the process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
