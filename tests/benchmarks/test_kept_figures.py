"""Lines of figures in a file: added whole or not at all, and told where somebody damaged them."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from atelier.errors import DamagedFile
from benchmarks import kept_figures
from benchmarks.kept_figures import append, read, write


class Figure(BaseModel, frozen=True, extra="forbid"):
    """What these tests keep."""

    value: float


ONE, TWO = Figure(value=1.0), Figure(value=2.0)


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert read(tmp_path / "figures.jsonl", Figure) == []


def test_figures_survive_a_line_that_a_kill_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "figures.jsonl"
    append(file, [ONE])
    file.write_bytes(file.read_bytes() + b'{"val')
    assert read(file, Figure) == [ONE]
    append(file, [TWO])
    assert read(file, Figure) == [ONE, TWO]
    write(file, [TWO])
    assert read(file, Figure) == [TWO]


def test_a_kill_while_figures_are_added_leaves_those_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "figures.jsonl"
    append(file, [ONE])

    def killed(path: Path, data: bytes) -> int:
        with path.open("wb") as half:
            half.write(data[: len(data) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(kept_figures.Path, "write_bytes", killed)
        with pytest.raises(KeyboardInterrupt):
            append(file, [TWO])
    assert read(file, Figure) == [ONE]
    append(file, [TWO])
    assert read(file, Figure) == [ONE, TWO]


@pytest.mark.parametrize("line", [b'{"value": 1', b'{"width": 1.0}', b"\xff\xfe"])
def test_a_damaged_line_is_told_with_the_remedy(tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "figures.jsonl"
    file.write_bytes(b'{"value": 1.0}\n' + line + b"\n")
    with pytest.raises(DamagedFile, match=r"line 2 of .*figures\.jsonl is no figure.*remove that line, or the file"):
        read(file, Figure)
