"""Two processes that train together make the network that one makes, from the same batches and the same losses."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from atelier import recommenders
from atelier.nn.replicas import ALONE, Replicas, ReplicasError
from atelier.nn.training_state import TrainingStateError
from tests.conftest import REPOSITORY
from tests.devices import one_torch_thread
from tests.nn import replica_worker
from tests.nn.toy import EVERY, Killed, train
from tests.recommenders.sequential.circle import circle

COUNT = 2
SECONDS = 300
Found = list[dict[str, Tensor]]


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    with one_torch_thread():
        yield


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What each of two processes made, which met over loopback."""
    folder = tmp_path_factory.mktemp("replicas")
    command = [sys.executable, "-m", "tests.nn.replica_worker"]
    processes = [
        subprocess.Popen([*command, str(rank), str(COUNT), str(folder)], cwd=REPOSITORY) for rank in range(COUNT)
    ]
    try:
        assert [process.wait(SECONDS) for process in processes] == [0] * COUNT
    finally:
        for process in processes:
            process.kill()
    return [load_file(folder / f"{rank}.safetensors") for rank in range(COUNT)]


def part(found: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}/"): value for key, value in found.items() if key.startswith(f"{name}/")}


@pytest.fixture(scope="module")
def alone(one_thread: None) -> dict[str, Tensor]:
    return replica_worker.alone()


@pytest.mark.parametrize("shares", ["even", "uneven"])
def test_two_processes_make_what_one_makes(found: Found, alone: dict[str, Tensor], shares: str) -> None:
    """Also where a share is empty: hybrid's last batches, and those of the published attribute training, are small."""
    one, two = (part(each, shares) for each in found)
    assert one.keys() == two.keys() == alone.keys()
    for name, value in alone.items():
        assert torch.equal(one[name], two[name]), f"{name} is not the same on both"
        torch.testing.assert_close(
            one[name], value, rtol=2e-4, atol=2e-5, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_a_batch_on_two_processes_is_normalised_as_a_whole(found: Found) -> None:
    whole = replica_worker.normalised(ALONE)
    parts = [part(each, "normalised") for each in found]
    for name, value in whole.items():
        split = name in ("values", "gradient")
        together = torch.cat([each[name] for each in parts]) if split else parts[0][name]
        torch.testing.assert_close(together, value, rtol=1e-4, atol=1e-4)


def test_sums_and_what_the_first_says_reach_all(found: Found) -> None:
    for each in (part(every, "messages") for every in found):
        assert each["some"].tolist() == [[3.0, 3.0], [3.0, 3.0]]
        assert each["first"].tolist() == [0.0, 1.0, 2.0, 3.0]
        assert each["agreed"][:2].tolist() == [0.0, 1 / 3]
        assert each["agreed"][2].isnan()


def test_a_killed_training_of_two_processes_resumes_to_the_same_bytes(found: Found) -> None:
    for each in (part(every, "resumed") for every in found):
        names = [name for name in each if name.startswith("whole")]
        assert names
        for name in names:
            assert torch.equal(each[name], each[name.replace("whole", "again")]), name


# ---- without another process


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_shares_are_about_even_and_whole(rows: int, count: int) -> None:
    shares = Replicas(0, count).shares(rows)
    assert [place for share in shares for place in range(rows)[share]] == list(range(rows))
    lengths = [share.stop - share.start for share in shares]
    assert max(lengths) - min(lengths) <= 1


def test_random_numbers_are_of_the_step_and_of_the_replica() -> None:
    def drawn(seed: int, step: int, rank: int) -> tuple[float, ...]:
        Replicas(rank, 2).seed(seed, step, torch.device("cpu"))
        return tuple(torch.rand(3).tolist())

    with torch.random.fork_rng(devices=[]):
        places = [(seed, step, rank) for seed in (0, 1) for step in (1, 2) for rank in (0, 1)]
        assert len({drawn(*place) for place in places}) == len(places)
        assert drawn(0, 1, 0) == drawn(0, 1, 0)
        torch.manual_seed(5)
        expected = torch.rand(1)
        torch.manual_seed(5)
        ALONE.seed(0, 1, torch.device("cpu"))
        assert torch.rand(1) == expected, "a process by itself draws on"


class Heard(Replicas):
    """The first of two, whom nobody has to hear."""

    def told(self, say):  # type: ignore[no-untyped-def]
        """What it says itself."""
        return say()


def test_a_state_of_another_number_of_processes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tmp_path / "state", kill_at=EVERY + 1)
    with pytest.raises(TrainingStateError, match=r"another training \(replicas is 1 there and 2 here\)"):
        train(tmp_path / "state", replicas=Heard(0, 2))


def test_negatives_that_are_the_batchs_own_targets_are_refused() -> None:
    model = recommenders.build("transformer", loss="in_batch", max_epochs=1)
    assert not model.trains_on_replicas
    model.replicas = Replicas(0, 2)
    with pytest.raises(ReplicasError, match="in_batch holds all targets of a batch against each other"):
        model.fit(circle(20))


def test_which_models_several_processes_can_train() -> None:
    able = {name for name in recommenders.MODELS if recommenders.build(name).trains_on_replicas}
    assert able == {"hybrid", "sequencer", "transformer"}
