"""What is told of the machine that something was measured on."""

from importlib.metadata import version

import pytest
import torch

from benchmarks import machine
from benchmarks.machine import Machine, difference, this_machine

ONE = Machine(
    processor="One", instructions=(), cores=2, python="3.11.7", libraries={"torch": "2"}, peers={"polars": "2.1"}
)


def test_this_machine_is_told_with_the_versions_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 5)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True, "avx512_bf16": False})
    found = this_machine()
    assert found.instructions == ("AMX-BF16",)
    assert found.hardware.endswith(" with AMX-BF16, 5 cores")
    assert found.libraries["numpy"] == version("numpy")
    assert found.peers["faiss-cpu"] in machine.PEERS.read_text(encoding="utf-8")
    assert f"rectools {found.peers['rectools']}" in str(found)
    assert len(str(found).splitlines()) == 3


def test_a_peer_that_no_lock_pins_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "ELSEWHERE", {machine.PEERS: ("faiss",)})
    with pytest.raises(ValueError, match="pins no faiss"):
        this_machine()


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ({}, ""),
        (
            {"processor": "Another", "libraries": {}},
            "measured on Another with neither AVX512-BF16 nor AMX-BF16, 2 cores",
        ),
        ({"cores": 4}, "measured on One with neither AVX512-BF16 nor AMX-BF16, 4 cores"),
        ({"python": "3.12.0", "peers": {"polars": "2.0"}}, "Python was 3.12.0, polars of the peers was 2.0"),
        ({"libraries": {"torch": "2", "duckdb": "1"}}, "duckdb was 1"),
        ({"libraries": {}}, "torch was absent"),
    ],
)
def test_what_differs_is_told(then: dict[str, object], told: str) -> None:
    assert difference(ONE.model_copy(update=then), ONE) == told
