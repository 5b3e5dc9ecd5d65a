"""Promotions: what is in force on a day, what taking back does, and what a killed promotion leaves."""

import multiprocessing
import os
import signal
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.bundle_manifest import BundleManifest
from resources.model_store import Bundle
from resources.promotions import FOLDER, PromotionError, Promotions, rows, serving_model
from resources.recipes import Recipe, recipe_of, recipe_of_bundle
from resources.retailer import Home, Settings
from resources.settings_file import write_settings

DAY = date(2025, 3, 3)
ALS, POPULAR = Recipe("als", {"factors": 8}, "code"), Recipe("popular", {}, "code")


def later(days: int) -> date:
    return DAY + timedelta(days=days)


def test_each_day_has_the_promotion_of_its_own_time(tmp_path: Path) -> None:
    promotions = Promotions(tmp_path)
    assert promotions.serving(DAY) is None
    promotions.promote(ALS, DAY, who="ann", why="better")
    promotions.promote(POPULAR, later(5), who="bob", why="calmer")
    found = [promotions.serving(later(n)) for n in (-1, 0, 4, 5, 90)]
    assert [each and each.model for each in found] == [None, "als", "als", "popular", "popular"]
    recipe = promotions.of_model("als", later(90))
    assert recipe is not None, "a model keeps its recipe when another one serves"
    assert recipe.config == {"factors": 8}
    # one for an earlier day changes the days up to the next one's
    promotions.promote(POPULAR, later(2), who="cleo", why="-")
    assert [each and each.number for each in map(promotions.serving, [later(1), later(2), later(5)])] == [1, 3, 2]


def test_promoting_twice_writes_once_and_taking_back_is_a_record(tmp_path: Path) -> None:
    promotions = Promotions(tmp_path)
    first, new = promotions.promote(ALS, DAY, who="ann", why="better")
    again, newer = promotions.promote(ALS, DAY, who="bob", why="again")
    assert (new, newer) == (True, False)
    assert again == first
    promotions.promote(POPULAR, DAY, who="ann", why="no")
    gone = promotions.undo(who="bob", why="wrong")
    assert gone is not None
    assert (gone.model, gone.number) == ("popular", 2)
    assert promotions.serving(DAY) == first
    assert [(each.number, each.action, each.who, each.why, each.undoes) for each in promotions.history()] == [
        (1, "promote", "ann", "better", None),
        (2, "promote", "ann", "no", None),
        (3, "undo", "bob", "wrong", 2),
    ]
    assert promotions.undo(who="bob", why="-") == first
    files = sorted((tmp_path / FOLDER).iterdir())
    assert promotions.undo(who="bob", why="-") is None, "nothing is in force"
    assert sorted((tmp_path / FOLDER).iterdir()) == files
    assert promotions.promote(ALS, DAY, who="ann", why="after all")[1]
    assert [row["number"] for row in rows(promotions.history())] == [1, 2, 3, 4, 5]


@given(st.lists(st.one_of(st.none(), st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 3))), max_size=8))
def test_taking_back_restores_what_was_before(tmp_path_factory: pytest.TempPathFactory, done: list[object]) -> None:
    """Against a stack: None takes back, a pair promotes a recipe for a day."""
    promotions, stack = Promotions(tmp_path_factory.mktemp("store")), []
    for each in done:
        if isinstance(each, tuple):
            code, day = each
            if promotions.promote(replace(ALS, code_version=code), later(day), who="w", why="y")[1]:
                stack.append((later(day), len(promotions.history()), code))
        elif promotions.undo(who="w", why="y") is not None:
            stack.pop()
        for ds in map(later, range(4)):
            expected = max((each for each in stack if each[0] <= ds), default=None)
            found = promotions.serving(ds)
            assert (found and found.code_version) == (expected and expected[2])


def die_at_replacement(root: Path, after: bool) -> None:
    """Promote, and be killed just before or just after the record is put in place."""
    real = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if after:
            real(self, target)
        os.kill(os.getpid(), signal.SIGKILL)
        return target

    Path.replace = killed  # type: ignore[method-assign, assignment]
    Promotions(root).promote(POPULAR, later(1), who="ann", why="killed")


@pytest.mark.parametrize("after", [False, True])
def test_a_killed_promotion_leaves_the_old_state_or_the_new_one(tmp_path: Path, after: bool) -> None:
    promotions = Promotions(tmp_path)
    promotions.promote(ALS, DAY, who="ann", why="better")
    process = multiprocessing.get_context("fork").Process(target=die_at_replacement, args=(tmp_path, after))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    serving = promotions.serving(later(1))
    assert serving is not None
    assert serving.model == ("popular" if after else "als")
    record, new = promotions.promote(POPULAR, later(1), who="ann", why="once more")
    assert (record.number, new) == (2, not after), "the lock is free, and the same again is not a second one"


def test_the_settings_say_who_serves_where_nobody_was_promoted(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_settings(home, Settings(source="parquet", path="x", first_day=DAY, serving_model="repeat"))
    Promotions(home.store).promote(ALS, later(1), who="ann", why="-")
    assert [serving_model(home, each) for each in (DAY, later(1))] == ["repeat", "als"]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"number": 1', "\xff"])
def test_a_damaged_record_is_named_with_its_remedy(tmp_path: Path, content: str) -> None:
    promotions = Promotions(tmp_path)
    promotions.promote(ALS, DAY, who="ann", why="-")
    file = tmp_path / FOLDER / "000001.json"
    file.write_text(content)
    with pytest.raises(PromotionError, match=r"000001\.json is no record of a promotion .*; restore it from a backup"):
        promotions.serving(DAY)
    file.unlink()
    assert promotions.serving(DAY) is None
    (tmp_path / FOLDER / "000002.json").write_text("{}")
    with pytest.raises(PromotionError, match=r"000001\.json is gone"):
        promotions.serving(DAY)


def bundle(folder: Path, name: str, config: str) -> Bundle:
    (folder / "config.json").write_text(config)
    return Bundle("0" * 32, folder, BundleManifest(name, "0" * 32, "2025-03-03", {}, "code", 0, {}, {}))


def test_a_recipe_is_config_and_code_and_not_the_machine(tmp_path: Path) -> None:
    assert recipe_of("als", {}, "code").config == {}
    same = recipe_of("als", {"threads": 7, "seed": 0}, "code")
    assert same.digest == recipe_of("als", {}, "code").digest
    others = [recipe_of("als", {"factors": 8}, "code"), recipe_of("als", {}, "other"), recipe_of("popular", {}, "code")]
    assert len({same.digest, *(each.digest for each in others)}) == 4
    found = recipe_of_bundle(bundle(tmp_path, "als_model", '{"config": {"factors": 8, "threads": 2}}'))
    assert found.digest == others[0].digest
    assert recipe_of_bundle(bundle(tmp_path, "attribute_model", '{"config": {"size": 3}}')).config == {"size": 3}


@pytest.mark.parametrize("config", ["", "[]", '{"config": {"factorz": 8}}'])
def test_a_bundle_whose_config_nobody_knows_is_named(tmp_path: Path, config: str) -> None:
    from atelier.errors import BundleError

    with pytest.raises(BundleError, match=r"config\.json holds no config of als .* --job daily_retrain"):
        recipe_of_bundle(bundle(tmp_path, "als_model", config))
