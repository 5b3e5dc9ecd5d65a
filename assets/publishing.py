"""Publishing: the one DuckDB file that people open.

What belongs here: the assets that rebuild it, and the check of what came of it. What does not: the rebuilding itself
(:mod:`resources.publishing`).
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from assets import complements, drift, image_similarity, recommendations, retrieval
from assets.images import images
from assets.raw import STAGES as RAW
from assets.stage import stage
from assets.step import Step
from resources.tables import REGISTRY
from resources.views import sql_identifier

if TYPE_CHECKING:
    from pathlib import Path

    from resources.feature_store import FeatureStore

GROUP = "published"
#: One rebuilds it at a time; the others would only wait for its lock.
POOL = "feature_store"
#: The check of the file: what a person who opens it sees of the day.
SHOWS = "shows_the_day"
#: The stages of the lists that people are shown.
LISTED = (*recommendations.STAGES, *retrieval.STAGES, *image_similarity.STAGES, *complements.STAGES)
#: The last assets of each branch of the day, which have to be there before the file is rebuilt.
SHOWN = (
    "predicted_attributes",
    "attribute_metrics",
    "catalogue_errors",
    "catalogue_error_shares",
    "article_features",
    "customer_features",
    "article_vectors",
    "catalogue_map",
    *(asset for each in LISTED for asset in each.produces),
    *(asset for each in drift.STAGES for asset in each.produces),
    "gates",
    "champions",
    "business_figures",
    "attribute_sales",
    "offline_metrics",
    "customer_metrics",
    "model_comparisons",
)
CHECKS = {SHOWS: "Whether atelier.duckdb opens, and has every row of the day that the store has."}


@stage(produces=["feature_store"], deps=SHOWN, group=GROUP, checks=CHECKS, pool=POOL)
def feature_store(step: Step) -> None:
    """atelier.duckdb, which always holds the newest state of the whole store, whichever day is run."""
    _publish(step, "feature_store")


@stage(
    produces=["ingested_store"],
    deps=[asset for each in (*RAW, images) for asset in each.produces],
    group=GROUP,
    checks=CHECKS,
    pool=POOL,
    ranged=True,
)
def ingested_store(step: Step) -> None:
    """atelier.duckdb after an ingest alone, so that a day that is stored is also shown."""
    _publish(step, "ingested_store")


def _publish(step: Step, asset: str) -> None:
    from resources.publishing import publish

    compute = step.home.settings.compute
    summary = publish(step.store, step.home.database, threads=compute.threads, memory_limit=compute.memory_limit)
    step.note(
        asset,
        path=str(summary.path),
        partitions=summary.partitions,
        bytes=summary.size,
        copied_rows=sum(summary.copied.values()),
        views=len(summary.views) + len(summary.extra),
    )
    for day, absent in rows_not_shown(step.store, summary.path, step.days).items():
        named = ", ".join(f"{table} {shown} of {stored}" for table, (shown, stored) in absent.items())
        said = f"rows of {day} that are shown: {named}" if absent else f"every stored row of {day} is shown"
        step.check(SHOWS, not absent, said, day)


def rows_not_shown(
    store: "FeatureStore", database: "Path", days: "Sequence[date]"
) -> dict[date, dict[str, tuple[int, int]]]:
    """The tables of which the database does not show as many rows of a day as are stored.

    Args:
        store: what is stored.
        database: the published file, which is opened read-only.
        days: the days to look at.

    Returns:
        For each of ``days``, the rows shown and the rows stored, by table; empty where every row is shown.
    """
    import duckdb

    stored: dict[tuple[date, str], int] = defaultdict(int)
    for pointer in store.pointers():
        if pointer.table in REGISTRY:
            stored[pointer.ds, pointer.table] += pointer.rows
    tables = sorted({table for day, table in stored if day in set(days)})
    with duckdb.connect(str(database), read_only=True) as con:
        store.storage.prepare(con)
        found = {
            table: dict(
                con.execute(
                    f"SELECT ds, count(*) FROM {sql_identifier(table)} WHERE ds BETWEEN $first AND $last GROUP BY ds",  # noqa: S608 - a name of the registry
                    {"first": min(days), "last": max(days)},
                ).fetchall()
            )
            for table in tables
        }
    return {
        day: {
            table: (shown, stored[day, table])
            for table in tables
            if (shown := found[table].get(day, 0)) != stored[day, table]
        }
        for day in days
    }


STAGES = (feature_store,)
#: The database after the job ``ingest``.
AFTER_INGEST = (ingested_store,)
