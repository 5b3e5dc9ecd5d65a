"""People are asked about pairs, and their answers reach the lists of the next run: all of it on a small retailer."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from assets.complements import LOOK
from assets.raw import outfit_feedback
from atelier.answers import ACCEPTED, FEEDBACK, REJECTED
from atelier.report.album import Album
from atelier.report.self_contained import loaded_from_elsewhere
from dagster_project import cli
from resources.retailer import Home, Settings
from resources.settings_file import write_settings
from tests.assets.test_complements import DAY, Run, articles, looks, purchases

Command = Callable[..., Result]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A home whose day has lists, and its landing zone."""
    home = Home(tmp_path_factory.mktemp("pairs") / "home")
    zone = home.root / "zone"
    for table, frame in (("articles", articles()), ("interactions", purchases(looks(60)).drop(columns="ordinal"))):
        (zone / table).mkdir(parents=True)
        frame.to_parquet(zone / table / f"ds={DAY}.parquet")
    write_settings(home, Settings(source="parquet", path="zone", first_day=DAY, last_day=DAY))
    return Run(home.store, looks(200), purchases(looks(60)), home=home)


@pytest.fixture
def command(shop: Run, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("ATELIER_HOME", str(shop.home.root))
    return lambda *arguments: CliRunner().invoke(cli.cli, [str(argument) for argument in arguments])


def read(file: Path) -> pd.DataFrame:
    return pd.read_csv(file, dtype="str", keep_default_na=False)


def answers_in(folder: Path, left: str, right: str) -> Path:
    """A file that accepts one pair."""
    file = folder / "answers.csv"
    file.write_text(f"article_id,complement_article_id,answer\n{left},{right},accepted\n")
    return file


def refusal(result: Result) -> str:
    assert result.exit_code != 0, result.output
    return result.output + str(result.exception)


def test_the_loop(shop: Run, command: Command, tmp_path: Path) -> None:
    asked = command("pairs", "ask", "--out", tmp_path / "asked", "--count", 12)
    assert asked.exit_code == 0, asked.exception
    questions = read(tmp_path / "asked" / "pairs.csv")
    assert len(questions) == 12
    listed = shop.list(LOOK)[["article_id", "complement_article_id"]].apply(tuple, axis=1).tolist()
    assert set(questions[["article_id", "complement_article_id"]].apply(tuple, axis=1)) <= set(listed)
    page = (tmp_path / "asked" / "pairs.html").read_text()
    assert len(re.findall("<fieldset", page)) == 12
    assert loaded_from_elsewhere(page) in ([], ["script"])

    answers = questions.assign(answer=[REJECTED, ACCEPTED] + [""] * 10)
    answers.to_csv(tmp_path / "answers.csv", index=False)
    done = command("pairs", "answer", tmp_path / "answers.csv")
    assert done.exit_code == 0, done.exception
    assert "1 accepted, 1 rejected" in done.output

    shop.run(outfit_feedback)
    assert shop.store.read(FEEDBACK, DAY).num_rows == 4
    shop.learn()
    left, right = questions.loc[0, ["article_id", "complement_article_id"]]
    pairs = shop.table[["article_id", "complement_article_id"]].apply(set, axis=1)
    assert {left, right} not in pairs.tolist(), "a rejected pair is listed in neither direction"
    left, right = questions.loc[1, ["article_id", "complement_article_id"]]
    assert right in shop.list(LOOK).query("article_id == @left")["complement_article_id"].tolist()

    command("pairs", "ask", "--out", tmp_path / "again", "--count", 12)
    ends = ["article_id", "complement_article_id"]
    again = read(tmp_path / "again" / "pairs.csv")[ends].apply(frozenset, axis=1)
    assert not set(again) & set(questions.loc[:1, ends].apply(frozenset, axis=1)), (
        "what was answered is not asked again"
    )


def test_bad_rows_of_the_landing_zone_are_rejected_and_the_others_kept(shop: Run) -> None:
    file = shop.home.root / "zone" / FEEDBACK / f"ds={DAY}.csv"
    file.parent.mkdir(exist_ok=True)
    kept = file.read_bytes() if file.exists() else None
    rows = ["f,bag-red-1,rejected", "f,dress-red-1,rejected", "g,gone,accepted", "g,bag-red-1,perhaps", "h,bag-red-2,"]
    file.write_text("\n".join(["outfit_id,article_id,answer", *rows, ""]))
    shop.run(outfit_feedback)
    assert shop.store.read(FEEDBACK, DAY).num_rows == 2
    rejected = shop.store.read("rejected", DAY, part=FEEDBACK).to_pandas().set_index("row")["reason"]
    assert rejected.to_dict() == {
        3: "is unknown: there is no such row in articles", 4: "is none of accepted, rejected", 5: "is null",
    }  # fmt: skip
    assert shop.checks["rows_add_up"].passed
    file.unlink() if kept is None else file.write_bytes(kept)


def test_files_that_are_no_answers_are_refused(command: Command, tmp_path: Path) -> None:
    header = "article_id,complement_article_id,answer\n"
    for text, said in (
        ("a,b\n", "there is no column article_id"),
        (header, "nothing is answered"),
        (header + "a,b,\n", "nothing is answered"),
        (header + "a,b,accepted\na,c,maybe\n", r"line 3: \['a', 'c', 'maybe'\] is no answer"),
        (header + "a,a,accepted\n", "name two articles"),
        (header + ",b,accepted\n", "name two articles"),
        ("", "cannot be read"),
    ):
        (tmp_path / "answers.csv").write_text(text)
        assert re.search(said, refusal(command("pairs", "answer", tmp_path / "answers.csv")))
    assert "cannot be read" in refusal(command("pairs", "answer", tmp_path / "absent.csv"))


def test_answers_before_a_later_file_are_refused(shop: Run, command: Command, tmp_path: Path) -> None:
    later = shop.home.root / "zone" / FEEDBACK / f"ds={DAY + timedelta(days=1)}.csv"
    later.parent.mkdir(exist_ok=True)
    later.write_text("outfit_id,article_id,answer\n")
    answers_in(tmp_path, "bag-red-1", "dress-red-1")
    said = refusal(command("pairs", "answer", tmp_path / "answers.csv"))
    assert f"with --day {DAY + timedelta(days=1)}" in said
    later.unlink()


def test_answers_about_articles_or_days_that_are_not_there_write_nothing(
    shop: Run, command: Command, tmp_path: Path
) -> None:
    folder = shop.home.root / "zone" / FEEDBACK
    before = sorted(folder.glob("ds=*"))
    said = refusal(command("pairs", "answer", answers_in(tmp_path, "bag-red-1", "nosuch")))
    assert f"1 articles are not among those of {DAY}: nosuch" in said
    file = answers_in(tmp_path, "bag-red-1", "dress-red-1")
    for day in (DAY + timedelta(days=1), DAY - timedelta(days=1), "2030-03-01"):
        assert f"the days of this home are {DAY} to {DAY}" in refusal(command("pairs", "answer", file, "--day", day))
    assert sorted(folder.glob("ds=*")) == before


def test_questions_go_to_a_folder_and_names_are_no_formulas(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("kept")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert "is a file; name a folder with --out" in refusal(command("pairs", "ask", "--out", out))
    assert (tmp_path / "file").read_text() == "kept"
    monkeypatch.setattr(Album, "name", lambda _album, _article: "=cmd()")
    command("pairs", "ask", "--out", tmp_path / "asked", "--count", 3)
    assert read(tmp_path / "asked" / "pairs.csv")["name"].tolist() == ["'=cmd()"] * 3
