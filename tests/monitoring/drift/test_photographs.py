"""The figures of photographs' vectors: by blocks as by all at once, and what they show."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from atelier.monitoring.drift.figures import directions
from atelier.monitoring.drift.photographs import TypedVectors, centres, vector_figures

LIKE = "vectors: likeness to their product type"
TYPES = np.repeat(["Dress", "Coat"], 50)
VECTORS = np.where(TYPES[:, None] == "Dress", [3.0, 0.0, 1.0], [0.0, 3.0, 1.0]) + np.random.default_rng(0).normal(
    0, 0.3, (100, 3)
)


def typed(vectors: NDArray[np.float64], types: NDArray[np.str_] = TYPES, block: int = 7) -> TypedVectors:
    def blocks() -> Iterator[NDArray[np.float64]]:
        for start in range(0, len(vectors), block):
            yield vectors[start : start + block]

    return TypedVectors(types[: len(vectors)], blocks())


def shown(found: pd.DataFrame) -> dict[str, tuple[float, int]]:
    return {row["what"]: (row["value"], row["rows"]) for row in found.to_dict("records")}


def test_vectors_of_swapped_photographs_are_unlike_their_type() -> None:
    before = centres(typed(VECTORS))
    assert shown(vector_figures(typed(VECTORS), before))[LIKE][0] > 0.9
    assert shown(vector_figures(typed(VECTORS[::-1].copy()), before))[LIKE][0] < -0.9
    zero = shown(vector_figures(typed(np.concatenate([np.zeros((10, 3)), VECTORS[10:]])), before))
    assert zero["vectors: of length 0"] == (10, 100)


def test_without_vectors_there_are_no_figures_and_another_encoder_is_not_compared() -> None:
    assert centres(typed(VECTORS[:0])) is None
    assert vector_figures(typed(VECTORS[:0]), None).empty
    assert LIKE not in shown(vector_figures(typed(VECTORS), None))
    assert LIKE not in shown(vector_figures(typed(VECTORS[:, :2]), centres(typed(VECTORS))))


@pytest.mark.parametrize("block", [1, 64, 1000])
def test_blocks_give_what_all_vectors_at_once_give(block: int) -> None:
    rng = np.random.default_rng(3)
    types = rng.choice(["Dress", "Coat", "", "Socks"], 200)
    before, after = rng.normal(1, 2, (200, 9)), rng.normal(1, 2, (150, 9))
    before[5] = after[7] = 0
    later = types[:150].copy()
    later[:20] = "Hat"  # a type of which yesterday had none
    found = vector_figures(typed(after, later, block), centres(typed(before, types, block)))

    def at_unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)

    known, now = at_unit(before), at_unit(after)
    middle = known.mean(axis=0)
    means = {name: at_unit((known - middle)[types == name].sum(axis=0)[None])[0] for name in np.unique(types)}
    like = [each @ means[name] for each, name in zip(at_unit(now - middle), later, strict=True) if name in means]
    lengths, along = np.linalg.norm(after, axis=1), now @ directions(9)
    expected = [
        (1, 0, 150),
        (lengths.mean(), lengths.var(ddof=1), 150),
        *((column.mean(), column.var(ddof=1), 150) for column in along.T),
        (np.mean(like), np.var(like, ddof=1), 130),
    ]
    np.testing.assert_allclose(found[["value", "variance", "rows"]].to_numpy(np.float64), expected, rtol=1e-12)
