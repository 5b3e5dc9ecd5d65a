"""Image vectors of articles."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from atelier.articles import image_vectors
from atelier.articles.errors import ArticlesError
from atelier.articles.image_vectors import ImageVectors, standardisation
from atelier.articles.table import Articles
from atelier.attributes import group_image_vectors


def read_shots(frame: Any) -> ImageVectors:
    return Articles.from_frame(frame).image_vectors


LISTS: list[Any] = [[[1.0, 2.0], [3.0, 4.0]], None, [], [[5.0, 6.0]]]


def _frames() -> dict[str, Any]:
    ids = ["a", "b", "c", "d"]
    arrow = pa.array(LISTS, pa.list_(pa.list_(pa.float32())))
    fixed = pa.array(LISTS, pa.list_(pa.list_(pa.float32(), 2)))
    matrices = [None if item is None else np.array(item, np.float32).reshape(-1, 2) for item in LISTS]
    return {
        "lists": pd.DataFrame({"article_id": ids, "embeddings": LISTS}),
        "matrices": pd.DataFrame({"article_id": ids, "embeddings": matrices}),
        "vectors": pd.DataFrame({"article_id": ids, "embeddings": [None if m is None else list(m) for m in matrices]}),
        "arrow": pa.table({"article_id": ids, "embeddings": arrow}),
        "sliced": pa.table({"article_id": ["x", *ids], "embeddings": pa.concat_arrays([arrow[:1], arrow])}).slice(1),
        "fixed": pa.table({"article_id": ids, "embeddings": fixed}),
        "pandas arrow": pd.DataFrame(
            {"article_id": ids, "embeddings": pd.Series(arrow, dtype=pd.ArrowDtype(arrow.type))}
        ),
    }


@pytest.mark.parametrize("kind", list(_frames()))
def test_every_form_of_the_column_reads_the_same(kind: str) -> None:
    shots = read_shots(_frames()[kind])
    assert shots.vectors.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert shots.vectors.dtype == np.float32
    assert shots.counts.tolist() == [2, 0, 0, 1]


def test_index_mean_and_take() -> None:
    shots = read_shots(_frames()["lists"])
    assert shots.index(2).tolist() == [[0, 1], [-1, -1], [-1, -1], [2, -1]]
    assert shots.index(1).tolist() == [[0], [-1], [-1], [2]]
    assert shots.mean().tolist() == [[2, 3], [0, 0], [0, 0], [5, 6]]
    taken = shots.take(np.array([3, 1, 0]))
    assert taken.vectors.tolist() == [[5, 6], [1, 2], [3, 4]]
    assert taken.counts.tolist() == [1, 0, 2]


def test_mean_equals_the_obvious_version() -> None:
    rng = np.random.default_rng(1)
    matrices = [rng.normal(size=(count, 3)).astype(np.float32) for count in rng.integers(0, 4, 30)]
    means = read_shots(pd.DataFrame({"article_id": [str(row) for row in range(30)], "embeddings": matrices})).mean()
    expected = [matrix.mean(axis=0) if len(matrix) else np.zeros(3) for matrix in matrices]
    np.testing.assert_allclose(means, expected, rtol=1e-5, atol=1e-6)


def test_no_photographs_at_all() -> None:
    for frame in (pd.DataFrame({"article_id": ["a"]}), pd.DataFrame({"article_id": ["a"], "embeddings": [None]})):
        shots = read_shots(frame)
        assert (shots.dimension, shots.counts.tolist(), shots.mean().shape) == (0, [0], (1, 0))


def test_grouping_keeps_the_order_of_shots_and_leaves_strangers_out() -> None:
    vectors = np.arange(10.0).reshape(5, 2)
    grouped = group_image_vectors(["a", "b", "c"], ["c", "a", "x", "c", "a"], vectors)
    assert grouped.to_pylist() == [[[2, 3], [8, 9]], [], [[0, 1], [6, 7]]]
    shots = read_shots(
        pd.DataFrame({"article_id": ["a", "b", "c"], "embeddings": pd.arrays.ArrowExtensionArray(grouped)})
    )
    assert (shots.counts.tolist(), shots.vectors.tolist()) == ([2, 0, 2], [[2, 3], [8, 9], [0, 1], [6, 7]])
    assert len(group_image_vectors([], [], np.zeros((0, 2)))) == 0


def test_vectors_in_order_are_grouped_and_read_without_a_copy() -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    grouped = group_image_vectors(["a", "b"], ["a", "a", "b"], vectors)
    shots = read_shots(pd.DataFrame({"article_id": ["a", "b"], "embeddings": pd.arrays.ArrowExtensionArray(grouped)}))
    assert np.shares_memory(shots.vectors, vectors)


def test_moments_equal_those_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_vectors, "CHUNK", 7)
    vectors = np.random.default_rng(2).normal(3, 2, size=(50, 4)).astype(np.float32)
    mean, deviation = image_vectors.moments(vectors)
    np.testing.assert_allclose(mean, vectors.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(deviation, vectors.std(axis=0, dtype=np.float64), rtol=1e-12)


def test_chosen_articles_keep_their_vectors() -> None:
    frame = pd.DataFrame({"article_id": ["a", "b", "c"], "embeddings": [[[1.0, 2.0]], [], [[3.0, 4.0], [5.0, 6.0]]]})
    chosen = Articles.from_frame(frame).rows(np.array([False, True, True]))
    assert chosen.image_vectors.counts.tolist() == [0, 2]
    assert chosen.without("text").image_vectors.vectors.tolist() == [[3, 4], [5, 6]]
    assert chosen.without("images").image_vectors.dimension == 0


@pytest.mark.parametrize("lists", [[[[1.0, 2.0]], [[1.0]]], [[[1.0, 2.0], [1.0]]], [[1.0, 2.0]]])
def test_vectors_of_different_lengths_are_refused(lists: list[Any]) -> None:
    frame = pd.DataFrame({"article_id": [str(place) for place in range(len(lists))], "embeddings": lists})
    with pytest.raises(ArticlesError, match="embeddings"):
        read_shots(frame)


def test_arrow_lists_of_different_lengths_are_refused() -> None:
    table = pa.table({"article_id": ["a"], "embeddings": pa.array([[[1.0, 2.0], [1.0]]])})
    with pytest.raises(ArticlesError, match="lengths"):
        read_shots(table)


def test_values_that_are_not_finite_name_the_article() -> None:
    frame = pd.DataFrame({"article_id": ["fine", "broken"], "embeddings": [[[1.0]], [[np.nan]]]})
    with pytest.raises(ArticlesError, match="broken"):
        read_shots(frame)


def test_a_reader_gets_vectors_of_the_length_it_was_fitted_on_or_none() -> None:
    shots = read_shots(_frames()["lists"])
    assert shots.of_dimension(2, "it was fitted on") is shots
    nothing = shots.of_dimension(0, "it was fitted on")
    assert (nothing.vectors.shape, nothing.counts.tolist()) == ((0, 0), [0, 0, 0, 0])
    unseen = nothing.of_dimension(3, "it was fitted on")
    assert (unseen.mean().shape, unseen.counts.tolist()) == ((4, 3), [0, 0, 0, 0])
    with pytest.raises(ArticlesError, match="have 2 values, it was fitted on 3: encode"):
        shots.of_dimension(3, "it was fitted on")


def test_take_of_none() -> None:
    empty = ImageVectors(np.zeros((0, 4), np.float32), np.zeros(2, np.int64)).take(np.array([1]))
    assert empty.vectors.shape == (0, 4)


def test_a_position_that_never_varies_keeps_its_size() -> None:
    mean, scale = standardisation(np.array([[1, 5], [3, 5]], np.float32))
    assert (mean.tolist(), scale.tolist()) == ([2, 5], [1, 1])
    mean, scale = standardisation(np.zeros((0, 3), np.float32))
    assert (mean.tolist(), scale.tolist()) == ([0, 0, 0], [1, 1, 1])


def test_what_went_through_parquet_is_read(tmp_path: Path) -> None:
    frame = _frames()["lists"]
    frame.to_parquet(tmp_path / "articles.parquet")
    back = pd.read_parquet(tmp_path / "articles.parquet")
    assert isinstance(back["embeddings"][0][0], np.ndarray), "arrays of arrays now"
    for form in (back, pd.read_parquet(tmp_path / "articles.parquet", dtype_backend="pyarrow")):
        shots = read_shots(form)
        assert shots.vectors.tolist() == [[1, 2], [3, 4], [5, 6]]
        assert shots.counts.tolist() == [2, 0, 0, 1]


@pytest.mark.parametrize("nothing", [None, pd.NA, float("nan"), np.nan, [], (), np.zeros((0, 2)), np.zeros((0, 0))])
def test_nothing_is_no_shot_however_it_is_written(nothing: Any) -> None:
    shots = read_shots(
        pd.DataFrame({"article_id": ["a", "b"], "embeddings": pd.Series([nothing, [[1.0]]], dtype=object)})
    )
    assert shots.counts.tolist() == [0, 1]


def test_arrow_columns_without_any_shot() -> None:
    for column in (pa.nulls(2), pa.array([[], None]), pa.array([[], []], pa.list_(pa.list_(pa.float32())))):
        assert read_shots(pa.table({"article_id": ["a", "b"], "embeddings": column})).counts.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ([1.0, 2.0], "flat list where a list of vectors is wanted"),
        (np.array([1.0, 2.0]), "flat list where a list of vectors is wanted"),
        ("[[1.0]]", "it is text"),
        (5, "not iterable"),
        ([["red"]], "could not convert string to float"),
        ([[[1.0]]], "3 dimensions"),
        ([[1.0], [1.0, 2.0]], "same shape"),
    ],
)
def test_the_reason_of_a_refusal_is_true_and_names_the_article(entry: Any, reason: str) -> None:
    frame = pd.DataFrame({"article_id": ["fine", "odd"], "embeddings": pd.Series([[[1.0, 2.0]], entry], dtype=object)})
    with pytest.raises(ArticlesError, match=f"'odd': .*{reason}"):
        read_shots(frame)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (pa.array([[1.0, 2.0]]), "flat lists where lists of vectors are wanted"),
        (pa.array([[["red"]]]), "lists of string, not of numbers"),
        (pa.array(["[[1.0]]"]), "string, no lists of vectors"),
        (pa.array([[["1.0"], ["2.0", "3.0"]]]), "lists of string"),
    ],
)
def test_the_reason_is_true_of_arrow_columns_too(column: Any, reason: str) -> None:
    with pytest.raises(ArticlesError, match=reason):
        read_shots(pa.table({"article_id": ["a"], "embeddings": column}))
