"""The search for a recommender's settings on validation days, by Optuna.

What belongs here: drawing settings, fitting and judging them, ending poor trials early, keeping all of it in a file so
that a killed search goes on. What does not: what is searched (:mod:`~atelier.studies.tuning_plan`), tables
(:mod:`~atelier.studies.tuning_tables`), pictures (:mod:`atelier.report`), where presets are kept.

Sources: Akiba and others, "Optuna: A Next-generation Hyperparameter Optimization Framework" (KDD 2019); Bergstra and
others, "Algorithms for Hyper-Parameter Optimization" (NeurIPS 2011), the estimator TPE.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL

from atelier.catalogue import Catalogue
from atelier.errors import AtelierError
from atelier.interactions import Interactions
from atelier.metrics.segments import ALL
from atelier.nn.training_loop import DivergedError, Epoch
from atelier.progress import progress
from atelier.recommenders import FALLBACK, declared
from atelier.studies.recommender_plan import RecommenderFit, RecommenderStudyPlan, StudiedModel
from atelier.studies.recommender_study import Study
from atelier.studies.results_cache import digest, made_with
from atelier.studies.search_space import Parameter
from atelier.studies.tuning_plan import Settings, Trial, Tuning, TuningPlan

STARTUP = 8
"""Complete trials before the sampler learns from them; until then it draws at random."""
PRUNED_AFTER = 5
"""Complete trials before a trial can be pruned."""
WARM_UP = 2
"""Epochs of a trial that are never a reason to prune it."""
FEWEST_FOR_IMPORTANCE = 8
"""Complete drawn trials below which the importance of parameters would be a matter of chance."""
CURVE = "ndcg"
"""The figure of an epoch by which trials are compared while they run: it does not depend on their losses."""

_KEPT = ("origin", "settings", "standard_error", "customers", "epochs", "reason", "seconds")


class TuningError(AtelierError, ValueError):
    """A search cannot be run, or found nothing."""


def tune(
    train: Any,
    truth: Any,
    plan: TuningPlan,
    *,
    catalogue: Catalogue | None = None,
    customers: Any = None,
    candidates: Any = None,
    storage: Path | None = None,
    data: Mapping[str, str] | None = None,
    device: str = "cpu",
) -> Tuning:
    """Try settings of a recommender: fit it on ``train``, judge its lists by ``truth``, and say which were best.

    Trial 0 has the model's default settings and is never pruned, so that the best is never worse than they are on
    these data. Each trial's draws depend on the seed, its number and the trials before it alone: a search that was
    killed and is run again with the same arguments ends with the same trials; the one in progress is begun anew.

    A model that is trained in epochs tells how well it predicts interactions that it held out of ``train`` itself; a
    trial that is then worse than the median of the others at that epoch is pruned. ``truth`` is read only when a
    trial's lists are judged.

    Args:
        train: :class:`Interactions` (or a frame of them) before the validation days: all that models are fitted on.
        truth: the same, of the validation days; only purchases count.
        plan: what is tried, and by what it is judged.
        catalogue: the retailer's articles as they were known before the validation days; its vectors are given to
            models that read content.
        customers: the customers to evaluate; None: all with purchases in ``truth`` and history in ``train``.
        candidates: the articles that may be recommended; None: all in stock.
        storage: an SQLite file in which the trials are kept; its folder is made. None: they are kept in memory.
        data: identifies ``train``, ``truth`` and ``catalogue``, for example by the versions of their tables.
        device: where models compute, as PyTorch names it.

    Raises:
        StudyError: no customer can be evaluated.
        SearchSpaceError: nothing is left to search, for example because the interactions have no dates.
        TuningError: another process runs the same search, or no trial came to its end.
        ValueError: ``storage`` without ``data``.
    """
    if storage is not None and not data:
        raise ValueError("trials can be kept only with data that identifies what they were computed from")
    train, truth = Interactions.from_frame(train), Interactions.from_frame(truth)
    vectors = catalogue is not None and catalogue.vectors is not None
    space = plan.space(dated=train.dated, content=vectors)
    task = _task(train, truth, plan, catalogue, customers, candidates)
    task.device = device
    identity = {"plan": plan.identity(), "space": [each.text() for each in space], "asked": task.digests()}
    study_id = (
        f"{plan.model}-{digest({**identity, 'data': dict(data or {}), 'made_by': _made_by(plan), 'device': device})}"
    )
    with _quiet(), _alone(storage, study_id):
        study = _open(storage, study_id)
        _Search(plan, space, task, study).run()
        trials = tuple(_trials(study))
        if all(trial.value is None for trial in trials):
            raise TuningError(
                f"none of {len(trials)} trials of {plan.model} came to a value: {trials[0].reason or 'see the log'}"
            )
        return Tuning(study=study_id, plan=plan, space=space, trials=trials, importances=_importances(trials, space))


def _task(
    train: Interactions,
    truth: Interactions,
    plan: TuningPlan,
    catalogue: Catalogue | None,
    customers: Any,
    allowed: Any,
) -> Study:
    """The evaluation task: that of a recommender study of this one model on all of ``train``."""
    studied = RecommenderStudyPlan(
        models={plan.model: StudiedModel(recommender=plan.model)},
        seeds=(plan.seed,),
        shares=(1.0,),
        k=plan.k,
        exclude_seen=plan.exclude_seen,
    )
    return Study.of(train, truth, studied, catalogue, customers, allowed)


def _made_by(plan: TuningPlan) -> dict[str, object]:
    """Code, libraries and threads on which a trial depends."""
    modules = (__name__, declared(plan.model).module, declared(FALLBACK).module)
    return made_with(modules, ("implicit", "numpy", "optuna", "scipy", "torch"))


# ---- one search


@dataclass(frozen=True)
class _Search:
    """A search over an opened study."""

    plan: TuningPlan
    space: tuple[Parameter, ...]
    task: Study
    study: optuna.Study

    def run(self) -> None:
        """Run the trials that are not there yet, as far as time allows; the first is run in any case."""
        self._end_interrupted()
        started, done = time.monotonic(), len(_finished(self.study))
        for number in progress(range(done, self.plan.trials), f"tuning {self.plan.model}", unit="trial"):
            late = self.plan.seconds is not None and time.monotonic() - started >= self.plan.seconds
            if late and number:
                break
            self._run_trial(number)

    def _end_interrupted(self) -> None:
        """Set aside what a killed process left: a trial that it was running, or was about to."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.tell(trial.number, state=TrialState.FAIL)
        while self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self.study.tell(self.study.ask(), state=TrialState.FAIL)

    def _run_trial(self, number: int) -> None:
        """Draw, fit, judge; an interruption leaves the trial as running, and the next process sets it aside."""
        given, origin = self.plan.given(number)
        trial, drawn = self._ask(number, given if origin != "drawn" else None)
        settings = {**given, **drawn} if origin == "drawn" else given
        trial.set_user_attr("origin", origin)
        trial.set_user_attr("settings", settings)
        start = time.process_time()
        try:
            found = self._judged(trial, settings, prunes=self.plan.prune and number > 0)
        except optuna.TrialPruned:
            trial.set_user_attr("seconds", time.process_time() - start)
            self.study.tell(trial, state=TrialState.PRUNED)
        except (
            DivergedError
        ) as error:  # an ordinary outcome of settings that do not suit: the trial is recorded as such
            trial.set_user_attr("reason", str(error))
            trial.set_user_attr("seconds", time.process_time() - start)
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            value = found.pop("value")
            for name, figure in found.items():
                trial.set_user_attr(name, figure)
            trial.set_user_attr("seconds", time.process_time() - start)
            self.study.tell(trial, value)

    def _ask(self, number: int, known: Settings | None) -> tuple[optuna.Trial, Settings]:
        """A new trial and what was drawn for it; ``known``: settings that are not drawn."""
        seed = int(np.random.SeedSequence([self.plan.seed, number]).generate_state(1)[0])
        self.study.sampler = (
            optuna.samplers.RandomSampler(seed)
            if self.plan.sampler == "random"
            else optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=seed)
        )
        if known is None:
            trial = self.study.ask({each.name: each.distribution for each in self.space})
            return trial, dict(trial.params)
        config = declared(self.plan.model).config.model_validate(known).model_dump()
        inside = [each for each in self.space if each.holds(config[each.name])]
        # The sampler learns from these trials as far as it could have drawn them.
        self.study.enqueue_trial({each.name: config[each.name] for each in inside})
        trial = self.study.ask({each.name: each.distribution for each in inside})
        return trial, dict(trial.params)

    def _judged(self, trial: optuna.Trial, settings: Settings, *, prunes: bool) -> dict[str, Any]:
        """The metric of the lists of a model with these settings, and what is kept beside it."""

        def watch(epoch: Epoch) -> None:
            figure = epoch.validation.get(CURVE, math.nan)
            if math.isnan(figure):
                return
            trial.report(figure, epoch.epoch)
            if prunes and trial.should_prune():
                raise optuna.TrialPruned

        plan, config = self.plan, declared(self.plan.model).config.model_validate(settings)
        # How many threads make no difference to the result: the step's, like torch's.
        threads = {"threads": torch.get_num_threads()} if "threads" in type(config).model_fields else {}
        studied = StudiedModel(recommender=plan.model, config=settings | threads, reads_content=config.reads_content)
        fit = RecommenderFit(plan.model, 1.0, plan.seed)
        model = self.task.sample(fit).fit(studied, plan.seed, watch)
        lists, _ = self.task.lists(model, fit)
        epochs = getattr(model, "epochs", None)
        return {**_figure(self.task.task.scores(lists), plan), "epochs": None if epochs is None else len(epochs)}


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


# ---- the study


def _open(storage: Path | None, study_id: str) -> optuna.Study:
    """The study of that id, new or as it was left.

    SQLite, because each trial is a transaction: a process that is killed while it writes leaves the state before.
    """
    kept = None
    if storage is not None:
        url = URL.create("sqlite", database=str(storage)).render_as_string(hide_password=False)
        kept = optuna.storages.RDBStorage(url.replace("{", "{{").replace("}", "}}"))  # it fills in a template
    pruner = optuna.pruners.MedianPruner(n_startup_trials=PRUNED_AFTER, n_warmup_steps=WARM_UP + 1)
    return optuna.create_study(
        storage=kept, study_name=study_id, direction="maximize", load_if_exists=True, pruner=pruner
    )


@contextmanager
def _alone(storage: Path | None, study_id: str) -> Iterator[None]:
    """Keep other processes off the search; the lock ends with the process, however that ends."""
    if storage is None:
        yield
        return
    storage.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{storage}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise TuningError(
            f"another process writes {storage}: wait until it has ended, then start {study_id} again"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's line for each trial: the progress bar and the table say it."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that came to their end, in order; not those that were interrupted."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        or (trial.state == TrialState.FAIL and "reason" in trial.user_attrs)
    ]


def _trials(study: optuna.Study) -> Iterator[Trial]:
    states = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "diverged"}
    for number, trial in enumerate(_finished(study)):
        fields = {name: trial.user_attrs[name] for name in _KEPT if name in trial.user_attrs}
        curve = trial.intermediate_values
        yield Trial.model_validate(
            {
                "number": number,
                "state": states[trial.state],
                "parameters": trial.params,
                "value": trial.value if trial.state == TrialState.COMPLETE else None,
                "curve": curve,
                "epochs": len(curve) or None,
                **fields,
            }
        )


def _importances(trials: Sequence[Trial], space: tuple[Parameter, ...]) -> dict[str, float]:
    """How much of the variance of the value each parameter accounts for, in the order of the space."""
    distributions = {each.name: each.distribution for each in space}
    drawn = [each for each in trials if each.value is not None and set(each.parameters) == set(distributions)]
    if len(drawn) < FEWEST_FOR_IMPORTANCE or len({each.value for each in drawn}) < 2:
        return {}
    study = optuna.create_study(direction="maximize")
    for each in drawn:
        study.add_trial(
            optuna.create_trial(params=dict(each.parameters), distributions=distributions, value=each.value)
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(found[name]) for name in distributions if name in found}


def changed(model: str, settings: Settings) -> Settings:
    """Those of a model's settings that are not its defaults.

    Args:
        model: the recommender's name.
        settings: fields of its config.
    """
    defaults = json.loads(declared(model).config().model_dump_json())
    return {name: value for name, value in settings.items() if value != defaults.get(name)}
