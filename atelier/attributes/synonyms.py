"""Words that stand for a value, learned from labels: on the articles labelled with it "merino" means wool.

What belongs here: which words and pairs of words speak for which value, how strongly, and how strongly a text therefore
speaks for each value. What does not: the names of values, which no label has to teach
(:mod:`atelier.attributes.mentions`).

A word speaks for a value with the logarithm of the odds ratio that it brings: of the labelled articles whose text
affirms the word, the share that has the value, against its share of all labelled articles. Shares are smoothed towards
the latter (the m-estimate of Cestnik, "Estimating Probabilities: A Crucial Task in Machine Learning", ECAI 1990), so
that a word of two articles says little, and taken one standard error lower. A text speaks for a value as its strongest
word does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array, vstack

from atelier.arrays import Float32s, Float64s, Int64s, Mask
from atelier.attributes.labels import Heads
from atelier.attributes.mentions import ReadWords
from atelier.bundles import read_table, write_table

RUNS = (1, 2)
"""A word alone, and two neighbouring ones."""
LEAST_ARTICLES = 2
SMOOTHING = 3.0
LEAST_SHARE = 0.5
CAUTION = 1.0
"""Standard errors by which a share is taken lower than it is seen: of an attribute with two values nearly every word
stands more often with one of them, by chance."""
COLUMNS = ("words", "attribute", "position", "weight")


@dataclass(frozen=True)
class Phrases:
    """The distinct affirmed words and pairs of words of n texts.

    Attributes:
        names: ``pa.StringArray [phrases]``.
        texts: bool ``csr_array [n, phrases]``: which text affirms which.
    """

    names: Any
    texts: csr_array

    @classmethod
    def of(cls, words: Sequence[ReadWords], known: Any = None) -> "Phrases":
        """The phrases of n texts, each in several columns.

        Args:
            words: of each column, n texts each.
            known: ``pa.StringArray``: the only phrases that count; None: all do.
        """
        rows, runs = [], []
        for column in words:
            for length in RUNS:
                places, values = column.runs(length)
                kept = column.affirmed_run(places, length)
                rows.append(column.rows[places[kept]])
                runs.append(values.filter(pa.array(kept)))
        found, flat = np.concatenate(rows), pa.concat_arrays([_plain(run) for run in runs])
        if known is None:
            encoded = flat.dictionary_encode()
            codes, known = encoded.indices, encoded.dictionary
        else:
            codes = pc.fill_null(pc.index_in(flat, known), -1)
        numbers = codes.to_numpy(zero_copy_only=False).astype(np.int64)
        cells = found[numbers >= 0], numbers[numbers >= 0]
        counted = csr_array((np.ones(len(cells[0]), np.int32), cells), shape=(words[0].texts, len(known)))
        counted.sum_duplicates()
        return cls(known, counted.astype(bool))


def _plain(values: Any) -> Any:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


@dataclass(frozen=True)
class LearnedSynonyms:
    """Phrases that speak for values.

    Attributes:
        phrases: ``pa.StringArray [phrases]``, in alphabetical order.
        weights: float32 ``csr_array [phrases, classes]``, the classes of all attributes one after the other: the log
            odds ratio, above 0, of what a phrase speaks for.
    """

    phrases: Any
    weights: csr_array

    @classmethod
    def fit(cls, phrases: Phrases, targets: Int64s, heads: Heads) -> "LearnedSynonyms":
        """Learn from labels.

        Args:
            phrases: of n articles.
            targets: int64 [n, attributes]: as :meth:`Heads.encode` gives them; a value without a class counts as
                another one.
            heads: the attributes and their values.
        """
        weights = _weights(phrases.texts, targets, heads)
        kept = np.flatnonzero(np.diff(weights.indptr))
        names = phrases.names.take(pa.array(kept))
        order = pc.sort_indices(names).to_numpy(zero_copy_only=False).astype(np.int64)
        return cls(names.take(pa.array(order)), weights[kept][order])

    def evidence(self, words: Sequence[ReadWords]) -> csr_array:
        """How strongly n texts, each in several columns, speak for each class: float32 ``csr_array [n, classes]``."""
        return _strongest(Phrases.of(words, self.phrases).texts, self.weights)

    def save(self, path: Path, heads: Heads) -> None:
        """Write words, attribute, the position of the value and the weight as Parquet."""
        matrix = self.weights.tocoo()
        classes = heads.table().iloc[matrix.coords[1]]
        columns = (
            self.phrases.take(pa.array(matrix.coords[0].astype(np.int64))),
            pa.array(classes["attribute"].to_list(), pa.string()),
            pa.array(classes["position"].to_numpy(np.int64)),
            pa.array(matrix.data.astype(np.float32)),
        )
        write_table(path, pa.table(dict(zip(COLUMNS, columns, strict=True))))

    @classmethod
    def load(cls, path: Path, heads: Heads) -> "LearnedSynonyms":
        """Read what :meth:`save` wrote; the classes come from the rest of the bundle."""
        frame = read_table(path, COLUMNS).to_pandas()
        starts = pd.Series(np.concatenate([[0], np.cumsum(heads.sizes)])[:-1], index=list(heads.attributes))
        phrases, rows = np.unique(frame["words"].to_numpy(dtype=object).astype(str), return_inverse=True)
        columns = starts.loc[frame["attribute"]].to_numpy(np.int64) + frame["position"].to_numpy(np.int64)
        shape = len(phrases), sum(heads.sizes)
        weights = csr_array((frame["weight"].to_numpy(np.float32), (rows, columns)), shape=shape)
        return cls(pa.array(phrases.tolist(), pa.string()), weights)


def cross_fitted_evidence(phrases: Phrases, targets: Int64s, heads: Heads, folds: Int64s) -> csr_array:
    """The evidence for n articles by which a network learns, from synonyms that do not know the article's own style.

    Words that only one style has would otherwise seem to give its labels away, and the network would trust them.

    Args:
        phrases: of the n articles.
        targets: int64 [n, attributes], as for :meth:`LearnedSynonyms.fit`.
        heads: the attributes and their values.
        folds: int64 [n]: the fold of each article; no style is in two.

    Returns:
        float32 ``csr_array [n, classes]``.
    """
    parts, order = [csr_array((0, sum(heads.sizes)), dtype=np.float32)], [np.zeros(0, np.int64)]
    for fold in np.unique(folds).tolist():
        mine = np.flatnonzero(folds == fold)
        others = np.flatnonzero(folds != fold)
        weights = _weights(phrases.texts[others], targets[others], heads)
        parts.append(_strongest(phrases.texts[mine], weights))
        order.append(mine)
    return vstack(parts, format="csr")[np.argsort(np.concatenate(order))]


def _weights(texts: csr_array, targets: Int64s, heads: Heads) -> csr_array:
    """Float32 ``csr_array [phrases, classes]``: what each phrase speaks for."""
    labelled = targets != -1
    rows, places = np.nonzero(targets >= 0)
    starts = np.concatenate([[0], np.cumsum(heads.sizes)])[:-1].astype(np.int64)
    classes, count = starts[places] + targets[rows, places], int(sum(heads.sizes))
    has = csr_array((np.ones(len(rows)), (rows, classes)), shape=(len(targets), count))
    known = csr_array(labelled.astype(np.float64))
    by_phrase = texts.astype(np.float64).T.tocsr()
    both, any_label = (by_phrase @ has).tocoo(), (by_phrase @ known).toarray()
    attributes = np.repeat(np.arange(len(heads)), heads.sizes)
    base = np.asarray(has.sum(axis=0)) / np.maximum(np.asarray(known.sum(axis=0))[attributes], 1)
    phrase, value = both.coords
    with_label = any_label[phrase, attributes[value]]
    share = _smoothed(both.data, with_label, base[value])
    surely = share - CAUTION * np.sqrt(share * (1 - share) / (with_label + SMOOTHING))
    weight = _log_odds(surely) - _log_odds(base[value])
    kept = (both.data >= LEAST_ARTICLES) & (share >= LEAST_SHARE) & (weight > 0)
    cells = phrase[kept], value[kept]
    return csr_array((weight[kept].astype(np.float32), cells), shape=(texts.shape[1], count))


def _smoothed(have: Float64s, of: Float64s, base: Float64s) -> Float64s:
    found: Float64s = (have + SMOOTHING * base) / (of + SMOOTHING)
    return found


def _log_odds(share: Float64s) -> Float64s:
    # An attribute with a single value has the share 1, and nothing speaks for it more than anything else.
    inside = np.clip(share, 1e-6, 1 - 1e-6)
    found: Float64s = np.log(inside / (1 - inside))
    return found


def _strongest(texts: csr_array, weights: csr_array) -> csr_array:
    """For each text and class the largest weight of the text's phrases: a product with max in the place of the sum."""
    starts, counts = weights.indptr[texts.indices], np.diff(weights.indptr)[texts.indices]
    total = int(counts.sum())
    within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    entries = np.repeat(starts, counts) + within
    rows = np.repeat(np.repeat(np.arange(texts.shape[0]), np.diff(texts.indptr)), counts)
    keys = rows.astype(np.int64) * weights.shape[1] + weights.indices[entries]
    order = np.argsort(keys, kind="stable")
    fresh = _changes(keys[order])
    data: Float32s = weights.data[entries][order]
    largest = np.maximum.reduceat(data, np.flatnonzero(fresh)) if total else data
    cells = keys[order][fresh]
    shape = texts.shape[0], weights.shape[1]
    return csr_array((largest.astype(np.float32), (cells // shape[1], cells % shape[1])), shape=shape)


def _changes(ordered: Int64s) -> Mask:
    fresh = np.ones(len(ordered), dtype=bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    return fresh
