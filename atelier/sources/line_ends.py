"""CSV files whose lines end in more than one way, and files that end within a quoted value.

What belongs here: making one kind of line end of several, keeping carriage returns that are part of a value, finding a
last row whose quote is not closed. What does not: parsing (:mod:`atelier.sources.reading`).

DuckDB reads lines that all end in LF, all in CRLF or all in CR, and refuses a file that mixes them, and one with a CR
inside a value that is not quoted. A last row with an unclosed quote it may leave out without a word.
"""

import mmap
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

_CHUNK = 1 << 24
_MOST_SHOWN = 1 << 14
_BOM = b"\xef\xbb\xbf"
_QUOTE, _LF, _CR, _COMMA = b'"\n\r,'
_STAND_INS = b"\x1a\x1b\x1c\x1d\x1e\x1f\x10\x11\x12\x13\x14"
"""Control characters that no text needs: one that the file does not hold stands in for CR."""


@dataclass(frozen=True)
class Unified:
    """A copy of a CSV file in which every line ends in LF.

    Attributes:
        file: the copy.
        stand_in: the character that stands for a CR that does not end a line; None where a CR always does.
        mixed: whether some lines of the original end in CRLF or CR, and others in LF alone.
    """

    file: Path
    stand_in: str | None
    mixed: bool


def unify_line_ends(file: Path, folder: Path) -> Unified | None:
    """Copy a CSV file, with CRLF made LF and a lone CR made another character, wherever neither is quoted.

    A quoted value keeps its characters. Where the header ends with a lone CR, each lone CR ends a line and becomes LF.
    Two passes, in pieces of 16 MiB.

    Args:
        file: the CSV file; quotes inside quoted values are doubled.
        folder: where the copy goes.

    Returns:
        The copy; None where the file has no CR outside of quotes, or holds every character that could stand in for
        one: a copy would not help.
    """
    unquoted_returns, ends_lines, mixed, used = _survey(file)
    free = [_LF] if ends_lines else [byte for byte in _STAND_INS if not used[byte]]
    if not unquoted_returns or not free:
        return None
    copy = folder / f"{file.stem}.unified.csv"
    with copy.open("wb") as target:
        for data, quoted, following in _chunks(file):
            returns = (data == _CR) & ~quoted
            before_line_feed = returns & (following == _LF)
            piece = np.where(returns, np.uint8(free[0]), data)
            target.write(piece[~before_line_feed].tobytes())
    return Unified(copy, None if ends_lines else chr(free[0]), mixed)


def unclosed_record(file: Path) -> int | None:
    """The byte at which a CSV file's last row begins, where it has an unclosed quote; None where all are closed."""
    with file.open("rb") as source:
        if os.fstat(source.fileno()).st_size == 0:
            return None
        with mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            if whole.find(b'"') < 0:  # most large files have none: one look instead of a pass over their bytes
                return None
    begins, read, inside = 0, 0, False
    for data, quoted, _ in _chunks(file):
        ends = np.flatnonzero(((data == _LF) | (data == _CR)) & ~quoted)
        begins = read + int(ends[-1]) + 1 if len(ends) else begins
        read, inside = read + len(data), bool(quoted[-1])
    return begins if inside else None


def first_bytes(file: Path, size: int, folder: Path) -> Path:
    """A copy of the first bytes of a file, in a folder."""
    copy = folder / f"{file.stem}.closed.csv"
    shutil.copyfile(file, copy)
    os.truncate(copy, size)
    return copy


def text_from(file: Path, begins: int) -> str:
    """What stands in a file from this byte on, 16 KiB at most: after an unclosed quote the rest may be long."""
    with file.open("rb") as source:
        source.seek(begins)
        return source.read(_MOST_SHOWN).decode("utf-8", errors="replace")


def _survey(file: Path) -> tuple[bool, bool, bool, npt.NDArray[np.bool_]]:
    """What stands in a file.

    Returns:
        Whether a CR stands outside of quotes, whether the first line ends with a lone one, whether an LF without a CR
        before it stands there too, and which bytes there are, bool [256].
    """
    found, lone_feed, ends_lines, used = False, False, None, np.zeros(256, dtype=bool)
    before = 0
    for data, quoted, following in _chunks(file):
        returns = (data == _CR) & ~quoted
        found = found or bool(returns.any())
        feeds = (data == _LF) & ~quoted
        lone_feed = lone_feed or bool((feeds & (np.append(np.uint8(before), data[:-1]) != _CR)).any())
        before = int(data[-1])
        used |= np.bincount(data, minlength=256) > 0
        ends = np.flatnonzero(returns | feeds) if ends_lines is None else np.empty(0, dtype=np.intp)
        if len(ends):
            ends_lines = bool(data[ends[0]] == _CR and following[ends[0]] != _LF)
    return found, bool(ends_lines), found and lone_feed, used


def _chunks(file: Path) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], npt.NDArray[np.uint8]]]:
    """Pieces of a file: its bytes, which of them are inside quotes, and for each the byte after it (0 at the end)."""
    inside, before = False, _LF
    with file.open("rb") as source:
        if source.read(len(_BOM)) == _BOM:  # the first field starts after it
            yield np.frombuffer(_BOM, dtype=np.uint8), np.zeros(len(_BOM), dtype=bool), np.zeros(len(_BOM), np.uint8)
        else:
            source.seek(0)
        piece = source.read(_CHUNK)
        while piece:
            next_piece = source.read(_CHUNK)
            if next_piece:  # quotes that stand together stay together
                kept = piece.rstrip(b'"')
                piece, next_piece = kept, piece[len(kept) :] + next_piece
            data = np.frombuffer(piece, dtype=np.uint8)
            if len(data):
                quoted = _inside_quotes(data, inside, before)
                yield data, quoted, np.append(data[1:], np.uint8(next_piece[0] if next_piece else 0))
                inside, before = bool(quoted[-1]), int(data[-1])
            piece = next_piece


def _inside_quotes(data: npt.NDArray[np.uint8], inside: bool, before: int) -> npt.NDArray[np.bool_]:
    """Which bytes stand inside quotes; those of a run of quotes count as what follows the run.

    Of the quotes that stand together, an even number changes nothing: they are doubled ones, or an empty value. An
    odd number closes a quoted value, and opens one only where a field starts: the inch mark of ``5" heel`` is a
    character like any other.

    Args:
        data: the bytes, which do not begin or end within a run of quotes.
        inside: whether the byte before them is inside quotes.
        before: the byte before them.
    """
    quotes = np.flatnonzero(data == _QUOTE)
    first = np.flatnonzero(np.diff(quotes, prepend=-2) > 1)  # of each run, as a place in `quotes`
    lengths = np.diff(first, append=len(quotes))
    runs = quotes[first]
    starts_field = np.isin(np.where(runs > 0, data[runs - 1], before), (_COMMA, _LF, _CR))
    odd = lengths % 2 == 1
    toggles = np.cumsum(odd & starts_field) + int(inside)
    closed = np.maximum.accumulate(np.where(odd & ~starts_field, toggles, 0))
    after = (toggles - closed) % 2 == 1
    run_before = np.searchsorted(runs, np.arange(len(data)), side="right")
    return np.concatenate([[inside], after])[run_before]
