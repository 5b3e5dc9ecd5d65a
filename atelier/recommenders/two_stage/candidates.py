"""The candidates of customers: the lists of several sources as one table, each pair of customer and article once.

What belongs here: :class:`Candidates`, merging, reciprocal-rank fusion, the table as Arrow. What does not: the sources
(:mod:`~atelier.recommenders.two_stage.sources`), how good the candidates are
(:mod:`~atelier.recommenders.two_stage.candidate_recall`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from atelier.arrays import Float32s, Float64s, Mask
from atelier.ids import Codes, IdMap
from atelier.recommenders.schemas import ENCODED
from atelier.search.ragged import Indices, Ranked, place_in_row

FUSION = 60.0
"""The constant of reciprocal-rank fusion (Cormack, Clarke and Büttcher 2009)."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidates of n customers; m rows, ordered by customer.

    Attributes:
        names: the s sources.
        customers: n.
        rows: int64 [m], the place of the customer, 0 … n − 1, ascending.
        codes: int32 [m], articles; none twice for a customer.
        ranks: float32 [m, s], the place in the list of each source, from 1; NaN where the source does not list it.
        scores: float32 [m, s], the source's score, likewise.
    """

    names: tuple[str, ...]
    customers: int
    rows: Indices
    codes: Codes
    ranks: Float32s
    scores: Float32s

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def merged(cls, lists: Mapping[str, Ranked], n_articles: int, limit: int) -> Self:
        """The lists of several sources as one table.

        Each customer gets the ``limit`` articles with the best place in any list. Of those with the same place the ones
        that more sources list high come first (:meth:`fused`), then the smaller number. So every source gives its
        first articles, however many other sources agree on others.

        Args:
            lists: n lists of each source, by name.
            n_articles: the number of articles that codes run over.
            limit: candidates of a customer, at most.
        """
        names, customers = tuple(lists), len(next(iter(lists.values())).codes)
        cells = [np.nonzero(each.codes >= 0) for each in lists.values()]
        owner = np.concatenate([rows for rows, _ in cells]).astype(np.int64)
        codes = np.concatenate([each.codes[cell] for each, cell in zip(lists.values(), cells, strict=True)])
        keys, pair = np.unique(owner * n_articles + codes, return_inverse=True)
        source = np.repeat(np.arange(len(names)), [len(rows) for rows, _ in cells])
        ranks, scores = (np.full((len(keys), len(names)), np.nan, dtype=np.float32) for _ in range(2))
        ranks[pair, source] = np.concatenate([places + 1 for _, places in cells])
        scores[pair, source] = np.concatenate(
            [each.scores[cell] for each, cell in zip(lists.values(), cells, strict=True)]
        )
        owner, codes = np.divmod(keys, n_articles)
        found = cls(names, customers, owner, codes.astype(np.int32), ranks, scores)
        best = np.fmin.reduce(ranks, axis=1) if len(keys) else np.zeros(0, np.float32)
        order = np.lexsort((found.codes, -found.fused(), best, owner))
        kept = np.zeros(len(keys), dtype=bool)
        kept[order[place_in_row(owner, customers) < limit]] = True
        return found.where(kept)

    def where(self, keep: Mask) -> Self:
        """The marked rows, under the same customers."""
        return type(self)(
            self.names, self.customers, self.rows[keep], self.codes[keep], self.ranks[keep], self.scores[keep]
        )

    def fused(self) -> Float64s:
        """Reciprocal-rank fusion, float64 [m]: the sum over sources of 1 / (60 + place).

        Source: G. Cormack, C. Clarke, S. Büttcher, Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank
        Learning Methods, SIGIR 2009.
        """
        fused: Float64s = np.nansum(1.0 / (FUSION + self.ranks.astype(np.float64)), axis=1)
        return fused

    def of_source(self, name: str) -> Mask:
        """Which rows a source lists, bool [m]."""
        listed: Mask = ~np.isnan(self.ranks[:, self.names.index(name)])
        return listed

    def batch(self, customer_ids: pa.Array, article_ids: IdMap) -> pa.RecordBatch:
        """The rows as Arrow: ``customer_id, article_id`` and, for each source, its ``rank_…`` and ``score_…``.

        A rank is null where the source does not list the article.

        Args:
            customer_ids: the n identifiers of the customers.
            article_ids: of the codes.
        """
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(self.rows.astype(np.int32)), customer_ids),
            pa.DictionaryArray.from_arrays(pa.array(self.codes), article_ids.values),
        ]
        for place in range(len(self.names)):
            missing = np.isnan(self.ranks[:, place])
            ranks = np.nan_to_num(self.ranks[:, place]).astype(np.int32)
            columns += [pa.array(ranks, mask=missing), pa.array(self.scores[:, place], mask=missing)]
        return pa.record_batch(columns, schema=candidates_schema(self.names))


def candidates_schema(names: tuple[str, ...]) -> pa.Schema:
    """The columns of :meth:`Candidates.batch`."""
    fields = [("customer_id", ENCODED), ("article_id", ENCODED)]
    for name in names:
        fields += [(f"rank_{name}", pa.int32()), (f"score_{name}", pa.float32())]
    return pa.schema(fields)
