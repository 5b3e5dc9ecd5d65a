"""The limits of the machine at sizes that take no time: a line for each."""

import pytest

from benchmarks import machine_limits
from benchmarks.ratios import Seconds


def test_every_limit_has_a_line(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    lines = machine_limits.measure(machine_limits.arguments(["--size=32", "--megabytes=1", "--repeats=1"]))
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "product of matrices, float32",
        "product of matrices, bfloat16",
        "copy",
        "written to disk",
    ]


def test_rates_are_of_the_clock_and_of_the_processor() -> None:
    assert machine_limits.line("copy", "billion bytes", 6, Seconds(3, 2)).split() == [
        "copy",
        "2.0",
        "3.0",
        *["billion", "bytes"],
    ]
    amount, product = machine_limits.products(16, machine_limits.torch.float32)
    assert amount == pytest.approx(2 * 16**3 / 1e9)
    assert product().shape == (16, 16)
