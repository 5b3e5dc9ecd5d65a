"""Trainings beside their limit, at sizes that take no time."""

import pytest
import torch

from benchmarks import training_limits
from benchmarks.training_limits import Limit

SMALL = ["--customers=60", "--articles=40", "--interactions=400", "--steps=1", "--only", "two_tower", "attributes"]


def test_operations_of_a_product_are_counted() -> None:
    one, two = torch.ones(3, 5), torch.ones(5, 7)
    assert training_limits.counted(lambda: one @ two) == pytest.approx(2 * 3 * 5 * 7 / 1e9)


def test_each_training_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_limits, "LARGE", 32)
    found = training_limits.measure(training_limits.arguments(SMALL))
    assert [each.what for each in found] == ["two_tower, fit", "attributes, 1 steps"]
    assert all(each.operations > 0 and each.seconds > 0 for each in found)


def test_a_line_says_how_many_times_the_limit_it_takes() -> None:
    assert Limit("hybrid, fit", 12.0, 300, 100).line().split() == ["hybrid,", "fit", "12.0", "300", "3.0", "4.0"]
