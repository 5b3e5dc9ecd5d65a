"""The thresholds of the gates, as ``[gates]`` of ``atelier.toml`` sets them.

What belongs here: each threshold with its default and what it means. What does not: the measurements that are compared
with them (:mod:`atelier.monitoring.gates`, :mod:`atelier.monitoring.noninferiority`). Nothing heavy is imported: the
settings are read by every command.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class GateLimits(BaseModel):
    """What a model has to satisfy before its results are shown, and a recipe before it is promoted.

    Attributes:
        coverage: the least share of the articles on sale that the lists of a recommender hold between them; the
            fallback, which recommends the same to everybody, is exempt.
        moved: the most that lists may move in a day: the mean over customers of 1 − Jaccard index of the first ten
            articles of the day before and of today.
        index_recall: the least recall@10 of the index of approximate neighbours.
        calibration: the most that the attribute network's expected calibration error may be, as a mean over attributes
            with 200 held-out labels or more.
        margin: by which share of the champion's value a recipe may be worse: the lower end of the 95% interval of the
            difference has to lie above −margin times that value.
        metric: by which recipes are judged.
        k: the length of the lists on which they are judged.
        customers: the least number of customers on whom a recipe is judged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    coverage: float = Field(default=0.01, ge=0, le=1)
    moved: float = Field(default=0.95, ge=0, le=1)
    index_recall: float = Field(default=0.9, ge=0, le=1)
    calibration: float = Field(default=0.15, ge=0, le=1)
    margin: float = Field(default=0.02, ge=0, lt=1)
    metric: Literal["precision", "recall", "hit_rate", "ndcg", "map", "mrr"] = "ndcg"
    k: int = Field(default=12, ge=1)
    customers: int = Field(default=200, ge=2)
