"""All stages of the daily DAG, in the order in which data flows.

What belongs here: the list, and which of them people wait for every morning. What does not: which job they are in
(:mod:`dagster_project.jobs`).
"""

from collections.abc import Iterable
from dataclasses import replace

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


def awaited(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """The stages, each with the deadline of every morning."""
    return tuple(replace(each, awaited=True) for each in stages)


#: Figures of a day need the days after it, and what follows an ingest by itself is for days without a night: they have
#: no deadline.
STAGES: tuple[Stage, ...] = (
    *awaited(raw.STAGES),
    *awaited(images.STAGES),
    *awaited(attributes.STAGES),
    *awaited(catalogue_errors.STAGES),
    *awaited(catalogue_map.STAGES),
    *awaited(features.STAGES),
    *awaited(recommenders.STAGES),
    *awaited(recommendations.STAGES),
    *awaited(retrieval.STAGES),
    *awaited(image_similarity.STAGES),
    *awaited(outfits.STAGES),
    *awaited(complements.STAGES),
    *awaited(gates.STAGES),
    *evaluation.STAGES,
    *awaited(business.STAGES),
    *awaited(drift.STAGES),
    *awaited(publishing.STAGES),
    *publishing.AFTER_INGEST,
    *awaited(report.STAGES),
    *awaited(completeness.STAGES),
)
