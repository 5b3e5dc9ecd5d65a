"""Searches that a home keeps: made once, made again when what they are made of changes, and not kept for ever."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from atelier.attributes.catalogue_search import CatalogueSearch
from resources import search_files
from resources.search_files import KEPT, kept_search
from tests.attributes.test_catalogue_search import ARTICLES, VALUES


class Builds:
    """Makes the search and counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> CatalogueSearch:
        self.count += 1
        return CatalogueSearch.build(ARTICLES, VALUES)


def test_the_second_search_reads_files(tmp_path: Path) -> None:
    build = Builds()
    found = [
        kept_search(tmp_path, {"articles": "1"}, build, pytest.fail).find("dress")["score"].tolist() for _ in range(3)
    ]
    assert build.count == 1
    assert found[0] == found[1] == found[2]


def test_other_data_and_other_code_make_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = Builds()
    for version in ("1", "2", "1"):
        kept_search(tmp_path, {"articles": version}, build, pytest.fail)
    assert build.count == 2
    monkeypatch.setattr(search_files, "code_version", lambda *_: "another")
    kept_search(tmp_path, {"articles": "1"}, build, pytest.fail)
    assert build.count == 3


def test_those_used_last_are_kept(tmp_path: Path) -> None:
    build = Builds()
    for version in range(KEPT):
        kept_search(tmp_path, {"articles": version}, build, pytest.fail)
    kept_search(tmp_path, {"articles": 0}, build, pytest.fail)
    kept_search(tmp_path, {"articles": "new"}, build, pytest.fail)
    assert build.count == KEPT + 1
    assert len(list((tmp_path / "search").glob("*/search.json"))) == KEPT
    kept_search(tmp_path, {"articles": 0}, build, pytest.fail)
    assert build.count == KEPT + 1, "it was used after the others"
    kept_search(tmp_path, {"articles": 1}, build, pytest.fail)
    assert build.count == KEPT + 2, "it was the one that had not been used for longest"


def test_what_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fails() -> CatalogueSearch:
        raise ValueError("no articles")

    with pytest.raises(ValueError, match="no articles"):
        kept_search(tmp_path, {"articles": "1"}, fails, pytest.fail)
    assert not list((tmp_path / "search").glob("*/search.json"))


def test_a_home_that_cannot_be_written_to_is_searched_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    assert len(kept_search(tmp_path, {"articles": "1"}, Builds(), pytest.fail).find("dress")) == 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("file", ["search.json", "parts.parquet", "articles.parquet"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-2])])
def test_damaged_files_are_made_again_and_named(tmp_path: Path, file: str, damage: Callable[[Path], object]) -> None:
    build, said = Builds(), list[str]()
    found = kept_search(tmp_path, {"articles": "1"}, build, pytest.fail).find("dress")
    (broken,) = (tmp_path / "search").glob(f"*/{file}")
    damage(broken)
    again = kept_search(tmp_path, {"articles": "1"}, build, said.append).find("dress")
    pd.testing.assert_frame_equal(again, found)
    assert len(said) == 1
    assert file in said[0]
    assert said[0].endswith("a search makes the kept index again")
    assert kept_search(tmp_path, {"articles": "1"}, build, pytest.fail).find("dress").equals(found)
    assert build.count == 2
