"""Tuning: settings of one recommender tried on validation days, in a job that is started by hand.

What belongs here: what the search reads, where its trials are kept, its tables, pictures and key figures, and the
preset that it writes. What does not: the search itself (:mod:`atelier.studies.tuning`), how a model's stage takes a
preset (:mod:`assets.presets`), how the pictures look (:mod:`atelier.report`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg

from assets.evaluation import KINDS, check_days
from assets.pictures import pictures_folder, results_folder, write_pictures
from assets.recommender_study import GROUP, purchases_after
from assets.recommenders import TRAIN_KINDS, catalogue, training_interactions
from assets.stage import stage
from assets.step import Step
from atelier.code_version import code_version
from atelier.recommenders import MODELS, declared
from resources.compute import gpu_pool
from resources.trial_worker import trial_workers

if TYPE_CHECKING:
    from atelier.catalogue import Catalogue
    from atelier.interactions import Interactions
    from atelier.studies.tuning_plan import Tuning, TuningPlan
    from resources.retailer import Preset

NAME = "tune"
TRIALS, PARAMETERS = "tuning_trials", "tuning_parameters"
FILE = "trials.db"
EMPTY = "empty"


class TuneConfig(dg.Config):
    """Which settings of which recommender are tried.

    In fixed, choices and tried_first the text ``empty`` leaves a field empty: Dagster's config has no null there.

    Attributes:
        model: the recommender by name.
        trials: how many trials, the one with the default settings among them; a later run with more continues.
        metric: precision, recall, hit_rate or ndcg, over all customers with history and purchases.
        k: the length of the lists.
        validation_days: how many days, this one the last, judge the lists made before them; empty: the horizon.
        seconds: no trial is begun later than this after the start; empty: there is no limit.
        fixed: fields of the model's config that every trial has.
        parameters: the fields that are tried; empty: those that the model's config marks.
        choices: the values that are tried of a field, by field.
        tried_first: settings that are tried right after the default ones, for example found by hand.
        exclude_seen: whether lists leave out what a customer had purchased.
        sampler: tpe learns from earlier trials, random does not.
        prune: whether a trial ends early whose epochs are worse than the median of the others'.
        seed: of the search and of every fit.
        at_once: how many trials are under way at once, which makes them other trials; empty: one, or on a cluster as
            many as it has room for.
        preset: the name under which the best settings are written into atelier.toml; empty: <model>_tuned.
        write_preset: whether they are written.
    """

    model: str = "hybrid"
    trials: int = 30
    metric: Literal["precision", "recall", "hit_rate", "ndcg"] = "ndcg"
    k: int = 12
    validation_days: int | None = None
    seconds: float | None = 3600.0
    fixed: dict[str, Any] = {}
    parameters: list[str] = []
    choices: dict[str, list[Any]] = {}
    tried_first: list[dict[str, Any]] = []
    exclude_seen: bool = True
    sampler: Literal["tpe", "random"] = "tpe"
    prune: bool = True
    seed: int = 0
    at_once: int | None = None
    preset: str | None = None
    write_preset: bool = True


@dataclass(frozen=True)
class Validation:
    """What trials are fitted on and judged by; nothing in it but ``truth`` is later than ``origin``.

    Attributes:
        origin: the day before the validation days, of which the lists are.
        train: the interactions up to ``origin``.
        truth: the purchases of the validation days.
        catalogue: the articles on ``origin``.
        versions: identifies all of it: the versions of its tables, and of the code that reads them.
    """

    origin: date
    train: "Interactions"
    truth: "Interactions"
    catalogue: "Catalogue"
    versions: dict[str, str]


@stage(
    produces=[TRIALS, PARAMETERS],
    deps=["interactions"],
    judged_deps=["articles", "article_vectors", "vector_space"],
    group=GROUP,
    pool=gpu_pool(),
    keeps_files=True,
)
def tune_recommender(step: Step, config: TuneConfig) -> None:
    """Settings of one recommender tried on validation days; the best become a preset of atelier.toml."""
    from atelier.studies.search_space import SearchSpaceError
    from atelier.studies.tuning import tune
    from atelier.studies.tuning_tables import parameters_of, trials_of

    plan = tuning_plan(config)
    device = str(step.compute.apply())
    data = read(step, config.validation_days, content=_reads_content(plan))
    try:
        with trial_workers(step.compute) as workers:
            found = tune(
                data.train,
                data.truth,
                plan if config.at_once or workers is None else plan.model_copy(update={"at_once": workers.room}),
                catalogue=data.catalogue,
                storage=results_folder(step.home.root, NAME, step.ds) / FILE,
                data=data.versions,
                device=device,
                workers=workers,
            )
    except SearchSpaceError as error:
        raise dg.Failure(f"{NAME}: {error}", allow_retries=False) from error
    trials, parameters = trials_of(found), parameters_of(found)
    step.write(TRIALS, trials, part=plan.model)
    step.write(PARAMETERS, parameters, part=plan.model)
    _note(step, data, found)
    _write_preset(step, config, found)
    _draw(step, found)


def tuning_plan(config: TuneConfig) -> "TuningPlan":
    """The search that the config requests.

    Raises:
        Failure: the model does not exist, or a field of it, a value or a number is not allowed.
    """
    from pydantic import ValidationError

    from atelier.studies.tuning_plan import TuningPlan
    from resources.retailer import PRESET_NAME, faults

    if config.model not in MODELS:
        raise dg.Failure(f"{NAME}: no recommender {config.model!r}; there are {', '.join(MODELS)}", allow_retries=False)
    if not PRESET_NAME.fullmatch(preset_name(config)):
        raise dg.Failure(
            f"{NAME}: {config.preset!r} is no name of a preset: take letters, digits, hyphens and underscores",
            allow_retries=False,
        )
    own = {"preset", "write_preset", "validation_days", *(["at_once"] if config.at_once is None else [])}
    try:
        return TuningPlan.model_validate(_with_nulls(config.model_dump(exclude=own)))
    except ValidationError as error:
        raise dg.Failure(f"{NAME}: the config cannot be used: {faults(error)}", allow_retries=False) from error


def _with_nulls(value: Any) -> Any:
    """The same with None for the text ``empty``, at any depth."""
    if isinstance(value, dict):
        return {name: _with_nulls(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_nulls(each) for each in value]
    return None if value == EMPTY else value


def preset_name(config: TuneConfig) -> str:
    """The name of the preset that a run writes."""
    return config.preset or f"{config.model}_tuned"


def _reads_content(plan: "TuningPlan") -> bool:
    """Whether any trial may read the content of articles."""
    model = declared(plan.model)
    searched = "mode" in {*plan.parameters, *plan.choices, *(name for each in plan.tried_first for name in each)}
    return model.reads_content and (searched or model.config.model_validate(plan.fixed).reads_content)


def read(step: Step, days: int | None = None, *, content: bool = True) -> Validation:
    """Read what trials are fitted on and judged by.

    Args:
        step: its day is the last of the validation days.
        days: how many validation days; None: the horizon.
        content: whether the articles' vectors are read.

    Raises:
        Failure: there are no days before the validation days, or one of them was not ingested.
        PartitionMissing: the articles or their vectors were not made for the day before the validation days.
    """
    if days is not None and days < 1:
        raise dg.Failure(f"{NAME}: validation_days is {days}; it takes 1 or more", allow_retries=False)
    origin = step.ds - timedelta(days=days or step.home.settings.horizon)
    check_days(step, origin)
    tables = ("articles", "article_vectors") if content else ("articles",)
    pointers = {table: step.store.pointer(table, origin) for table in tables}
    versions = {table: found.data_version for table, found in pointers.items() if found}
    code = code_version("assets.recommenders", alone=(__name__,))
    return Validation(
        origin,
        training_interactions(step, TRAIN_KINDS, origin),
        purchases_after(step, origin),
        catalogue(step, origin, content=content),
        {
            "origin": str(origin),
            "kinds": ", ".join(KINDS),
            "code": code,
            **step.data_versions(["interactions"]),
            **versions,
        },
    )


def _note(step: Step, data: Validation, found: "Tuning") -> None:
    """Key figures, which the UI charts over the days."""
    plan, states = found.plan, [trial.state for trial in found.trials]
    figures: dict[str, Any] = {"best": found.best.value, "best_trial": found.best.number}
    if found.default.value is not None:
        figures["default"] = found.default.value
    step.note(
        TRIALS,
        study=found.study,
        metric=f"{plan.metric}@{plan.k}",
        trials=len(states),
        pruned=states.count("pruned"),
        diverged=states.count("diverged"),
        lost=states.count("lost"),
        at_once=plan.at_once,
        executor=step.compute.executor,
        customers=found.best.customers,
        validation=f"{data.origin + timedelta(days=1)} … {step.ds}",
        settings=found.best.settings,
        trial_seconds=round(sum(trial.seconds for trial in found.trials), 1),
        **figures,
        **step.compute.describe(),
    )


def preset_of(found: "Tuning", last_day_seen: date) -> "Preset":
    """The preset of the best trial."""
    from atelier.studies.tuning import changed
    from resources.retailer import Preset

    told: Mapping[str, Any] = changed(found.plan.model, found.best.settings)
    return Preset(
        model=found.plan.model,
        study=found.study,
        last_day_seen=last_day_seen,
        metric=f"{found.plan.metric}@{found.plan.k}",
        value=found.best_value,
        default=found.default.value,
        config={name: value for name, value in told.items() if value is not None},
        empty=tuple(name for name, value in told.items() if value is None),
    )


def _write_preset(step: Step, config: TuneConfig, found: "Tuning") -> None:
    from resources.settings_file import write_preset

    if not config.write_preset:
        return
    name = preset_name(config)
    write_preset(step.home, name, preset_of(found, step.ds))
    step.note(TRIALS, preset=name)
    step.log.info(f"{step.home.toml}: [presets.{name}] has the best settings; a model's step takes `preset: {name}`")


def _draw(step: Step, found: "Tuning") -> None:
    from atelier.report.tuning import tuning_drawings
    from atelier.studies.tuning_tables import parameters_of, trials_of

    folder = pictures_folder(step.home.reports, NAME, step.ds) / found.plan.model
    drawings = tuning_drawings(trials_of(found), parameters_of(found))
    write_pictures(step, folder, drawings, lambda name: PARAMETERS if name.startswith("importance") else TRIALS)


STAGES = (tune_recommender,)
