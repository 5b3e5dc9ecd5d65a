"""Outfits: articles that somebody combined, as lists of article numbers.

What belongs here: reading outfits from a frame, and choosing among outfits and their articles. What does not: files
(:mod:`atelier.outfits.files`), how outfits are divided for training and testing (:mod:`atelier.outfits.splits`).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import scipy.sparse as sp

from atelier.arrays import Int64s, Mask
from atelier.articles.table import Articles
from atelier.errors import AtelierError
from atelier.frames import Frame, require
from atelier.ids import IdMap, preview
from atelier.search.ragged import Pairs, RaggedLists, place_in_row

FEWEST = 2
"""Articles of an outfit that says something about what goes together."""


class OutfitsError(AtelierError, ValueError):
    """Outfits that cannot be read, or that do not fit the articles."""


@dataclass(frozen=True, eq=False)
class Outfits:
    """m outfits over n articles.

    Attributes:
        names: the identifier of each outfit, str [m].
        members: the numbers of each outfit's articles, ascending, none twice.
        n_articles: over which the numbers run.
    """

    names: list[str]
    members: RaggedLists
    n_articles: int

    @classmethod
    def from_frame(cls, outfits: Frame, articles: Articles) -> Self:
        """Read outfits; they come in the order of their identifiers, and a row that is repeated counts once.

        Args:
            outfits: ``outfit_id``, ``article_id``.
            articles: whose order numbers the articles.

        Raises:
            OutfitsError: a column is missing, or an article of an outfit is not among ``articles``.
            IdentifierError: an identifier is null or no text.
        """
        require(outfits, ["outfit_id", "article_id"], OutfitsError, "the frame of outfits")
        ids, rows = IdMap.factorise(outfits["outfit_id"], "outfit_id")
        named, codes = IdMap.factorise(outfits["article_id"], "article_id")
        names = named.values.to_pylist()
        found = articles.find(names)
        if (found < 0).any():
            absent = [name for name, row in zip(names, found, strict=True) if row < 0]
            raise OutfitsError(
                f"{len(absent):,} articles of outfits are not among the articles: {preview(absent, len(absent))}; add "
                "them to the frame of articles, or drop their rows from the outfits"
            )
        lists = RaggedLists.distinct(rows, found[codes].astype(np.int32), (len(ids), len(articles)))
        return cls(ids.values.to_pylist(), lists, len(articles))

    @classmethod
    def none(cls, n_articles: int) -> Self:
        """No outfits."""
        return cls([], RaggedLists.from_pairs(Pairs.none(), 0), n_articles)

    def joined(self, other: "Outfits") -> Self:
        """These outfits, then the others over the same articles."""
        rows, codes = other.pairs
        pairs = self.pairs.joined(Pairs(rows + len(self), codes))
        lists = RaggedLists.from_pairs(pairs, len(self) + len(other))
        return type(self)([*self.names, *other.names], lists, self.n_articles)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def sizes(self) -> Int64s:
        """Articles of each outfit, int64 [m]."""
        return np.diff(self.members.starts)

    @cached_property
    def pairs(self) -> Pairs:
        """Every membership: the outfit's place and the article's number."""
        return self.members.of(np.arange(len(self)))

    @cached_property
    def incidence(self) -> sp.csr_array:
        """Which article belongs to which outfit: float32 [m, n], ones and zeros."""
        lists = self.members
        ones = np.ones(len(lists.codes), np.float32)
        return sp.csr_array((ones, lists.codes, lists.starts), shape=(len(self), self.n_articles))

    @cached_property
    def frequency(self) -> Int64s:
        """How many outfits each article belongs to, int64 [n]."""
        return np.bincount(self.members.codes, minlength=self.n_articles).astype(np.int64)

    def padded(self) -> Int64s:
        """The members as int64 [m, longest], −1 beyond an outfit's end."""
        rows, codes = self.pairs
        found = np.full((len(self), int(self.sizes.max(initial=0))), -1, np.int64)
        found[rows, place_in_row(rows, len(self))] = codes
        return found

    def rows(self, chosen: Int64s) -> Self:
        """The outfits at some places, in that order."""
        lists = RaggedLists.from_pairs(self.members.of(chosen), len(chosen))
        return type(self)([self.names[row] for row in chosen], lists, self.n_articles)

    def restricted(self, allowed: Mask) -> Self:
        """The outfits without the articles that are not allowed, bool [n]; those left with fewer than two go."""
        kept = self.pairs.where(allowed[self.pairs.codes])
        lists = RaggedLists.from_pairs(kept, len(self))
        left = type(self)(self.names, lists, self.n_articles)
        return left.rows(np.flatnonzero(left.sizes >= FEWEST))

    def deduplicated(self) -> Self:
        """The first of each group of outfits with exactly the same articles; those with fewer than two go."""
        wide = self.padded()
        _, first = np.unique(wide, axis=0, return_index=True)
        first = np.sort(first)
        return self.rows(first[self.sizes[first] >= FEWEST])
