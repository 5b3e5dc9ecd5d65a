"""Outfits: reading a frame, choosing among outfits, dividing them."""

import numpy as np
import pandas as pd
import pytest

from atelier.articles.table import Articles
from atelier.ids import IdentifierError
from atelier.outfits.outfits import Outfits, OutfitsError
from atelier.outfits.splits import split_by_outfit, split_by_product

ARTICLES = Articles.from_frame(pd.DataFrame({"article_id": ["d", "c", "b", "a"]}))


def outfits(*members: str) -> Outfits:
    """One outfit for each text, whose letters are its articles."""
    rows = [(f"o{place}", letter) for place, text in enumerate(members) for letter in text]
    return Outfits.from_frame(pd.DataFrame(rows, columns=["outfit_id", "article_id"], dtype="str"), ARTICLES)


def test_members_are_numbers_of_the_articles_in_their_order() -> None:
    found = outfits("ab", "dcc")
    assert found.names == ["o0", "o1"]
    assert found.padded().tolist() == [[2, 3], [0, 1]]
    assert found.sizes.tolist() == [2, 2]
    assert found.frequency.tolist() == [1, 1, 1, 1]
    assert found.incidence.toarray().tolist() == [[0, 0, 1, 1], [1, 1, 0, 0]]


def test_exact_duplicates_count_once_and_single_articles_go() -> None:
    found = outfits("ab", "abc", "ba", "d").deduplicated()
    assert found.names == ["o0", "o1"]


def test_restricted_outfits_keep_two_articles_or_go() -> None:
    found = outfits("abc", "ad", "bcd").restricted(np.array([False, True, True, True]))
    assert found.names == ["o0", "o2"]
    assert found.padded().tolist() == [[1, 2, 3], [1, 2, -1]]


def test_an_unknown_article_and_a_missing_column_are_named() -> None:
    with pytest.raises(OutfitsError, match=r"1 articles of outfits are not among the articles: 'x'; add them"):
        outfits("ax")
    with pytest.raises(OutfitsError, match="the frame of outfits has no column 'article_id'"):
        Outfits.from_frame(pd.DataFrame({"outfit_id": ["o"]}), ARTICLES)
    with pytest.raises(IdentifierError, match="outfit_id is null in 1 rows"):
        Outfits.from_frame(pd.DataFrame({"outfit_id": [None, "o"], "article_id": ["a", "b"]}), ARTICLES)


def many(count: int, articles: int) -> Outfits:
    """Random outfits of four articles, some of them duplicates."""
    random = np.random.default_rng(0)
    members = [random.permutation(articles)[:4] for _ in range(count)]
    rows = [(f"{place % (count - 5):03}", f"{code:03}") for place, four in enumerate(members) for code in four]
    names = Articles.from_frame(pd.DataFrame({"article_id": [f"{code:03}" for code in range(articles)]}))
    twice = [(f"again {outfit}", article) for outfit, article in rows if outfit < "020"]
    return Outfits.from_frame(pd.DataFrame(rows + twice, columns=["outfit_id", "article_id"], dtype="str"), names)


def test_a_split_by_outfit_is_exact_and_shares_no_outfit() -> None:
    all_of_them = many(105, 60)
    parts = split_by_outfit(all_of_them, seed=1)
    assert [len(part) for part in parts] == [80, 10, 10]
    members = [frozenset(row[row >= 0]) for part in parts for row in part.padded()]
    assert len(set(members)) == len(members) == len(all_of_them.deduplicated())
    assert split_by_outfit(all_of_them, seed=1).test.names == parts.test.names
    assert split_by_outfit(all_of_them, seed=2).test.names != parts.test.names


def test_a_split_by_product_shares_no_article() -> None:
    parts = split_by_product(many(205, 60), seed=1, shares=(0.5, 0.2, 0.3))
    known = [set(part.members.codes.tolist()) for part in parts]
    assert sum(map(len, known)) == len(set().union(*known))
    assert all(len(part) for part in parts)
    assert all(int(part.sizes.min()) >= 2 for part in parts)


def test_shares_have_to_sum_to_one() -> None:
    with pytest.raises(ValueError, match="must sum to 1"):
        split_by_outfit(outfits("ab"), 0, (0.8, 0.1, 0.2))
