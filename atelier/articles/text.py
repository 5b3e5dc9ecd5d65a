"""Text as numbers: words, vocabulary, token ids.

What belongs here: splitting text into words, the vocabulary, its file, and digests of texts. What does not: TF-IDF
weights (:mod:`atelier.articles.vectors`), embeddings (:mod:`atelier.attributes.network.architecture`).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atelier.arrays import Int32s, Int64s, Mask
from atelier.articles.errors import ArticlesError
from atelier.bundles import read_table, write_table
from atelier.frames import Frame, column, columns, whole

PADDING = 0
UNKNOWN = 1
SPECIAL = 2  # smaller ids stand for no word of the vocabulary


def article_text(articles: Frame) -> Any:
    """The text that is read: the column ``text``, or else ``name`` and ``description`` joined by a space.

    Returns:
        ``pa.StringArray [n]`` without nulls: no text is an empty text.
    """
    names = ("text",) if "text" in columns(articles) else ("name", "description")
    parts = [pc.fill_null(column(articles, name, pa.string(), ArticlesError), "") for name in names]
    # Not null_handling="skip": it drops the rows in which all parts are null (pyarrow 26).
    return parts[0] if len(parts) == 1 else pc.utf8_trim_whitespace(pc.binary_join_element_wise(*parts, " "))


def text_digests(texts: Any) -> Any:
    """SHA-256 of each text in UTF-8, in hexadecimal: ``pa.StringArray [n]``. Null counts as empty."""
    encoded = pc.fill_null(texts, "").dictionary_encode()
    # Arrow has no SHA-256: hashlib sees each distinct text once.
    digests = [hashlib.sha256(value.encode()).hexdigest() for value in encoded.dictionary.to_pylist()]
    return pa.array(digests, pa.string()).take(encoded.indices)


@dataclass(frozen=True)
class Words:
    """The words of n texts, in order, flat.

    Attributes:
        texts: how many texts there are.
        rows: int64 [words]: the text in which each word stands, ascending.
        values: ``pa.StringArray [words]``.
    """

    texts: int
    rows: Int64s
    values: Any

    @property
    def positions(self) -> Int64s:
        """int64 [words]: the position of each word in its text, from 0."""
        counts = np.bincount(self.rows, minlength=self.texts)
        starts = np.cumsum(counts) - counts
        return np.arange(len(self.rows)) - np.repeat(starts, counts)

    def where(self, chosen: Mask) -> "Words":
        """The words of the chosen texts, bool [texts]."""
        kept = chosen[self.rows]
        return Words(int(chosen.sum()), (np.cumsum(chosen) - 1)[self.rows[kept]], self.values.filter(pa.array(kept)))


def split_words(texts: Any) -> Words:
    """Split texts into lower-case words: runs of letters and digits of any script, after Unicode normalisation (NFKC).

    Args:
        texts: ``pa.StringArray [n]``; null counts as empty.
    """
    lower = pc.utf8_lower(pc.utf8_normalize(pc.fill_null(texts, ""), form="NFKC"))
    lists = pc.split_pattern_regex(lower, r"[^\p{L}\p{M}\p{N}]+")
    values, rows = pc.list_flatten(lists), pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    full = pc.not_equal(values, "")
    kept = rows[full.to_numpy(zero_copy_only=False)].astype(np.int64)
    return Words(texts=len(texts), rows=kept, values=values.filter(full))


def split_around_words(text: str) -> list[str]:
    """One text cut into words and what stands between them, after the same normalisation as :func:`split_words`.

    Returns:
        What stands between words at even places, the words at odd ones: ``["", "red", " — ", "wool", "."]``.
    """
    lower = pc.utf8_lower(pc.utf8_normalize(pa.array([text]), form="NFKC"))
    marked = pc.replace_substring_regex(lower, r"([\p{L}\p{M}\p{N}]+)", "\x1f\\1\x1f")
    return str(marked[0].as_py()).split("\x1f")


@dataclass(frozen=True)
class Vocabulary:
    """The known words. Ids: 0 is padding, 1 an unknown word, then the words in their order.

    Attributes:
        words: ``pa.StringArray``, the most frequent first, ties by the alphabet.
    """

    words: Any

    @classmethod
    def fit(cls, words: Words, size: int, min_count: int) -> "Vocabulary":
        """The ``size`` most frequent words among those that occur at least ``min_count`` times."""
        counted = pc.value_counts(words.values)
        table = pa.table({"word": counted.field("values"), "count": counted.field("counts")})
        table = table.filter(pc.greater_equal(table["count"], min_count))
        table = table.sort_by([("count", "descending"), ("word", "ascending")])
        return cls(table["word"].combine_chunks().cast(pa.string()).slice(0, size))

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, words: Words, length: int) -> Int32s:
        """Token ids, int32 [texts, length]: the first ``length`` words of each text, padded with 0 at the end."""
        ids = pc.fill_null(pc.index_in(words.values, self.words), UNKNOWN - SPECIAL)
        positions = words.positions
        inside = positions < length
        tokens = np.full((words.texts, length), PADDING, dtype=np.int32)
        tokens[words.rows[inside], positions[inside]] = ids.to_numpy(zero_copy_only=False)[inside] + SPECIAL
        return tokens

    def save(self, path: Path) -> None:
        """Write the words as Parquet, in order."""
        write_table(path, pa.table({"word": self.words}))

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read what :meth:`save` wrote."""
        return cls(whole(read_table(path, ("word",))["word"]).cast(pa.string()))
