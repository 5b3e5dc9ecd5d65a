"""Customers of planted tastes, and models of them: for the tests of hybrid."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.recommenders.factorisation.hybrid import Hybrid

TASTES, PER_TASTE, CUSTOMERS = 6, 20, 240
NEW = [f"n{taste}" for taste in range(TASTES)]
NAMES = [f"attributes: kind={taste}" for taste in range(TASTES)] + ["image: 0", "image: 1", "price: price"]
LEARNS: dict[str, Any] = {
    "factors": 8,
    "hidden": [16],
    "positives_share": 1.0,
    "batch_size": 256,
    "max_epochs": 12,
    "embedding_learning_rate": 0.1,
    "learning_rate": 0.01,
}


def planted(seed: int = 0) -> tuple[pd.DataFrame, Catalogue]:
    """Customers of six tastes who choose at random among their taste's articles; content says the taste, noisily."""
    random = np.random.default_rng(seed)
    customers = np.repeat(np.arange(CUSTOMERS), 8)
    own = random.random(len(customers)) < 0.9
    taste = np.where(own, customers % TASTES, random.integers(0, TASTES, len(customers)))
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{c:03d}" for c in customers],
            "article_id": [f"a{a:03d}" for a in taste * PER_TASTE + random.integers(0, PER_TASTE, len(customers))],
        }
    )
    tastes = np.append(np.repeat(np.arange(TASTES), PER_TASTE), np.arange(TASTES))
    vectors = np.column_stack([np.eye(TASTES)[tastes], random.normal(size=(len(tastes), 3)) * 0.2])
    articles = pd.DataFrame({"article_id": [f"a{a:03d}" for a in range(TASTES * PER_TASTE)] + NEW})
    return frame, Catalogue.from_frames(articles, vectors.astype(np.float32), NAMES)


FRAME, CATALOGUE = planted()
TRAIN, TRUTH = Interactions.from_frame(FRAME).leave_last_out()


def fitted(**config: Any) -> Hybrid:
    """A model of them."""
    built = recommenders.build("hybrid", **(LEARNS | config))
    assert isinstance(built, Hybrid)
    return built.fit(TRAIN, CATALOGUE)


@cache
def learned(**config: Any) -> Hybrid:
    """What :func:`fitted` gives, once for all tests that only ask it."""
    return fitted(**config)


def taste_share(recs: pd.DataFrame) -> float:
    """The share of recommendations that are of the customer's taste."""
    place = recs.article_id.str[1:].astype(int)
    taste = np.where(recs.article_id.str[0] == "n", place, place // PER_TASTE)
    return float((taste == recs.customer_id.str[1:].astype(int) % TASTES).mean())
