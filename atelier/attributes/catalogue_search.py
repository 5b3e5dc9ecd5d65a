"""Search in the catalogue by words and by values: every hit says which part of the article matched.

What belongs here: which parts of an article are searched, how hits are ranked, filters by values. What does not: BM25
itself (the library bm25s), splitting and singulars (:mod:`atelier.articles.text`, :mod:`atelier.attributes.mentions`),
its files (:mod:`atelier.attributes.saved_search`), similarity of photographs (:mod:`atelier.images.similarity`).

Each part of an article (name, product type, an attribute …) is an index of its own. A word scores what its best part
gives (Lucene's "disjunction max"), so that "dress" in name, text and type does not outweigh "floral"; a hit that has
more of the words comes before one that has fewer.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from atelier.arrays import Float32s, Int64s, Mask
from atelier.articles.table import Articles
from atelier.articles.text import split_words
from atelier.attributes.mentions import SAYING_NOTHING, singular
from atelier.errors import AtelierError
from atelier.frames import Frame, columns
from atelier.ids import preview
from atelier.search.ragged import check_k

if TYPE_CHECKING:
    import bm25s

TEXTS: Mapping[str, float] = {"name": 2.0, "product_type": 2.0, "brand": 1.5, "division": 1.0, "description": 1.0}
"""The columns of articles that are searched, and what a word in each weighs."""
ATTRIBUTE_WEIGHT = 2.0
"""What a word in the value of an attribute weighs; of one that nobody annotated, times the model's confidence."""
FILTERED = ("product_type", "brand", "division")
ALIASES: Mapping[str, str] = {"category": "product_type", "type": "product_type", "color": "colour"}
"""Names under which people ask for what a catalogue calls otherwise; an attribute of that very name comes first."""
CATALOGUE = "catalogue"
"""The source of a match in a column of articles; of one in an attribute it is annotated, predicted or abstained."""


class SearchError(AtelierError, ValueError):
    """A search that cannot be answered: without words, by an unknown name, or for a value that no article has."""


@dataclass(frozen=True)
class Match:
    """Why an article is a hit.

    Attributes:
        word: the word that was asked for, in the singular; of a filter its value.
        part: the column or attribute that matched.
        value: what stands there; empty for texts.
        source: ``catalogue``, or whether the value was ``annotated``, ``predicted`` or ``abstained`` (uncertain).
        confidence: the model's, of a value that nobody annotated.
    """

    word: str
    part: str
    value: str
    source: str
    confidence: float | None = None


@dataclass(frozen=True)
class Part:
    """One searched part of m of the articles.

    Attributes:
        name: the column or attribute.
        rows: int64 [m]: their places in the catalogue.
        values: str [m].
        sources: str [m].
        weights: float32 [m]: what a word there weighs.
        confidences: float32 [m], NaN where it is no model's.
    """

    name: str
    rows: Int64s
    values: Any
    sources: Any
    weights: Float32s
    confidences: Float32s

    @cached_property
    def index(self) -> "bm25s.BM25 | None":
        """The index of the values; None where there is not a word in any."""
        import bm25s  # here, because steps import this package and none of them searches

        words = split_words(pa.array(self.values, pa.string()))
        if not len(words.rows):
            return None
        ends = np.cumsum(np.bincount(words.rows, minlength=len(self.rows)))[:-1]
        tokens = [each.tolist() for each in np.split(singular(words.values).to_numpy(zero_copy_only=False), ends)]
        index = bm25s.BM25(method="lucene")
        index.index(tokens, show_progress=False)
        return index

    def with_index(self, index: "bm25s.BM25 | None") -> Self:
        """The same part, with an index that was made before."""
        self.__dict__["index"] = index  # where cached_property keeps what it computed
        return self

    def scores(self, word: str) -> Float32s:
        """The weighted BM25 score of a word, float32 [m]; 0 where it does not stand."""
        index = self.index
        if index is None or word not in index.vocab_dict:
            return np.zeros(len(self.rows), np.float32)
        found: Float32s = index.get_scores([word]) * self.weights
        return found

    @cached_property
    def _folded(self) -> Any:
        codes, distinct = pd.factorize(self.values)
        return np.array([_folded(value) for value in distinct], dtype=object)[codes]

    def fitting(self, value: str) -> Mask:
        """Which values are the given one, bool [m]; if none is, those that hold all of its words ("light blue")."""
        wanted = _folded(value)
        same: Mask = self._folded == wanted
        if same.any() or not wanted:
            return same
        words = set(wanted.split())
        distinct = {each: words <= set(each.split()) for each in set(self._folded)}
        return np.array([distinct[each] for each in self._folded], dtype=bool)


class CatalogueSearch:
    """The articles of a day, to be searched.

    Attributes:
        names: str [n]: the articles.
        parts: what is searched, by name.
    """

    def __init__(self, names: Any, parts: Mapping[str, Part]) -> None:
        self.names = names
        self.parts = parts

    @classmethod
    def build(cls, articles: Frame, attributes: Frame | None = None, *, uncertain: bool = False) -> Self:
        """Read what is searched; the indexes are made as they are needed.

        Args:
            articles: ``article_id`` and any of the columns of :data:`TEXTS`.
            attributes: rows of ``predicted_attributes``: article_id, attribute, value, source, confidence; those of
                other articles are left out. None: there are none.
            uncertain: whether values count that the model abstained from: the most probable of several.

        Raises:
            ArticlesError: ``article_id`` is missing, no text, null or repeated, or a column is not text.
        """
        read = Articles.from_frame(articles)
        parts = [_of_column(read, name, weight) for name, weight in TEXTS.items() if name in columns(articles)]
        if attributes is not None:
            parts += _of_attributes(read, attributes, uncertain)
        return cls(read.names, {part.name: part for part in parts if len(part.rows)})

    def find(self, query: str, filters: Mapping[str, str] | None = None, k: int | None = 10) -> pd.DataFrame:
        """The articles that have the words and the values.

        Args:
            query: words; those that say nothing ("with", "in") are left out. Empty: the filters alone decide.
            filters: values that a hit must have, by name of a column or attribute (:data:`ALIASES` too).
            k: hits at most; None: all.

        Returns:
            ``article_id``, ``rank`` (from 1), ``words`` (how many of the query's it has), ``score``, ``matches``
            (tuples of :class:`Match`), best first: by words, score, and then by ``article_id``.

        Raises:
            SearchError: neither words nor filters, or a filter that no article can fulfil.
            ValueError: ``k`` is below 1.
        """
        if k is not None:
            check_k(k)
        words, filters = self.words(query), dict(filters or {})
        if not words and not filters:
            raise SearchError(f"{query!r} holds no word to search by; name what an article is or has")
        counts, scores = np.zeros(len(self.names), np.int64), np.zeros(len(self.names), np.float32)
        for word in words:
            best = np.zeros(len(self.names), np.float32)
            for part in self.parts.values():
                best[part.rows] = np.maximum(best[part.rows], part.scores(word))
            counts += best > 0
            scores += best
        hits = np.flatnonzero(self.having(filters) & ((counts > 0) | (not words)))
        order = np.lexsort((self.names[hits], -scores[hits], -counts[hits]))[:k]
        hits = hits[order]
        return pd.DataFrame(
            {
                "article_id": self.names[hits],
                "rank": np.arange(1, len(hits) + 1),
                "words": counts[hits],
                "score": scores[hits],
                "matches": self._matches(hits, words, filters),
            }
        )

    def words(self, query: str) -> list[str]:
        """The words of a query, each once, in the singular, without those that say nothing."""
        found = singular(split_words(pa.array([query])).values).to_pylist()
        return [word for word in dict.fromkeys(found) if word not in SAYING_NOTHING]

    def unknown_words(self, query: str) -> list[str]:
        """The words of a query that no article has."""
        return [word for word in self.words(query) if not any(p.scores(word).any() for p in self.parts.values())]

    def having(self, filters: Mapping[str, str]) -> Mask:
        """Which articles have all the values, bool [n].

        Raises:
            SearchError: there is no such column or attribute, or no article has the value.
        """
        chosen = np.ones(len(self.names), bool)
        for name, value in filters.items():
            part = self._filter(name)
            fits = part.fitting(value)
            if not fits.any():
                there = sorted(set(part.values))
                raise SearchError(f"no article has {part.name} {value!r}; there are {preview(there, len(there))}")
            mine = np.zeros(len(self.names), bool)
            mine[part.rows[fits]] = True
            chosen &= mine
        return chosen

    def _filter(self, name: str) -> Part:
        """The part that a filter names."""
        known = {each: part for each, part in self.parts.items() if each in FILTERED or each not in TEXTS}
        for each in (name, ALIASES.get(name, name)):
            if each in known:
                return known[each]
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise SearchError(f"no article has {name!r}: {meant}there are {', '.join(sorted(known)) or 'no articles'}")

    def _matches(self, hits: Int64s, words: Sequence[str], filters: Mapping[str, str]) -> list[tuple[Match, ...]]:
        """Why each of the hits is one: its filters first, then word by word, the part that counted most first."""
        found: list[list[tuple[float, Match]]] = [[] for _ in hits]
        place = {int(row): nth for nth, row in enumerate(hits)}
        asked = [(value, self._filter(name), None) for name, value in filters.items()]
        every = [(word, part, part.scores(word)) for word in words for part in self.parts.values()]
        for word, part, scores in [*asked, *every]:
            mine = part.fitting(word) if scores is None else scores > 0
            for at in np.flatnonzero(mine & np.isin(part.rows, hits)):
                confidence = float(part.confidences[at])
                match = Match(
                    word,
                    part.name,
                    "" if part.name in ("name", "description") else str(part.values[at]),
                    str(part.sources[at]),
                    None if np.isnan(confidence) else confidence,
                )
                found[place[int(part.rows[at])]].append((np.inf if scores is None else float(scores[at]), match))
        order = {word: nth for nth, word in enumerate([*filters.values(), *words])}
        return [
            tuple(match for _, match in sorted(each, key=lambda pair: (order[pair[1].word], -pair[0], pair[1].part)))
            for each in found
        ]


def _folded(value: str) -> str:
    """A value as filters compare it: its words in lower case and in the singular."""
    return " ".join(singular(split_words(pa.array([value])).values).to_pylist())


def _of_column(articles: Articles, name: str, weight: float) -> Part:
    values = articles.column(name, pa.string()).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(~pd.isna(values)).astype(np.int64)
    n = len(rows)
    sources, none = np.full(n, CATALOGUE, dtype=object), np.full(n, np.nan, np.float32)
    return Part(name, rows, values[rows], sources, np.full(n, weight, np.float32), none)


def _of_attributes(articles: Articles, attributes: Frame, uncertain: bool) -> list[Part]:
    table = attributes if isinstance(attributes, pd.DataFrame) else attributes.to_pandas()
    table = table.assign(row=articles.find(table["article_id"]))
    counts = (table["row"] >= 0) & table["value"].notna() & (uncertain | (table["source"] != "abstained"))
    table = table[counts]
    parts = []
    for name, mine in table.groupby("attribute", sort=True):
        annotated = (mine["source"] == "annotated").to_numpy()
        confidence = mine["confidence"].to_numpy(np.float32, na_value=np.nan)
        parts.append(
            Part(
                str(name),
                mine["row"].to_numpy(np.int64),
                mine["value"].to_numpy(dtype=object),
                mine["source"].to_numpy(dtype=object),
                np.where(annotated, ATTRIBUTE_WEIGHT, ATTRIBUTE_WEIGHT * np.nan_to_num(confidence)).astype(np.float32),
                np.where(annotated, np.nan, confidence).astype(np.float32),
            )
        )
    return parts
