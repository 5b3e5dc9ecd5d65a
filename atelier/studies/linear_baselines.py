"""Linear classifiers that read the same articles as the attribute network: the baselines that it has to beat.

What belongs here: logistic regression on words, on image vectors and on both, with the network's interface. What does
not: the network, and the comparison (``benchmarks/hm_attributes.py``, :mod:`atelier.studies.attribute_study`).
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from atelier.arrays import Float32s
from atelier.articles.errors import ArticlesError
from atelier.articles.image_vectors import standardisation
from atelier.articles.table import Articles
from atelier.attributes.labels import labels_of, read_labels
from atelier.frames import Frame

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

Kind = Literal["text", "image", "joined"]

# Inverse strengths of the L2 penalty, chosen on validation styles inside the training part of H&M's photographed
# articles. When joined, texts are multiplied by TEXT_SCALE, because a text as a whole has length 1, while each single
# value of an image vector varies by about 1.
STRENGTHS: Mapping[Kind, float] = {"text": 30.0, "image": 0.01, "joined": 0.03}
TEXT_SCALE = 40.0
MIN_COUNT = 2  # texts that a word or pair of words has to occur in
TOLERANCE = 1e-3  # of the gradient; a tenth of it takes twice as long for the same F1
MAX_ITERATIONS = 300


@dataclass(frozen=True)
class Features:
    """What turns articles into numbers; fitted on the articles trained on.

    Attributes:
        kind: ``text``, ``image`` or ``joined``.
        words: TF-IDF of single words and pairs; None for ``image``.
        mean: float32 [dim] of the image vectors; none for ``text``.
        scale: float32 [dim], likewise; 1 where a position never varies.
    """

    kind: Kind
    words: "TfidfVectorizer | None"
    mean: Float32s
    scale: Float32s

    @classmethod
    def fit(cls, kind: Kind, articles: Articles) -> "Features":
        """Learn words, their rarity, and the image vectors' mean and scale."""
        words, vectors = None, np.zeros((0, 0), np.float32)
        if kind != "image":
            texts = articles.texts.to_pylist()
            words = _vectoriser(MIN_COUNT)
            try:
                words.fit(texts)
            except ValueError:  # no word, or none twice
                words = _vectoriser(1).fit([*texts, "nothing"])
        if kind != "text":
            shots = articles.image_vectors
            vectors = shots.mean()[shots.counts > 0]
        return cls(kind, words, *standardisation(vectors))

    def matrix(self, articles: Articles) -> Any:
        """The features, a float32 matrix [n, features], sparse for ``text`` and ``joined``.

        An article without photographs has the mean photograph, one without text no words.
        """
        from scipy import sparse

        parts: list[Any] = []
        if self.words is not None:
            texts = self.words.transform(articles.texts.to_pylist())
            if self.kind == "text":
                return texts
            parts.append(texts * np.float32(TEXT_SCALE))
        shots = articles.image_vectors.of_dimension(len(self.mean), "the classifier was trained on")
        images = np.zeros((len(articles), max(len(self.mean), 1)), np.float32)  # never without a column
        if (some := shots.counts > 0).any():
            images[some] = (shots.mean()[some] - self.mean) / self.scale
        return sparse.hstack([*parts, sparse.csr_array(images)], format="csr") if parts else images


@dataclass(frozen=True)
class LinearBaseline:
    """A linear classifier for each attribute; :func:`fit_linear_baseline` makes it.

    Attributes:
        features: what they read.
        classifiers: by attribute; a str where training knew that value only.
    """

    features: Features
    classifiers: "dict[str, LogisticRegression | str]"

    def predict(self, articles: Frame | Articles) -> pd.DataFrame:
        """The most probable value of every attribute for every article.

        Args:
            articles: as for :meth:`atelier.attributes.AttributeModel.predict`.

        Returns:
            article_id, attribute, value (str), attribute by attribute in alphabetical order, in each the articles in
            their order.

        Raises:
            ArticlesError: image vectors of another length than in training.
        """
        articles = Articles.from_frame(articles)
        names, count = list(self.classifiers), len(articles)
        matrix = self.features.matrix(articles) if count else None
        values = [
            classifier.predict(matrix)
            if count and not isinstance(classifier, str)
            else np.full(count, classifier, object)
            for classifier in self.classifiers.values()
        ]
        columns = {
            "article_id": np.tile(articles.names, len(names)),
            "attribute": np.repeat(np.array(names, dtype=object), len(articles)),
            "value": np.concatenate(values) if values else np.zeros(0, dtype=object),
        }
        return pd.DataFrame(columns).astype("str")


def fit_linear_baseline(kind: Kind, articles: Frame | Articles, labels: Frame) -> LinearBaseline:
    """Fit multinomial logistic regression, one classifier for each attribute on the articles labelled with it.

    It reads TF-IDF of words and pairs of words in name and description (``text``), the standardised mean of the image
    vectors (``image``), or both side by side (``joined``); no metadata. Every value is predicted, however rare.

    Args:
        kind: what to read.
        articles: as for :meth:`atelier.attributes.AttributeModel.fit`; those without labels teach words and scales.
        labels: article_id, attribute, value; partial.

    Returns:
        The fitted classifiers. Attributes without a label have none.

    Raises:
        ArticlesError: as :meth:`atelier.attributes.AttributeModel.fit`; an unknown kind.
    """
    if kind not in get_args(Kind):
        raise ArticlesError(f"There is no linear classifier on {kind!r}; take one of {', '.join(get_args(Kind))}.")
    articles = Articles.from_frame(articles)
    known = labels_of(articles, read_labels(labels)).sort_values(["attribute", "article_id"])
    features = Features.fit(kind, articles)
    if known.empty:
        return LinearBaseline(features, {})
    matrix = features.matrix(articles)
    return LinearBaseline(
        features,
        {
            str(name): _classifier(matrix[group["row"].to_numpy()], group["value"], kind)
            for name, group in known.groupby("attribute", sort=True)
        },
    )


def _vectoriser(least: int) -> "TfidfVectorizer":
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=least, dtype=np.float32)


def _classifier(matrix: Any, values: "pd.Series[Any]", kind: Kind) -> "LogisticRegression | str":
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if values.nunique() == 1:
        return str(values.iloc[0])
    classifier = LogisticRegression(C=STRENGTHS[kind], tol=TOLERANCE, max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings():
        # The last digits of the optimum change no prediction that matters.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return classifier.fit(matrix, values.to_numpy(dtype=object))
