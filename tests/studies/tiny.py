"""A few purchases that can be reckoned with by hand, and models for them: for the tests of the study."""

from collections.abc import Sequence

import pandas as pd

from atelier.studies.recommender_plan import StudiedModel

ALS = StudiedModel(recommender="als", config={"factors": 3, "iterations": 2, "threads": 1})
POPULAR = StudiedModel(recommender="popular")
REPEAT = StudiedModel(recommender="repeat")


def frame(rows: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Undated purchases: customer and article."""
    return pd.DataFrame(rows, columns=["customer_id", "article_id"], dtype="str")


TRAIN = frame([*(("u1", a) for a in "abc"), ("u2", "a"), ("u2", "b"), ("u3", "a"), ("u3", "d"), ("u4", "e")])
#: u5 has no history, u4 nothing in the truth.
TRUTH = frame([("u1", "d"), ("u1", "a"), ("u2", "e"), ("u2", "c"), ("u3", "a"), ("u5", "a")])
