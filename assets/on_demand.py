"""Jobs that somebody starts when they want them, outside the daily DAG: studies, and a backbone for photographs.

What belongs here: which job makes which stages. What does not: the stages' own work.
"""

from dataclasses import dataclass

from assets import attribute_study, daily, image_backbone, recommender_study
from assets.stage import Stage


@dataclass(frozen=True)
class OnDemand:
    """A job of its own, on a day that somebody chooses.

    Attributes:
        name: of the job.
        stages: what it makes, from what the daily DAG has stored of that day.
        description: what the UI says of it.
    """

    name: str
    stages: tuple[Stage, ...]
    description: str


JOBS: tuple[OnDemand, ...] = (
    OnDemand(
        "attribute_study",
        attribute_study.STAGES,
        "The attribute network of a day taken apart: by split, without a modality, by training step, against linear "
        "classifiers. It takes minutes; killed, it goes on where it was.",
    ),
    OnDemand(
        "recommender_study",
        recommender_study.STAGES,
        "The published comparison: popularity, collaborative, content, hybrid and als on the same data, over seeds and "
        "with fewer interactions, judged by what followed. It takes a while; killed, it goes on where it was.",
    ),
    OnDemand(
        "image_backbone",
        image_backbone.STAGES,
        "The last layers of the backbone learn the retailer's own attributes. Nothing uses the result until `atelier "
        "promote image_backbone`; from then on photographs are encoded with it.",
    ),
)

#: Every stage of the code location.
STAGES: tuple[Stage, ...] = (*daily.STAGES, *(stage for job in JOBS for stage in job.stages))
