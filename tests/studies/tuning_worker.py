"""Processes that tune and kill themselves in the middle of a trial; and the data of the tests of tuning.

Each is forked from this one, which has imported what they need and computed nothing, and its exit status is printed:

python -m tests.studies.tuning_worker STORAGE TRIAL STORAGE TRIAL …
"""

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from atelier.interactions import Interactions
from atelier.nn.training_loop import Epoch
from atelier.recommenders.base import Recommender
from atelier.studies import tuning
from atelier.studies.tuning_plan import Tuning, TuningPlan
from atelier.studies.tuning_trial import Begin

DATA = {"version": "1"}
FIXED = {"mode": "collaborative", "max_epochs": 4, "negatives": 20}
ALS = TuningPlan(
    model="als",
    fixed={"iterations": 2},
    choices={"factors": (2, 4, 8)},
    parameters=("alpha", "regularization"),
    trials=12,
    k=5,
    exclude_seen=False,
    metric="hit_rate",
)
PLAN = TuningPlan(
    model="hybrid",
    fixed=FIXED,
    choices={"factors": (4, 8), "learning_rate": (0.003,)},
    parameters=("negative_popularity", "embedding_learning_rate", "loss"),
    trials=5,
    k=5,
    exclude_seen=False,
    metric="hit_rate",
)


def purchases() -> tuple[Interactions, Interactions]:
    """Purchases of four groups with tastes of their own, without dates: all but the last of each, and the last."""
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(60) % 4, 6)
    own = random.random(360) < 0.9
    articles = np.where(own, group * 5 + random.integers(0, 5, 360), random.integers(0, 20, 360))
    frame = pd.DataFrame({"customer_id": np.repeat(np.arange(60), 6), "article_id": articles}).astype("str")
    return Interactions.from_frame(frame).leave_last_out()


def tuned(storage: Path | None, plan: TuningPlan = PLAN) -> Tuning:
    """The search, kept in a file."""
    train, truth = purchases()
    return tuning.tune(train, truth, plan, storage=storage, data=DATA)


def tune_and_die(storage: Path, last: int) -> None:
    """Tune; die in the second epoch of a trial."""
    torch.set_num_threads(1)
    begin_trial = tuning._Search._begin

    def begun(search: tuning._Search, number: int, begin: Begin | None) -> Any:
        if number == last:
            fit = Recommender.fit

            def deadly(model: Recommender, *args: object, **options: object) -> object:  # type: ignore[type-arg]
                watch = model.watch
                if watch is not None:

                    def watched(epoch: Epoch) -> None:
                        watch(epoch)
                        if epoch.epoch == 2:
                            os.kill(os.getpid(), signal.SIGKILL)

                    model.watch = watched
                return fit(model, *args, **options)

            Recommender.fit = deadly  # type: ignore[method-assign, assignment]
        return begin_trial(search, number, begin)

    tuning._Search._begin = begun  # type: ignore[method-assign]
    tuned(storage)


if __name__ == "__main__":
    from tests.resources.store_worker import in_child

    for storage, last in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        print(os.waitstatus_to_exitcode(in_child(partial(tune_and_die, Path(storage), int(last)))), flush=True)
