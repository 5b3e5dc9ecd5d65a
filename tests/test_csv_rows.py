"""Reading CSV: no value slips into another column, lines are those of the file, formulas come back as they were."""

import csv
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.csv_rows import CsvError, read_rows, with_formulas, without_formulas

FIELD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@given(st.lists(st.tuples(FIELD, FIELD, FIELD), max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], end: str
) -> None:
    file = tmp_path_factory.mktemp("csv") / "a.csv"
    with file.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
        writer.writerows([("x", "y", "z"), *rows])
    found = read_rows(file)
    assert found.columns.tolist() == ["x", "y", "z"]
    assert [tuple(row) for row in found.to_numpy().tolist()] == rows


def test_lines_count_blank_ones_and_line_ends_within_quotation_marks(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('\nx,y\n\n1,"a\nb"\n\n2,\n')
    found = read_rows(file)
    assert found.index.tolist() == [4, 7]
    assert found["y"].tolist() == ["a\nb", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"x,y\n1,2\n\n1,2,3\n", "line 4: the row has 3 fields and the header 2"),
        (b"x,y\n1,2,\n", "line 2: the row has 3 fields"),
        (b"x,y\n1\n", "line 2: the row has 1 fields"),
        (b'x,y\n1,"2\n', "line 2: it cannot be read as CSV"),
        (b"x,x\n", "two columns have the name 'x'"),
        (b"x\n\xff\n", "cannot be read as UTF-8"),
        (b"", "it is empty"),
        (b"\n\n", "it is empty"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(text)
    with pytest.raises(CsvError, match=re.escape(message)):
        read_rows(tmp_path / "a.csv")


@given(st.lists(st.text("'=+-@\t\ra1", max_size=5), min_size=1))
def test_formulas_are_made_harmless_and_come_back(texts: list[str]) -> None:
    column = pd.Series(texts, dtype="str")
    harmless = without_formulas(column)
    assert not harmless.str.match(r"[=+\-@\t\r]").any()
    assert with_formulas(harmless).tolist() == texts
    assert with_formulas(pd.Series(["plain", "'quoted'", "=2"], dtype="str")).tolist() == ["plain", "'quoted'", "=2"]
