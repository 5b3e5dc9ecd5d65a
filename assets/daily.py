"""All stages of the daily DAG, in the order in which data flows.

What belongs here: the list. What does not: which job they are in (:mod:`dagster_project.jobs`).
"""

from assets import (
    attributes,
    business,
    catalogue_errors,
    catalogue_map,
    complements,
    completeness,
    drift,
    evaluation,
    features,
    gates,
    image_similarity,
    images,
    outfits,
    publishing,
    raw,
    recommendations,
    recommenders,
    report,
    retrieval,
)
from assets.stage import Stage

STAGES: tuple[Stage, ...] = (
    *raw.STAGES,
    *images.STAGES,
    *attributes.STAGES,
    *catalogue_errors.STAGES,
    *catalogue_map.STAGES,
    *features.STAGES,
    *recommenders.STAGES,
    *recommendations.STAGES,
    *retrieval.STAGES,
    *image_similarity.STAGES,
    *outfits.STAGES,
    *complements.STAGES,
    *gates.STAGES,
    *evaluation.STAGES,
    *business.STAGES,
    *drift.STAGES,
    *publishing.STAGES,
    *publishing.AFTER_INGEST,
    *report.STAGES,
    *completeness.STAGES,
)
