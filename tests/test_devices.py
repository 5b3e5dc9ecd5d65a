"""What a device can do, whatever this machine has."""

import pytest
import torch

from atelier.devices import has_bfloat16


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"amx_bf16": True}, True),
        ({"avx2": True}, False),
        ({}, False),
    ],
)
def test_a_processor_is_asked_for_its_instructions(
    features: dict[str, bool], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    assert has_bfloat16(torch.device("cpu")) == expected
    assert not has_bfloat16(torch.device("meta"))


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_gpu_that_would_emulate_it_does_not_have_it(
    capability: tuple[int, int], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert has_bfloat16(torch.device("cuda")) == expected
