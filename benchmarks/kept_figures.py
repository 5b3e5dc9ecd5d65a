"""Figures that outlive a benchmark that was interrupted: a line of JSON for each, in one file.

What belongs here: reading and adding lines. What does not: what is measured, and which of the lines still hold (each
benchmark knows its own).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from atelier.errors import DamagedFile

Figure = TypeVar("Figure", bound=BaseModel)


def read(file: Path, kind: type[Figure]) -> list[Figure]:
    """The figures of a file, none where it is not there; a last line that a kill cut off is left out.

    Raises:
        DamagedFile: a line is no such figure.
    """
    if not file.exists():
        return []
    lines = file.read_bytes().split(b"\n")[:-1]
    return [_parsed(file, number, line, kind) for number, line in enumerate(lines, 1) if line]


def _parsed(file: Path, number: int, line: bytes, kind: type[Figure]) -> Figure:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        raise DamagedFile(
            f"line {number} of {file} is no figure of this benchmark ({error.errors()[0]['msg']}); remove that line, "
            "or the file, and what is missing is measured again"
        ) from error


def append(file: Path, figures: Iterable[BaseModel]) -> None:
    """Add figures to a file, all of them or, where it is killed, none."""
    known = file.read_bytes() if file.exists() else b""
    _replace(file, known[: known.rfind(b"\n") + 1], figures)


def write(file: Path, figures: Iterable[BaseModel]) -> None:
    """Let a file hold these figures and no others."""
    _replace(file, b"", figures)


def _replace(file: Path, before: bytes, figures: Iterable[BaseModel]) -> None:
    staged = file.with_suffix(".new")
    staged.write_bytes(before + "".join(f"{figure.model_dump_json()}\n" for figure in figures).encode())
    staged.replace(file)
