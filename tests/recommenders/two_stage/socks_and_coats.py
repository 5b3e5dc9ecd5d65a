"""Purchases that a ranker has to learn: a sock of their own every day, and a coat that is never bought again."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.recommenders.two_stage.two_stage import TwoStage

SMALL: dict[str, Any] = {"recommenders": [], "candidates": 10, "trees": 30, "min_examples_in_leaf": 5, "threads": 1}
DAYS = pd.date_range("2020-03-01", periods=6)
ARTICLES = pd.DataFrame({"article_id": [f"sock{n}" for n in range(6)] + [f"coat{n}" for n in range(6)]})
ARTICLES["product_type"] = np.where(ARTICLES["article_id"].str.startswith("sock"), "Sock", "Coat")
ARTICLES["product_code"] = ARTICLES["article_id"].str[-1]
CATALOGUE = Catalogue.from_frames(ARTICLES)


def planted(customers: int = 60, seed: int = 0) -> pd.DataFrame:
    """Everyone buys their own sock every day, and each day a coat after it that they never buy again."""
    random = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        coats = random.permutation(6)
        for place, day in enumerate(DAYS):
            rows.append((f"c{customer:02d}", f"sock{customer % 6}", day))
            rows.append((f"c{customer:02d}", f"coat{coats[place]}", day + pd.Timedelta(hours=1)))
    return pd.DataFrame(rows, columns=["customer_id", "article_id", "occurred_at"])


FRAME = planted()


@cache
def fitted() -> TwoStage:
    """The model of these purchases, fitted once in each process of the tests; no test may change it."""
    model = recommenders.build("two_stage", **SMALL).fit(FRAME, CATALOGUE)
    assert isinstance(model, TwoStage)
    return model
