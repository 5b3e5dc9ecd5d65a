"""What the text of an article says of each value, as numbers that the network reads.

What belongs here: the features of a value, and the reader that makes them, learned words included. What does not: how
names are found (:mod:`atelier.attributes.mentions`), how words are learned (:mod:`atelier.attributes.synonyms`), the
weights of the features (:class:`atelier.attributes.network.architecture.MentionWeights`).

The features of a value, in the order of ``MENTION_WEIGHTS``: its name stands in the article's name; it stands in the
description; it is the only value of its attribute that the text names; and how strongly learned words speak for it.
That the text names *another* value needs no feature of its own: a softmax compares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, vstack

from atelier.arrays import Int64s
from atelier.articles.splits import folds
from atelier.articles.table import Articles
from atelier.attributes.config import AttributeConfig
from atelier.attributes.labels import Heads
from atelier.attributes.mentions import ReadWords, ValueNames, read_words, texts_of
from atelier.attributes.synonyms import LearnedSynonyms, Phrases, cross_fitted_evidence

FEATURES = ("in_name", "in_description", "only_one_named", "learned_words")
FOLDS = 5
"""Parts of the training articles, each read with the words that the others teach."""


@dataclass(frozen=True)
class MentionReader:
    """Reads texts for values.

    Attributes:
        names: what the values are called.
        learned: words that speak for values.
    """

    names: ValueNames
    learned: LearnedSynonyms

    @classmethod
    def fit(
        cls, articles: Articles, targets: Int64s, training: Int64s, heads: Heads, config: AttributeConfig
    ) -> "tuple[MentionReader, csr_array]":
        """Learn words from the labels of the articles that are trained on.

        Args:
            articles: n articles.
            targets: int64 [n, attributes], as :meth:`Heads.encode` gives them.
            training: int64: the rows trained on; no other row's labels are looked at.
            heads: the attributes and their values.
            config: its ``synonyms`` and ``seed``.

        Returns:
            The reader, and the features of the n articles, float32 ``csr_array [n, classes · features]``. Those of an
            article that is trained on are read with words which no article of its style has taught.
        """
        words = _words(articles)
        chosen = np.isin(np.arange(len(articles)), training)
        known = targets[chosen]
        phrases = Phrases.of([column.where(chosen) for column in words])
        reader = cls(ValueNames.of(heads, config.synonyms), LearnedSynonyms.fit(phrases, known, heads))
        parts = folds(articles.rows(chosen), FOLDS, seed=config.seed, purpose="learned words")
        trained = cross_fitted_evidence(phrases, known, heads, parts)
        others = reader.learned.evidence([column.where(~chosen) for column in words])
        order = np.argsort(np.concatenate([np.flatnonzero(chosen), np.flatnonzero(~chosen)]))
        return reader, reader._features(words, vstack([trained, others], format="csr")[order])

    def read(self, articles: Articles) -> csr_array:
        """The features of n articles, float32 ``csr_array [n, classes · features]``."""
        words = _words(articles)
        return self._features(words, self.learned.evidence(words))

    def _features(self, words: tuple[ReadWords, ReadWords], evidence: csr_array) -> csr_array:
        name, description = (self.names.find(column) for column in words)
        return _interleaved([name, description, self.names.only_of_attribute(name + description), evidence])

    def save(self, path: Path, heads: Heads) -> None:
        """Write the learned words as Parquet; what values are called follows from the classes and the config."""
        self.learned.save(path, heads)

    @classmethod
    def load(cls, path: Path, heads: Heads, config: AttributeConfig) -> "MentionReader":
        """Read what :meth:`save` wrote."""
        return cls(ValueNames.of(heads, config.synonyms), LearnedSynonyms.load(path, heads))


def _words(articles: Articles) -> tuple[ReadWords, ReadWords]:
    name, description = (read_words(texts) for texts in texts_of(articles))
    return name, description


def _interleaved(features: Sequence[csr_array]) -> csr_array:
    """Features float32 [n, classes] each → [n, classes · features]: of each class its features, one after the other."""
    parts = [feature.tocoo() for feature in features]
    rows = np.concatenate([part.coords[0] for part in parts])
    cells = np.concatenate([part.coords[1].astype(np.int64) * len(parts) + k for k, part in enumerate(parts)])
    values = np.concatenate([part.data.astype(np.float32) for part in parts])
    articles, classes = features[0].shape
    return csr_array((values, (rows, cells)), shape=(articles, classes * len(parts)))
