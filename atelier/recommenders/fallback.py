"""Lists for every customer: a model's own where it can rank, the fallback's for all others.

What belongs here: which customers get which model's lists, in batches. What does not: ranking (the models), writing
lists.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from atelier.ids import column, texts
from atelier.recommenders.base import BATCH, Recommender
from atelier.recommenders.schemas import RECOMMENDED

SERVED: pa.Schema = RECOMMENDED.append(pa.field("fallback", pa.bool_()))


def serve(
    model: Recommender[Any],
    fallback: Recommender[Any],
    customers: Any,
    *,
    k: int,
    exclude_seen: bool = True,
    candidates: Any = None,
    batch_size: int = BATCH,
) -> Iterator[pa.RecordBatch]:
    """Lists of ``k`` articles for all ``customers``, batch by batch.

    Args:
        model: makes the lists of the customers for whom it can rank.
        fallback: makes the lists of the other customers; it has to rank for every customer that it knows.
        customers: distinct; texts, or a frame with ``customer_id``.
        k: length of the lists.
        exclude_seen: whether lists leave out what the customer has seen.
        candidates: the articles that may be recommended, known to both models; None: all in stock.
        batch_size: customers ranked for at once.

    Yields:
        Batches of customer_id, article_id (dictionary-encoded), score, rank and ``fallback``, in the order of
        ``customers`` within each of the two groups.

    Raises:
        UnknownIdentifier: a customer is unknown to ``fallback`` as well, or a candidate to one of them.
        IdentifierError: ``customers`` are no column of texts.
    """
    ids = texts(column(customers, "customer_id"), "customer_id").to_pandas()
    own = model.can_serve(ids)
    for chosen, server, is_fallback in ((own, model, False), (~own, fallback, True)):
        if chosen.any():
            for batch in server.recommend_batches(ids[chosen], k, exclude_seen, candidates, batch_size=batch_size):
                yield _marked(batch, is_fallback)


def _marked(batch: pa.RecordBatch, is_fallback: bool) -> pa.RecordBatch:
    flags = pa.array(np.full(batch.num_rows, is_fallback))
    return pa.RecordBatch.from_arrays([*batch.columns, flags], schema=SERVED)
