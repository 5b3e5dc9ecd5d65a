"""Outfits of views: what one visit looked at, and what was looked at next more often than by chance."""

import pandas as pd

from atelier.outfits.stand_ins import next_clicks, sessions

KINDS = pd.Series({"d1": "Dress", "d2": "Dress", "s1": "Shoe", "s2": "Shoe", "b1": "Bag", "n": None})


def views(*visits: str) -> pd.DataFrame:
    """Visits as articles in the order in which they were looked at; the later a visit, the later its time."""
    rows = [
        (f"v{visit}", pd.Timestamp("2026-03-01") + pd.Timedelta(hours=visit, minutes=place), article)
        for visit, articles in enumerate(visits)
        for place, article in enumerate(articles.split())
    ]
    return pd.DataFrame(rows, columns=["session_id", "occurred_at", "article_id"])


def test_a_session_has_one_article_of_a_type_and_at_least_two_types() -> None:
    found = sessions(views("d1 d2 s1", "d1 d2", "n b1", "b1 s2 gone"), KINDS, 10)
    assert found.groupby("outfit_id")["article_id"].agg(list).to_dict() == {"v0": ["d1", "s1"], "v3": ["b1", "s2"]}


def test_the_newest_sessions_are_kept_and_rows_without_one_left_out() -> None:
    rows = views("d1 s1", "d2 s2", "d1 b1")
    assert set(sessions(rows, KINDS, 2)["outfit_id"]) == {"v1", "v2"}
    assert sessions(rows.assign(session_id=None), KINDS, 2).empty


def test_next_clicks_are_pairs_of_two_types_right_after_each_other() -> None:
    found = next_clicks(views("d1 d2 s1", "s1 d2", "b1 s2", "s2 b1"), KINDS, 10)
    pairs = found.groupby("outfit_id")["article_id"].agg(list).to_dict()
    assert pairs == {"b1 s2": ["b1", "s2"], "d2 s1": ["d2", "s1"]}


def test_what_is_seen_no_more_often_than_by_chance_is_left_out() -> None:
    often = ["d1 s1"] * 8 + ["d2 s2"] * 8 + ["d1 b1"] * 8 + ["d2 b1"] * 8
    rare = ["d1 s2"] * 2  # both are seen often, but with others
    found = next_clicks(views(*often, *rare), KINDS, 10)
    assert set(found["outfit_id"]) == {"d1 s1", "d2 s2", "b1 d1", "b1 d2"}
    assert set(next_clicks(views(*often, *rare), KINDS, 2)["outfit_id"]) == {"d1 s1", "d2 s2"}


def test_a_pair_seen_once_is_left_out_where_others_were_seen_twice() -> None:
    assert set(next_clicks(views("d1 s1", "d1 s1", "d2 s2"), KINDS, 10)["outfit_id"]) == {"d1 s1"}


def test_nothing_gives_nothing() -> None:
    nothing = views("d1 s1").head(0)
    for make in (sessions, next_clicks):
        assert make(views("d1 d2"), KINDS, 10).empty
        assert make(nothing, KINDS, 10).empty
        assert list(make(nothing, KINDS, 10).columns) == ["outfit_id", "article_id"]
