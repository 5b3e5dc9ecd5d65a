"""The comparison of encoders on four photographs: the same vectors, and a difference is told. No timing."""

import numpy as np
import pytest

from benchmarks import images_against_dataloader

FEW = ["--backbone=squeezenet1_1", "--count=4", "--batch-size=2", "--threads=1", "--repeats=1"]


def test_the_script_gives_the_pipelines_vectors() -> None:
    rows = images_against_dataloader.measure(images_against_dataloader.arguments(FEW))
    assert [row.peer for row in rows[:2]] == ["DataLoader script", "the network alone"]
    assert rows[0].checked.startswith(
        ("cosines of centred vectors at least 0.999", "cosines of centred vectors at least 1")
    )


def test_vectors_that_differ_are_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images_against_dataloader.Sides, "script", lambda sides: sides.bare()[::-1])
    with pytest.raises(RuntimeError, match="do not agree"):
        images_against_dataloader.measure(images_against_dataloader.arguments(FEW))


def test_agreement_is_without_what_all_vectors_share() -> None:
    common = np.full((3, 4), 100, np.float32)
    own = np.eye(3, 4, dtype=np.float32)
    assert images_against_dataloader.agreement(common + own, common + own) == pytest.approx(1)
    assert images_against_dataloader.agreement(common + own, common + own[::-1]) < 0
