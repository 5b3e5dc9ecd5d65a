"""One training of a study, and its evaluation, which is the same for networks and linear classifiers.

What belongs here: hiding modalities, fitting, scores, confusions, F1 by training step. What does not: which trainings a
study is made of (:mod:`atelier.studies.attribute_plan`), caching results (:mod:`atelier.studies.attribute_study`).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from atelier.arrays import Objects
from atelier.articles.splits import holdout
from atelier.articles.table import Articles, Modality
from atelier.attributes.config import AttributeConfig
from atelier.attributes.labels import Heads, labels_of, read_labels
from atelier.attributes.model import AttributeModel, Monitor
from atelier.attributes.scores import AGAINST_MAJORITY, BY_STEP, figures_table, label_figures
from atelier.frames import Frame, select
from atelier.studies.attribute_plan import LINEAR_BASELINES, NETWORKS, AttributeFit, Split
from atelier.studies.linear_baselines import fit_linear_baseline

if TYPE_CHECKING:
    from atelier.studies.attribute_plan import AttributeStudyPlan

SIDES = ("train", "test")

#: The variants whose F1 is followed step by step, and the one whose confusions are reported.
FOLLOWED = ("all", "published")
REFERENCE = "all"

LOOKS = 40
"""Points of a curve of F1 by step that are enough to draw it."""


class AttributeFitResult(BaseModel):
    """What one training gave.

    Attributes:
        split: as in :class:`AttributeFit`.
        variant: as in :class:`AttributeFit`.
        seconds: of training, without what was spent on following it.
        steps: of the optimiser; 0 for a linear classifier.
        scores: columns attribute, metric, side, step, value (null where there was no label), of one length.
        confusions: columns attribute, actual, predicted, articles: test articles; of :data:`REFERENCE` only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Split
    variant: str
    seconds: float
    steps: int
    scores: dict[str, list[Any]]
    confusions: dict[str, list[Any]]


@dataclass(frozen=True)
class TrainTest:
    """The articles and labels of a split, the same for every variant.

    Attributes:
        articles: by side, ``train`` and ``test``.
        labels: by side: article_id, attribute, value, and in ``row`` the row of the article.
        heads: the values with enough training labels, which every variant may predict.
    """

    articles: Mapping[str, Articles]
    labels: Mapping[str, pd.DataFrame]
    heads: Heads

    @classmethod
    def of(cls, articles: Frame | Articles, labels: Frame, plan: "AttributeStudyPlan", split: Split) -> "TrainTest":
        """Divide articles, and labels with them; labels of articles that are not given are left out."""
        articles = Articles.from_frame(articles)
        # Articles of which only the identifier is known are each a style of their own.
        divided = articles if split == "style" else select(articles.frame, ["article_id"])
        held_out = holdout(divided, plan.test_share, seed=plan.seed)
        parts, known = {"train": articles.rows(~held_out), "test": articles.rows(held_out)}, read_labels(labels)
        theirs = {side: labels_of(part, known) for side, part in parts.items()}
        return cls(parts, theirs, Heads.fit(theirs["train"], plan.network.samples_needed(len(parts["train"]))))

    def seen(self, hidden: tuple[Modality, ...]) -> "TrainTest":
        """The same, without the columns of the hidden modalities."""
        return replace(self, articles={side: part.without(*hidden) for side, part in self.articles.items()})

    def usual_labels(self) -> pd.DataFrame:
        """The training labels whose values have heads: linear classifiers choose between the same values."""
        return self.labels["train"].merge(self.heads.table()[["attribute", "value"]], on=["attribute", "value"])

    def labelled(self, most: int, seed: int) -> "TrainTest":
        """At most ``most`` labelled articles of each side, drawn at random, for figures that are wanted often."""
        rng = np.random.default_rng(seed)
        parts, labels = {}, {}
        for side, part in self.articles.items():
            chosen = np.zeros(len(part), dtype=bool)
            chosen[rng.permutation(np.unique(self.labels[side]["row"]))[:most]] = True
            parts[side] = part.rows(chosen)
            labels[side] = labels_of(parts[side], self.labels[side])
        return TrainTest(parts, labels, self.heads)


def run_fit(
    fit: AttributeFit, sides: TrainTest, plan: "AttributeStudyPlan", *, device: str = "cpu"
) -> AttributeFitResult:
    """Train one variant on the training articles and evaluate it on both sides.

    Args:
        fit: which.
        sides: the articles and labels of its split.
        plan: the network's config, the seed, and what is followed.
        device: where to compute, as PyTorch names it.

    Raises:
        ArticlesError: as :meth:`AttributeModel.fit`.
    """
    trained = _linear(fit, sides, plan) if fit.variant in LINEAR_BASELINES else _network(fit, sides, plan, device)
    scores = pd.concat([_scores(sides, trained.guesses, trained.steps), *trained.followed], ignore_index=True)
    test = confusions(sides.labels["test"], trained.guesses["test"]) if fit.variant == REFERENCE else None
    return AttributeFitResult(
        split=fit.split,
        variant=fit.variant,
        seconds=trained.seconds,
        steps=trained.steps,
        scores=_columns(scores),
        confusions={} if test is None else _columns(test),
    )


def _scores(sides: TrainTest, guesses: Mapping[str, Objects], step: int) -> pd.DataFrame:
    """The figures of both sides: attribute, metric, value, side, step."""
    parts = [guess_figures(sides.labels[side], guesses[side], sides.heads).assign(side=side) for side in SIDES]
    return pd.concat(parts).assign(step=step)


@dataclass(frozen=True)
class _Trained:
    """A trained variant.

    Attributes:
        guesses: by side the value predicted for each label, str [labels]; null where the variant predicts none.
        seconds: of training.
        steps: of the optimiser.
        followed: rows of the scores with the metric :data:`BY_STEP`.
    """

    guesses: Mapping[str, Objects]
    seconds: float
    steps: int = 0
    followed: list[pd.DataFrame] = field(default_factory=list)


def _linear(fit: AttributeFit, sides: TrainTest, plan: "AttributeStudyPlan") -> _Trained:
    started = time.perf_counter()
    peer = fit_linear_baseline(LINEAR_BASELINES[fit.variant], sides.articles["train"], sides.usual_labels())
    seconds = time.perf_counter() - started
    guesses = {}
    for side in SIDES:
        found = peer.predict(sides.articles[side]).rename(columns={"value": "guess"})
        # A left merge keeps the order of the labels.
        guesses[side] = sides.labels[side].merge(found, "left", ["article_id", "attribute"])["guess"].to_numpy(object)
    return _Trained(guesses, seconds)


def _network(fit: AttributeFit, sides: TrainTest, plan: "AttributeStudyPlan", device: str) -> _Trained:
    seen, config = sides.seen(NETWORKS[fit.variant]), plan.config_of(fit.variant)
    model, curve = AttributeModel(config, device=device), _Curve(seen.labelled(plan.follow_articles, plan.seed))
    every = plan.follow_every
    if every is None:
        every = steps_between_looks(config, seen.labels["train"])
    monitor = Monitor(every, curve.look) if every and fit.variant in FOLLOWED else None
    started = time.perf_counter()
    model.fit(seen.articles["train"], seen.labels["train"], monitor=monitor)
    seconds = time.perf_counter() - started - curve.seconds
    steps = model.history[-1].step if model.history else 0
    return _Trained(network_guesses(model, seen), seconds, steps, curve.rows)


def steps_between_looks(config: AttributeConfig, labels: pd.DataFrame) -> int:
    """Steps between two looks: as many as training itself takes, but on small data no more than give :data:`LOOKS`."""
    seen = len(labels) if config.training == "published" else labels["article_id"].nunique()
    in_a_pass = max(1, seen // config.batch_size)
    return max(1, min(config.evaluate_every or in_a_pass, config.max_epochs * in_a_pass // LOOKS))


class _Curve:
    """Weighted F1 of both sides at every look at a network in training."""

    def __init__(self, sides: TrainTest) -> None:
        self.sides = sides
        self.rows: list[pd.DataFrame] = []
        self.seconds = 0.0

    def look(self, step: int, model: AttributeModel) -> None:
        """Evaluate the model as it is after a step."""
        started = time.perf_counter()
        figures = _scores(self.sides, network_guesses(model, self.sides), step)
        self.rows.append(figures[figures["metric"] == "weighted_f1"].assign(metric=BY_STEP))
        self.seconds += time.perf_counter() - started


def network_guesses(model: AttributeModel, sides: TrainTest) -> dict[str, Objects]:
    """By side the most probable value for each label, str [labels], whatever the type; null without a head."""
    guesses = {}
    for side, labels in sides.labels.items():
        found, rows = model.predict_proba(sides.articles[side]), labels["row"].to_numpy()
        guesses[side] = np.full(len(labels), None, dtype=object)
        for attribute, values, matrix in zip(found.attributes, found.values, found.matrices, strict=False):
            mine = (labels["attribute"] == attribute).to_numpy()
            guesses[side][mine] = values[matrix.argmax(axis=1)[rows[mine]]]
    return guesses


def guess_figures(labels: pd.DataFrame, guesses: Objects, heads: Heads) -> pd.DataFrame:
    """The figures that :func:`atelier.attributes.evaluate` gives too, for guesses of any model.

    Args:
        labels: article_id, attribute, value: the truth.
        guesses: str [labels]; null is a miss.
        heads: the values that could be predicted, and how many training labels each had.

    Returns:
        attribute, metric, value: for each attribute with a head or a label, then for ``mean``.
    """
    known = {head.attribute: head for head in heads.heads}
    figures = {}
    for name in sorted({*known, *labels["attribute"]}):
        mine = (labels["attribute"] == name).to_numpy()
        figures[name] = label_figures(known.get(name), labels.loc[mine, "value"], guesses[mine])
    return figures_table(figures, ("samples", "classes"), AGAINST_MAJORITY)


def confusions(labels: pd.DataFrame, guesses: Objects) -> pd.DataFrame:
    """How many articles of each annotated value got each value: attribute, actual, predicted, articles.

    Args:
        labels: article_id, attribute, value: the truth.
        guesses: str [labels]; labels without a guess are left out.
    """
    pairs = pd.DataFrame(
        {"attribute": labels["attribute"].to_numpy(), "actual": labels["value"].to_numpy(), "predicted": guesses}
    ).dropna()
    return pairs.groupby(["attribute", "actual", "predicted"], sort=True).size().rename("articles").reset_index()


def _columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """The columns as lists for JSON, with null in place of nan."""
    whole = frame.astype(object).where(frame.notna(), None)
    return {str(name): column.tolist() for name, column in whole.items()}
