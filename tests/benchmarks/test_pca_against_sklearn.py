"""The comparison of principal components on small vectors: what they explain, and that none explains more."""

import numpy as np
import pytest

from benchmarks import pca_against_sklearn


def test_exact_components_explain_the_most() -> None:
    options = ["--articles=200", "--dimension=30", "--components=5", "--repeats=1"]
    rows = pca_against_sklearn.measure(pca_against_sklearn.arguments(options))
    assert [row.peer for row in rows] == [
        f"scikit-learn, {name}" for name in ("PCA(n)", "TruncatedSVD", "IncrementalPCA")
    ]
    assert all("variance explained" in row.checked for row in rows)


def test_what_is_explained_is_what_can_be_reconstructed() -> None:
    vectors = np.zeros((4, 3), np.float32)
    vectors[:, 0], vectors[:, 1] = [1, -1, 1, -1], [2, 2, -2, -2]
    assert pca_against_sklearn.explained(vectors + 7, 3 * vectors[:, :1] + 1) == pytest.approx(0.2)
    assert pca_against_sklearn.explained(vectors, vectors[:, 1:2]) == pytest.approx(0.8)


def test_a_peer_that_explains_more_is_no_comparison() -> None:
    assert pca_against_sklearn.compared(0.9, 0.85) == "variance explained: ours 90.000%, theirs 85.000%"
    with pytest.raises(RuntimeError, match="ours only"):
        pca_against_sklearn.compared(0.85, 0.9)
