"""What a search among the settings of one recommender is: the model, what is tried, by what it is judged.

What belongs here: the plan and the record of a trial. What does not: running it (:mod:`atelier.studies.tuning`), which
values a field may have (:mod:`atelier.studies.search_space`).
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PositiveFloat, PositiveInt, model_validator

from atelier.recommenders import declared
from atelier.recommenders.config import HIGHEST_SEED, Choice
from atelier.studies.search_space import Parameter, search_space

Settings = dict[str, JsonValue]
State = Literal["complete", "pruned", "diverged", "lost"]
Origin = Literal["default", "given", "drawn"]


class TuningPlan(BaseModel):
    """A search among the settings of a recommender. Immutable.

    Attributes:
        model: the recommender's name, as :func:`atelier.recommenders.build` takes it.
        fixed: fields of its config that every trial has, the default one too: ``{"mode": "collaborative"}``.
        parameters: the fields that are searched; empty: those that its config marks.
        choices: values that are tried instead of what the config says, by field.
        tried_first: settings that are tried right after the default ones, for example found by hand.
        trials: how many trials, the default one among them.
        seconds: no trial is begun later than this after the start; empty: there is no limit.
        metric: by which trials are judged, over all evaluated customers.
        k: the length of their lists.
        exclude_seen: whether lists and truth leave out what the customer had purchased.
        sampler: tpe (Bergstra and others 2011) learns from earlier trials; random does not.
        prune: whether a trial ends early whose epochs are worse than the median of the others'.
        seed: of the search and of every fit.
        at_once: trials that are under way at once: a trial is drawn and pruned by what is known of all trials but the
            ``at_once - 1`` before it. They are other trials than one after another, wherever they run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    fixed: Settings = {}
    parameters: tuple[str, ...] = ()
    choices: dict[str, tuple[Choice, ...]] = {}
    tried_first: tuple[Settings, ...] = ()
    trials: PositiveInt = 30
    seconds: PositiveFloat | None = None
    metric: Literal["precision", "recall", "hit_rate", "ndcg"] = "ndcg"
    k: PositiveInt = 12
    exclude_seen: bool = True
    sampler: Literal["tpe", "random"] = "tpe"
    prune: bool = True
    seed: int = Field(default=0, ge=0, le=HIGHEST_SEED)
    at_once: PositiveInt = 1

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        """Whatever is fixed or tried first has to be a config of the model, and something has to be left to search."""
        self.space()
        for settings in (self.fixed, *self.tried_first):
            declared(self.model).config.model_validate({**self.fixed, **settings})
        if twice := sorted({name for each in self.tried_first for name in each} & set(self.fixed)):
            raise ValueError(f"{twice[0]} is fixed, so that tried_first cannot have it: remove it from one of the two")
        return self

    def space(self, *, dated: bool = True, content: bool = True) -> tuple[Parameter, ...]:
        """What is searched; see :func:`atelier.studies.search_space.search_space`.

        Args:
            dated: whether the interactions have dates.
            content: whether the catalogue has vectors.
        """
        config = declared(self.model).config
        asked: dict[str, Any] = {"choices": self.choices, "fixed": self.fixed, "dated": dated}
        space = search_space(config, self.parameters, **asked)  # first, as it names the fields that do not exist
        reads = "mode" in {*self.parameters, *self.choices} or config.model_validate(self.fixed).reads_content
        return space if content and reads else search_space(config, self.parameters, **asked, content=False)

    def identity(self) -> dict[str, Any]:
        """The parts of the plan on which a trial depends: not how many follow it, nor how long."""
        return self.model_dump(mode="json", exclude={"trials", "seconds"})

    def given(self, number: int) -> tuple[Settings, Origin]:
        """The settings of the trial of that number that are not drawn, and where they come from."""
        if number == 0:
            return dict(self.fixed), "default"
        if number <= len(self.tried_first):
            return {**self.fixed, **self.tried_first[number - 1]}, "given"
        return dict(self.fixed), "drawn"


class Trial(BaseModel):
    """One trial that came to its end. Immutable; it holds no identifier of a customer.

    Attributes:
        number: its place among the trials, from 0, which has the default settings.
        state: complete, pruned (ended early), diverged (its numbers became infinite), or lost (each process of a
            cluster that ran it died).
        origin: default, given (``tried_first``), or drawn.
        settings: what the model's config was told; everything else is its default.
        parameters: those of ``settings`` that are searched, and of the defaults where a search could draw them.
        value: the metric; None where the trial was not complete.
        standard_error: of the value over customers; None where it is undefined.
        customers: evaluated customers.
        epochs: passes over the data; None for a model without epochs.
        curve: by epoch, from 1, the figure that a trial is pruned by; empty for a model without epochs.
        reason: why it diverged or was lost.
        seconds: processor seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    state: State
    origin: Origin
    settings: Settings
    parameters: Settings
    value: float | None = None
    standard_error: float | None = None
    customers: int = 0
    epochs: int | None = None
    curve: dict[int, float] = {}
    reason: str = ""
    seconds: float = 0.0


class Tuning(BaseModel):
    """What a search found. Immutable.

    Attributes:
        study: its id; the same plan on the same data with the same code and libraries has the same.
        plan: what was asked for.
        space: what was searched.
        trials: those that came to their end, by number.
        importances: the share of each parameter in what the value varies by (fANOVA; Hutter, Hoos, Leyton-Brown 2014);
            empty where there were too few trials to tell.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: str
    plan: TuningPlan
    space: tuple[Parameter, ...]
    trials: tuple[Trial, ...]
    importances: Mapping[str, float]

    @property
    def default(self) -> Trial:
        """The trial of the default settings."""
        return self.trials[0]

    @property
    def best(self) -> Trial:
        """The best complete trial, of equals the earliest: the default one unless another is better."""
        return max(self.trials, key=lambda trial: (-math.inf if trial.value is None else trial.value, -trial.number))

    @property
    def best_value(self) -> float:
        """The metric of the best trial.

        Raises:
            ValueError: no trial was complete.
        """
        if self.best.value is None:
            raise ValueError("no trial was complete")
        return self.best.value
