"""Jobs that somebody starts when they want them, outside the daily DAG: studies, and a backbone for photographs.

What belongs here: which job makes which stages. What does not: the stages' own work.
"""

from dataclasses import dataclass

from assets import daily
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


JOBS: tuple[OnDemand, ...] = ()

#: Every stage of the code location.
STAGES: tuple[Stage, ...] = (*daily.STAGES, *(stage for job in JOBS for stage in job.stages))
