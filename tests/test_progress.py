"""What progress looks like in a log, where the lines of two steps are mixed."""

import pytest

from atelier import progress as module
from atelier.progress import named, progress


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    """A log that gets a line of every item: none has to wait for ten seconds."""
    monkeypatch.setattr(module, "LOGGED_EVERY", 1e-9)
    return capsys


def test_every_line_begins_with_the_work_and_says_how_far_it_is(log: pytest.CaptureFixture[str]) -> None:
    with named("als_model"):
        assert list(progress(range(3), "fitting", unit="iteration")) == [0, 1, 2]
    *bars, end = log.readouterr().err.splitlines()
    assert all(line.startswith("als_model: fitting: ") for line in bars), bars
    assert "3/3" in bars[-1]
    assert end.startswith("als_model: done in ")
    assert not any("\r" in line or "█" in line for line in bars)


def test_a_bar_within_a_bar_is_a_line_like_any_other(log: pytest.CaptureFixture[str]) -> None:
    with named("images"):
        for _ in progress(range(2), "days", unit="day"):
            list(progress(range(2), "checking", unit="image"))
    lines = log.readouterr().err.splitlines()
    assert {line.split(": ")[1] for line in lines[:-1]} == {"days", "checking"}
    assert all(line.startswith("images: ") for line in lines)


def test_quick_work_leaves_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter("abc"), "letters", total=3)) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_the_name_is_that_of_the_innermost_work(log: pytest.CaptureFixture[str]) -> None:
    with named("outer"):
        with pytest.raises(ZeroDivisionError), named("inner"):
            1 / 0  # noqa: B018
        list(progress([1], "later"))
    lines = log.readouterr().err.splitlines()
    assert not any("inner" in line for line in lines), "it was not done"
    assert all(line.startswith("outer: ") for line in lines)
