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


def test_the_page_is_the_last_one_before_the_bought_article_was_come_to() -> None:
    day = pd.Timestamp("2025-03-04")
    rows = [("u", "a", 1), ("u", "b", 2), ("u", "x", 3), ("u", "c", 4), ("u", "x", 5), ("v", "x", 1), ("v", "a", 2)]
    events = pd.DataFrame(rows, columns=["customer_id", "article_id", "hour"])
    events = events.assign(occurred_at=day + pd.to_timedelta(events["hour"], unit="h"))
    earlier = events.assign(occurred_at=events["occurred_at"] - pd.Timedelta(days=1))
    bought = pd.DataFrame({"customer_id": ["v", "u"], "article_id": "x", "day": day.date()}, index=[7, 9])
    found = shop_lists.pages_before(pd.concat([earlier[:1], events]), bought)
    assert found.loc[9] == "b", "c came later, and a before b"
    assert pd.isna(found.loc[7])


def test_all_questions_are_asked_of_a_retailer(capsys: pytest.CaptureFixture[str]) -> None:
    tables = shop_lists.main(["--articles", "120", "--customers", "250", "--days", "20", "--seeds", "1"])
    assert {name: list(table.index) for name, table in tables.items()} == {
        "category": ["als", "popular"],
        "search": ["als", "popular", "search"],
        "bag": ["history and bag", "bag alone", "history", "popular"],
        "page": ["you might also like", "people also bought", "popular of its type", "popular"],
    }
    assert "category: als and popularity, 1 retailers" in capsys.readouterr().out
