"""A search as files: it finds the same as the one it was made of, and damage is named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.attributes.catalogue_search import CatalogueSearch, SearchError
from atelier.attributes.saved_search import PARTS, load_search, save_search
from atelier.errors import BundleError
from tests.attributes.test_catalogue_search import ARTICLES, VALUES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_search(CatalogueSearch.build(ARTICLES, VALUES), tmp_path)
    return tmp_path


@pytest.mark.parametrize("query", ["a floral midi dress with", "coat", "dress shirt", "unheard of"])
@pytest.mark.parametrize("filters", [{}, {"colour": "red"}, {"category": "dress"}])
def test_it_finds_the_same_for_the_same_reasons(folder: Path, query: str, filters: dict[str, str]) -> None:
    search, again = CatalogueSearch.build(ARTICLES, VALUES), load_search(folder)
    pd.testing.assert_frame_equal(again.find(query, filters), search.find(query, filters))
    assert again.unknown_words(query) == search.unknown_words(query)


def test_no_index_is_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bm25s.BM25.index", lambda *_, **__: pytest.fail("an index was made"))
    assert load_search(folder).find("dress")["article_id"].tolist() == ["a", "b", "c"]


def test_a_part_without_a_word_is_kept(tmp_path: Path) -> None:
    articles = ARTICLES.assign(name="?!")
    save_search(CatalogueSearch.build(articles, VALUES), tmp_path)
    assert load_search(tmp_path).find("coat")["article_id"].tolist() == ["d"]


@pytest.mark.parametrize("columns", [["article_id"], list(ARTICLES)])
def test_nothing_to_search_in_is_kept(tmp_path: Path, columns: list[str]) -> None:
    save_search(CatalogueSearch.build(ARTICLES.loc[[], columns], VALUES), tmp_path)
    again = load_search(tmp_path)
    assert again.find("coat").empty
    assert again.unknown_words("coat") == ["coat"]
    with pytest.raises(SearchError, match="no article has 'colour': there are no articles"):
        again.having({"colour": "red"})


def test_damage_is_named_with_the_remedy(folder: Path) -> None:
    (folder / PARTS).write_bytes((folder / PARTS).read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match=r"parts.parquet is damaged.*a search makes"):
        load_search(folder)
    (folder / "search.json").unlink()
    with pytest.raises(BundleError, match=r"search.json is missing or broken.*a search makes"):
        load_search(folder)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=6), st.text(min_size=1, max_size=8))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, names: list[str], value: str) -> None:
    articles = pd.DataFrame({"article_id": [str(n) for n in range(len(names))], "name": names, "product_type": "Dress"})
    values = pd.DataFrame({"article_id": ["0"], "attribute": "colour", "value": value, "source": "annotated"})
    folder = tmp_path_factory.mktemp("search")
    search = CatalogueSearch.build(articles, values.assign(confidence=np.nan))
    save_search(search, folder)
    again = load_search(folder)
    assert again.names.tolist() == search.names.tolist()
    assert {name: part.values.tolist() for name, part in again.parts.items()} == {
        name: part.values.tolist() for name, part in search.parts.items()
    }
