"""Labels that are probably wrong: those that a model trained without them confidently contradicts.

What belongs here: predictions out of fold, their calibration, the score of each label and the list for people to go
through. What does not: the network (:mod:`atelier.attributes.model`), correcting anything.

Source: Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels" (JAIR 2021), and
their library cleanlab. What we take of it and what we leave was decided on the sample retailer, where the wrong labels
are known (``python -m benchmarks.planted_errors --scores``; figures in ``docs/attributes.md``):

- Probabilities are calibrated across folds first. Attributes share one ranking, and where the model hardly knows an
  attribute its contradictions must not look like certainty. This improves the ranking more than any choice of a score.
- Labels are ranked by log odds, the most probable other value against the annotated one. cleanlab's self-confidence,
  the probability of the annotated value, is as good but for chance, its other scores are worse; all can be chosen.
- cleanlab's filters, its estimates of *which and how many* labels are wrong, are not used. They take the model's own
  mistakes for wrong labels: where a few hundred labels give an accuracy of one half, a quarter of all labels is
  doubted, and yet true errors are dropped from the top of the ranking. What is doubted is said by two probabilities.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch

from atelier.arrays import Float64s, Int64s, Objects
from atelier.articles.errors import ArticlesError
from atelier.articles.splits import folds as fold_of_styles
from atelier.articles.table import Articles
from atelier.attributes.config import AttributeConfig
from atelier.attributes.labels import labels_of, read_labels
from atelier.attributes.model import AttributeModel, Probabilities
from atelier.attributes.temperature import fit_temperatures
from atelier.frames import Frame

FOLDS = 3
LEAST_LABELS = 30  # of an attribute: fewer do not say how far its probabilities can be trusted
LEAST_CONFIDENCE = 0.5
MOST_ANNOTATED = 0.1
#: A model that only finds errors may stop at half the epochs: on the sample retailer it finds as many.
EPOCHS_SHARE = 0.5

Score = Literal["log_odds", "self_confidence", "normalized_margin", "confidence_weighted_entropy"]
#: The columns of a ranking of labels, and their types.
COLUMNS = {
    **dict.fromkeys(("article_id", "attribute", "annotated_value"), "str"),
    "annotated_probability": "float64",
    "predicted_value": "str",
    "confidence": "float64",
    **dict.fromkeys(("fold", "rank"), "int64"),
}


@dataclass(frozen=True)
class OutOfFoldLabels:
    """The n labels of one attribute that a model which has not seen them could have predicted.

    Attributes:
        attribute: its name.
        values: its values in alphabetical order, str [classes].
        article_ids: str [n].
        given: int64 [n]: position of the annotated value.
        folds: int64 [n]: the fold with which the label was left out.
        probabilities: float64 [n, classes]: calibrated; rows sum to 1. Zero for a value that was too rare to be
            predicted without the fold; never so for the annotated one.
        temperature: by which the logits were divided.
    """

    attribute: str
    values: Objects
    article_ids: Objects
    given: Int64s
    folds: Int64s
    probabilities: Float64s
    temperature: float

    def __len__(self) -> int:
        return len(self.given)


@dataclass(frozen=True)
class OutOfFold:
    """All labels as a model sees them that was trained without their style.

    Attributes:
        judged: the labels that can be judged, attribute by attribute in alphabetical order.
        summary: what became of the labels: ``in_all``; ``judged``; ``of_rare_values``, whose value has too few labels
            in the other folds to be predicted, so that no prediction could have confirmed them;
            ``of_unjudged_attributes``, which have fewer than 30 such labels or a single value;
            ``of_unknown_articles``. And ``attributes_judged``, ``attributes_unjudged``.
    """

    judged: tuple[OutOfFoldLabels, ...]
    summary: dict[str, int]


def config_for(labelled: int, *, seed: int = 0, max_epochs: int | None = None) -> AttributeConfig:
    """The config of each fold's model: half the epochs that suit the data, and no validation share.

    Within a fold nothing is held out to stop early or to calibrate, because the fold itself calibrates.

    Args:
        labelled: labelled articles.
        seed: of each model.
        max_epochs: passes over the data; None: half of :meth:`AttributeConfig.for_data`'s, at least 1.
    """
    config = AttributeConfig.for_data(labelled)
    epochs = max(1, round(EPOCHS_SHARE * config.max_epochs)) if max_epochs is None else max_epochs
    changes = {"seed": seed, "max_epochs": epochs, "validation_share": 0.0}
    return AttributeConfig.model_validate(config.model_dump() | changes)


def out_of_fold(
    articles: Frame | Articles,
    labels: Frame,
    config: AttributeConfig | None = None,
    *,
    folds: int = FOLDS,
    seed: int = 0,
    device: str = "cpu",
) -> OutOfFold:
    """Predict every label by a model that has seen neither it nor any other article of its style.

    A fold costs one training on the other folds. The logits of all folds of an attribute are divided by the one
    temperature that makes its labels most likely.

    Args:
        articles: as for :meth:`AttributeModel.fit`.
        labels: article_id, attribute, value.
        config: of each fold's model; None: :func:`config_for`.
        folds: how many, at least 2. Styles go to folds by a hash, so most labels stay in one fold from day to day.
        seed: of the folds, and of the models where ``config`` is None.
        device: where to compute.

    Raises:
        ArticlesError: fewer than 2 folds; otherwise as :meth:`AttributeModel.fit`.
    """
    if folds < 2:
        raise ArticlesError(f"folds is {folds}; a label is judged by the other folds, so there must be at least 2.")
    articles, known = Articles.from_frame(articles), read_labels(labels)
    own = labels_of(articles, known)
    config = config or config_for(own["article_id"].nunique(), seed=seed)
    fold = fold_of_styles(articles, folds, seed=seed)
    own = own.assign(fold=fold[own["row"]])
    rare, found = _by_attribute(own, list(_predict_folds(articles, own, fold, config, device)))
    judged = tuple(_calibrated(each) for each in found if _can_be_judged(each))
    counts = {
        "in_all": len(known),
        "judged": sum(map(len, judged)),
        "of_rare_values": rare,
        "of_unjudged_attributes": len(own) - rare - sum(map(len, judged)),
        "of_unknown_articles": len(known) - len(own),
        "attributes_judged": len(judged),
        "attributes_unjudged": known["attribute"].nunique() - len(judged),
    }
    return OutOfFold(judged, counts)


def _predict_folds(
    articles: Articles, labels: pd.DataFrame, fold: Int64s, config: AttributeConfig, device: str
) -> Iterator[Probabilities]:
    """What the model of the other folds predicts for the labelled articles of each fold that holds any."""
    labelled = np.zeros(len(fold), dtype=bool)
    labelled[labels["row"]] = True
    for number in np.unique(fold[labelled]).tolist():
        held_out = fold == number
        if not (labelled & ~held_out).any():  # the other folds have no label to learn from
            continue
        model = AttributeModel(config, device=device).fit(articles.rows(~held_out), labels[labels["fold"] != number])
        yield model.predict_proba(articles.rows(held_out & labelled))


def _by_attribute(labels: pd.DataFrame, predicted: Sequence[Probabilities]) -> tuple[int, list[OutOfFoldLabels]]:
    """How many labels no fold's model could have predicted, and the others by attribute, not yet calibrated."""
    rare, found = 0, []
    for attribute, group in labels.groupby("attribute", sort=True):
        ordered = group.sort_values("article_id", kind="stable")
        # An article stands in one fold; a value that its fold's model does not know has the probability 0.
        table = pd.concat([pd.DataFrame(), *(_fold_matrix(str(attribute), each) for each in predicted)])
        table = table.reindex(ordered["article_id"]).sort_index(axis=1).fillna(0.0)
        values, matrix = table.columns.to_numpy(dtype=object), table.to_numpy(dtype=np.float64)
        given = pd.Index(values, dtype=object).get_indexer(pd.Index(ordered["value"], dtype=object)).astype(np.int64)
        known = (given >= 0) & (matrix[np.arange(len(given)), given] > 0 if len(values) else False)
        rare += int((~known).sum())
        ids, fold = ordered["article_id"].to_numpy(dtype=object), ordered["fold"].to_numpy(dtype=np.int64)
        parts = ids[known], given[known], fold[known], matrix[known]
        found.append(OutOfFoldLabels(str(attribute), values, *parts, temperature=1.0))
    return rare, found


def _fold_matrix(attribute: str, predicted: Probabilities) -> pd.DataFrame:
    """Probabilities of an attribute's values, by article; no columns where it has no head.

    A probability that float32 rounds to nothing is kept apart from that of a value which cannot be predicted.
    """
    if attribute not in predicted.attributes:
        return pd.DataFrame(index=predicted.article_ids)
    number = predicted.attributes.index(attribute)
    least = np.finfo(np.float32).tiny
    matrix = np.maximum(predicted.matrices[number].astype(np.float64), least)
    return pd.DataFrame(matrix, index=predicted.article_ids, columns=predicted.values[number])


def _can_be_judged(labels: OutOfFoldLabels) -> bool:
    """Enough labels to calibrate on, and two values or more that were annotated."""
    return len(labels) >= LEAST_LABELS and len(np.unique(labels.given)) > 1


def _calibrated(labels: OutOfFoldLabels) -> OutOfFoldLabels:
    """The same labels with probabilities by the temperature under which they are most likely, one for all folds."""
    with np.errstate(divide="ignore"):
        logits = torch.from_numpy(np.log(labels.probabilities))
    temperature = float(fit_temperatures([logits], torch.from_numpy(labels.given[:, None]))[0])
    probabilities = torch.softmax(logits / temperature, dim=1).numpy()
    return replace(labels, probabilities=probabilities, temperature=temperature)


def rank_label_issues(labels: Sequence[OutOfFoldLabels], score: Score = "log_odds") -> pd.DataFrame:
    """Every judged label with what the model says instead, the most suspicious first.

    Args:
        labels: of :func:`out_of_fold`.
        score: ``log_odds`` of the most probable other value against the annotated one, or one of cleanlab's, see
            ``cleanlab.rank.get_label_quality_scores``; ``self_confidence`` is the annotated value's probability.

    Returns:
        article_id, attribute, annotated_value, annotated_probability, predicted_value (the most probable, which may be
        the annotated one), confidence (its probability), fold, rank (from 1: by score, then confidence, then article
        and attribute).

    Raises:
        ArticlesError: there is no such score.
    """
    if score not in get_args(Score):
        raise ArticlesError(f"score is {score!r}; there are {', '.join(get_args(Score))}.")
    parts = [_score(each, score) for each in labels if len(each)]
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)
    order = ["quality", "contradiction", "article_id", "attribute"]
    ranked = pd.concat(parts, ignore_index=True).sort_values(order, kind="stable", ignore_index=True)
    return ranked.assign(rank=np.arange(1, len(ranked) + 1))[list(COLUMNS)].astype(COLUMNS)


def _score(labels: OutOfFoldLabels, score: Score) -> pd.DataFrame:
    rows = np.arange(len(labels))
    best = labels.probabilities.argmax(axis=1)
    confidence = labels.probabilities[rows, best].clip(0.0, 1.0)
    return pd.DataFrame(
        {
            "article_id": labels.article_ids,
            "attribute": labels.attribute,
            "annotated_value": labels.values[labels.given],
            "annotated_probability": labels.probabilities[rows, labels.given].clip(0.0, 1.0),
            "predicted_value": labels.values[best],
            "confidence": confidence,
            "fold": labels.folds,
            "quality": quality(labels.given, labels.probabilities, score),
            "contradiction": -confidence,
        }
    )


def quality(given: Int64s, probabilities: Float64s, score: Score) -> Float64s:
    """How good labels look, float64 [n]: the lowest are the most suspicious.

    Args:
        given: int64 [n]: positions of the annotated values.
        probabilities: float64 [n, classes].
        score: as for :func:`rank_label_issues`.
    """
    if score == "log_odds":
        rows, others = np.arange(len(given)), probabilities.copy()
        others[rows, given] = 0.0
        with np.errstate(divide="ignore"):  # no other value could be predicted: infinitely good
            return np.asarray(np.log(probabilities[rows, given]) - np.log(others.max(axis=1)))
    from cleanlab.rank import get_label_quality_scores

    return np.asarray(get_label_quality_scores(given, probabilities, method=score))


def find_label_issues(
    ranked: pd.DataFrame, *, least_confidence: float = LEAST_CONFIDENCE, most_annotated: float = MOST_ANNOTATED
) -> pd.DataFrame:
    """The labels that the model confidently contradicts: the rows of the table ``catalogue_errors``.

    Args:
        ranked: of :func:`rank_label_issues`.
        least_confidence: probability that another value must have.
        most_annotated: probability that the annotated value may have.

    Returns:
        Those rows in their order, ranked anew from 1.
    """
    doubtful = (
        (ranked["predicted_value"] != ranked["annotated_value"])
        & (ranked["confidence"] >= least_confidence)
        & (ranked["annotated_probability"] <= most_annotated)
    )
    kept = ranked[doubtful].sort_values("rank", kind="stable", ignore_index=True)
    return kept.assign(rank=np.arange(1, len(kept) + 1, dtype=np.int64))
