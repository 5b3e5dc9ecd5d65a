"""The interactions of the store as recommenders learn from them.

What belongs here: reading them from the feature store. What does not: what they are
(:class:`atelier.interactions.Interactions`), which kinds a model trains on (:mod:`assets.recommenders`).
"""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from resources.frames import dictionary_table
from sql import query

if TYPE_CHECKING:
    import pyarrow as pa

    from atelier.interactions import Interactions
    from resources.feature_store import FeatureStore


def training_interactions(store: "FeatureStore", kinds: Sequence[str], last: date) -> "Interactions":
    """The interactions of ``kinds`` up to and including a day, with the returns that cancel purchases.

    Raises:
        PartitionMissing: the day has no interactions.
    """
    from atelier.interactions import Interactions

    with store.connect(as_of=last, tables=["interactions"]) as con:
        found = dictionary_table(con.sql(query("training_interactions"), params={"kinds": list(kinds)}))
    return Interactions.from_frame(as_they_came(found))


def as_they_came(rows: "pa.Table") -> "pa.Table":
    """The rows in the order of ``ds`` and ``ordinal``, without these columns.

    The store's files have that order, and are nearly always read in it. To have DuckDB sort them takes several times
    the memory of the whole history.
    """
    import numpy as np
    import pyarrow as pa

    days = rows.column("ds").cast(pa.int32()).to_numpy()
    ordinals = rows.column("ordinal").to_numpy()
    kept = rows.drop_columns(["ds", "ordinal"])
    later = (days[1:] > days[:-1]) | ((days[1:] == days[:-1]) & (ordinals[1:] >= ordinals[:-1]))
    return kept if later.all() else kept.take(np.lexsort((ordinals, days)))
