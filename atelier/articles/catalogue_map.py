"""The catalogue as a map: two coordinates for each article, so that what looks alike lies together.

What belongs here: principal components of image vectors, and t-SNE over them. What does not: computing image vectors
(:mod:`atelier.images`), drawing (:mod:`atelier.report.catalogue_map`).

Sources: L. van der Maaten and G. Hinton, Visualizing Data using t-SNE, JMLR 2008; P. Poličar, M. Stražar and B. Zupan,
openTSNE, JSS 2024. The published H&M two-stage system reduces 2,048 numbers of ResNet-152 to 256 components, which are
to explain 95% of the variance.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA

from atelier.arrays import Float32s, Float64s

COMPONENTS = 256
"""Principal components that are kept, at most, as published."""
READ_BY_TSNE = 50
"""The first components, from which t-SNE takes its neighbours."""
EXACT_BELOW = 5000
"""With fewer articles neighbours and forces are computed exactly or nearly so; with more they are approximated."""


@dataclass(frozen=True, eq=False)
class CatalogueMap:
    """A map of n articles.

    Attributes:
        places: float32 [n, 2].
        components: how many principal components were kept.
        explained: the share of the vectors' variance that these explain, 0 … 1; 1 where nothing varies; None where
            there are no components, of no or one article or of vectors of no length.
    """

    places: Float32s
    components: int
    explained: float | None


def catalogue_map(
    vectors: Float32s, *, components: int = COMPONENTS, perplexity: float = 30.0, seed: int = 0
) -> CatalogueMap:
    """Map articles by their image vectors; the same vectors give the same map.

    Args:
        vectors: float32 [n, dim], one for each article, for example the mean over its photographs.
        components: principal components that are kept, at most.
        perplexity: about how many neighbours each article keeps near; fewer where there are few articles.
        seed: of t-SNE's first steps.
    """
    n, dim = vectors.shape
    kept = min(components, dim, max(n - 1, 0))
    if kept < 1:
        return CatalogueMap(np.zeros((n, 2), np.float32), 0, None)
    pca = PCA(kept, svd_solver="covariance_eigh")
    scores = pca.fit_transform(vectors.astype(np.float64))
    varies = pca.explained_variance_.sum() > 0
    explained = float(pca.explained_variance_ratio_.sum()) if varies else 1.0
    if n < 5 or not varies:  # too few for neighbours: the first components are the map
        places = np.zeros((n, 2), np.float32)
        places[:, : min(kept, 2)] = scores[:, :2]
    else:
        places = _tsne(scores[:, :READ_BY_TSNE], min(perplexity, (n - 1) / 3), seed)
    return CatalogueMap(places, kept, explained)


def _tsne(scores: Float64s, perplexity: float, seed: int) -> Float32s:
    """t-SNE, float [n, 2]. On one thread: with more the last digits change from run to run."""
    from openTSNE import TSNE

    few = len(scores) < EXACT_BELOW
    found = TSNE(
        perplexity=perplexity,
        initialization="pca",
        neighbors="exact" if few else "annoy",
        negative_gradient_method="bh" if few else "fft",
        n_jobs=1,
        random_state=seed,
    ).fit(scores)
    return np.asarray(found, dtype=np.float32)
