"""The map: groups stay together, the variance that components explain, the same bytes, and catalogues of a few."""

import numpy as np
import pytest

from atelier.articles import catalogue_map as module
from atelier.articles.catalogue_map import catalogue_map


def groups(of: int = 40, dim: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Three groups of vectors far from each other."""
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(3), of)
    centres = 5 * np.eye(dim)[:3]
    return (centres[group] + random.normal(0, 0.3, (len(group), dim))).astype(np.float32), group


def test_what_looks_alike_lies_together() -> None:
    vectors, group = groups()
    places = catalogue_map(vectors).places
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1)[:, :10]
    assert (group[nearest] == group[:, None]).mean() > 0.99


def test_a_large_catalogue_is_approximated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT_BELOW", 10)
    vectors, group = groups(of=60)
    places = catalogue_map(vectors).places
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (group[distance.argmin(axis=1)] == group).mean() > 0.95


def test_the_same_vectors_give_the_same_bytes() -> None:
    vectors, _ = groups()
    assert catalogue_map(vectors, seed=3).places.tobytes() == catalogue_map(vectors, seed=3).places.tobytes()


def test_explained_variance_by_hand() -> None:
    """Variances 9, 4 and 1 along three axes: two components explain 13 / 14."""
    random = np.random.default_rng(0)
    axes, _ = np.linalg.qr(random.normal(size=(60, 3)) - 0.0)
    centred = axes - axes.mean(axis=0)
    basis, _ = np.linalg.qr(centred)
    vectors = (basis * np.array([3.0, 2.0, 1.0])).astype(np.float32)
    made = catalogue_map(vectors, components=2)
    assert made.components == 2
    assert made.explained == pytest.approx(13 / 14, rel=1e-4)
    assert catalogue_map(vectors).explained == pytest.approx(1.0)


@pytest.mark.parametrize("n", [0, 1, 2, 4, 5, 7])
def test_a_few_articles(n: int) -> None:
    vectors = np.random.default_rng(n).normal(size=(n, 6)).astype(np.float32)
    made = catalogue_map(vectors)
    assert made.places.shape == (n, 2)
    assert np.isfinite(made.places).all()
    if n < 2:
        assert (made.components, made.explained) == (0, None), "no variance is shown to be explained"
    else:
        assert made.explained is not None
        assert 0 <= made.explained <= 1 + 1e-9


def test_articles_that_all_look_the_same() -> None:
    made = catalogue_map(np.ones((20, 6), np.float32))
    assert (made.places == 0).all()
    assert made.explained == 1.0


def test_an_article_without_any_number() -> None:
    assert catalogue_map(np.zeros((5, 0), np.float32)).components == 0
