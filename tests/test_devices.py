"""Which device is chosen and what it can do, whatever this machine has; its random numbers and its precision."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from atelier import devices
from atelier.devices import autocast, choose_device, copied, has_bfloat16, own_random_state, repeatable
from atelier.errors import AtelierError
from tests.devices import DEVICES

CPU = torch.device("cpu")


def test_auto_is_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cpu") == choose_device(CPU) == CPU
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    with pytest.raises(AtelierError, match=r"'cuda:1', but torch finds no CUDA device; .*'auto' or 'cpu'"):
        choose_device("cuda:1")


@pytest.mark.parametrize("name", DEVICES)
def test_a_copy_holds_the_same_and_is_itself_on_a_processor(name: str) -> None:
    device = choose_device(name)
    for tensor in (torch.arange(5), torch.zeros(0, 2), torch.tensor([True, False])):
        there = copied(tensor, device)
        assert there.device.type == name
        assert torch.equal(there.cpu(), tensor)
        assert (there.data_ptr() == tensor.data_ptr()) == (name == "cpu")


@pytest.mark.parametrize("name", DEVICES)
def test_an_own_random_state_begins_with_its_seed_and_ends_with_the_block(name: str) -> None:
    device, drawn = choose_device(name), []
    for before in (1, 2):
        torch.manual_seed(before)
        expected = torch.rand(2, device=device), torch.rand(2)
        torch.manual_seed(before)
        with own_random_state(device, 9):
            drawn.append(torch.rand(2, device=device))
        with own_random_state(device):
            assert torch.equal(torch.rand(2, device=device), expected[0])
        assert torch.equal(torch.rand(2, device=device), expected[0])
        assert torch.equal(torch.rand(2), expected[1])
    assert torch.equal(*drawn)


def test_only_the_generators_that_are_given_back_are_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """``torch.manual_seed`` seeds every GPU, also for a training on the processor."""
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    monkeypatch.setattr(torch.cuda, "manual_seed", seeded.append)
    with own_random_state(CPU, 3):
        torch.rand(1)
    assert seeded == []


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_products_take_the_precision_asked_for(name: str, precision: str) -> None:
    device = choose_device(name)
    with autocast(precision, device):  # type: ignore[arg-type]
        product = torch.ones(2, 2, device=device) @ torch.ones(2, 2, device=device)
    half = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
    assert product.dtype == (torch.bfloat16 if half else torch.float32)


@pytest.mark.parametrize(
    ("features", "seconds", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, 0.5, True),
        ({"amx_bf16": True}, 0.5, True),
        ({"amx_bf16": True}, 5.0, False),
        ({"avx2": True}, 0.5, False),
        ({}, 0.5, False),
    ],
)
def test_a_processor_is_asked_for_its_instructions_and_tried(
    features: dict[str, bool], seconds: float, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``seconds`` are those of products in bfloat16, where float32 takes one."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    monkeypatch.setattr(devices, "_product_seconds", lambda dtype: seconds if dtype == torch.bfloat16 else 1.0)
    monkeypatch.setattr(devices, "_bfloat16_is_faster", devices._bfloat16_is_faster.__wrapped__)
    assert has_bfloat16(torch.device("cpu")) == expected
    assert not has_bfloat16(torch.device("meta"))


def test_a_processor_whose_instructions_are_not_used_does_not_have_it() -> None:
    """The library for products is told to do without them, as where a processor names and emulates them."""
    code = "import torch; from atelier.devices import has_bfloat16; print(has_bfloat16(torch.device('cpu')))"
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_gpu_that_would_emulate_it_does_not_have_it(
    capability: tuple[int, int], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert has_bfloat16(torch.device("cuda")) == expected


def test_gradients_of_rows_that_are_read_often_are_the_same_bits_each_time() -> None:
    rows = torch.from_numpy(np.random.default_rng(0).zipf(1.3, 200_000) % 50)
    gradients = torch.randn(len(rows), 8, generator=torch.Generator().manual_seed(0))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with repeatable(torch.device("cpu")):
            assert torch.are_deterministic_algorithms_enabled()
            found = [_gradient(rows, gradients) for _ in range(5)]
    finally:
        torch.set_num_threads(threads)
    assert not torch.are_deterministic_algorithms_enabled()
    assert all(torch.equal(found[0], other) for other in found[1:])


def _gradient(rows: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    vectors = torch.zeros(50, 8, requires_grad=True)
    vectors[rows].backward(gradients)
    assert vectors.grad is not None
    return vectors.grad
