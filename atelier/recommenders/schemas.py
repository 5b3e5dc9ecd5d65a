"""The Arrow schemas of the tables that recommenders return, and the conversion of padded lists to columns.

What belongs here: schemas, and the conversion of codes to dictionary-encoded identifiers. What does not: ranking.
"""

import numpy as np
import pyarrow as pa

from atelier.ids import IdMap
from atelier.search.ragged import Ranked

TEXT = pa.large_string()
ENCODED = pa.dictionary(pa.int32(), TEXT)

RECOMMENDED = pa.schema({"customer_id": ENCODED, "article_id": ENCODED, "score": pa.float32(), "rank": pa.int32()})
"""The batches of ``recommend_batches``: within a customer the score falls, and the rank rises from 1."""

SIMILAR = pa.schema(
    {"article_id": ENCODED, "similar_article_id": ENCODED, "similarity": pa.float32(), "rank": pa.int32()}
)
"""The neighbours of articles: within an article the similarity falls, and the rank rises from 1."""

SIMILAR_CUSTOMERS = pa.schema(
    {"customer_id": ENCODED, "similar_customer_id": ENCODED, "similarity": pa.float32(), "rank": pa.int32()}
)
"""The neighbours of customers, likewise."""

REASONS = pa.list_(pa.struct([("kind", pa.string()), ("value", pa.string()), ("weight", pa.float64())]))
"""Why an article was recommended: kind is ``article`` (of the history) or ``attribute`` (of its content), of two_stage
``source`` (that found it) or ``feature`` (that raised its score); weight in units of the score."""


def encoded(ranked: Ranked, row_ids: pa.Array, article_ids: IdMap, schema: pa.Schema) -> pa.RecordBatch:
    """Lists as a batch of ``schema``: a row's id, an article's id, its score and rank.

    Args:
        ranked: n lists.
        row_ids: the n identifiers of the customers or articles of the lists.
        article_ids: the identifiers of the codes in the lists: of articles, or of customers.
        schema: ``RECOMMENDED``, ``SIMILAR`` or ``SIMILAR_CUSTOMERS``.
    """
    present = ranked.codes >= 0
    rows, positions = np.nonzero(present)
    columns = [
        pa.DictionaryArray.from_arrays(pa.array(rows.astype(np.int32)), row_ids),
        pa.DictionaryArray.from_arrays(pa.array(ranked.codes[present]), article_ids.values),
        pa.array(ranked.scores[present]),
        pa.array((positions + 1).astype(np.int32)),
    ]
    return pa.record_batch(columns, schema=schema)


def plain(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """The batches as one table, with identifiers as strings instead of dictionary-encoded."""
    texts = pa.schema([pa.field(f.name, TEXT if f.type == ENCODED else f.type) for f in schema])
    return pa.Table.from_batches(batches, schema=schema).cast(texts)
