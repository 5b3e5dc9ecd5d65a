"""Fits that say how fast they trained: by one process, and by processes of a Ray cluster together.

What belongs here: the fits of :mod:`benchmarks.ray_scaling`, in a module that its workers import. What does not: the
table.
"""

import hashlib
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from atelier.interactions import Interactions
from atelier.nn.replicas import Replicas
from resources.recommender_fit import RecommenderFit

EPOCHS = 4
LENGTH = 12
CONFIGS: dict[str, dict[str, Any]] = {
    "hybrid": {"mode": "collaborative", "factors": 64, "positives_share": 1.0, "patience": EPOCHS},
    "transformer": {"mode": "collaborative", "factors": 64, "patience": EPOCHS},
}


class Trained(NamedTuple):
    """What a timed fit gives.

    Attributes:
        between: seconds from the end of the first epoch to that of the last.
        digest: of the articles' vectors.
        ndcg: of the best epoch, on interactions that were held out.
    """

    between: float
    digest: str
    ndcg: float


@dataclass(frozen=True)
class TimedFit:
    """The fit of a recommender that says how fast it was.

    Attributes:
        fit: what is fitted.
    """

    fit: RecommenderFit

    def __call__(self, replicas: Replicas) -> Trained:
        """Fit, together with the other replicas."""
        model, ends = self.fit.model(), list[float]()
        model.replicas, model.watch = replicas, lambda _: ends.append(time.perf_counter())
        model.fit(*self.fit.data)
        digest = hashlib.sha256(np.ascontiguousarray(model.weights["articles"]).tobytes()).hexdigest()
        judged = [epoch.validation["ndcg"] for epoch in vars(model)["epochs"]]
        return Trained(ends[-1] - ends[0] if ends else 0.0, digest, max(judged))


def timed_fit(name: str, customers: int, articles: int) -> TimedFit:
    """The fit of a model on made-up histories of twelve interactions each, in which articles follow each other."""
    random = np.random.default_rng(0)
    starts = random.integers(0, articles, customers)
    steps = np.where(random.random((customers, LENGTH)) < 0.7, 1, random.integers(0, articles, (customers, LENGTH)))
    frame = pd.DataFrame(
        {
            "customer_id": np.repeat([f"c{number:07d}" for number in range(customers)], LENGTH),
            "article_id": [f"a{number:06d}" for number in ((starts[:, None] + steps.cumsum(1)) % articles).ravel()],
            "occurred_at": pd.Timestamp("2020-03-01")
            + pd.to_timedelta(np.tile(np.arange(LENGTH), customers) * 2, unit="D"),
            "kind": "purchase",
        }
    )
    config = CONFIGS[name] | {"max_epochs": EPOCHS}
    return TimedFit(RecommenderFit(name, config, "cpu", (Interactions.from_frame(frame), None, None)))
