"""Which format a file really has, whatever its name says.

What belongs here: telling formats apart by a file's first bytes, and folders and absent files from files. What does
not: reading rows (:mod:`atelier.sources.reading`).
"""

from pathlib import Path

from atelier.errors import SourceError
from atelier.sources.base import source_error

_HEAD = 512
_SIGNATURES = (
    (b"PAR1", "a Parquet file"),
    (b"PK\x03\x04", "a zip archive, or an Excel file"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"\xd0\xcf\x11\xe0", "an Excel file"),
    (b"ARROW1", "an Arrow file"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"%PDF", "a PDF"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
)
_OF_LETTERS = (b"ORC", b"BZh")
"""Signatures with which text may begin too; such files hold bytes that no text has."""
_NO_TEXT = frozenset(range(32)) - frozenset(b"\t\n\r")
_WIDE_BOMS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_UTF8 = "Write it as plain text in UTF-8, or as Parquet."


def check_format(file: Path) -> None:
    """Refuse what is no file, and a file whose first bytes are of another format than its name says.

    Raises:
        SourceError: naming what there is instead, and the remedy.
    """
    if file.is_dir():
        raise folder_error(file)
    if not file.is_file():
        raise source_error(file, "there is no such file", "Put it there, or correct the source's path.")
    with file.open("rb") as opened:
        head = opened.read(_HEAD)
    if not head:
        return  # the readers say that a file is empty
    found = _format(head)
    if file.suffix == ".csv" and found:
        what, remedy = found
        raise source_error(file, f"its name says CSV, but it is {what}", remedy)
    if file.suffix == ".parquet" and not head.startswith(b"PAR1"):
        what, _ = found or ("no Parquet file: text, or damaged", "")
        raise source_error(file, f"its name says Parquet, but it is {what}", "Write it again as Parquet.")


def folder_error(folder: Path) -> SourceError:
    """The error of a folder where a file was expected; Spark writes tables so."""
    parts = sum(1 for _ in folder.glob("*.parquet"))
    texts = sum(1 for _ in folder.glob("*.csv*"))
    holds = f" with {parts} Parquet files" if parts else f" with {texts} CSV files" if texts else ""
    remedy = "Merge its parts into one file: pyarrow.parquet.write_table(pyarrow.parquet.read_table(folder), file)."
    if texts and not parts:
        remedy = "Merge its parts into one CSV file with one header: Spark does with coalesce(1) before it writes."
    return source_error(folder, f"it is a folder{holds}, as Spark writes one, and not a file", remedy)


def _format(head: bytes) -> tuple[str, str] | None:
    """What the first bytes are, and the remedy where text was wanted; None where they may be text in UTF-8."""
    for bom, encoding in _WIDE_BOMS:
        if head.startswith(bom):
            return f"text in {encoding}", _UTF8
    for signature, what in _SIGNATURES:
        start = head[: len(signature)]
        if start == signature or (signature.startswith(b"<") and start.lower() == signature.lower()):
            if signature in _OF_LETTERS and not _NO_TEXT & set(head):
                continue
            unpack = "Unpack it" if "compressed" in what or "archive" in what else "Export it as CSV in UTF-8"
            rename = "Give it the ending .parquet" if what == "a Parquet file" else unpack
            return what, f"{rename}, or write it as Parquet."
    zeros = [head[start::2].count(0) * 4 for start in (0, 1)]
    if len(head) > 1 and max(zeros) > len(head):  # every second byte of text in UTF-16 without a mark is nought
        return "text in UTF-16", _UTF8
    return None
