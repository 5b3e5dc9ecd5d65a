"""The check of the map of the catalogue: what passes, and that a map of no photograph does not."""

from assets.catalogue_map import judgement


def test_enough_variance_passes_and_too_little_does_not() -> None:
    assert judgement(256, 0.95)[0]
    passed, message = judgement(20, 0.901)
    assert not passed
    assert "20 components explain 90.1% of the variance" in message


def test_no_photograph_does_not_pass() -> None:
    passed, message = judgement(0, None)
    assert not passed
    assert "fewer than two articles have a photograph" in message
