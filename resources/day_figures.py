"""The figures of a day, measured from the store: what drift detection compares.

What belongs here: which tables of which days each group of figures is measured from, and reading them. What does not:
measuring (:mod:`atelier.monitoring.drift`), verdicts (:mod:`atelier.monitoring.drift.verdicts`).
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from atelier.errors import DamagedFile, PartitionMissing
from resources.frames import dictionary_table
from resources.pointers import PointerError, combined_version
from sql import query

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from atelier.monitoring.drift.photographs import TypedVectors
    from resources.embedding_cache import EmbeddingCache
    from resources.feature_store import FeatureStore

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

#: The columns that are read of each table; None: all.
READ: dict[str, tuple[str, ...] | None] = {
    "articles": (
        *("article_id", "product_code", "name", "description", "product_type", "brand", "division", "price"),
        "in_stock",
    ),
    "customers": ("customer_id", "age"),
    "interactions": ("customer_id", "article_id", "occurred_at", "kind", "price", "channel", "session_id"),
    "annotated_attributes": ("article_id", "attribute", "value"),
    "predicted_attributes": ("article_id", "attribute", "value"),
    "images": ("article_id", "shot", "digest"),
    "article_features": None,
    "customer_features": None,
}
LISTS, VECTORS = "recommendations", "vectors"
#: Whose lists are compared: a sample of customers tells how far lists moved as well as all of them.
CUSTOMERS = 20_000
WEEK = 7
#: How many tables of single days are held at once.
HELD = 24
#: Articles whose vectors are computed with at once.
BLOCK = 4096


class DayTables:
    """The tables of single days as frames; a table that a day lacks is None.

    Args:
        store: the feature store.
        vectors: the cache of the vectors of photographs.
        customers: of how many the lists are read.
        days: the first and the last day that are asked for. What cannot be read of a day before the last counts as
            absent, with a warning: monitoring must not stop a night for it.
    """

    def __init__(
        self,
        store: "FeatureStore",
        vectors: "EmbeddingCache",
        customers: int = CUSTOMERS,
        days: tuple[date, date] = (date.min, date.max),
    ) -> None:
        self._store, self._cache, self._customers, self._days = store, vectors, customers, days
        self._held = lru_cache(maxsize=HELD)(self._read)
        self._versions = cache(self._index)

    def read(self, table: str, ds: date) -> "pd.DataFrame | None":
        """A table of a day; ``vectors``: digest, embedding of its photographs, read anew each time: they are large."""
        return self._read(table, ds) if table == VECTORS else self._held(table, ds)

    def is_earlier(self, ds: date) -> bool:
        """Whether a day is before the last one that is asked for."""
        return ds < self._days[1]

    def version(self, table: str, ds: date) -> str:
        """The digest of what :meth:`read` reads; empty where there is nothing."""
        stored = "image_embeddings" if table == VECTORS else table
        return self._versions(stored).get(ds, "")

    def _index(self, table: str) -> dict[date, str]:
        """The version of each day of a table; pointers are read once."""
        found: dict[date, list[str]] = {}
        for each in self._store.readable_pointers(table, *self._days):
            found.setdefault(each.ds, []).append(f"{each.part}/{each.data_version}")
        return {day: combined_version(versions) for day, versions in found.items()}

    def _read(self, table: str, ds: date) -> "pd.DataFrame | None":
        try:
            if table == LISTS:
                return self._lists(ds)
            if table == VECTORS:
                return self._vectors(ds)
            rows, columns = self._store.read(table, ds), READ[table]
            frame: pd.DataFrame = (rows if columns is None else rows.select(list(columns))).to_pandas()
        except PartitionMissing:
            return None
        except (PointerError, DamagedFile) as error:
            if not self.is_earlier(ds):
                raise
            warnings.warn(f"{ds} counts as a day without {table}: {error}", stacklevel=2)
            return None
        return frame

    def _lists(self, ds: date) -> "pd.DataFrame":
        with self._store.connect(as_of=ds, tables=[LISTS, "customers"]) as con:
            lists = con.sql(query("drift_lists"), params={"customers": self._customers})
            frame: pd.DataFrame = dictionary_table(lists).to_pandas()
        return frame

    def _vectors(self, ds: date) -> "pd.DataFrame":
        import pandas as pd

        rows = self._store.read("image_embeddings", ds).select(["digest", "encoder_id"]).to_pandas()
        if rows.empty:
            return pd.DataFrame({"digest": [], "embedding": []})
        vectors = self._cache.read(rows["digest"].tolist(), rows["encoder_id"].iloc[0])
        return pd.DataFrame({"digest": rows["digest"], "embedding": list(vectors)})


@dataclass(frozen=True)
class Group:
    """Figures that are measured together.

    Attributes:
        reads: the tables that they are measured from, the first of the day itself, each with how many days back.
        measure: measures them; the first table is there.
    """

    reads: Sequence[tuple[str, int]]
    measure: "Callable[[DayTables, date], pd.DataFrame]"


def measured(tables: DayTables, ds: date, kept: "pd.DataFrame | None" = None, code: str = "") -> "pd.DataFrame":
    """The figures of a day, by group.

    Args:
        tables: the tables of all days.
        ds: the day.
        kept: what this function returned for the same day before; groups whose inputs are still the same are taken
            from it.
        code: the version of the code that measures.

    Returns:
        The columns of figures (:mod:`atelier.monitoring.drift.figures`) and ``made_from``, a digest of what they were
        measured from. No rows where the day has none of the tables.
    """
    import pandas as pd

    from atelier.monitoring.drift.figures import figures

    parts = []
    for name, group in GROUPS.items():
        first, back = group.reads[0]
        if not tables.version(first, ds - timedelta(days=back)):
            continue
        versions = [tables.version(table, ds - timedelta(days=n)) for table, n in group.reads]
        made_from = combined_version([name, code, *versions])
        same = None if kept is None else kept[kept["made_from"] == made_from]
        if same is not None and len(same):
            parts.append(same)
            continue
        try:
            parts.append(group.measure(tables, ds).assign(made_from=made_from))
        except PartitionMissing:
            if not tables.is_earlier(ds):
                raise
            # A table of an earlier day cannot be read, which a warning has told: the day has no such figures.
    kept_parts = [part for part in parts if len(part)]
    return pd.concat(kept_parts, ignore_index=True) if kept_parts else figures([]).assign(made_from="")


def _before(tables: DayTables, table: str, ds: date, back: int = 1) -> "pd.DataFrame | None":
    return tables.read(table, ds - timedelta(days=back))


def _there(tables: DayTables, table: str, ds: date) -> "pd.DataFrame":
    frame = tables.read(table, ds)
    if frame is None:
        raise PartitionMissing(
            f"partition ds={ds} of table {table} vanished while its figures were measured; run again"
        )
    return frame


def _articles(tables: DayTables, ds: date) -> "pd.DataFrame":
    from atelier.monitoring.drift.catalogue import article_figures

    return article_figures(_there(tables, "articles", ds), _before(tables, "articles", ds))


def _customers(tables: DayTables, ds: date) -> "pd.DataFrame":
    from atelier.monitoring.drift.behaviour import customer_figures

    return customer_figures(_there(tables, "customers", ds), _before(tables, "customers", ds))


def _interactions(tables: DayTables, ds: date) -> "pd.DataFrame":
    import pandas as pd

    from atelier.monitoring.drift.behaviour import interaction_figures

    week = [_before(tables, "interactions", ds, back) for back in range(1, WEEK + 1)]
    known = [day[["customer_id", "article_id"]] for day in week if day is not None]
    whole = len(known) == WEEK  # with fewer days less would be known, and days could not be compared
    recent = pd.concat(known).drop_duplicates() if whole else None
    return interaction_figures(_there(tables, "interactions", ds), week[0], tables.read("articles", ds), recent)


def _labels(table: str) -> "Callable[[DayTables, date], pd.DataFrame]":
    def measure(tables: DayTables, ds: date) -> "pd.DataFrame":
        from atelier.monitoring.drift.catalogue import label_figures

        return label_figures(table, _there(tables, table, ds), _before(tables, table, ds))

    return measure


def _images(tables: DayTables, ds: date) -> "pd.DataFrame":
    from atelier.monitoring.drift.catalogue import image_figures

    return image_figures(_there(tables, "images", ds), _before(tables, "images", ds))


def _vectors(tables: DayTables, ds: date) -> "pd.DataFrame":
    from atelier.monitoring.drift.figures import figures
    from atelier.monitoring.drift.photographs import centres, vector_figures

    # One day after the other: what is kept of yesterday is small, and its vectors are gone before today's are read.
    yesterday = _typed_vectors(tables, ds - timedelta(days=1))
    before = None if yesterday is None else centres(yesterday)
    del yesterday
    today = _typed_vectors(tables, ds)
    return figures([]) if today is None else vector_figures(today, before)


def _typed_vectors(tables: DayTables, ds: date) -> "TypedVectors | None":
    """Of each article with photographs its type and, in blocks, the mean vector."""
    import numpy as np
    import pandas as pd

    from atelier.monitoring.drift.photographs import TypedVectors

    frames = [tables.read(table, ds) for table in (VECTORS, "images", "articles")]
    if any(frame is None for frame in frames):
        return None
    vectors, images, articles = (frame for frame in frames if frame is not None)
    shots = images.merge(articles[["article_id", "product_type"]], on="article_id").sort_values(["article_id", "shot"])
    place = pd.Index(vectors["digest"]).get_indexer(pd.Index(shots["digest"]))
    shots, place = shots[place >= 0], place[place >= 0]
    firsts = np.flatnonzero(~shots["article_id"].duplicated().to_numpy())
    types = shots["product_type"].iloc[firsts].fillna("").to_numpy(str)
    return TypedVectors(types, _means(vectors["embedding"], place, np.append(firsts, len(shots))))


def _means(vectors: "pd.Series[Any]", place: "Ints", starts: "Ints") -> "Iterator[Floats]":
    """The mean vectors of articles, in blocks of :data:`BLOCK`.

    Args:
        vectors: of photographs, each float32 [dimension].
        place: of each article's photographs, article after article, which vector it has.
        starts: int [articles + 1], where each article's photographs begin.
    """
    import numpy as np

    for first in range(0, len(starts) - 1, BLOCK):
        ends = starts[first : first + BLOCK + 1]
        shots = np.stack(vectors.iloc[place[ends[0] : ends[-1]]].to_list()).astype(np.float64)
        yield np.add.reduceat(shots, ends[:-1] - ends[0], axis=0) / np.diff(ends)[:, None]


def _features(table: str, key: str) -> "Callable[[DayTables, date], pd.DataFrame]":
    def measure(tables: DayTables, ds: date) -> "pd.DataFrame":
        from atelier.monitoring.drift.models import feature_figures

        return feature_figures(table, _there(tables, table, ds), key)

    return measure


def _lists(tables: DayTables, ds: date) -> "pd.DataFrame":
    from atelier.monitoring.drift.figures import stacked
    from atelier.monitoring.drift.models import list_figures

    today, yesterday = _there(tables, LISTS, ds), _before(tables, LISTS, ds)
    before = {} if yesterday is None else dict(_by_model(yesterday))
    # One model after the other: the lists of all of them as texts would be gigabytes.
    return stacked(
        list_figures(model, _as_texts(own), _as_texts(before[model]) if model in before else None)
        for model, own in _by_model(today)
    )


def _by_model(lists: "pd.DataFrame") -> "Iterator[tuple[str, pd.DataFrame]]":
    """Each model, in the order of names, with its lists."""
    for model in sorted(map(str, lists["model"].unique())):
        yield model, lists[lists["model"] == model]


def _as_texts(lists: "pd.DataFrame") -> "pd.DataFrame":
    return lists.astype({"customer_id": "str", "article_id": "str"})


GROUPS: Mapping[str, Group] = {
    "articles": Group((("articles", 0), ("articles", 1)), _articles),
    "customers": Group((("customers", 0), ("customers", 1)), _customers),
    "interactions": Group((*(("interactions", back) for back in range(WEEK + 1)), ("articles", 0)), _interactions),
    "annotated_attributes": Group(
        (("annotated_attributes", 0), ("annotated_attributes", 1)), _labels("annotated_attributes")
    ),
    "images": Group((("images", 0), ("images", 1)), _images),
    VECTORS: Group(tuple((table, back) for table in (VECTORS, "images", "articles") for back in (0, 1)), _vectors),
    "predicted_attributes": Group(
        (("predicted_attributes", 0), ("predicted_attributes", 1)), _labels("predicted_attributes")
    ),
    "article_features": Group((("article_features", 0),), _features("article_features", "article_id")),
    "customer_features": Group((("customer_features", 0),), _features("customer_features", "customer_id")),
    LISTS: Group(((LISTS, 0), (LISTS, 1), ("customers", 0), ("customers", 1)), _lists),
}
