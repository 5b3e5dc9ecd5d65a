"""``atelier lineage`` in a terminal: readable, narrow where it must be, and nothing in a name is obeyed."""

import io
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.tree import Tree

from atelier.errors import AtelierError
from dagster_project.cli import cli
from dagster_project.commands import lineage as command
from dagster_project.commands.lineage import clean, show, tree
from resources.retailer import Home, Settings
from resources.settings_file import write_settings
from tests.report.lineages import BACKBONE, BUNDLE, lineage, unpredicted

pytestmark = pytest.mark.hostile


def printed(shown: Tree, width: int = 120) -> str:
    """The tree as a terminal of that width shows it, without colours."""
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, emoji=False).print(shown)
    return out.getvalue()


def test_the_tree_tells_everything() -> None:
    lines = [line.strip("│├└─ ") for line in printed(tree(lineage())).splitlines()]
    assert lines[0] == "neckline of a1 · Tunic, 2025-04-01"
    for told in (
        "value: round",
        "predicted by the model",
        "the model's own value: round, confidence 0.7500",
        "0.2000  v",
        "Decided by the text: without it, round falls from 0.750 to 0.250, and the model would say v.",
        "text                      0.2500  +0.5000   then v 0.5000",
        "brand (has none)          0.8125  -0.0625",
        "words that weighed most (4 read, 3 not)",
        "+0.5000  round",
        "-0.1250  a",
        "the recorded model was run again and gave the stored value",
        f"text {'f' * 64}",
        "A round neck a",
        f"photograph {'d' * 64}",
        "a1_0.jpg: as it was read",
        "a1_1.jpg: no such file",
        f"model {BUNDLE}",
        "attribute_model, training day 2025-04-01, seed 0, code version c0de",
        "torch 2.15.0",
        f"articles {'1' * 64}",
        f"images {'2' * 64} (written again since)",
        "run run-1 (Dagster: /runs/run-1), 2025-04-02 04:30:00 UTC",
        f"data version {'3' * 64}",
        "articles.name, images.digest",
        f"2025-03-31  v 0.5000 (annotated, the model's own round) {BUNDLE}",
    ):
        assert told in lines, told


def test_the_backbone_that_read_the_photographs_is_named() -> None:
    found = printed(tree(lineage(backbone_id=BACKBONE.model_id, backbone=BACKBONE)))
    assert f"photographs were read by the backbone {BACKBONE.model_id}" in found
    assert "image_backbone, training day 2025-03-25, seed 7, code version b0de" in found
    gone = printed(tree(lineage(backbone_id=BACKBONE.model_id, backbone=None)))
    assert f"photographs were read by the backbone {BACKBONE.model_id}" in gone
    assert "the bundle is no longer on disk" in gone
    assert "backbone" not in printed(tree(lineage())), "an encoder that was not fine-tuned here has none"


@pytest.mark.parametrize("width", [40, 60, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    shown = printed(tree(lineage(name="x" * 300)), width)
    assert max(map(len, shown.splitlines())) <= width
    assert "d" * 10 in shown, "a digest is folded, not cut"
    assert shown.count("d") >= 64


def test_what_does_not_reproduce_stands_on_top() -> None:
    lines = printed(tree(lineage(differences=("the text is another one",)))).splitlines()
    assert "DOES NOT REPRODUCE: the text is another one" in lines[1]
    assert not any("gave the stored value" in line for line in lines)


def test_what_is_lacking_is_said() -> None:
    shown = printed(tree(unpredicted()))
    for told in ("annotated by people", "No model predicted it.", "no photograph", "none predicts this attribute"):
        assert told in shown, told
    assert "the bundle is no longer on disk" in printed(tree(lineage(model=None)))
    assert "no longer in the catalogue" in printed(tree(lineage(gone_since=lineage().stored.ds)))
    outside = replace(lineage().written, run_id="")
    assert "no Dagster run" in printed(tree(lineage(written=outside)))


def test_many_days_are_cut_and_counted() -> None:
    days = lineage().earlier * 25
    shown = printed(tree(lineage(earlier=days)))
    assert shown.count("2025-03-31") == command.DAYS
    assert "and 15 more" in shown


def test_names_are_neither_markup_nor_control_characters() -> None:
    hostile = "[bold red]x[/] :smile: \x1b]0;owned\x07\x1b[2J\r\n"
    shown = printed(
        tree(
            lineage(
                name=hostile,
                article_id=hostile,
                photographs=(replace(lineage().photographs[0], path=hostile, problem=hostile),),
            )
        )
    )
    assert "[bold red]x[/] :smile: ?]0;owned??[2J??" in shown
    assert not {"\x1b", "\x07", "\r"} & set(shown)
    assert clean("é\tü\x00") == "é?ü?"


def test_it_is_plain_where_the_output_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    show(tree(lineage()))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert f"data version {'3' * 64}" in out


def test_an_empty_home_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    write_settings(Home.from_environment(), Settings(source="parquet", path="landing", first_day=date(2025, 3, 3)))
    done = CliRunner().invoke(cli, ["lineage", "a", "colour"])
    assert isinstance(done.exception, AtelierError)
    assert "nothing has been predicted yet" in str(done.exception)
    assert CliRunner().invoke(cli, ["lineage", "a", "colour", "--day", "someday"]).exit_code == 2
    assert not (tmp_path / "home" / "atelier.duckdb").exists()
