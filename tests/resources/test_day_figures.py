"""What is read of a day before its figures are computed."""

from datetime import date
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from resources import day_figures
from resources.day_figures import DayTables, _typed_vectors

DAY = date(2025, 3, 5)


class Tables:
    """Frames in place of a store."""

    def __init__(self, **frames: pd.DataFrame) -> None:
        self._frames = frames

    def read(self, table: str, ds: date) -> pd.DataFrame | None:
        return self._frames.get(table) if ds == DAY else None


def test_the_mean_vector_of_each_article_does_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    articles = [f"a{number}" for number in range(8)]
    shots = [(article, shot, f"{article}-{shot}") for n, article in enumerate(articles) for shot in range(1 + n % 4)]
    images = pd.DataFrame(shots, columns=["article_id", "shot", "digest"]).sample(frac=1, random_state=0)
    known = images[~images["digest"].isin(["a3-1", "a0-0"])]  # of one article a shot has no vector, of one all
    vectors = pd.DataFrame(
        {"digest": known["digest"], "embedding": list(rng.normal(size=(len(known), 3)).astype(np.float32))}
    ).sample(frac=1, random_state=1)
    types = pd.DataFrame({"article_id": articles, "product_type": ["Dress", None] * 4})
    monkeypatch.setattr(day_figures, "BLOCK", 3)
    found = _typed_vectors(cast("DayTables", Tables(vectors=vectors, images=images, articles=types)), DAY)
    assert found is not None
    means = np.concatenate(list(cast("Any", found).blocks))
    own = vectors.set_index("digest")["embedding"]
    slow = [
        np.mean([own[digest] for digest in known.loc[known["article_id"] == article, "digest"]], axis=0)
        for article in articles[1:]
    ]
    np.testing.assert_allclose(means, slow, rtol=1e-6)
    assert found.types.tolist() == ["", "Dress", "", "Dress", "", "Dress", ""]


def test_without_photographs_there_are_no_vectors() -> None:
    assert _typed_vectors(cast("DayTables", Tables(articles=pd.DataFrame())), DAY) is None
