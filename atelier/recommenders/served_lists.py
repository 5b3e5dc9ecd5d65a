"""The lists of one model with their reasons, for blocks of customers that may be made one after another or elsewhere.

What belongs here: what is made of a block of customers, and how customers are cut into blocks. What does not: ranking
(the models), who makes which block, writing lists.

A block is a whole number of the batches in which a model ranks, cut where they are cut anyway, and holds customers of
one kind alone: those whom the model ranks for, or those whom the fallback serves. So the lists of all blocks, one after
another, are those that are made in one go.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from atelier.catalogue import Catalogue
from atelier.ids import column, texts
from atelier.recommenders.base import BATCH, Recommender
from atelier.recommenders.explanations import explained
from atelier.recommenders.fallback import SERVED, serve
from atelier.recommenders.schemas import REASONS

EXPLAINED: pa.Schema = SERVED.append(pa.field("reasons", REASONS))
#: Batches of a block.
BATCHES = 2
CUSTOMERS = pa.schema({"customer_id": pa.large_string(), "exclude_seen": pa.bool_(), "with_reasons": pa.bool_()})


class ListMaker:
    """Makes lists with one model and, for whom it cannot rank, with the fallback.

    Args:
        model: makes the lists, and says why.
        fallback: makes the lists of the customers for whom ``model`` cannot rank.
        catalogue: with the content that reasons are read from; None where there are none.
        k: the length of a list.
        explained_ranks: how many of the first ranks get reasons.
        batch_size: customers ranked for at once; the last bits of a network's scores and reasons depend on it.
    """

    def __init__(
        self,
        model: Recommender[Any],
        fallback: Recommender[Any],
        catalogue: Catalogue | None,
        *,
        k: int,
        explained_ranks: int,
        batch_size: int = BATCH,
    ) -> None:
        self.model, self.fallback = model, fallback
        self._catalogue, self._k, self._ranks, self._batch_size = catalogue, k, explained_ranks, batch_size

    def lists(self, customers: Any, exclude_seen: bool, *, with_reasons: bool = True) -> Iterator[pa.RecordBatch]:
        """The lists of ``customers`` as :func:`~atelier.recommenders.fallback.serve` gives them, with ``reasons``.

        Without ``with_reasons`` all reasons are null: they cost more than the lists.
        """
        ranks = self._ranks if with_reasons else 0
        lists = serve(
            self.model, self.fallback, customers, k=self._k, exclude_seen=exclude_seen, batch_size=self._batch_size
        )
        for batch in lists:
            is_fallback = bool(batch.num_rows and batch["fallback"][0].as_py())
            maker = self.fallback if is_fallback else self.model
            reasons = explained(maker, batch, self._catalogue, ranks=ranks)
            yield pa.RecordBatch.from_arrays([*batch.columns, reasons], schema=EXPLAINED)

    def blocks(self, customers: Any, exclude_seen: bool, *, with_reasons: bool = True) -> list[pa.RecordBatch]:
        """Customers cut into blocks, whose lists one after another are those of :meth:`lists`.

        Args:
            customers: distinct; texts, or a frame with ``customer_id``.
            exclude_seen: whether lists leave out what the customer has seen.
            with_reasons: whether the lists get reasons.
        """
        size = BATCHES * self._batch_size
        ids = texts(column(customers, "customer_id"), "customer_id").to_pandas()
        own = self.model.can_serve(ids)
        return [
            _block(group.iloc[start : start + size], exclude_seen, with_reasons)
            for group in (ids[own], ids[~own])
            for start in range(0, len(group), size)
        ]

    def __call__(self, block: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """The lists of one of :meth:`blocks`; of each dictionary only what the batch reads."""
        exclude_seen, with_reasons = (bool(block[name][0].as_py()) for name in ("exclude_seen", "with_reasons"))
        for batch in self.lists(block["customer_id"].to_pandas(), exclude_seen, with_reasons=with_reasons):
            yield _compact(batch)


def _block(ids: "pd.Series[str]", exclude_seen: bool, with_reasons: bool) -> pa.RecordBatch:
    flags = (pa.array(np.full(len(ids), flag)) for flag in (exclude_seen, with_reasons))
    columns = [pa.array(ids, pa.large_string()), *flags]
    return pa.record_batch(columns, schema=CUSTOMERS)


def _compact(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch without dictionary entries that it does not read: it is sent, and every article would be with it."""
    return pa.RecordBatch.from_arrays([_compacted(each) for each in batch.columns], schema=batch.schema)


def _compacted(array: pa.Array) -> pa.Array:
    if not pa.types.is_dictionary(array.type):
        return array
    used, codes = np.unique(array.indices.to_numpy(), return_inverse=True)
    dictionary = array.dictionary.take(pa.array(used))
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), dictionary)
