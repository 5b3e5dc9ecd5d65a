"""The gate of finite numbers: what is learned has to be finite, what is kept of the data may be unknown."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from atelier.monitoring.gates import finite_gate


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("weight.articles", np.nan, 1),
        ("weight.articles", np.inf, 1),
        ("profile.history.prices", np.nan, 0),
        ("profile.history.prices", -np.inf, 1),
        ("weight.snapshot.price", np.nan, 0),
        ("weight.snapshot.price", np.inf, 1),
    ],
)
def test_only_data_may_be_unknown(tmp_path: Path, name: str, value: float, wrong: int) -> None:
    arrays = {name: np.array([1.0, value, 2.0], np.float32), "codes": np.arange(4)}
    save_file(arrays, tmp_path / "weights.safetensors")
    gate = finite_gate("two_stage", tmp_path)
    assert (gate.value, gate.passed) == (wrong, wrong == 0)
