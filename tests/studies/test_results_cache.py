"""Kept results: what was put in comes out, as a whole or not at all."""

from pathlib import Path

import pandas as pd
import pytest
from pydantic import BaseModel

from atelier.studies.results_cache import CachedResultError, KeptTable, ResultsCache, cached, digest


class Answer(BaseModel):
    """Something worth keeping."""

    value: float
    words: list[str] = []


class Killed(BaseException):
    """The process is gone."""


def test_a_digest_depends_on_what_is_said_not_on_its_order() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
    assert len(digest({})) == 32


def test_what_was_put_in_comes_out(tmp_path: Path) -> None:
    kept = ResultsCache(tmp_path / "not there yet")
    assert kept.get("one", Answer) is None
    assert not kept.folder.exists(), "asking makes no folder"
    kept.put("one", Answer(value=0.1, words=["ä"]))
    kept.put("two", Answer(value=1 / 3))
    assert kept.get("one", Answer) == Answer(value=0.1, words=["ä"])
    assert kept.get("two", Answer) == Answer(value=1 / 3)
    kept.put("one", Answer(value=2.0))
    assert kept.get("one", Answer) == Answer(value=2.0)
    assert sorted(file.name for file in kept.folder.iterdir()) == ["one.json", "two.json"]


def test_who_is_killed_while_keeping_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = ResultsCache(tmp_path)
    kept.put("one", Answer(value=1.0))

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(Killed):
            kept.put("one", Answer(value=2.0))
        with pytest.raises(Killed):
            kept.put("two", Answer(value=2.0))
    assert kept.get("one", Answer) == Answer(value=1.0)
    assert kept.get("two", Answer) is None


@pytest.mark.parametrize("content", [b'{"value": 1', b'{"other": 1}', b"", b"\xff\xfe"])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "one.json").write_bytes(content)
    with pytest.raises(CachedResultError, match=r"one\.json.*delete it"):
        ResultsCache(tmp_path).get("one", Answer)


def test_what_was_kept_is_not_computed_again(tmp_path: Path) -> None:
    computed: list[float] = []

    def compute() -> Answer:
        computed.append(1 / 3)
        return Answer(value=len(computed))

    def asked(data: dict[str, str], **parts: int) -> float:
        return cached(ResultsCache(tmp_path), data, parts, Answer, compute).value

    assert [asked({"table": "1"}, k=1), asked({"table": "1"}, k=1)] == [1, 1]
    assert [asked({"table": "2"}, k=1), asked({"table": "1"}, k=2)] == [2, 3]
    assert [cached(None, None, {"k": 1}, Answer, compute).value for _ in range(2)] == [4, 5]
    with pytest.raises(ValueError, match="identifies"):
        asked({}, k=1)


def test_a_table_that_was_kept_is_the_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": ["a", None], "value": [0.1, float("nan")], "rank": [1, 2]})
    kept = ResultsCache(tmp_path)
    kept.put("table", KeptTable.of(frame))
    found = kept.get("table", KeptTable)
    assert found is not None
    expected = pd.DataFrame(
        {
            "name": pd.array(["a", None], dtype="string"),
            "value": pd.array([0.1, None], dtype="Float64"),
            "rank": pd.array([1, 2], dtype="Int64"),
        }
    )
    pd.testing.assert_frame_equal(found.frame(), expected)
