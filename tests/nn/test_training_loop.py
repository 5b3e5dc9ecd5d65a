"""The training loop: when it looks and stops, what it keeps, whose random numbers it draws, and how it resumes."""

import json
import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from atelier.devices import own_random_state
from atelier.nn import training_state
from atelier.nn.training_loop import DivergedError, Epoch, Observer, StepLoss, TrainingLoop
from atelier.nn.training_state import TrainingStateError, fingerprint, read_state, write_state
from tests.conftest import REPOSITORY
from tests.devices import DEVICES
from tests.nn.toy import EVERY, STEPS, Killed, Toy, train

CPU = torch.device("cpu")


class Counter:
    """After step n the only weight is n, and the loss of the step is what the script says."""

    def __init__(self, losses: dict[int, float] | None = None, weight: int = 1) -> None:
        self.network, self.taken = nn.Linear(1, 1, bias=False), 0
        self.losses, self.weight = losses or {}, weight
        nn.init.zeros_(self.network.weight)

    def step(self) -> StepLoss:
        assert self.network.training
        self.taken += 1
        nn.init.constant_(self.network.weight, self.taken)
        return StepLoss(torch.tensor(self.losses.get(self.taken, 1.0)), self.weight)


def run(figures: list[float] | None, training: Counter, **changes: Any) -> tuple[list[Epoch], float]:
    """The history, and which step's weights are kept, where the score is a script."""
    script: Iterator[float] = iter(figures or [])
    plan: dict[str, Any] = {"steps": 12, "every": 2, "patience": 2, "learning_rates": {"rate": 0.5, "other_rate": 0.1}}

    def score() -> dict[str, float]:
        assert not training.network.training
        return {"figure": next(script), "another": 7.0}

    plan |= {"by": None, "score": None} if figures is None else {"by": "figure", "score": score}
    history = TrainingLoop("counting", training.network, training.step, {}, CPU, **plan | changes).run()
    return history, training.network.weight.item()


@pytest.mark.parametrize(
    ("direction", "figures", "looks", "kept"),
    [
        ("falls", [5, 4, 4, 6], 4, 4),
        ("rises", [5, 4, 4, 6], 3, 2),
        ("rises", [1, 2, 1, 3, 2, 1], 6, 8),
        ("falls", [3, 2, 1, 0, -1, -2], 6, 12),
        ("rises", [-0.5, 0.0, -1.0, -1.0], 4, 4),
    ],
)
def test_it_stops_after_so_many_looks_without_better_weights_and_keeps_the_best(
    direction: str, figures: list[float], looks: int, kept: int
) -> None:
    history, weight = run(figures, Counter(), direction=direction)
    assert [epoch.step for epoch in history] == list(range(2, 2 * looks + 1, 2))
    assert [epoch.validation for epoch in history] == [{"figure": each, "another": 7.0} for each in figures[:looks]]
    assert weight == kept


def test_without_a_deciding_figure_it_goes_to_the_end_and_keeps_the_latest() -> None:
    assert run(None, Counter())[1] == 12
    history, weight = run([math.nan] * 6, Counter(), by=None)
    assert (len(history), weight) == (6, 12)


def test_the_weights_before_the_first_step_may_be_the_best() -> None:
    history, weight = run([5, 4, 3], Counter(), direction="rises", from_start=True)
    assert [(epoch.epoch, epoch.step, epoch.loss) for epoch in history] == [(0, 0, None), (1, 2, 1.0), (2, 4, 1.0)]
    assert weight == 0


def test_it_looks_every_so_many_steps_and_at_the_last() -> None:
    history, _ = run(None, Counter({1: 5.0, 4: 3.0, 10: 9.0}), every=4, steps=10)
    assert [(epoch.epoch, epoch.step) for epoch in history] == [(1, 4), (2, 8), (3, 10)]
    assert [epoch.loss for epoch in history] == [(5 + 1 + 1 + 3) / 4, 1.0, (1 + 9) / 2]
    weighted, _ = run(None, Counter({1: 10.0, 2: 20.0}, weight=5), every=2, steps=2)
    assert weighted[0].loss == 3.0


def test_divergence_before_any_good_weights_is_an_error_that_names_what_to_lower() -> None:
    message = r"counting: at step 2 the loss is (nan|inf)(, .*)?; lower rate \(0.5\) or other_rate \(0.1\)$"
    for loss in (math.nan, math.inf):
        with pytest.raises(DivergedError, match=message):
            run(None, Counter({1: loss}))
    with pytest.raises(DivergedError, match=r"the loss is 1\.0, figure on validation data nan; lower rate"):
        run([math.nan], Counter())


def test_weights_that_are_not_finite_are_never_kept_though_the_loss_is() -> None:
    class Bursting(Counter):
        def step(self) -> StepLoss:
            loss = super().step()
            if self.taken == 6:
                nn.init.constant_(self.network.weight, math.inf)
            return loss

    with pytest.warns(UserWarning, match=r"at step 6 the loss is 1\.0.*The weights of step 4 are kept"):
        history, weight = run([1, 2, 3], Bursting(), direction="rises")
    assert (len(history), weight) == (2, 4)


@pytest.mark.parametrize("figures", [[9.0, 8.0, 8.5], None])
def test_divergence_later_on_ends_training_with_the_best_weights_and_a_warning(figures: list[float] | None) -> None:
    with pytest.warns(UserWarning, match="at step 8 the loss is nan; lower rate .* The weights of step . are kept"):
        history, weight = run(figures, Counter({7: math.nan}), patience=9)
    assert (len(history), weight) == (3, 4 if figures else 6)


# ---- random state and observers


@pytest.mark.parametrize("device", DEVICES)
def test_somebody_elses_random_state_is_neither_read_nor_changed(device: str) -> None:
    torch.manual_seed(1)
    before = torch.rand(3, device=device)
    _, one = train(None, device)
    torch.manual_seed(1)
    torch.testing.assert_close(torch.rand(3, device=device), before, rtol=0, atol=0)
    after = torch.rand(3, device=device)
    torch.manual_seed(1)
    _, two = train(None, device)
    assert all(torch.equal(one[name], two[name]) for name in one)
    torch.rand(3, device=device)
    torch.testing.assert_close(torch.rand(3, device=device), after, rtol=0, atol=0)


def test_a_loop_draws_on_from_its_callers_state_and_gives_it_back() -> None:
    class Drawing(Counter):
        def step(self) -> StepLoss:
            self.drawn = torch.rand(1)
            return super().step()

    drawing = Drawing()
    with own_random_state(CPU, 5):
        first = torch.rand(1)
    with own_random_state(CPU, 5):
        run(None, drawing, steps=1)
        assert torch.equal(torch.rand(1), first)
    assert torch.equal(drawing.drawn, first)


def test_an_observer_sees_the_network_as_it_is_and_has_no_influence() -> None:
    seen: list[tuple[int, bool, float]] = []

    def look(step: int, network: nn.Module) -> None:
        torch.rand(5)  # from the random state that dropout draws from
        seen.append((step, network.training, float(next(network.parameters()).detach().abs().sum())))

    alone = train(None)
    watched = train(None, observer=Observer(4, look))
    assert watched[0] == alone[0]
    assert all(torch.equal(watched[1][name], alone[1][name]) for name in alone[1])
    assert [step for step, _, _ in seen] == list(range(0, STEPS + 1, 4))
    assert not any(training for _, training, _ in seen)
    assert len({weight for _, _, weight in seen}) == len(seen)


# ---- the schedule


def test_one_cycle_gives_every_step_the_rate_that_pytorch_gives_it() -> None:
    toy, other = Toy(cycles=False), Toy(cycles=False)
    plan: dict[str, Any] = {"steps": STEPS, "every": EVERY, "patience": 9, "learning_rates": {"rate": 0.05}}
    TrainingLoop("toy", toy.network, toy.step, toy.parts, toy.device, **plan, schedule="one_cycle").run()
    cycle = torch.optim.lr_scheduler.OneCycleLR(other.optimiser, 0.05, total_steps=STEPS, cycle_momentum=False)
    expected = []
    for _ in range(STEPS):
        expected.append(other.optimiser.param_groups[0]["lr"])
        other.optimiser.step()
        if len(expected) < STEPS:
            cycle.step()
    assert toy.rates == expected
    assert toy.rates[0] == pytest.approx(0.05 / 25)
    assert max(toy.rates) == pytest.approx(0.05, rel=0.05)  # the peak lies between two steps
    assert toy.rates[-1] == pytest.approx(0.05 / 25 / 1e4)
    assert toy.optimiser.param_groups[0]["betas"] == (0.9, 0.999)
    still = Toy(cycles=False)
    TrainingLoop("toy", still.network, still.step, still.parts, still.device, **plan).run()
    assert set(still.rates) == {0.05}


def test_one_cycle_without_an_optimiser_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="counting: the schedule one_cycle needs an optimiser among the parts"):
        run(None, Counter(), schedule="one_cycle")


# ---- killed and resumed


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "change", [{}, {"patience": 1, "from_start": True}, {"by": None}, {"schedule": "one_cycle"}], ids=str
)
def test_killed_at_any_step_it_resumes_to_the_same_bytes(tmp_path: Path, device: str, change: dict[str, Any]) -> None:
    state = tmp_path / "some" / "state"
    whole = train(None, device, **change)
    last = whole[0][-1].step
    for step in range(1, last + 1):
        with pytest.raises(Killed):
            train(state, device, kill_at=step, **change)
        assert state.exists() == (step > EVERY or "from_start" in change)
        torch.rand(step)  # a new process has another random state
        history, weights = train(state, device, **change)
        assert history == whole[0]
        assert all(torch.equal(weights[name], value) for name, value in whole[1].items())
        assert list(state.parent.iterdir()) == []


def test_killed_again_and_again_at_every_look_it_still_arrives(tmp_path: Path) -> None:
    state, kills = tmp_path / "state", 0
    while True:
        try:
            history, weights = train(state, kill_at=EVERY + 1)  # one step after the look that is resumed from
            break
        except Killed:
            kills += 1
    assert kills == STEPS // EVERY
    whole = train(None)
    assert history == whole[0]
    assert all(torch.equal(weights[name], value) for name, value in whole[1].items())


def test_a_process_that_is_really_killed_is_resumed_by_another_to_the_same_bytes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    # Sums depend on the number of threads, which other tests of this process may have set.
    script = [sys.executable, "-m", "tests.nn.toy", str(state), "8", str(torch.get_num_threads())]
    done = subprocess.run(script, cwd=REPOSITORY, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert read_state(state)["_taken"] == EVERY
    whole, (history, weights) = train(None), train(state)
    assert history == whole[0]
    assert all(torch.equal(weights[name], value) for name, value in whole[1].items())


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The state of a training that was killed."""
    state = tmp_path / "state"
    with pytest.raises(Killed):
        train(state, kill_at=13)
    return state


@pytest.mark.parametrize(
    "change",
    [
        {"patience": 3},
        {"steps": 23},
        {"made_from": "other data"},
        {"learning_rates": {"rate": 0.06}},
        {"schedule": "one_cycle"},
    ],
    ids=str,
)
def test_the_state_of_another_training_is_refused(killed: Path, change: dict[str, Any]) -> None:
    with pytest.raises(
        TrainingStateError, match=rf"{killed} is of another training \({next(iter(change))} is .*delete it"
    ):
        train(killed, **change)


@pytest.mark.parametrize("damage", ["truncated", "empty", "other file"])
def test_a_damaged_state_is_told_and_training_starts_anew(killed: Path, damage: str) -> None:
    whole = killed.read_bytes()
    killed.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "other file": b"{}" * 99}[damage])
    with pytest.warns(UserWarning, match=f"{killed} cannot be read .* Training starts anew"):
        history, weights = train(killed)
    undisturbed = train(None)
    assert history == undisturbed[0]
    assert all(torch.equal(weights[name], value) for name, value in undisturbed[1].items())


def test_a_state_that_cannot_be_opened_is_an_error_that_names_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with pytest.raises(TrainingStateError, match=f"{state} cannot be read .*delete it to train from the start"):
        train(state)


def test_two_processes_that_save_the_same_training_write_files_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def save(tensors: dict[str, torch.Tensor], file: Path, header: dict[str, str]) -> None:
        written.append(file)
        if len(written) == 1:
            write_state(tmp_path / "state", {"by": "the other"})
        save_file(tensors, file, header)

    monkeypatch.setattr(training_state, "save_file", save)
    write_state(tmp_path / "state", {"by": "the first"})
    assert len(set(written)) == 2
    assert read_state(tmp_path / "state") == {"by": "the first"}
    assert [file.name for file in tmp_path.iterdir()] == ["state"]


def test_a_state_is_json_and_tensors(killed: Path) -> None:
    with safe_open(killed, framework="pt") as file:
        text = file.metadata()["state"]
    assert json.loads(text)
    assert b"pickle" not in killed.read_bytes()
    state = read_state(killed)
    assert state["_taken"] == 10
    assert state["_best"].keys() == state["network"].keys()


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**130), 2**130) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), values, max_size=4))
def test_plain_values_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, state: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("states") / "state"
    tensors = [
        torch.arange(6).view(2, 3).T,
        torch.tensor(1.5, dtype=torch.bfloat16),
        torch.zeros(0, 2, dtype=torch.bool),
    ]
    write_state(path, {"plain": state, "tensors": tensors})
    found = read_state(path)
    assert found["plain"] == state
    assert repr(found["plain"]) == repr(state)  # tuples are no lists, True is not 1
    assert all(
        torch.equal(one, two) and one.dtype == two.dtype for one, two in zip(found["tensors"], tensors, strict=True)
    )


def test_a_fingerprint_tells_apart_content_shape_and_type() -> None:
    zeros = np.zeros((2, 3), np.float32)
    different = [
        (zeros,),
        (zeros.T,),
        (zeros.astype(np.int32),),
        (zeros + 1,),
        (zeros, "a"),
        ("a", zeros),
        ("a", "b"),
        ("ab",),
    ]
    assert len({fingerprint(*parts) for parts in different}) == len(different)
    assert fingerprint(zeros.T) == fingerprint(np.ascontiguousarray(zeros.T))
    for empty in (torch.zeros(()).expand(1), torch.zeros(5).as_strided((5, 0), (0, 0)), torch.zeros(5, 1).T):
        assert fingerprint(empty) == fingerprint(empty.clone(memory_format=torch.contiguous_format)), empty.stride()
    assert fingerprint(torch.ones(3, dtype=torch.bfloat16)) != fingerprint(torch.zeros(3, dtype=torch.bfloat16))


@given(
    st.builds(
        Epoch,
        st.integers(0, 9),
        st.integers(0, 99),
        st.none() | st.floats(allow_nan=False),
        st.dictionaries(st.sampled_from(["loss", "weighted_f1", "ndcg"]), st.floats(allow_nan=False)),
    )
)
def test_a_record_survives_its_row(epoch: Epoch) -> None:
    assert Epoch.from_row(json.loads(json.dumps(epoch.as_row()))) == epoch


def test_records_of_older_bundles_are_read() -> None:
    row = {"epoch": 2, "loss": 0.5, "validation_loss": 0.4, "validation_weighted_f1": 0.9}
    assert Epoch.from_row(row) == Epoch(2, 0, 0.5, {"loss": 0.4, "weighted_f1": 0.9})
