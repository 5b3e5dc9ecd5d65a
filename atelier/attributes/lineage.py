"""Where one value of one article comes from, as a record.

What belongs here: the record that the command, the page and a notebook show. What does not: how it is gathered
(:mod:`resources.attribute_lineage`), computed (:mod:`atelier.attributes.explanation`) or shown
(:mod:`atelier.report.lineage`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atelier.attributes.explanation import Explanation

#: What a sentence calls each modality, and the pronoun that stands for it afterwards.
DECIDERS = {
    "photographs": ("the photographs", "them"),
    "text": ("the text", "it"),
    "metadata": ("product type, brand and division", "them"),
}


@dataclass(frozen=True)
class PhotographRead:
    """A photograph that the model read.

    Attributes:
        digest: SHA-256 of the file that was read.
        shot: its number among the article's photographs; None where that day no longer lists it.
        path: the file, relative to the source's folder of images; None where that day no longer lists it.
        problem: why the file cannot be shown, for example that it is gone or has changed; None: it is as it was read.
        current: whether the newest day lists this photograph for the article.
    """

    digest: str
    shot: int | None
    path: str | None
    problem: str | None
    current: bool


@dataclass(frozen=True)
class TextRead:
    """The text that the model read.

    Attributes:
        digest: its SHA-256, as recorded.
        text: the article's text as the store has it of that day; None where it has no such article.
        same: whether that text has the recorded digest.
        current: whether the newest day's text has it.
    """

    digest: str
    text: str | None
    same: bool
    current: bool


@dataclass(frozen=True)
class UpstreamRead:
    """What a model was trained on of one table, or which other model it was made with.

    Attributes:
        table: the table, or the other model.
        data_version: the digest of the partitions that were read, or the other model's id.
        current: whether these are still the partitions of that day, or the other model is still there.
    """

    table: str
    data_version: str
    current: bool


@dataclass(frozen=True)
class TrainedModel:
    """The bundle that predicted, from its manifest.

    Attributes:
        name: the model's name.
        model_id: its id.
        training_day: the last day it has seen, ISO.
        code_version: of the code that trained it.
        seed: of its training.
        libraries: versions of the libraries.
        upstreams: what it was trained on.
    """

    name: str
    model_id: str
    training_day: str
    code_version: str
    seed: int | None
    libraries: Mapping[str, str]
    upstreams: tuple[UpstreamRead, ...]


@dataclass(frozen=True)
class Writing:
    """What wrote a partition.

    Attributes:
        run_id: the Dagster run; empty outside Dagster.
        written_at: when the partition was published (UTC).
        data_version: SHA-256 of its file.
    """

    run_id: str
    written_at: datetime
    data_version: str

    @property
    def dagster_path(self) -> str | None:
        """The run's page in Dagster's UI, below the UI's address; None outside Dagster."""
        return f"/runs/{self.run_id}" if self.run_id else None


@dataclass(frozen=True)
class DayValue:
    """The value on one day."""

    ds: date
    value: str
    source: str
    confidence: float | None
    prediction: str | None
    model_id: str | None


@dataclass(frozen=True)
class AttributeLineage:
    """Where one value of ``predicted_attributes`` comes from.

    Attributes:
        article_id: the article.
        attribute: the attribute.
        stored: the value of the day.
        alternatives: the values that remain possible, with their probabilities; empty where the model has no opinion.
        name: the article's name on that day.
        product_type: its product type on that day.
        gone_since: the newest day of the catalogue, where the article is no longer in it; else None.
        photographs: what was read of them.
        text: what was read of it.
        model: the bundle; None where no model had an opinion, or its manifest is gone.
        backbone_id: the bundle of the fine-tuned backbone that has read the day's photographs; None where their encoder
            was not fine-tuned here.
        backbone: that bundle; None where there is none, or its manifest is gone.
        written: what wrote the row.
        earlier: the same value on the days before, newest first.
        computed_from: the columns from which ``value`` is computed, as ``table.column``.
        explanation: why the model says so; None where ``unexplained`` says why not.
        unexplained: why there is no explanation.
        differences: in what the recorded bundle, run again, does not reproduce what is stored; empty if it does.
    """

    article_id: str
    attribute: str
    stored: DayValue
    alternatives: tuple[tuple[str, float], ...]
    name: str | None
    product_type: str | None
    gone_since: date | None
    photographs: tuple[PhotographRead, ...]
    text: TextRead
    model: TrainedModel | None
    backbone_id: str | None
    backbone: TrainedModel | None
    written: Writing
    earlier: tuple[DayValue, ...]
    computed_from: tuple[str, ...]
    explanation: "Explanation | None"
    unexplained: str | None
    differences: tuple[str, ...]

    @property
    def reproduced(self) -> bool:
        """Whether the recorded bundle was run again and said what is stored."""
        return self.explanation is not None and not self.differences

    @property
    def origin(self) -> str:
        """In a few words, where the value comes from."""
        if self.stored.source == "annotated":
            return "annotated by people" + (", against the model" if self.contradicted else "")
        if self.stored.source == "abstained":
            return "the most probable value, but not certain enough to rely on: the model abstains"
        return "predicted by the model"

    @property
    def contradicted(self) -> bool:
        """Whether people say one thing and the model another."""
        prediction = self.stored.prediction
        return self.stored.source == "annotated" and prediction is not None and prediction != self.stored.value

    @property
    def decision(self) -> str:
        """A sentence: which modality decided the model's own value; empty without an explanation."""
        if self.explanation is None:
            return ""
        decided = next((r for r in self.explanation.removals if r.removed == self.explanation.decided), None)
        value = self.explanation.value
        if decided is None:
            return f"Nothing alone decided {value}: it is as probable without any one modality."
        what, them = DECIDERS[decided.removed]
        turned = "" if decided.value == value else f", and the model would say {decided.value}"
        before, after = self.explanation.probability, decided.probability
        return f"Decided by {what}: without {them}, {value} falls from {before:.3f} to {after:.3f}{turned}."
