"""The questions that lists in the shop are judged by, on a tiny sample retailer."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import shop_lists


def test_the_table_compares_with_popularity_on_the_same_lists() -> None:
    found = pd.DataFrame({"als": [1.0, np.inf, 3.0], "popular": [2.0, np.inf, np.inf]})
    shown = shop_lists.table(found)
    assert shown.loc["als", "hit rate@10"].startswith("0.6667")
    assert shown.loc["als", "NDCG@10"].startswith("0.5000")
    difference = (1 - 1 / np.log2(3) + 0.5) / 3
    assert shown.loc["als", "NDCG against popular"].startswith(f"+{difference:.4f}")
    assert shown.loc["popular", "NDCG against popular"] == ""


def test_a_rank_that_is_not_in_the_list_is_infinite() -> None:
    lists = pd.DataFrame({"customer_id": ["u", "u"], "article_id": ["a", "b"], "rank": [1, 2]})
    asked = pd.DataFrame({"customer_id": ["u", "u", "v"], "article_id": ["b", "c", "a"]})
    assert shop_lists.ranks(lists, asked).tolist() == [2.0, np.inf, np.inf]


def test_all_questions_are_asked_of_a_retailer(capsys: pytest.CaptureFixture[str]) -> None:
    tables = shop_lists.main(["--articles", "120", "--customers", "250", "--days", "20", "--seeds", "1"])
    assert {name: list(table.index) for name, table in tables.items()} == {
        "category": ["als", "popular"],
        "search": ["als", "popular", "search"],
        "bag": ["history and bag", "bag alone", "history", "popular"],
    }
    assert "category: als and popularity, 1 retailers" in capsys.readouterr().out
