"""The search for a recommender's settings on validation days, by Optuna.

What belongs here: drawing settings, having them tried here or by other processes, keeping all of it in a file so that a
killed search goes on. What does not: what is searched (:mod:`~atelier.studies.tuning_plan`), one trial
(:mod:`~atelier.studies.tuning_trial`), tables (:mod:`~atelier.studies.tuning_tables`), pictures
(:mod:`atelier.report`), where presets are kept.

Sources: Akiba and others, "Optuna: A Next-generation Hyperparameter Optimization Framework" (KDD 2019); Bergstra and
others, "Algorithms for Hyper-Parameter Optimization" (NeurIPS 2011), the estimator TPE.
"""

import json
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL

from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.progress import progress
from atelier.recommenders import FALLBACK, declared
from atelier.studies.recommender_plan import RecommenderStudyPlan, StudiedModel
from atelier.studies.recommender_study import Study
from atelier.studies.results_cache import digest, made_with
from atelier.studies.search_space import Parameter
from atelier.studies.tuning_plan import Settings, Trial, Tuning, TuningPlan
from atelier.studies.tuning_trial import (
    Begin,
    Judge,
    Outcome,
    Request,
    TrialLostError,
    TuningError,
    Wait,
    Workers,
    in_memory,
    quiet,
)

STARTUP = 8
"""Complete trials before the sampler learns from them; until then it draws at random."""
FEWEST_FOR_IMPORTANCE = 8
"""Complete drawn trials below which the importance of parameters would be a matter of chance."""

_KEPT = ("state", "origin", "settings", "standard_error", "customers", "epochs", "reason", "seconds")
_ENDS = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
"""What Optuna calls how a trial ended; all else is a failure to it."""


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
    workers: Workers | None = None,
) -> Tuning:
    """Try settings of a recommender: fit it on ``train``, judge its lists by ``truth``, and say which were best.

    Trial 0 has the model's default settings and is never pruned, so that the best is never worse than they are on
    these data. Each trial's draws depend on the seed, its number and the trials before it alone: a search that was
    killed and is run again with the same arguments ends with the same trials; those in progress are begun anew.
    Where ``plan.at_once`` trials are under way at once, a trial knows nothing of the ``at_once - 1`` before it, whether
    they have ended or not: so the trials do not depend on where they run, how fast, and how many really did at once.

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
        workers: other processes that run the trials, on the same kind of device with as many threads; None: this one
            does, one after another. The file is read and written by this process alone.

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
    with quiet(), _alone(storage, study_id):
        study = _open(storage, study_id)
        _Search(plan, space, Judge(plan, task), study, workers).run()
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
    judge: Judge
    study: optuna.Study
    workers: Workers | None = None

    def run(self) -> None:
        """Run the trials that are not there yet, as far as time allows; the first is run in any case."""
        self._end_interrupted()
        done = len(_finished(self.study))
        left = self.plan.trials - done
        if left <= 0:
            return
        for _ in progress(self._ended(done), f"tuning {self.plan.model}", total=left, unit="trial"):
            pass

    def _end_interrupted(self) -> None:
        """Set aside what a killed process left: trials that it was running, or was about to."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.tell(trial.number, state=TrialState.FAIL)
        while self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self.study.tell(self.study.ask(), state=TrialState.FAIL)

    def _ended(self, done: int) -> Iterator[int]:
        """The numbers of the trials, each when it has ended and is kept; they end in their order, whichever is ready.

        Only so do the trials that another one knows not depend on which of them was quick.
        """
        started, number = time.monotonic(), done
        begin = None if self.workers is None else self.workers.share(self.judge.ready())
        at_once = 1 if self.workers is None else min(self.plan.at_once, self.workers.room)
        begun: deque[tuple[int, optuna.Trial, Wait]] = deque()
        while True:
            while number < self.plan.trials and len(begun) < at_once and not self._late(number, started):
                begun.append((number, *self._begin(number, begin)))
                number += 1
            if not begun:
                return
            ended, trial, wait = begun.popleft()
            self._end(trial, wait, told=begin is None)
            yield ended

    def _late(self, number: int, started: float) -> bool:
        """Whether the time is over in which trials are begun; the first one is begun in any case."""
        late = self.plan.seconds is not None and time.monotonic() - started >= self.plan.seconds
        return late and number > 0

    def _begin(self, number: int, begin: Begin | None) -> tuple[optuna.Trial, Wait]:
        """Draw a trial and begin it; an interruption leaves it as running, and the next process sets it aside.

        Args:
            number: of the trial.
            begin: begins a trial elsewhere; None: it is run by this process when it is waited for.
        """
        given, origin = self.plan.given(number)
        known = _finished(self.study)[: max(0, number - self.plan.at_once + 1)]
        trial, drawn = self._ask(number, given if origin != "drawn" else None, known)
        settings = {**given, **drawn} if origin == "drawn" else given
        trial.set_user_attr("origin", origin)
        trial.set_user_attr("settings", settings)
        prunes = self.plan.prune and number > 0
        request = Request(settings, prunes, tuple(known) if prunes else ())
        return trial, partial(self.judge, request, trial.report) if begin is None else begin(request)

    def _end(self, trial: optuna.Trial, wait: Wait, *, told: bool) -> None:
        """Keep how a trial ended.

        Args:
            trial: the trial.
            wait: gives its outcome.
            told: whether its epochs were kept while it ran.
        """
        try:
            outcome = wait()
        except TrialLostError as error:
            outcome = Outcome("lost", kept={"reason": str(error)})
        for epoch, figure in () if told else outcome.curve.items():
            trial.report(figure, epoch)
        state = _ENDS.get(outcome.state, TrialState.FAIL)
        if state == TrialState.FAIL:  # first: a trial that has a reason counts as ended, also after a kill right here
            trial.set_user_attr("state", outcome.state)
        for name, value in outcome.kept.items():
            trial.set_user_attr(name, value)
        self.study.tell(trial, outcome.value, state=state)

    def _ask(self, number: int, given: Settings | None, known: Sequence[FrozenTrial]) -> tuple[optuna.Trial, Settings]:
        """A new trial and what was drawn for it.

        Args:
            number: of the trial.
            given: settings that are not drawn; None: they are.
            known: the trials that the sampler learns from.
        """
        if given is None:
            distributions = {each.name: each.distribution for each in self.space}
            values = dict(in_memory(known, self._sampler(number)).ask(distributions).params)
        else:
            config = declared(self.plan.model).config.model_validate(given).model_dump()
            # The sampler learns from these trials as far as it could have drawn them.
            values = {each.name: config[each.name] for each in self.space if each.holds(config[each.name])}
            distributions = {each.name: each.distribution for each in self.space if each.name in values}
        self.study.enqueue_trial(values)
        trial = self.study.ask(distributions)
        return trial, dict(trial.params)

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = int(np.random.SeedSequence([self.plan.seed, number]).generate_state(1)[0])
        if self.plan.sampler == "random":
            return optuna.samplers.RandomSampler(seed)
        return optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=seed)


# ---- the study


def _open(storage: Path | None, study_id: str) -> optuna.Study:
    """The study of that id, new or as it was left.

    SQLite, because each trial is a transaction: a process that is killed while it writes leaves the state before.
    """
    kept = None
    if storage is not None:
        url = URL.create("sqlite", database=str(storage)).render_as_string(hide_password=False)
        kept = optuna.storages.RDBStorage(url.replace("{", "{{").replace("}", "}}"))  # it fills in a template
    return optuna.create_study(storage=kept, study_name=study_id, direction="maximize", load_if_exists=True)


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
