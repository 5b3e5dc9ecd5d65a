"""popular, on cases small enough to count by hand."""

import numpy as np
import pandas as pd
import pytest

from atelier import recommenders
from atelier.recommenders.base import Recommender


def frame(*rows: str) -> pd.DataFrame:
    """Rows like ``"anna red 5"``: customer, article, day of January 2020."""
    cells = [row.split() for row in rows]
    return pd.DataFrame(
        {
            "customer_id": [cell[0] for cell in cells],
            "article_id": [cell[1] for cell in cells],
            "occurred_at": [pd.Timestamp(2020, 1, int(cell[2])) + pd.Timedelta(hours=20) for cell in cells],
        }
    )


SALES = frame("a red 1", "a red 1", "b red 2", "b blue 9", "c blue 15", "c green 14", "d black 8", "d white 15")


def top(model: Recommender, *customers: str, **asked: object) -> list[str]:
    return model.recommend(list(customers), **asked)["article_id"].tolist()  # type: ignore[arg-type]


def test_counts_in_the_window_with_ties_by_id() -> None:
    model = recommenders.build("popular").fit(SALES)  # 9 … 15 January: blue 2, green 1, white 1; before: black, red
    assert top(model, "a", exclude_seen=False) == ["blue", "green", "white", "black", "red"]
    scores = model.recommend(["a"], exclude_seen=False)["score"]
    np.testing.assert_allclose(scores, np.array([2, 1, 1, 0, 0]) / 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (None, ["red", "blue", "black", "green", "white"]),
        (1, ["blue", "white", "black", "green", "red"]),
        (8, ["blue", "black", "green", "white", "red"]),
    ],
)
def test_the_window_is_a_parameter(days: int | None, expected: list[str]) -> None:
    assert top(recommenders.build("popular", window_days=days).fit(SALES), "a", exclude_seen=False) == expected


def test_seen_articles_make_room_for_the_next() -> None:
    model = recommenders.build("popular").fit(SALES)
    assert top(model, "c", k=2) == ["white", "black"]
    assert top(model, "c", "a", k=2) == ["white", "black", "blue", "green"]


def test_neighbours_are_bought_by_the_same_customers() -> None:
    near = recommenders.build("popular").fit(SALES).similar(["blue", "black"])
    assert near.values.tolist() == [  # blue: b, c; red: a, b; green: c; black and white: d
        ["blue", "green", pytest.approx(1 / np.sqrt(2)), 1],
        ["blue", "red", pytest.approx(1 / 2), 2],
        ["black", "white", pytest.approx(1), 1],
    ]
