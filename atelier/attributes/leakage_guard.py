"""Which articles the daily attribute model is evaluated on: nothing that it reads may be learned from their labels.

What belongs here: the styles from which a model trained elsewhere, such as a backbone of photographs, must not learn.
What does not: the splits themselves (:mod:`atelier.articles.splits`).
"""

import numpy as np

from atelier.arrays import Mask
from atelier.articles.splits import holdout
from atelier.articles.table import Articles
from atelier.attributes.config import AttributeConfig
from atelier.attributes.evaluation import TEST_SHARE
from atelier.attributes.labels import labels_of, read_labels
from atelier.frames import Frame

MARGIN = 0.02
"""Further share of the styles that is held out: as the catalogue changes, so do the styles that fall into a share."""


def held_out_articles(
    articles: Frame | Articles,
    labels: Frame,
    config: AttributeConfig | None = None,
    *,
    test_share: float = TEST_SHARE,
    seed: int = 0,
) -> Mask:
    """The articles on whose labels the attribute model is tested, stopped early or calibrated.

    A vector that was learned from an article's labels makes the model look better on that article than on unseen ones.
    So these are the articles that :func:`~atelier.attributes.evaluation.fit_and_evaluate` holds out and those on which
    :meth:`AttributeModel.fit` then validates and calibrates, and :data:`MARGIN` more of each, because the catalogue
    will have grown by the time that the vectors are read.

    Args:
        articles: article_id and, if known, product_code: the whole catalogue.
        labels: article_id, attribute, value.
        config: of the attribute model; None: the defaults. Its seed and its ``validation_share`` count.
        test_share: as for ``fit_and_evaluate``.
        seed: likewise.

    Returns:
        bool [articles].
    """
    config, articles = config or AttributeConfig(), Articles.from_frame(articles)
    kept_back = holdout(articles, _widened(test_share), seed=seed)
    # The model validates on a share of the labelled styles that are left when the test styles, and these alone, are
    # taken out.
    labelled = np.zeros(len(articles), dtype=bool)
    labelled[labels_of(articles, read_labels(labels))["row"]] = True
    candidates = labelled & ~holdout(articles, test_share, seed=seed)
    share = _widened(config.validation_share)
    kept_back[candidates] |= holdout(articles.rows(candidates), share, seed=config.seed, purpose="validation")
    return kept_back


def _widened(share: float) -> float:
    """The share and the margin, at most 1; a share of 0 stays 0."""
    return min(share + MARGIN, 1.0) if share else 0.0
