"""What the store has of all articles of one day, as the attribute model reads it.

What belongs here: the rows of ``sql/attribute_inputs.sql`` with their vectors. What does not: one article, and what was
read of it then (:mod:`resources.article_of_day`).
"""

from datetime import date
from typing import TYPE_CHECKING

from sql import query

if TYPE_CHECKING:
    import pandas as pd

    from resources.embedding_cache import EmbeddingCache
    from resources.feature_store import FeatureStore

INPUTS = ("articles", "images", "image_embeddings")


def article_inputs(store: "FeatureStore", cache: "EmbeddingCache", ds: date) -> "pd.DataFrame":
    """What is read of every article of a day: text, metadata, photographs (``image_digests``, ``embeddings``).

    Raises:
        PartitionMissing: the day was not ingested, or its photographs were not encoded.
    """
    with store.connect(as_of=ds, tables=INPUTS) as con:
        inputs: pd.DataFrame = con.sql(query("attribute_inputs")).df()
        encoders = [row[0] for row in con.sql("SELECT DISTINCT encoder_id FROM image_embeddings").fetchall()]
    return inputs.assign(embeddings=_embeddings(cache, inputs, encoders))


def _embeddings(cache: "EmbeddingCache", inputs: "pd.DataFrame", encoders: list[str]) -> "pd.Series":
    """The image vectors of each article, lists of vectors, in the order of its digests.

    The column is Arrow's, so that no reader of it copies the vectors of all photographs.
    """
    import pandas as pd
    import pyarrow as pa

    from atelier.attributes import group_image_vectors

    shots = inputs[["article_id", "image_digests"]].explode("image_digests").dropna()
    if shots.empty:
        return pd.Series([[] for _ in range(len(inputs))], index=inputs.index, dtype=object)
    # A day is encoded with one encoder: another one is another config, and another partition.
    vectors = cache.read(shots["image_digests"].tolist(), encoders[0])
    grouped = group_image_vectors(inputs["article_id"], shots["article_id"], vectors)
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([grouped])), index=inputs.index)
