"""What goes with an article, what completes an outfit and outfits around an article, asked for by the command."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from atelier.complement_lists import BOUGHT, LOOK
from atelier.outfits import OutfitModel
from atelier.outfits.completion import complete, reasons
from dagster_project import cli
from resources.retailer import Home, Settings
from resources.settings_file import write_settings
from tests.assets.test_attributes import filled
from tests.assets.test_complements import DAY, Run, articles, looks, purchases

Command = Callable[..., Result]
ASKED = "dress-red-1"


def shop_of(root: Path, outfits: pd.DataFrame, bought: pd.DataFrame) -> Run:
    home = Home(root / "home")
    home.root.mkdir()
    write_settings(home, Settings(source="sample", path="retailer", first_day=DAY, last_day=DAY))
    return Run(home.store, outfits, bought, home=home)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A home whose day has an outfit model and both lists."""
    return shop_of(tmp_path_factory.mktemp("together"), looks(200), purchases(looks(60)))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A home whose day has too little to train an outfit model."""
    return shop_of(tmp_path_factory.mktemp("untrained"), looks(0).head(0), purchases(looks(20), kind="click"))


@pytest.fixture
def command(shop: Run, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("ATELIER_HOME", str(shop.home.root))
    return lambda *arguments: CliRunner().invoke(cli.cli, ["together", *map(str, arguments)])


@pytest.fixture
def model(shop: Run) -> OutfitModel:
    return OutfitModel.load(shop.bundle().path)


def said(result: Result) -> str:
    assert result.exit_code == 0, result.exception or result.output
    return result.output


def refusal(result: Result) -> str:
    assert result.exit_code != 0, result.output
    return result.output + str(result.exception)


def placed(text: str) -> list[str]:
    """The articles of the lines that begin with a place."""
    return re.findall(r"^ +\d+  (?: *-?\d+\.\d+  )?(\S+)", text, re.MULTILINE)


def in_stock() -> list[str]:
    known = articles()
    names: list[str] = known.loc[known["in_stock"], "article_id"].tolist()
    return names


def test_both_lists_of_an_article_with_reasons(shop: Run, command: Command) -> None:
    text = said(command(ASKED))
    assert text.startswith(f"with {ASKED}  Dress  red dress, as of {DAY}\n{LOOK}\n")
    look, bought = text.split(f"{BOUGHT}\n")
    for name, part in ((LOOK, look), (BOUGHT, bought)):
        rows = shop.list(name).query("article_id == @ASKED").sort_values("rank")
        assert placed(part) == rows["complement_article_id"].tolist() != []
        assert re.findall("^       (.+)$", part, re.MULTILINE) == rows["reason"].tolist()
    assert len(placed(said(command(ASKED, ASKED, "-k", 1)))) == 2, "one of each list; an article named twice is one"


def test_a_list_that_is_empty_says_why(command: Command) -> None:
    assert f"{BOUGHT}: none: nothing in stock of another product type was bought" in said(command("scarf-red-1"))


def test_an_outfit_is_completed_and_each_pair_has_its_weight(command: Command, model: OutfitModel) -> None:
    outfit = [ASKED, "shoe-red-1"]
    text = said(command(*outfit, "-k", 2))
    found = complete(model, outfit, in_stock(), 2)
    assert placed(text) == found["article_id"].tolist()
    assert not {"Dress", "Shoe"} & set(re.findall(r"^ +\d+  .*?\d\.\d+  \S+  (\w+)", text, re.MULTILINE))
    best = found["article_id"].iloc[0]
    pairs = reasons(model, [*outfit, best]).query("article_id == @best").set_index("with_article_id")["weight"]
    for article, weight in pairs.items():
        side = "for" if weight > 0 else "against"
        assert re.search(rf"{side}: [^;\n]*{article} \({re.escape(f'{weight:+.2f}')}\)", text)


def test_what_weighs_against_is_said(command: Command) -> None:
    text = said(command(ASKED, "shoe-blue-1", "-k", 3))
    assert re.search(r"for: \S+ \(\+\d\.\d\d\); against: \S+ \(-\d\.\d\d\)", text), "colours do not mix in outfits"


def test_outfits_around_an_article(command: Command, model: OutfitModel) -> None:
    text = said(command(ASKED, "--outfits", 2, "--size", 3))
    parts = text.split("outfit ")[1:]
    assert len(parts) == 2
    companions = []
    for part in parts:
        members = placed(part)
        assert members[0] == ASKED
        assert len(members) == len({member.split("-")[0] for member in members}) == 3, "one of each product type"
        assert set(members[1:]) <= set(in_stock())
        companions.append(members[1])
        rows = pd.DataFrame({"outfit_id": "o", "article_id": members})
        assert f"score {model.score(rows)['score'].iloc[0]:.3f}" in part
        pairs = re.findall(r"(\S+) with (\S+) \([+-]\d+\.\d\d\)", part)
        assert 3 == len({frozenset(pair) for pair in pairs}) == len(pairs), "each pair once"
    assert companions[0].split("-")[0] != companions[1].split("-")[0]
    assert set(placed(parts[0])) & set(placed(parts[1])) == {ASKED}, "outfits share the article alone"


def test_what_cannot_be_answered_is_said(command: Command) -> None:
    assert f"there is no article 'q', 'r' on {DAY}" in refusal(command(ASKED, "q", "r"))
    assert "name one ARTICLE" in refusal(command(ASKED, "shoe-red-1", "--outfits", 2))
    assert "add --outfits N" in refusal(command(ASKED, "--size", 2))
    assert "dg launch --job ingest --partition 2020-01-01" in refusal(command(ASKED, "--day", "2020-01-01"))


def test_a_day_without_a_model(untrained: Run, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(untrained.home.root))
    assert f"{LOOK}: none: the day has no outfit model" in said(command(ASKED))
    for arguments in ((ASKED, "shoe-red-1"), (ASKED, "--outfits", 1)):
        assert "it had too few outfits and baskets to learn from" in refusal(command(*arguments))


def test_a_day_that_was_ingested_and_not_trained(shop: Run, command: Command) -> None:
    day = DAY + timedelta(days=1)
    shop.store.write("articles", day, filled("articles", articles()))
    assert f"as of {DAY}" in said(command(ASKED)), "the newest day with lists"
    for arguments in ((ASKED,), (ASKED, "shoe-red-1"), (ASKED, "--outfits", 1)):
        assert f"dg launch --job daily_retrain --partition {day}" in refusal(command(*arguments, "--day", day))
