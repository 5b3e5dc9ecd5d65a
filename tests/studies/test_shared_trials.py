"""Trials that other processes run, several at once: which they are, how they end, and what a kill leaves."""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from atelier.nn.training_loop import Epoch
from atelier.report.tuning import summary
from atelier.studies.tuning import tune
from atelier.studies.tuning_plan import Tuning, TuningPlan
from atelier.studies.tuning_tables import trials_of
from atelier.studies.tuning_trial import Begin, Judge, Outcome, Request, TrialLostError, Wait, Workers
from tests.studies.tuning_worker import ALS as PLAN
from tests.studies.tuning_worker import DATA, purchases


def known_by_its_settings(judge: Judge, settings: dict[str, Any], watch: Callable[[Epoch], None]) -> dict[str, Any]:
    """In the place of a fit: epochs and a value that the settings alone decide."""
    figure = 1 / (1 + abs(settings.get("alpha", 20.0) - 5) + settings.get("regularization", 10.0) / 10)
    for epoch in range(1, 6):
        watch(Epoch(epoch, epoch, 1.0, {"ndcg": figure * epoch}))
    return {"value": figure, "standard_error": 0.01, "customers": 60, "epochs": 5}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Judge, "_judged", known_by_its_settings)


@dataclass
class Backwards:
    """Runs trials only when one is waited for, and then the newest first.

    Attributes:
        before: is called with the number of a trial, in the order of their beginning, before it is run.
        most: the most trials that were under way at once.
    """

    before: Callable[[int], None] = lambda _: None
    most: int = 0
    waiting: dict[int, Request] = field(default_factory=dict)
    ended: dict[int, Outcome | Exception] = field(default_factory=dict)

    def share(self, judge: Judge) -> Begin:
        def run(number: int) -> Outcome | Exception:
            try:
                self.before(number)
                return judge(self.waiting.pop(number))
            except TrialLostError as error:
                return error

        def begin(request: Request) -> Wait:
            number = len(self.ended) + len(self.waiting)
            self.waiting[number] = request
            self.most = max(self.most, len(self.waiting))

            def wait() -> Outcome:
                for each in sorted(self.waiting, reverse=True):
                    self.ended[each] = run(each)
                outcome = self.ended[number]
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome

            return wait

        return begin


def found(plan: TuningPlan, elsewhere: Backwards | None = None, room: int = 1, storage: Path | None = None) -> Tuning:
    workers = None if elsewhere is None else Workers(room, elsewhere.share)
    return tune(*purchases(), plan, workers=workers, storage=storage, data=DATA)


def told(tuning: Tuning) -> list[dict[str, Any]]:
    return [trial.model_dump(exclude={"seconds"}) for trial in tuning.trials]


def at_once(number: int) -> TuningPlan:
    return PLAN.model_copy(update={"at_once": number})


@pytest.mark.usefixtures("quick")
def test_one_at_a_time_they_are_the_trials_of_one_process() -> None:
    here, there = found(PLAN), found(PLAN, Backwards())
    assert {trial.state for trial in here.trials} == {"complete", "pruned"}, "or the test says little"
    assert told(there) == told(here)
    assert there.study == here.study


@pytest.mark.usefixtures("quick")
def test_several_at_once_are_the_same_wherever_they_run() -> None:
    three, two = Backwards(), Backwards()
    expected = told(found(at_once(3)))
    assert told(found(at_once(3), three, room=8)) == expected
    assert told(found(at_once(3), two, room=2)) == expected, "a cluster with less room takes longer"
    assert (three.most, two.most) == (3, 2)
    one = told(found(PLAN))
    assert [each["settings"] for each in one[:8]] == [each["settings"] for each in expected[:8]], "drawn at random"
    assert one != expected, "the sampler knows less"
    assert found(PLAN).study != found(at_once(3)).study


@pytest.mark.usefixtures("quick")
def test_a_search_that_was_killed_goes_on_with_the_same_trials(tmp_path: Path) -> None:
    def power_cut(number: int) -> None:
        if number == 8:
            raise KeyboardInterrupt

    plan, storage = at_once(3), tmp_path / "trials.db"
    with pytest.raises(KeyboardInterrupt):
        found(plan, Backwards(power_cut), 3, storage)
    again: list[int] = []
    whole = found(plan, Backwards(again.append), 2, storage)
    assert len(again) == 12 - 6, "those that were not waited for are begun anew"
    assert told(whole) == told(found(plan))


@pytest.mark.usefixtures("quick")
def test_a_trial_whose_processes_die_is_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    def deadly(number: int) -> None:
        if number == 2:
            raise TrialLostError("3 processes of the cluster died of it, the last one so: killed")

    plan, storage = at_once(2).model_copy(update={"trials": 5}), tmp_path / "trials.db"
    lost = found(plan, Backwards(deadly), 2, storage)
    assert [trial.state for trial in lost.trials] == ["complete", "complete", "lost", "complete", "complete"]
    assert lost.trials[2].reason.startswith("3 processes of the cluster died")
    assert told(found(plan, Backwards(deadly), 2, storage)) == told(lost), "it is kept"
    assert "5 trials, 1 lost;" in summary(trials_of(lost), {})


@pytest.mark.usefixtures("quick")
def test_another_error_ends_the_search(tmp_path: Path) -> None:
    def full(number: int) -> None:
        raise MemoryError("no memory")

    with pytest.raises(MemoryError, match="no memory"):
        found(at_once(2), Backwards(full), 2, tmp_path / "trials.db")


def arrays_of(part: Any, seen: set[int]) -> Iterator[npt.NDArray[Any]]:
    """The arrays that an object holds, in its attributes and collections at any depth."""
    if id(part) in seen or isinstance(part, type | ModuleType | FunctionType):
        return
    seen.add(id(part))
    if isinstance(part, np.ndarray):
        yield part
    inner = part.values() if isinstance(part, Mapping) else part if isinstance(part, list | tuple) else ()
    for each in (*inner, *getattr(part, "__dict__", {}).values()):
        yield from arrays_of(each, seen)


def test_what_is_sent_suffices_and_is_not_written_into() -> None:
    """Ray sends arrays without copying them, so that no fit may write into what it was given.

    In its place stands a deep copy with read-only arrays; a nightly test sends trials through Ray itself.
    """
    arrived: list[Judge] = []

    def share(judge: Judge) -> Begin:
        sent = deepcopy(judge)
        for array in arrays_of(sent, set()):
            array.flags.writeable = False
        arrived.append(sent)
        return lambda request: lambda: sent(request)

    plan = PLAN.model_copy(update={"trials": 2, "exclude_seen": True})
    assert told(tune(*purchases(), plan, workers=Workers(1, share))) == told(found(plan))
    [sent] = arrived
    assert sent.task._sample is not None, "the fallback was fitted once, before"
    assert any(array is sent.task.task.train.articles for array in arrays_of(sent, set()))
