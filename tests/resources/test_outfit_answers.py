"""Files of answers: a new answer replaces an old one, whatever else there is stays."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.answers import ANSWERS, FEEDBACK
from resources import outfit_answers
from resources.outfit_answers import AnswersError, add_answers, check_articles, known_answers, read_answers

DAY = date(2026, 3, 1)
ONE = st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.sampled_from(ANSWERS)).filter(
    lambda row: row[0] != row[1]
)


def pairs(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["article_id", "complement_article_id", "answer"], dtype="str")


def said(root: Path, day: date = DAY) -> dict[tuple[str, ...], str]:
    frame = known_answers(root, day)
    sets = frame.groupby("outfit_id")["article_id"].agg(lambda ids: tuple(sorted(ids)))
    return dict(zip(sets, frame.groupby("outfit_id")["answer"].first(), strict=True))


@given(st.lists(st.lists(ONE, min_size=1, max_size=4), min_size=1, max_size=4))
def test_the_last_answer_about_a_pair_counts(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[tuple[str, str, str]]]
) -> None:
    root, expected = tmp_path_factory.mktemp("zone"), dict[tuple[str, ...], str]()
    for number, rows in enumerate(files):
        add_answers(root, pairs(*rows), DAY + timedelta(days=number // 2))
        expected |= {tuple(sorted(row[:2])): row[2] for row in rows}
    assert said(root, DAY + timedelta(days=9)) == expected
    assert known_answers(root, DAY - timedelta(days=1)).empty


def test_outfits_and_answers_of_other_tools_stay(tmp_path: Path) -> None:
    folder = tmp_path / FEEDBACK
    folder.mkdir()
    other = {"outfit_id": ["x"] * 3 + ["y"] * 2, "article_id": list("abcab"), "answer": ["rejected"] * 5}
    pd.DataFrame(other | {"by": "Ann"}).to_parquet(folder / f"ds={DAY}.parquet")
    written = add_answers(tmp_path, pairs(("b", "a", "accepted")), DAY)
    assert [file.name for file in folder.glob("ds=*")] == [written.name] == [f"ds={DAY}.csv"]
    assert said(tmp_path) == {("a", "b", "c"): "rejected", ("a", "b"): "accepted"}
    assert known_answers(tmp_path, DAY)["by"].tolist() == ["", "", "Ann", "Ann", "Ann"]


def test_the_same_answers_give_the_same_bytes(tmp_path: Path) -> None:
    rows = (("b", "a", "accepted"), ("c", "d", "rejected"))
    first = add_answers(
        tmp_path / "x" if (tmp_path / "x").mkdir() is None else tmp_path, pairs(*rows), DAY
    ).read_bytes()
    (tmp_path / "y").mkdir()
    assert add_answers(tmp_path / "y", pairs(*rows[::-1]), DAY).read_bytes() == first


def test_what_a_spreadsheet_does_to_the_file_is_understood(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    file.write_bytes(
        b"\xef\xbb\xbfarticle_id,name,complement_article_id,answer\r\n0108,NA, 0200 ,accepted\r\n1,x,2,\r\n"
    )
    assert read_answers(file).to_numpy().tolist() == [["0108", "0200", "accepted"]]


def test_a_file_of_the_landing_zone_without_a_column_is_named(tmp_path: Path) -> None:
    (tmp_path / FEEDBACK).mkdir()
    (tmp_path / FEEDBACK / f"ds={DAY}.csv").write_text("outfit_id,article_id\n")
    with pytest.raises(AnswersError, match="no column answer"):
        known_answers(tmp_path, DAY)


HEADER = "article_id,name,complement_article_id,complement_name,answer\n"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,x,b,Coat, red,accepted\n", "line 2: the row has 6 fields and the header 5"),
        ("a,x,b,Coat,accepted,\n", "line 2: the row has 6 fields"),
        ("a,x,b,Coat, red, long,accepted\n", "line 2: the row has 7 fields"),
        ('a,"x\ny",b,Coat,accepted\n\n\na,x,c,Coat,maybe\n', "line 6: .* is no answer"),
    ],
)
def test_no_value_slips_into_another_column(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "answers.csv").write_text(HEADER + rows)
    with pytest.raises(AnswersError, match=message):
        read_answers(tmp_path / "answers.csv")


def test_two_pairs_never_share_a_name(tmp_path: Path) -> None:
    folder = tmp_path / FEEDBACK
    folder.mkdir()
    own = {"outfit_id": ["a+b"] * 2, "article_id": ["c", "d"], "answer": ["rejected"] * 2}
    pd.DataFrame(own).to_csv(folder / f"ds={DAY}.csv", index=False)
    rows = ("b", "a", "accepted"), ("a+b", "c", "accepted"), ("a", "b+c", "rejected")
    for _ in range(2):  # the second time they replace themselves
        add_answers(tmp_path, pairs(*rows), DAY)
        assert said(tmp_path) == {
            ("c", "d"): "rejected", ("a", "b"): "accepted", ("a+b", "c"): "accepted", ("a", "b+c"): "rejected",
        }  # fmt: skip


def test_answers_that_are_handed_in_at_once_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(root: Path, day: date) -> pd.DataFrame:
        found = known_answers(root, day)
        time.sleep(0.3)
        return found

    monkeypatch.setattr(outfit_answers, "known_answers", slowly)
    rows = [("a", "b", "accepted"), ("c", "d", "rejected"), ("e", "f", "accepted")]
    with ThreadPoolExecutor(len(rows)) as threads:
        list(threads.map(lambda row: add_answers(tmp_path, pairs(row), DAY), rows))
    assert set(said(tmp_path)) == {("a", "b"), ("c", "d"), ("e", "f")}


def test_the_apostrophe_before_a_formula_is_taken_off(tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text(HEADER + "'=1+1,'=x,'b,Coat,accepted\n")
    assert read_answers(tmp_path / "answers.csv").to_numpy().tolist() == [["=1+1", "'b", "accepted"]]


@pytest.mark.parametrize(
    ("article", "message"),
    [
        ("nosuch", "line 3: 1 articles are not among those of 2026-03-01: nosuch; probably they are mistyped"),
        ("1.1E+08", "1.1E.08; probably a spreadsheet rewrote identifiers as numbers"),
        ("108775015", "108775015; probably a spreadsheet took leading zeros off"),
    ],
)
def test_articles_that_are_not_there_are_named(tmp_path: Path, article: str, message: str) -> None:
    file = tmp_path / "answers.csv"
    file.write_text(HEADER + f"0108775015,x,0200,y,accepted\n0200,y,{article},z,rejected\n")
    known = pd.Series(["0108775015", "0200"], dtype="str")
    with pytest.raises(AnswersError, match=message):
        check_articles(file, read_answers(file), known, DAY)
    check_articles(file, read_answers(file).iloc[:1], known, DAY)
