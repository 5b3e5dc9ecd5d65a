"""Why a model says what it says of one article: which modality decided, and which words weighed most.

What belongs here: predictions of one article with something taken away, as pure functions of a fitted
:class:`~atelier.attributes.model.AttributeModel`. What does not: where the article and the model come from
(:mod:`resources.attribute_lineage`), layers and gradients.

The method is occlusion (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section
4.2): something is taken away, and the model predicts again. It is exact and repeatable, needs nothing but
``predict_proba``, and its unit is the one that people read, probability. Gradients are not used, because they say what
an infinitely small change of a word's vector would do: close to nothing where the softmax is saturated, and no change
that a text can have. Occlusion has a limit: where two parts say the same, each replaces the other, so each alone weighs
little, and the weights do not sum to the probability.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from atelier.arrays import Float64s
from atelier.articles.errors import ArticlesError
from atelier.articles.table import CATEGORIES, MODALITIES, Articles
from atelier.articles.text import split_around_words, split_words
from atelier.attributes.model import AttributeModel
from atelier.errors import AtelierError
from atelier.frames import Frame, columns

#: What is taken away, one at a time: three modalities, and the columns of the third.
WHOLE_MODALITIES = ("photographs", "text", "metadata")
REMOVALS = (*WHOLE_MODALITIES, *CATEGORIES)


class ExplanationError(AtelierError):
    """The model cannot predict what is to be explained."""


@dataclass(frozen=True)
class Removal:
    """What the model says without one thing.

    Attributes:
        removed: what was taken away, one of :data:`REMOVALS`.
        present: whether the article had it; without it nothing changes.
        value: the most probable value without it.
        confidence: the probability of that.
        probability: of the value that is explained, without it.
        weight: by how much that probability fell; negative where the thing spoke against the value.
    """

    removed: str
    present: bool
    value: str
    confidence: float
    probability: float
    weight: float


@dataclass(frozen=True)
class WordWeight:
    """What one word of the text weighed.

    Attributes:
        word: as the model reads it.
        occurrences: how often it stands among the words that are read.
        probability: of the value that is explained, in the text without it.
        weight: by how much that probability fell; negative where the word spoke against the value.
    """

    word: str
    occurrences: int
    probability: float
    weight: float


@dataclass(frozen=True)
class Explanation:
    """Why a model gives one article one value.

    Attributes:
        attribute: the attribute.
        value: the value that is explained.
        probability: the model's, of that value.
        best: the model's most probable value.
        best_probability: its probability.
        removals: one of each of :data:`REMOVALS`, in that order.
        words: the words that are read, in the order of the text, as often as they stand in it.
        weights: each of these words once, the one that weighed most first, ties in the order of the text.
        unread: how many further words the text has.
    """

    attribute: str
    value: str
    probability: float
    best: str
    best_probability: float
    removals: tuple[Removal, ...]
    words: tuple[str, ...]
    weights: tuple[WordWeight, ...]
    unread: int

    @property
    def decided(self) -> str | None:
        """The modality whose absence costs the value most probability; None where none costs any."""
        heaviest = max((r for r in self.removals if r.removed in WHOLE_MODALITIES), key=lambda removal: removal.weight)
        return heaviest.removed if heaviest.weight > 0 else None


def explain(model: AttributeModel, article: Frame | Articles, attribute: str, value: str | None = None) -> Explanation:
    """Predict one article again as it is, without each modality, and without each of its words.

    Args:
        model: fitted.
        article: one row, as for :meth:`AttributeModel.predict_proba`.
        attribute: which attribute.
        value: which value's probability is looked at; None: the most probable one.

    Raises:
        ExplanationError: the model has no head for the attribute, or does not know the value.
        ArticlesError: as :meth:`AttributeModel.predict_proba`; not exactly one row.
    """
    article = Articles.from_frame(article)
    if len(article) != 1:
        raise ArticlesError(f"{len(article)} articles were given; one is explained at a time.")
    whole = _row(article)
    texts = {name: str(whole[name] or "") for name in MODALITIES["text"] if name in whole}
    read, unread = words_read(model, " ".join(texts.values()))
    distinct = tuple(dict.fromkeys(read))
    variants = [whole, *(_without(whole, name) for name in REMOVALS)]
    # Words are dropped from texts of those that are read and no others, so that no unread word moves up.
    shown = _first_words(texts, len(read))
    variants += [whole | _dropped(shown, word) for word in (None, *distinct)]
    matrix, names = _probabilities(model, variants, attribute)
    column = int(matrix[0].argmax()) if value is None else _column(names, value, attribute)
    removed, reference, dropped = np.split(matrix[1:], [len(REMOVALS), len(REMOVALS) + 1])
    return Explanation(
        attribute=attribute,
        value=names[column],
        probability=float(matrix[0, column]),
        best=names[int(matrix[0].argmax())],
        best_probability=float(matrix[0].max()),
        removals=_removals(whole, removed, names, column, float(matrix[0, column])),
        words=read,
        weights=_weights(read, distinct, dropped[:, column], float(reference[0, column])),
        unread=unread,
    )


def words_read(model: AttributeModel, text: str) -> tuple[tuple[str, ...], int]:
    """The words of a text that the model reads, in order, and how many more the text has.

    A model that is told which values the text names reads all of it for these, so none is unread.
    """
    words = tuple(split_words(pa.array([text], pa.string())).values.to_pylist())
    limit = len(words) if model.config is None or model.config.reads_mentions else model.config.words_read
    return words[:limit], max(0, len(words) - limit)


def _row(article: Articles) -> dict[str, Any]:
    """The columns of the one article that a model reads, those of its text as the frame has them."""
    metadata = {name: values[0].as_py() for name, values in article.categories.items()}
    names = ("text",) if "text" in columns(article.frame) else ("name", "description")
    texts = {name: article.column(name, pa.string())[0].as_py() for name in names}
    return {**metadata, "embeddings": article.image_vectors.vectors, **texts}


def _without(row: Mapping[str, Any], removed: str) -> dict[str, Any]:
    gone: dict[str, dict[str, Any]] = {
        "photographs": {"embeddings": ()},
        "text": {name: "" for name in MODALITIES["text"] if name in row},
        "metadata": dict.fromkeys(CATEGORIES),
    }
    return {**row, **gone.get(removed, {removed: None})}


Pieces = Mapping[str, Sequence[str]]
"""Each column of a text, cut: what stands between words at even places, the words at odd ones."""


def _first_words(texts: Mapping[str, str], count: int) -> Pieces:
    """The columns of a text up to their first ``count`` words together, with what stands between them."""
    pieces, left = {}, count
    for name, text in texts.items():
        cut = split_around_words(text)
        pieces[name] = cut[: 2 * left + 1]
        left = max(0, left - len(cut) // 2)
    return pieces


def _dropped(texts: Pieces, word: str | None) -> dict[str, str]:
    """The columns without a word, all its occurrences at once."""
    return {
        name: "".join(piece for place, piece in enumerate(cut) if place % 2 == 0 or piece != word)
        for name, cut in texts.items()
    }


def _probabilities(
    model: AttributeModel, variants: Sequence[Mapping[str, Any]], attribute: str
) -> tuple[Float64s, list[str]]:
    """Probabilities of an attribute's values, float64 [variants, classes], and the values."""
    frame = pd.DataFrame(list(variants)).assign(article_id=[str(row) for row in range(len(variants))])
    texts = [name for name in MODALITIES["text"] if name in frame]
    found = model.predict_proba(frame.astype(dict.fromkeys((*texts, *CATEGORIES), "string")))
    if attribute not in found.attributes or not found.matrices:
        known = ", ".join(found.attributes) or "none"
        raise ExplanationError(f"The model has no head for {attribute!r}; it predicts: {known}.")
    number = found.attributes.index(attribute)
    return found.matrices[number].astype(np.float64).clip(0.0, 1.0), [str(name) for name in found.values[number]]


def _column(names: Sequence[str], value: str, attribute: str) -> int:
    if value not in names:
        raise ExplanationError(f"The model knows no value {value!r} of {attribute!r}; it knows: {', '.join(names)}.")
    return names.index(value)


def _removals(
    row: Mapping[str, Any], matrix: Float64s, names: Sequence[str], column: int, probability: float
) -> tuple[Removal, ...]:
    present = {name: row[name] is not None for name in CATEGORIES}
    present |= {
        "metadata": any(present.values()),
        "photographs": len(row["embeddings"]) > 0,
        "text": any(row.get(name) for name in MODALITIES["text"]),
    }
    return tuple(
        Removal(
            removed=name,
            present=present[name],
            value=names[int(probabilities.argmax())],
            confidence=float(probabilities.max()),
            probability=float(probabilities[column]),
            weight=probability - float(probabilities[column]),
        )
        for name, probabilities in zip(REMOVALS, matrix, strict=True)
    )


def _weights(
    read: Sequence[str], distinct: Sequence[str], probabilities: Float64s, reference: float
) -> tuple[WordWeight, ...]:
    found = [
        WordWeight(word, read.count(word), float(probability), reference - float(probability))
        for word, probability in zip(distinct, probabilities, strict=True)
    ]
    return tuple(sorted(found, key=lambda word: -word.weight))
