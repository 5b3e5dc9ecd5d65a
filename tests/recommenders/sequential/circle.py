"""Customers whose next article only the order of their last ones tells: for the tests of sequence models."""

import numpy as np
import pandas as pd

ARTICLES = 30
"""Arranged in a circle: who has article a goes on to a + 1 and then, two steps on, only the order says which way."""


def circle(customers: int, seed: int = 0, length: int = 9, articles: int = ARTICLES) -> pd.DataFrame:
    """Customers go round the circle, half of them backwards: what comes next depends on the last two, in order."""
    random = np.random.default_rng(seed)
    starts, ways = random.integers(0, articles, customers), random.choice([-1, 1], customers)
    places = (starts[:, None] + ways[:, None] * np.arange(length)) % articles
    return pd.DataFrame(
        {
            "customer_id": np.repeat([f"c{seed}{c:04d}" for c in range(customers)], length),
            "article_id": [f"a{place:02d}" for place in places.ravel()],
        }
    )
