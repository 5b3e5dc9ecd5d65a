"""A world of three customers and six articles, small enough to count by hand."""

import numpy as np
import pandas as pd

from atelier.catalogue import Catalogue
from atelier.ids import IdMap
from atelier.interactions import Interactions
from atelier.recommenders.two_stage.histories import Histories
from atelier.recommenders.two_stage.ranking_features import FeatureInputs
from atelier.recommenders.two_stage.snapshot import ArticleGroups, moment_after, snapshot

ARTICLES = pd.DataFrame(
    {
        "article_id": ["a", "b", "c", "d", "e", "f"],
        "product_code": ["1", "1", "2", "3", None, "3"],
        "product_type": ["Dress", "Dress", "Dress", "Shirt", "Shirt", None],
    }
)
ROWS = [  # customer, article, day of March 2020, price, channel
    ("u", "a", 1, 10.0, "web"),
    ("u", "a", 3, 12.0, "web"),
    ("u", "d", 3, 20.0, "shop"),
    ("v", "a", 2, 11.0, "shop"),
    ("v", "c", 3, 30.0, "shop"),
    ("w", "e", 1, None, "web"),
]
CUSTOMERS = IdMap.from_values(["u", "v", "w", "x"])
ARTICLE_IDS = IdMap.from_values(ARTICLES["article_id"])
CHANNELS = ("shop", "web")
AGES = np.array([25, 35, np.nan, 25], dtype=np.float32)


def frame(rows: list[tuple[str, str, int, float | None, str]] = ROWS) -> pd.DataFrame:
    """The rows as a frame of interactions."""
    table = pd.DataFrame(rows, columns=["customer_id", "article_id", "day", "price", "channel"])
    return table.assign(occurred_at=pd.Timestamp("2020-03-01") + pd.to_timedelta(table["day"] - 1, unit="D"))


def interactions(rows: list[tuple[str, str, int, float | None, str]] = ROWS) -> Interactions:
    """The rows, numbered by all customers and articles."""
    return Interactions.from_frame(frame(rows)).aligned(CUSTOMERS, ARTICLE_IDS)


def groups() -> ArticleGroups:
    """Styles, types and vectors: a, b and c point one way, d, e and f the other."""
    vectors = np.array([[1, 0], [1, 0], [0.6, 0.8], [0, 1], [0, 1], [0, 0]], dtype=np.float32)
    return ArticleGroups.of_catalogue(Catalogue.from_frames(ARTICLES, vectors), ARTICLE_IDS, 64, 0)


def inputs(data: Interactions | None = None, as_of: int | None = None) -> FeatureInputs:
    """What features are computed from, on 4 March at midnight."""
    known = interactions() if data is None else data
    when = moment_after(known) if as_of is None else as_of
    histories = Histories.of_interactions(known, longest=100, channels=CHANNELS, ages=AGES)
    seen = snapshot(known, groups(), when, ages=AGES, channels=CHANNELS, followers=5, graph_days=30, by_age=True)
    return FeatureInputs(seen, histories, groups())
