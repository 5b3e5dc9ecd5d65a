"""Cold articles in lists and among candidates, by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.recommenders.two_stage.two_stage import TwoStage
from benchmarks.two_stage_cold import cold, cold_candidates


def test_cold_articles() -> None:
    """Of three targets two are cold; one of them is recommended, and half of all places are cold."""
    train = Interactions.from_frame(pd.DataFrame({"customer_id": ["a", "b"], "article_id": ["x", "y"]}))
    truth = pd.DataFrame({"customer_id": ["a", "a", "b"], "article_id": ["new", "x", "newer"]})
    lists = {"customer_id": ["a", "a", "b", "b"], "article_id": ["new", "x", "y", "new"], "rank": [1, 2, 1, 2]}

    class Fixed:
        def can_serve(self, customers: pd.Series) -> np.ndarray:
            return np.ones(len(customers), dtype=bool)

        def recommend(self, customers: pd.Series, k: int, *, exclude_seen: bool) -> pd.DataFrame:
            return pd.DataFrame(lists)

    found = cold(Fixed(), pd.Series(["a", "b"]), train, Interactions.from_frame(truth), 2)  # type: ignore[arg-type]
    assert found == {"cold targets": pytest.approx(2 / 3), "recall": 0.5, "exposure": 0.5}


def test_cold_articles_among_candidates() -> None:
    """Of two cold targets of a customer with history one has the content of what the customer bought."""
    days = pd.to_datetime(["2024-01-01", "2024-01-02"] * 2)
    bought = {"customer_id": ["a", "a", "b", "b"], "article_id": ["x", "y", "x", "y"], "occurred_at": days}
    train = Interactions.from_frame(pd.DataFrame(bought))
    truth = Interactions.from_frame(
        pd.DataFrame({"customer_id": ["a", "a", "a", "unknown"], "article_id": ["near", "unlike", "x", "near"]})
    )
    content = {"x": [1, 0], "y": [1, 0.1], "near": [1, 0.05], "unlike": [-1, 0]}
    sold = Catalogue.from_frames(
        pd.DataFrame({"article_id": list(content)}), np.array(list(content.values()), dtype=np.float32)
    )
    settings: dict[str, Any] = {"sources": ["own", "neighbours"], "candidates": 3, "training_days": 1, "threads": 1}
    model = recommenders.build("two_stage", **settings, min_examples_in_leaf=1).fit(train, sold)
    assert isinstance(model, TwoStage)
    found = cold_candidates(model, train, truth, 10)
    expected = pd.DataFrame(
        {"candidates": [3, 10], "customers": 1, "cold targets": 2, "recall": 0.5, "cold listed": 1.0}
    )
    pd.testing.assert_frame_equal(found, expected)
    assert cold_candidates(model, train, train, 10).empty, "nothing in it is cold"
