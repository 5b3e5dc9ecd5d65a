"""The comparison of collaborative fits on tiny data: what is drawn, how lists are judged, the same quality."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import lightfm_side, warp_against_lightfm
from benchmarks.environments import ENVIRONMENTS
from benchmarks.lightfm_side import Tastes
from benchmarks.warp_against_lightfm import HELD, Point

TINY = ["--customers=60", "--articles=40", "--factors=8", "--epochs=2", "--judged=60", "--threads=1"]


@pytest.fixture(scope="module")
def tastes() -> Tastes:
    return warp_against_lightfm.draw(warp_against_lightfm.arguments(TINY))


def test_what_a_customer_has_later_is_new_to_them(tastes: Tastes, tmp_path: Path) -> None:
    seen = tastes.seen.toarray()
    assert seen.max() == 1
    assert seen.sum(axis=1).min() >= 2
    later = np.zeros_like(seen)
    np.put_along_axis(later, tastes.later, 1, axis=1)
    assert (later.sum(axis=1) == HELD).all()
    assert not (later * seen).any()
    tastes.save(tmp_path / "tastes.npz")
    again = Tastes.load(tmp_path / "tastes.npz")
    assert all((a == b).all() for a, b in zip(tastes, again, strict=True))


def test_the_truth_has_the_best_precision(tastes: Tastes) -> None:
    truth = np.zeros(tuple(tastes.sizes), np.float32)
    np.put_along_axis(truth, tastes.later, 1, axis=1)
    articles = np.eye(int(tastes.sizes[1]), dtype=np.float32)
    assert lightfm_side.precision(tastes, truth, articles, 50) == pytest.approx(HELD / lightfm_side.K)
    assert lightfm_side.precision(tastes, -truth, articles, 50) < HELD / lightfm_side.K / 2
    had = tastes.seen.toarray()
    assert lightfm_side.precision(tastes, truth + 10 * had, articles, 50) == pytest.approx(HELD / lightfm_side.K)


def test_both_sides_are_timed_to_the_same_precision() -> None:
    ours = [Point(2, 1, 0.05), Point(4, 2, 0.099), Point(6, 3, 0.12)]
    theirs = [Point(1, 1, 0.02), Point(2, 2, 0.04), Point(3, 3, 0.08), Point(4, 4, 0.1)]
    mine, other, told = warp_against_lightfm.to_the_same(ours, theirs)
    assert mine == (4, 2)
    assert other == (4, 4)
    assert told.startswith("to a precision@10 of 0.0990: ours in 2 epochs (best 0.1200), theirs in 4 (best 0.1000)")


def test_each_epoch_of_ours_is_judged(tastes: Tastes) -> None:
    curve = warp_against_lightfm.ours(tastes, warp_against_lightfm.arguments(TINY))
    assert len(curve) == 2
    assert 0 < curve[0].processor < curve[1].processor
    assert 0 < curve[-1].precision <= HELD / lightfm_side.K


@pytest.mark.skipif(not (ENVIRONMENTS / "peers").exists(), reason="the peers' environment is made by make bench")
def test_lightfm_learns_the_same_data(tastes: Tastes) -> None:
    curve = warp_against_lightfm.theirs(tastes, warp_against_lightfm.arguments(TINY))
    assert 1 <= len(curve) <= 2
    assert 0 < curve[-1].precision <= HELD / lightfm_side.K
