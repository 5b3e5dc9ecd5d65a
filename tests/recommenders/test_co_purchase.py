"""What buyers of an article also bought, counted by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from atelier.interactions import Interactions
from atelier.recommenders.co_purchase import AlsoBoughtConfig, also_bought

IDS = pd.Series(["coat", "gloves", "hat", "hat-blue", "rare"], dtype="str")
KINDS = np.array([0, 1, 2, 2, -1])
STYLES = np.array([0, 1, 2, 2, 3])


def purchases(*rows: tuple[str, str, int]) -> Interactions:
    frame = pd.DataFrame(rows, columns=["customer_id", "article_id", "day"])
    days = pd.to_datetime("2026-03-01") + pd.to_timedelta(frame["day"], unit="D")
    return Interactions.from_frame(frame.assign(occurred_at=days).drop(columns="day"))


#: Three customers buy a coat and gloves later; two of them buy both hats together; seven others buy nothing of it.
SOLD = [
    *((name, "coat", 0) for name in "abc"),
    *((name, "gloves", 1) for name in "abc"),
    *((name, "hat", 2) for name in "ab"),
    *((name, "hat-blue", 2) for name in "ab"),
    *((name, "other", 0) for name in "defghij"),
]


def also(rows: list[tuple[str, str, int]], offered: Any = None, **config: Any) -> pd.DataFrame:
    offered = np.ones(len(IDS), bool) if offered is None else np.array(offered)
    return also_bought(purchases(*rows), IDS, offered, KINDS, STYLES, AlsoBoughtConfig(**config))


def test_lists_are_directed_and_scores_are_the_smoothed_log_lift() -> None:
    table = also(SOLD)
    pairs = dict(
        zip(zip(table["article_id"], table["complement_article_id"], strict=True), table["score"], strict=True)
    )
    assert set(pairs) == {
        ("coat", "gloves"), ("coat", "hat"), ("coat", "hat-blue"), ("gloves", "hat"), ("gloves", "hat-blue"),
    }  # fmt: skip
    assert pairs["coat", "gloves"] == pytest.approx(np.log((3 + 1) / (3 * 3 / 10 + 1)))
    assert pairs["coat", "hat"] == pytest.approx(np.log((2 + 1) / (3 * 2 / 10 + 1)))
    coat = table[table["article_id"] == "coat"]
    assert coat["complement_article_id"].tolist() == ["gloves", "hat", "hat-blue"], "equal scores stand by identifier"
    assert coat["rank"].tolist() == [1, 2, 3]
    assert coat[["customers", "buyers"]].to_numpy().tolist() == [[3, 3], [2, 3], [2, 3]]


def test_what_is_not_offered_or_of_the_same_type_or_style_or_of_too_few_is_left_out() -> None:
    assert set(also(SOLD, [True, False, True, True, True])["complement_article_id"]) == {"hat", "hat-blue"}
    assert set(also(SOLD, least=3)["complement_article_id"]) == {"gloves"}
    assert also(SOLD, k=1).groupby("article_id").size().max() == 1
    assert not also(SOLD)["article_id"].str.startswith("hat").any()


def test_what_everybody_buys_is_no_complement() -> None:
    everybody = [(name, article, 0) for name in "abcdef" for article in ("coat", "gloves")]
    assert also(everybody).empty


def test_articles_of_unknown_type_have_lists_and_those_of_the_past_have_none() -> None:
    rows = [(name, article, 0) for name in "ab" for article in ("coat", "rare", "gone")]
    table = also([*rows, *((name, "other", 0) for name in "cdefgh")])
    assert set(zip(table["article_id"], table["complement_article_id"], strict=True)) == {
        ("coat", "rare"),
        ("rare", "coat"),
    }


def test_without_purchases_there_is_no_list() -> None:
    assert also([]).empty
