"""Search by words and values: ranking, what each hit says, filters, and what cannot be answered."""

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.attributes.catalogue_search import CatalogueSearch, Match, SearchError

ARTICLES = pd.DataFrame(
    [
        ("a", "Midi dress", "A dress with flowers.", "Dress", "Harrow"),
        ("b", "Gown", None, "Dress", "Harrow"),
        ("c", "Floral tie", "For a dress shirt.", "Tie", None),
        ("d", "Plain coat", "A coat.", "Coat", "Maristow"),
    ],
    columns=["article_id", "name", "description", "product_type", "brand"],
)
VALUES = pd.DataFrame(
    [
        ("b", "pattern", "floral", "annotated", 0.2),
        ("b", "length", "midi", "predicted", 0.9),
        ("a", "pattern", "floral", "abstained", 0.4),
        ("a", "colour", "light blue", "annotated", None),
        ("c", "colour", "red", "predicted", 0.8),
        ("d", "colour", "red", "annotated", None),
        ("nobody's", "colour", "pink", "annotated", None),
    ],
    columns=["article_id", "attribute", "value", "source", "confidence"],
)


@pytest.fixture(scope="module")
def search() -> CatalogueSearch:
    return CatalogueSearch.build(ARTICLES, VALUES)


def ids(hits: pd.DataFrame) -> list[str]:
    return hits["article_id"].tolist()


def test_who_has_more_of_the_words_comes_first(search: CatalogueSearch) -> None:
    hits = search.find("a floral midi dress with")
    assert ids(hits) == ["b", "a", "c"]
    assert hits["words"].tolist() == [3, 2, 2]
    assert hits["rank"].tolist() == [1, 2, 3]


def test_a_hit_says_which_part_matched_and_who_said_so(search: CatalogueSearch) -> None:
    matches = search.find("floral midi dresses", k=1)["matches"].iloc[0]
    assert matches == (
        Match("floral", "pattern", "floral", "annotated"),
        Match("midi", "length", "midi", "predicted", pytest.approx(0.9)),
        Match("dress", "product_type", "Dress", "catalogue"),
    )
    parts = [match.part for match in search.find("dress", {"colour": "light blue"})["matches"].iloc[0]]
    assert parts[0] == "colour"
    assert set(parts[1:]) == {"name", "product_type", "description"}


def test_what_the_model_abstained_from_counts_only_where_it_is_asked_for(search: CatalogueSearch) -> None:
    assert ids(search.find("floral")) == ["b", "c"] or ids(search.find("floral")) == ["c", "b"]
    uncertain = CatalogueSearch.build(ARTICLES, VALUES, uncertain=True)
    assert set(ids(uncertain.find("floral"))) == {"a", "b", "c"}
    (match,) = uncertain.find("floral", {}, None).set_index("article_id").loc["a", "matches"]
    assert (match.source, match.confidence) == ("abstained", pytest.approx(0.4))


def test_a_predicted_value_weighs_as_much_as_the_model_is_sure(search: CatalogueSearch) -> None:
    assert ids(search.find("red")) == ["d", "c"]
    scores = search.find("red")["score"]
    assert scores[1] / scores[0] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"colour": "red"}, ["c", "d"]),
        ({"color": "Red"}, ["c", "d"]),
        ({"colour": "blue"}, ["a"]),
        ({"category": "dresses"}, ["a", "b"]),
        ({"type": "dress", "brand": "harrow", "colour": "light blue"}, ["a"]),
        ({"colour": "red", "product_type": "dress"}, []),
    ],
)
def test_filters_keep_what_has_the_values(search: CatalogueSearch, filters: dict[str, str], wanted: list[str]) -> None:
    assert ids(search.find("", filters)) == wanted


@pytest.mark.parametrize(
    ("query", "filters", "message"),
    [
        ("with a", {}, "holds no word to search by"),
        ("", {"colour": "mauve"}, "no article has colour 'mauve'; there are 'light blue', 'red'"),
        ("", {"colours": "red"}, "did you mean colour"),
        ("", {"description": "coat"}, "no article has 'description'"),
    ],
)
def test_what_cannot_be_answered_is_said(
    search: CatalogueSearch, query: str, filters: dict[str, str], message: str
) -> None:
    with pytest.raises(SearchError, match=message):
        search.find(query, filters)


def test_words_that_no_article_has_are_named(search: CatalogueSearch) -> None:
    assert search.unknown_words("purple dress") == ["purple"]
    assert ids(search.find("purple dress")) == ids(search.find("dress"))
    assert search.find("purple").empty


def test_texts_alone_and_no_texts_at_all() -> None:
    assert ids(CatalogueSearch.build(ARTICLES).find("coat")) == ["d"]
    bare = CatalogueSearch.build(ARTICLES[["article_id"]])
    assert bare.find("coat").empty


@given(st.text(max_size=30), st.lists(st.text(max_size=12), min_size=1, max_size=6))
def test_any_text_can_be_asked_for_and_be_in_the_catalogue(query: str, names: list[Any]) -> None:
    frame = pd.DataFrame({"article_id": [f"{nth}" for nth in range(len(names))], "name": names})
    search = CatalogueSearch.build(frame)
    if not search.words(query):
        with pytest.raises(SearchError):
            search.find(query)
        return
    hits = search.find(query, k=None)
    wanted = set(search.words(query))
    has = [bool(wanted & set(search.words(name))) for name in names]
    assert sorted(ids(hits), key=int) == [f"{nth}" for nth, found in enumerate(has) if found]
