"""CSV files that people and other tools wrote, as texts with the lines on which their rows begin.

What belongs here: reading a file so that no value can slip into another column, and cells that a spreadsheet would
take for formulas. What does not: what the columns mean, files of the landing zone (:mod:`atelier.sources.reading`).
"""

import csv
from pathlib import Path

import pandas as pd

from atelier.errors import AtelierError

FORMULA = r"^('*[=+\-@\t\r])"
"""Cells that a spreadsheet takes for a formula, and those that would read as if they had been made harmless."""
HARMLESS = r"^'('*[=+\-@\t\r])"


class CsvError(AtelierError, ValueError):
    """A file that is no CSV, or has a row with more or fewer fields than its header."""


def read_rows(file: Path) -> pd.DataFrame:
    """All rows of a comma-separated UTF-8 file as texts; an empty field is an empty text, and blank lines are skipped.

    Returns:
        The columns of the header, indexed by ``line``: the line of the file on which each row begins, from 1. A quoted
        field may have line ends.

    Raises:
        CsvError: a row has another number of fields than the header, the header is absent or has a name twice, a
            quotation mark is not closed, or the file is not UTF-8.
        OSError: the file cannot be opened.
    """
    lines, rows, end = list[int](), list[list[str]](), 0
    with file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True)
        try:
            for row in reader:
                if row:
                    lines.append(end + 1)
                    rows.append(row)
                end = reader.line_num
        except csv.Error as error:
            raise CsvError(f"{file}, line {end + 1}: it cannot be read as CSV ({error})") from error
        except UnicodeDecodeError as error:
            raise CsvError(f"{file} cannot be read as UTF-8 ({error}): save it as comma-separated UTF-8") from error
    if not rows:
        raise CsvError(f"{file} cannot be read as CSV: it is empty, without even a header")
    header = _header(file, rows[0])
    for line, row in zip(lines[1:], rows[1:], strict=True):
        if len(row) != len(header):
            raise CsvError(
                f"{file}, line {line}: the row has {len(row)} fields and the header {len(header)}; a comma within a "
                f"value needs quotation marks around the value, and a row has no comma after its last value"
            )
    return pd.DataFrame(rows[1:], columns=header, index=pd.Index(lines[1:], name="line", dtype="int64"), dtype="str")


def _header(file: Path, names: list[str]) -> list[str]:
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise CsvError(f"{file}: two columns have the name {twice[0]!r}; rename or remove one")
    return names


def without_formulas(column: "pd.Series[str]") -> "pd.Series[str]":
    """Texts with an apostrophe before those that a spreadsheet would run as a formula.

    Source: OWASP, CSV Injection: cells that begin with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return.
    """
    return column.str.replace(FORMULA, r"'\1", regex=True)


def with_formulas(column: "pd.Series[str]") -> "pd.Series[str]":
    """The texts that :func:`without_formulas` was given; texts that it never changed stay as they are."""
    return column.str.replace(HARMLESS, r"\1", regex=True)
