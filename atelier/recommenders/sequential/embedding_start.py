"""What the embeddings of articles start from, where not at random: what is known of the articles.

What belongs here: a block of the catalogue's vectors → first embeddings. What does not: how such vectors are computed
(:mod:`atelier.articles.vectors`), the embeddings (:mod:`atelier.nn.embeddings`).
"""

import numpy as np
from sklearn.decomposition import PCA

from atelier.catalogue import Catalogue, CatalogueError
from atelier.ids import IdMap
from atelier.nn.embeddings import EMBEDDING_LENGTH
from atelier.search.ragged import Scores


def first_embeddings(catalogue: Catalogue | None, block: str, ids: IdMap, factors: int) -> Scores:
    """The principal components of a block of the articles' vectors, as long on average as random embeddings are.

    Source: I. T. Jolliffe, Principal Component Analysis, 2nd edition, 2002, section 1.1; the first ``factors`` scores.

    Args:
        catalogue: with vectors and the names of their positions, which are ``block: name``.
        block: whose positions are read.
        ids: the n articles of the rows.
        factors: length of an embedding; where there are fewer components, the rest is zero.

    Returns:
        float32 [n, factors]; zero for articles whose block is empty.

    Raises:
        CatalogueError: there are no vectors, or none of that block.
    """
    names = () if catalogue is None or catalogue.vectors is None else catalogue.names or ()
    chosen = np.array([name.partition(": ")[0] == block for name in names], dtype=bool)
    first = np.zeros((len(ids), factors), dtype=np.float32)
    if catalogue is None or catalogue.vectors is None or not chosen.any():
        blocks = ", ".join(dict.fromkeys(name.partition(": ")[0] for name in names)) or "none"
        raise CatalogueError(
            f"embedding_start names the block {block!r} of the articles' vectors, and the blocks of the catalogue are "
            f"{blocks}: pass a catalogue with such vectors and the names of their positions to fit, or leave "
            "embedding_start empty"
        )
    vectors = catalogue.vectors[:, chosen].astype(np.float64)
    present = vectors.any(axis=1)
    components = min(factors, int(present.sum()), vectors.shape[1])
    if not components:
        return first
    scores = PCA(components, svd_solver="covariance_eigh").fit_transform(vectors[present])
    length = np.sqrt(np.square(scores).sum(axis=1).mean())
    codes = ids.encode(catalogue.ids.values)[present]
    first[codes, :components] = scores * (EMBEDDING_LENGTH / length if length > 0 else 0.0)
    return first
