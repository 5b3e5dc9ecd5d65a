"""Work on a cluster, as far as it can be tested without one: what is refused and why, what is sent, when Ray loads."""

import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from assets.retries import is_transient
from benchmarks.loopback_cluster import REPOSITORY, free_port
from resources import cluster
from resources.cluster import TRIES, Attempts, ClusterError, ClusterUnreachable, Loaded, over_blocks, room, workers_code
from resources.compute import Compute
from resources.compute_settings import ComputeSettings, compute_of


@pytest.fixture(autouse=True)
def _not_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Ray's place something that is not connected: what is tested here comes before."""
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False))


ROWS = [pa.record_batch({"x": pa.array([1, 2])})]


def asked(compute: Compute) -> list[list[pa.RecordBatch]]:
    return list(over_blocks(compute, dict, {}, ROWS))


def test_ray_is_not_imported_unless_a_setting_asks_for_it() -> None:
    code = (
        "import sys, dagster_project.cli, resources.cluster, resources.image_worker, resources.list_worker; "
        "from resources.compute import Compute; "
        "print(list(resources.image_worker.encoded_chunks(None, None, [], [], 1, Compute())), 'ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "False"]


def test_no_module_imports_ray_when_it_is_imported_itself() -> None:
    packages = ("assets", "atelier", "dagster_project", "resources", "sql")
    files = [file for package in packages for file in (REPOSITORY / package).rglob("*.py")]
    found = {file.name: re.findall(r"^( *)(?:import|from) ray\b", file.read_text(), re.MULTILINE) for file in files}
    imports = {name: indents for name, indents in found.items() if indents}
    assert "cluster.py" in imports
    assert all(len(indent) > 0 for indents in imports.values() for indent in indents)


def test_the_settings_say_where_the_cluster_is() -> None:
    assert compute_of(ComputeSettings()) == Compute("auto", 2, "local", "127.0.0.1:6379", None)
    settings = ComputeSettings(threads=1, executor="ray", address="10.0.0.7:6379", workers=3)
    assert compute_of(settings) == Compute("auto", 1, "ray", "10.0.0.7:6379", 3)


def test_a_thread_that_is_not_the_main_one_connects_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB pulls lists from whichever of its threads is free, and only the main one may say what a signal does."""
    closed: list[bool] = []
    found = SimpleNamespace(
        is_initialized=lambda: False, init=lambda **_: None, shutdown=lambda: closed.append(True), exceptions=None
    )
    monkeypatch.setitem(sys.modules, "ray", found)
    monkeypatch.setattr(cluster, "_knock", lambda _: None)

    def connect() -> bool:
        with cluster.connected(Compute("cpu", 1, "ray")) as ray:
            return ray is found  # type: ignore[comparison-overlap]

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(connect).result()
    assert closed == [True]


def test_ray_leaves_what_ends_this_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    found = SimpleNamespace(
        is_initialized=lambda: False,
        init=lambda **_: signal.signal(signal.SIGTERM, lambda *_: None),
        shutdown=lambda: None,
        exceptions=None,
    )
    monkeypatch.setitem(sys.modules, "ray", found)
    monkeypatch.setattr(cluster, "_knock", lambda _: None)
    try:
        with cluster.connected(Compute("cpu", 1, "ray")):
            assert signal.getsignal(signal.SIGTERM) is before
    finally:
        signal.signal(signal.SIGTERM, before)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r'Ray is not installed: install atelier\[ray\].*executor = "local"'):
        asked(Compute("cpu", 1, "ray"))


def test_a_cluster_that_does_not_answer_is_asked_again_later() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(
        ClusterUnreachable, match=f"{address} does not answer: start its head.*compute.address"
    ) as raised:
        asked(Compute("cpu", 1, "ray", address))
    assert is_transient(raised.value)


@pytest.mark.parametrize("address", ["10.0.0.7:6379", "head.example:6379", "[2001:db8::7]:6379"])
def test_a_cluster_of_other_machines_has_to_ask_for_a_token(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(ClusterError, match=r"on other machines.*Set RAY_AUTH_MODE=token") as raised:
        asked(Compute("cpu", 1, "ray", address))
    assert not is_transient(raised.value)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1", "[::1]:1", "127.0.0.9:1"])
def test_this_machine_needs_none(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(ClusterUnreachable):
        asked(Compute("cpu", 1, "ray", address))


def nodes(*found: tuple[int, int, bool]) -> Any:
    """What stands in for Ray: nodes with processors, cards, and whether they are alive."""
    listed = [{"Alive": alive, "Resources": {"CPU": float(cpu), "GPU": float(gpu)}} for cpu, gpu, alive in found]
    return SimpleNamespace(nodes=lambda: listed)


def test_the_room_is_that_of_the_nodes_that_are_alive() -> None:
    found = nodes((5, 0, True), (4, 0, True), (1, 0, True), (64, 0, False))
    assert room(found, Compute("cpu", 2)) == 4
    assert room(found, Compute("cpu", 2, workers=3)) == 3
    with pytest.raises(ClusterError, match=r"has 8 processors for a worker; start nodes.*lower compute\.threads"):
        room(found, Compute("cpu", 8))


def test_on_cards_a_worker_has_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert room(nodes((16, 2, True), (16, 0, True), (2, 4, True)), Compute("cuda", 2)) == 3


def test_a_worker_with_other_code_is_refused() -> None:
    with pytest.raises(ClusterError, match=r"another version of Atelier .*install the same on all machines"):
        Loaded(dict, [], Compute("cpu", 1), "0123456789ab", None)


def test_a_batch_comes_out_as_it_went_in() -> None:
    names = pa.DictionaryArray.from_arrays(
        pa.array([2, 0, 2], pa.int32()), pa.array(["a", "b", "ü"], pa.large_string())
    )
    nested = pa.array([[{"kind": "article", "weight": 1.5}], None, []])
    batch = pa.record_batch({"name": names, "reasons": nested})
    again = cluster._batch(cluster._bytes(batch))
    assert again.equals(batch, check_metadata=True)
    assert again["name"].dictionary.equals(names.dictionary)


def test_a_block_that_processes_died_of_is_given_up_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process counts the blocks that it begins; Ray's part is that the count outlives the process."""
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=lambda reference: reference))
    counted, block = Attempts(), cluster._bytes(ROWS[0])
    attempts = SimpleNamespace(begin=SimpleNamespace(remote=counted.begin), end=SimpleNamespace(remote=counted.end))

    class Death(BaseException):
        """Stands in for a signal: nothing of the process runs afterwards."""

    def dies(_block: pa.RecordBatch) -> list[pa.RecordBatch]:
        raise Death

    def begun(number: int, worker: cluster.Worker) -> pa.Table:
        process = Loaded(lambda: worker, [{}], Compute("cpu", 1), workers_code(), attempts)
        return process(pa.table({"number": [number], "block": pa.array([block], pa.large_binary())}))

    for _ in range(TRIES + 1):
        made = begun(7, lambda block: [block])
        assert made[cluster.MADE].to_pylist() == [[block]], "it succeeds as often as its result is lost"
    for _ in range(TRIES):
        with pytest.raises(Death):
            begun(7, dies)
    with pytest.raises(ClusterError, match=r"3 processes .* died while they had block 7 \(2 rows\)"):
        begun(7, lambda block: [block])
    assert begun(8, lambda block: [block]).num_rows == 1, "another block"
