"""Publishing: the one DuckDB file that people open.

What belongs here: the asset that rebuilds it. What does not: the rebuilding itself (:mod:`resources.publishing`).
"""

from assets import image_similarity, recommendations, retrieval
from assets.stage import stage
from assets.step import Step

GROUP = "published"
#: The stages of the lists that people are shown.
LISTED = (*recommendations.STAGES, *retrieval.STAGES, *image_similarity.STAGES)
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
    "offline_metrics",
    "customer_metrics",
    "model_comparisons",
)


@stage(produces=["feature_store"], deps=SHOWN, group=GROUP, pool="feature_store")
def feature_store(step: Step) -> None:
    """atelier.duckdb, which always holds the newest state of the whole store, whichever day is run."""
    from resources.publishing import publish

    compute = step.home.settings.compute
    summary = publish(step.store, step.home.database, threads=compute.threads, memory_limit=compute.memory_limit)
    step.note(
        "feature_store",
        path=str(summary.path),
        partitions=summary.partitions,
        bytes=summary.size,
        copied_rows=sum(summary.copied.values()),
        views=len(summary.views) + len(summary.extra),
    )


STAGES = (feature_store,)
