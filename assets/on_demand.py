"""Jobs that are started by hand, outside the daily DAG: studies, tuning, the gate of recipes, a backbone.

What belongs here: which job runs which stages. What does not: the stages' own work.
"""

from dataclasses import dataclass

from assets import attribute_study, daily, image_backbone, recipe_gate, recommender_study, sequence_study, tune
from assets.stage import Stage


@dataclass(frozen=True)
class OnDemand:
    """A job that is started by hand for a chosen day.

    Attributes:
        name: of the job.
        stages: the stages that it runs; they read what the daily DAG has stored for that day.
        description: the job's description in the UI.
    """

    name: str
    stages: tuple[Stage, ...]
    description: str


JOBS: tuple[OnDemand, ...] = (
    OnDemand(
        "attribute_study",
        attribute_study.STAGES,
        "An ablation of the attribute network of a day: by split, without a modality, by training step, against linear "
        "classifiers. It takes minutes; a killed run resumes where it stopped.",
    ),
    OnDemand(
        "recommender_study",
        recommender_study.STAGES,
        "The published comparison: popularity, collaborative, content, hybrid and als on the same data, over seeds and "
        "with fewer interactions, evaluated on later purchases. It takes a while; a killed run resumes where it "
        "stopped.",
    ),
    OnDemand(
        "sequence_study",
        sequence_study.STAGES,
        "Sequence models side by side, and what of them matters: lengths of embeddings, the order of a history, its "
        "length. It takes hours on a large retailer; a killed run resumes where it stopped.",
    ),
    OnDemand(
        "tune",
        tune.STAGES,
        "Tries settings of one recommender on validation days and writes the best as a preset into atelier.toml. No "
        "model uses it until its step is told so. A killed run resumes where it stopped.",
    ),
    OnDemand(
        "recipe_gate",
        recipe_gate.STAGES,
        "Judges a recipe (a recommender, its settings and today's code) against the one that serves: both trained up "
        "to ds − horizon, on the purchases since. A run whose candidate does not pass fails; `atelier promote` "
        "promotes one that does.",
    ),
    OnDemand(
        "image_backbone",
        image_backbone.STAGES,
        "Fine-tunes the last layers of the backbone on the retailer's own attributes. The result is not used until "
        "`atelier promote image_backbone`; from then on photographs are encoded with it.",
    ),
)

#: Every stage of the code location.
STAGES: tuple[Stage, ...] = (*daily.STAGES, *(stage for job in JOBS for stage in job.stages))
