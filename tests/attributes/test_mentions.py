"""What a text says of its article, and what it does not."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.articles.errors import ArticlesError
from atelier.articles.table import Articles
from atelier.attributes.labels import Heads
from atelier.attributes.mentions import ValueNames, read_words, singular

VALUES = {
    "colour": ["blue", "light blue", "navy", "off-white", "red"],
    "material": ["cotton", "leather", "polyester", "suede", "wool"],
    "type": ["Dress", "Leggings/Tights", "Shorts", "T-shirt"],
    "length": ["short"],
}


def heads(values: dict[str, list[str]]) -> Heads:
    rows = [(attribute, value) for attribute, names in values.items() for value in names]
    return Heads.fit(pd.DataFrame(rows, columns=["attribute", "value"]), 1)


NAMES = ValueNames.of(heads(VALUES), {"material": {"wool": ("merino", "lamb's wool")}, "unheard of": {"x": ("y",)}})
KNOWN = [value for head in heads(VALUES).heads for value in head.values]


def named(*texts: str | None) -> list[set[str]]:
    found = NAMES.find(read_words(pa.array(texts, pa.string()))).toarray()
    return [{KNOWN[place] for place in np.flatnonzero(row)} for row in found]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Crafted in recycled polyester.", {"polyester"}),
        ("COTTON; wool, red", {"cotton", "wool", "red"}),
        ("A light blue dress", {"light blue", "Dress"}),
        ("A light-blue dress, or a blue one", {"light blue", "blue", "Dress"}),
        ("lightblue", set()),
        ("Off white t-shirts", {"off-white", "T-shirt"}),
        ("A tshirt", {"T-shirt"}),
        ("Leggings", {"Leggings/Tights"}),
        ("Short sleeves", {"short"}),
        ("Shorts", {"Shorts"}),
        ("Merino dresses", {"wool", "Dress"}),
        ("Lamb's wool", {"wool"}),
        ("Woollen cottony bluesy", set()),
        ("", set()),
        (None, set()),
        # What is spelt in several ways.
        ("A poly\u00adester \u200bdress", {"polyester", "Dress"}),
        ("ＷＯＯＬ", {"wool"}),
        ("It isn't leather, it's suede", {"suede"}),
        # What it is worn with.
        ("Wear it with navy shorts.", set()),
        ("Red. Wear it with a navy T-shirt, or leather! In cotton", {"red", "cotton"}),
        ("It looks great next to red suede", set()),
        ("Style it alongside a blue dress", set()),
        ("Pairs well with leather", set()),
        ("Complete the whole look with wool", set()),
        ("Worn over tights", set()),
        ("Suede that goes with everything", {"suede"}),
        ("Styled with red buttons", {"red"}),
        ("Red with cotton", {"red", "cotton"}),
        ("Wear it. With wool", {"wool"}),
        # What is denied.
        ("No leather", set()),
        ("Without any real leather, in suede", {"suede"}),
        ("Not made of leather but very soft suede", {"suede"}),
        ("Never polyester", set()),
        ("Leather-free", set()),
        ("Suede and leather-free wool", {"suede", "wool"}),
        ("Leather free", set()),
        ("Cotton free of dust", {"cotton"}),
        ("Free from polyester", set()),
        ("Non-iron cotton", {"cotton"}),
        ("Non-leather", set()),
        ("Not only cotton", {"cotton"}),
    ],
)
def test_a_text_names_what_it_affirms(text: str | None, values: set[str]) -> None:
    assert named(text) == [values]


@given(
    st.lists(st.sampled_from(["red", "light", "blue", "wool", "a", "no", "wear", "with", ".", ",", "-"]), max_size=12)
)
def test_a_text_reads_alike_alone_and_among_others_and_names_only_what_it_holds(words: list[str]) -> None:
    text = " ".join(words)
    alone = named(text)[0]
    assert named("Wear it with", text, "red wool", text) == [set(), alone, {"red", "wool"}, alone]
    plain = " ".join(re.findall(r"\w+", text))
    assert all(value in plain for value in alone)
    if not set(words) & {"no", "wear", "with"}:
        assert alone >= {word for word in ("red", "wool") if word in words}


@given(st.text(max_size=40))
def test_any_text_can_be_read(text: str) -> None:
    words = read_words(pa.array([text.encode("utf-8", "ignore").decode()], pa.string()))
    assert len(words.values) == len(words.rows) == len(words.parts) == len(words.affirmed)
    assert (np.diff(words.parts) >= 0).all()
    assert not pa.compute.any(pa.compute.match_substring_regex(words.values, r"[\x02-\x04\s]")).as_py()


def test_plurals_become_singular_and_other_words_stay_apart() -> None:
    words = [
        "dresses",
        "stripes",
        "parties",
        "hoodies",
        "hoodie",
        "boxes",
        "canvas",
        "dress",
        "shorts",
        "jeans",
        "ties",
    ]
    found = singular(pa.array(words)).to_pylist()
    assert found == ["dress", "stripe", "party", "hoody", "hoody", "box", "canva", "dress", "shorts", "jean", "tie"]


def test_of_the_named_values_those_are_told_that_are_the_only_one_of_their_attribute() -> None:
    words = read_words(pa.array(["Red wool", "Red or blue wool", "nothing"]))
    found = NAMES.find(words)
    alone = NAMES.only_of_attribute(found).toarray()
    assert [{KNOWN[place] for place in np.flatnonzero(row)} for row in alone] == [{"red", "wool"}, {"wool"}, set()]


def test_names_and_descriptions_are_read_and_a_text_is_a_description() -> None:
    ids = ["a", "b"]
    apart = pd.DataFrame({"article_id": ids, "name": ["Red dress", None], "description": [None, "In wool"]})
    whole = pd.DataFrame({"article_id": ids, "text": ["Red dress", "In wool"]})
    stated = [NAMES.stated(Articles.from_frame(frame)).toarray() for frame in (apart, whole)]
    assert (stated[0] == stated[1]).all()
    assert stated[0].sum(axis=1).tolist() == [2, 1]


def test_a_synonym_without_a_word_is_refused_and_a_value_without_one_has_no_name() -> None:
    with pytest.raises(ArticlesError, match="synonym '–' of colour 'red' has no word"):
        ValueNames.of(heads({"colour": ["red"]}), {"colour": {"red": ("–",)}})
    assert len(ValueNames.of(heads({"colour": ["–", "red"]})).names) == 1
    assert ValueNames.of(heads({})).find(read_words(pa.array(["red"]))).shape == (1, 0)


def test_values_that_deny_something_are_named_by_their_own_words() -> None:
    values = {"collar": ["no collar", "collar"], "care": ["non-iron", "oil-free", "iron"]}
    names = ValueNames.of(heads(values))
    known = [value for head in heads(values).heads for value in head.values]

    def stated(text: str) -> set[str]:
        row = names.find(read_words(pa.array([text]))).toarray()[0]
        return {known[place] for place in np.flatnonzero(row)}

    assert stated("A shirt with no collar") == {"no collar"}
    assert stated("Non-iron cotton, oil-free") == {"non-iron", "oil-free"}
    assert stated("Wear it with non-iron shirts") == set()
    assert stated("A collar to iron") == {"collar", "iron"}


@pytest.mark.parametrize("value", ["no", "No", "other", "Others", "-", "N/A", "None", "yes", "with", "and/or", "…"])
def test_values_of_words_that_say_nothing_have_no_name(value: str) -> None:
    names = ValueNames.of(heads({"lined": [value, "lined"]}))
    assert names.names.to_pylist() == ["lined"]


def test_letters_that_differ_by_case_or_place_only_are_one() -> None:
    names = ValueNames.of(heads({"size": ["S", "M"], "kind": ["STRASSE", "ΣΚΟΥΡΟΣ", "İnci"]}))
    known = [
        value
        for head in heads({"size": ["S", "M"], "kind": ["STRASSE", "ΣΚΟΥΡΟΣ", "İnci"]}).heads
        for value in head.values
    ]
    texts = pa.array(["Straße", "σκουρος", "inci", "men's shirt", "size s"])
    found = names.find(read_words(texts)).toarray()
    assert [[known[place] for place in np.flatnonzero(row)] for row in found] == [
        ["STRASSE"],
        ["ΣΚΟΥΡΟΣ"],
        ["İnci"],
        [],
        ["S"],
    ]
