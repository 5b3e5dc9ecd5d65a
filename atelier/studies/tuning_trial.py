"""One trial of a search among settings: a model fitted with them, its lists judged, ended early where it is poor.

What belongs here: what a process needs to run a trial that another one drew, and what it gives back. What does not:
drawing and keeping trials (:mod:`~atelier.studies.tuning`), the processes of a cluster, which a caller hands over as
:class:`Workers`.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import optuna
import torch
from optuna.trial import FrozenTrial

from atelier.errors import AtelierError
from atelier.metrics.segments import ALL
from atelier.nn.training_loop import DivergedError, Epoch
from atelier.recommenders import declared
from atelier.studies.recommender_plan import RecommenderFit, StudiedModel
from atelier.studies.recommender_study import Study
from atelier.studies.tuning_plan import Settings, State, TuningPlan

PRUNED_AFTER = 5
"""Complete trials before a trial can be pruned."""
WARM_UP = 4
"""Epochs of a trial that are never a reason to prune it: half of a cycle of eight, whose steps are the longest."""
CURVE = "ndcg"
"""The figure of an epoch by which trials are compared while they run: it does not depend on their losses."""


class TuningError(AtelierError, ValueError):
    """A search cannot be run, or found nothing."""


class TrialLostError(AtelierError):
    """Every process that ran a trial died; the message says of what."""


@dataclass(frozen=True)
class Request:
    """A trial that was drawn.

    Attributes:
        settings: fields of the model's config.
        prunes: whether it may end early.
        earlier: the finished trials that it is compared with.
    """

    settings: Settings
    prunes: bool
    earlier: Sequence[FrozenTrial] = ()


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        state: as the trial's.
        value: the metric; None where the trial was not complete.
        curve: by epoch, from 1, the figure that trials are compared by.
        kept: what is kept beside it: standard_error, customers, epochs, reason, seconds.
    """

    state: State
    value: float | None = None
    curve: Mapping[int, float] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)


Tell = Callable[[float, int], None]
"""Is told the figure of an epoch, and its number."""
Wait = Callable[[], Outcome]
"""Waits for a trial that was begun.

Raises:
    TrialLostError: the processes that ran it died.
"""


@dataclass(frozen=True)
class Judge:
    """Runs trials on the data of one search; it depends on nothing else, so that any process may.

    Attributes:
        plan: the search.
        task: the data.
    """

    plan: TuningPlan
    task: Study

    def __call__(self, request: Request, tell: Tell | None = None) -> Outcome:
        """Fit a model and judge its lists.

        A trial may end early by what it is told of earlier ones alone: where and when it runs makes no difference.

        Args:
            request: the trial.
            tell: is told of each epoch as it ends.
        """
        start, curve = time.process_time(), dict[int, float]()
        pruned = _pruning(request.earlier) if request.prunes else None

        def watch(epoch: Epoch) -> None:
            figure = epoch.validation.get(CURVE, math.nan)
            if math.isnan(figure):
                return
            curve[epoch.epoch] = figure
            if tell is not None:
                tell(figure, epoch.epoch)
            if pruned is not None and pruned(figure, epoch.epoch):
                raise optuna.TrialPruned

        try:
            found = self._judged(request.settings, watch)
        except optuna.TrialPruned:
            return Outcome("pruned", curve=curve, kept={"seconds": time.process_time() - start})
        except DivergedError as error:  # an ordinary outcome of settings that do not suit: recorded as such
            kept = {"reason": str(error), "seconds": time.process_time() - start}
            return Outcome("diverged", curve=curve, kept=kept)
        value = found.pop("value")
        return Outcome("complete", value, curve, {**found, "seconds": time.process_time() - start})

    def ready(self) -> "Judge":
        """The same, after all that trials share was computed, so that it is not computed again wherever they run."""
        self.task.sample(self._fit)
        return self

    @property
    def _fit(self) -> RecommenderFit:
        return RecommenderFit(self.plan.model, 1.0, self.plan.seed)

    def _judged(self, settings: Settings, watch: Callable[[Epoch], None]) -> dict[str, Any]:
        """The metric of the lists of a model with these settings, and what is kept beside it."""
        plan, config = self.plan, declared(self.plan.model).config.model_validate(settings)
        # How many threads make no difference to the result: the step's, like torch's.
        threads = {"threads": torch.get_num_threads()} if "threads" in type(config).model_fields else {}
        studied = StudiedModel(recommender=plan.model, config=settings | threads, reads_content=config.reads_content)
        model = self.task.sample(self._fit).fit(studied, plan.seed, watch)
        lists, _ = self.task.lists(model, self._fit)
        epochs = getattr(model, "epochs", None)
        return {**_figure(self.task.task.scores(lists), plan), "epochs": None if epochs is None else len(epochs)}


Begin = Callable[[Request], Wait]
"""Begins a trial somewhere."""


@dataclass(frozen=True)
class Workers:
    """Other processes that run trials, several at once.

    Attributes:
        room: how many at once.
        share: hands the judge to them, once, and returns what begins a trial.
    """

    room: int
    share: Callable[[Judge], Begin]


@contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's line for each trial: the progress bar and the table say it."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def in_memory(trials: Sequence[FrozenTrial], sampler: optuna.samplers.BaseSampler | None = None) -> optuna.Study:
    """A study that holds these trials and nothing else, so that what it says depends on nothing else."""
    pruner = optuna.pruners.MedianPruner(n_startup_trials=PRUNED_AFTER, n_warmup_steps=WARM_UP + 1)
    with quiet():
        study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
        study.add_trials(trials)
    return study


def _pruning(earlier: Sequence[FrozenTrial]) -> Callable[[float, int], bool]:
    """Says of each epoch whether a trial that is compared with ``earlier`` ends with it."""
    trial = in_memory(earlier).ask()

    def pruned(figure: float, epoch: int) -> bool:
        trial.report(figure, epoch)
        return trial.should_prune()

    return pruned


def _figure(scores: Mapping[str, Sequence[Any]], plan: TuningPlan) -> dict[str, Any]:
    """The metric over all customers, with its standard error."""
    names = ("segment", "metric", "k", "value", "standard_error", "customers")
    for segment, metric, k, value, error, customers in zip(*(scores[name] for name in names), strict=True):
        if (segment, metric, k) == (ALL, plan.metric, plan.k):
            return {
                "value": float(value),
                "standard_error": None if error is None else float(error),
                "customers": int(customers),
            }
    raise TuningError(f"{plan.metric}@{plan.k} is undefined on these validation days: take longer ones")
