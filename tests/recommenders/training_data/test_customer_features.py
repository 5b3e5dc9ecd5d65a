"""What is known of customers beside their history: read by hybrid, and as numbers."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from atelier import recommenders
from atelier.ids import IdMap
from atelier.interactions import InteractionsError
from atelier.recommenders.training_data.customer_features import attribute_matrix
from tests.recommenders.factorisation.planted import LEARNS


def test_customer_attributes_are_read(tmp_path: Path) -> None:
    """What customers choose depends on their age alone: their history says nothing."""
    random = np.random.default_rng(0)
    customers = pd.DataFrame({"customer_id": [f"c{c:03d}" for c in range(400)]})
    customers["age"] = np.where(np.arange(400) % 2, 60.0, 20.0)
    customers["club"] = None
    last = np.where(np.arange(400) % 2, "old", "young")
    first = random.choice(["x", "y", "z"], (400, 3))
    frame = pd.DataFrame(
        {"customer_id": np.repeat(customers.customer_id, 4), "article_id": np.column_stack([first, last]).ravel()}
    )
    model = recommenders.build(
        "hybrid", **(LEARNS | {"mode": "collaborative", "positives_share": 0.1}), customer_attributes=["age", "club"]
    )
    model.fit(frame, customers=customers)
    recs = model.recommend(k=1, exclude_seen=False, candidates=["old", "young"])
    assert (recs.article_id == np.where(recs.customer_id.str[1:].astype(int) % 2, "old", "young")).mean() > 0.95
    model.save(tmp_path)
    loaded = recommenders.load(tmp_path)
    pd.testing.assert_frame_equal(loaded.recommend(k=1, exclude_seen=False, candidates=["old", "young"]), recs)
    assert len(loaded.recommend(histories=frame.iloc[:4], k=1)) == 1
    with pytest.raises(InteractionsError, match=r"customer_attributes names size, which the frame.*lacks"):
        recommenders.build("hybrid", customer_attributes=["size"]).fit(frame, customers=customers)


def test_attributes_as_numbers() -> None:
    frame = pd.DataFrame(
        {"customer_id": ["b", "a", "d", "e"], "age": [30, 10, 20, None], "club": ["x", None, "y", "x"]}
    )
    ids = IdMap.from_values(["a", "b", "c", "e"])
    matrix = attribute_matrix(frame, ["age", "club"], ids)
    # Of a, b, c, e: ages 10, 30, unknown, unknown; of clubs only x occurs among them.
    np.testing.assert_allclose(matrix, [[-1, 0], [1, 1], [0, 0], [0, 1]])
    assert attribute_matrix(None, [], ids).shape == (4, 0)


IDS = IdMap.from_values(["a", "b", "c"])
NUMBERS = [Decimal("10"), Decimal("30"), None]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(NUMBERS, dtype=object),
        pd.Series([10, 30, None], dtype=object),
        pd.Series([10, 30.0, pd.NA], dtype=object),
        pd.array([10, 30, None], dtype="Int64"),
        [10.0, 30.0, np.nan],
        pd.Series(pa.array(NUMBERS), dtype=pd.ArrowDtype(pa.decimal128(5, 1))),
    ],
)
def test_numbers_of_any_sort_are_numbers(values: Any) -> None:
    frame = pd.DataFrame({"customer_id": ["a", "b", "c"], "spent": values})
    np.testing.assert_allclose(attribute_matrix(frame, ["spent"], IDS), [[-1], [1], [0]])
    table = pa.table({"customer_id": ["a", "b", "c"], "spent": pa.array(NUMBERS)})
    np.testing.assert_allclose(attribute_matrix(table, ["spent"], IDS), [[-1], [1], [0]])


@pytest.mark.parametrize("endless", [float("inf"), -float("inf"), Decimal("Infinity")])
def test_what_is_infinite_is_named_and_not_spread_over_the_column(endless: Any) -> None:
    frame = pd.DataFrame({"customer_id": ["a", "b", "c"], "spent": [type(endless)(1), endless, type(endless)(2)]})
    with pytest.raises(InteractionsError, match="spent of customers is infinite for 1, for example 'b'"):
        attribute_matrix(frame, ["spent"], IDS)


def test_texts_and_truths_stay_one_hot() -> None:
    frame = pd.DataFrame({"customer_id": ["a", "b", "c"], "club": ["x", "10", None], "app": [True, False, True]})
    np.testing.assert_array_equal(attribute_matrix(frame, ["club"], IDS), [[0, 1], [1, 0], [0, 0]])
    assert attribute_matrix(frame, ["app"], IDS).shape == (3, 2)
