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

from atelier.arrays import Float64s, Int64s, Mask, Objects
from atelier.articles.errors import ArticlesError
from atelier.articles.splits import folds as fold_of_styles
from atelier.articles.table import Articles
from atelier.attributes.config import AttributeConfig
from atelier.attributes.label_noise import LabelNoise, ScoreCounts, binned, share_intervals
from atelier.attributes.labels import Heads, labels_of, read_labels
from atelier.attributes.mentions import ValueNames
from atelier.attributes.model import AttributeModel, Probabilities
from atelier.attributes.temperature import fit_temperatures
from atelier.frames import Frame

FOLDS = 3
LEAST_LABELS = 30  # of an attribute: fewer do not say how far its probabilities can be trusted
LEAST_ERROR_PROBABILITY = 0.5
CELLS = 4_000_000
"""Labels times values that are scored at a time, so that memory does not grow with the catalogue."""
EVERY = "all"
"""The name of the row, in a table by attribute, that holds all attributes together."""
KEY = ["article_id", "attribute"]
#: A model that only finds errors may be small and stop at half the epochs: on the sample retailer it finds as many.
EPOCHS_SHARE = 0.5
LEAN: dict[str, object] = {
    "image_units": 64,
    "filters": 32,
    "text_units": 32,
    "joint_units": 128,
    "pair_units": 0,
    "members": 1,
    "label_smoothing": 0.0,
    "mentions": True,
    "mention_dropout": 0.2,
    "validation_share": 0.0,
}

Score = Literal["log_odds", "self_confidence", "normalized_margin", "confidence_weighted_entropy"]
#: The columns of a ranking of labels, and their types.
COLUMNS = {
    **dict.fromkeys(("article_id", "attribute", "annotated_value"), "str"),
    "annotated_probability": "float64",
    "predicted_value": "str",
    "confidence": "float64",
    "error_probability": "float64",
    "stated": "bool",
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
        named: bool [n, classes]: the values that the article's text names.
    """

    attribute: str
    values: Objects
    article_ids: Objects
    given: Int64s
    folds: Int64s
    probabilities: Float64s
    temperature: float
    named: Mask

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
    """The config of each fold's model: one small network, half the epochs that suit the data, and no validation share.

    A label that is wrong is contradicted by plain evidence, which a small network sees as well as three large ones; and
    their confidence is calibrated afterwards. Within a fold nothing is held out to stop early or to calibrate, because
    the fold itself calibrates.

    Args:
        labelled: labelled articles.
        seed: of each model.
        max_epochs: passes over the data; None: half of :meth:`AttributeConfig.for_data`'s, at least 1.
    """
    config = AttributeConfig.for_data(labelled)
    epochs = max(1, round(EPOCHS_SHARE * config.max_epochs)) if max_epochs is None else max_epochs
    return AttributeConfig.model_validate(config.model_dump() | LEAN | {"seed": seed, "max_epochs": epochs})


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
    named = _named(articles, own, config)
    rare, found = _by_attribute(own, list(_predict_folds(articles, own, fold, config, device)), named)
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


def _named(articles: Articles, labels: pd.DataFrame, config: AttributeConfig) -> dict[str, pd.DataFrame]:
    """By attribute, which of its values the text of each labelled article names: bool, a column for each value."""
    heads = Heads.fit(labels, 1)
    articles = articles.rows(np.isin(np.arange(len(articles)), labels["row"]))
    stated = ValueNames.of(heads, config.synonyms).stated(articles)
    bounds = np.concatenate([[0], np.cumsum(heads.sizes)])
    return {
        head.attribute: pd.DataFrame(
            stated[:, bounds[place] : bounds[place + 1]].toarray(), index=articles.names, columns=head.values
        )
        for place, head in enumerate(heads.heads)
    }


def _by_attribute(
    labels: pd.DataFrame, predicted: Sequence[Probabilities], named: dict[str, pd.DataFrame]
) -> tuple[int, list[OutOfFoldLabels]]:
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
        texts = named[str(attribute)].reindex(index=ids[known], columns=values, fill_value=False).to_numpy(dtype=bool)
        found.append(OutOfFoldLabels(str(attribute), values, *parts, temperature=1.0, named=texts))
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
        the annotated one), confidence (its probability), error_probability (how probably the label is wrong, see
        :mod:`atelier.attributes.label_noise`), stated (whether the text states the annotated value), fold, rank (from
        1: those that the text does not state first, by error_probability, then score, then confidence, then article and
        attribute).

    Raises:
        ArticlesError: there is no such score.
    """
    if score not in get_args(Score):
        raise ArticlesError(f"score is {score!r}; there are {', '.join(get_args(Score))}.")
    _, noise = _fit_noise(labels, score)
    parts = [_score(each, score, noise, place) for place, each in enumerate(labels) if len(each)]
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)
    order = ["stated", "sound", "quality", "contradiction", "article_id", "attribute"]
    ranked = pd.concat(parts, ignore_index=True).sort_values(order, kind="stable", ignore_index=True)
    return ranked.assign(rank=np.arange(1, len(ranked) + 1))[list(COLUMNS)].astype(COLUMNS)


def _score(labels: OutOfFoldLabels, score: Score, noise: LabelNoise, place: int) -> pd.DataFrame:
    rows = np.arange(len(labels))
    own = quality(labels.given, labels.probabilities, score)
    probability = noise.error_probability(place, -own)
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
            "error_probability": probability,
            "stated": labels.named[rows, labels.given],
            "sound": -probability,
            "quality": own,
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
    ranked: pd.DataFrame, *, least_error_probability: float = LEAST_ERROR_PROBABILITY
) -> pd.DataFrame:
    """The labels that are probably wrong: the rows of the table ``catalogue_errors``.

    Args:
        ranked: of :func:`rank_label_issues`.
        least_error_probability: how probable an error has to be. Where an attribute's labels never are, because its
            model tells too little, none of them is listed.

    Returns:
        Those rows in their order, ranked anew from 1; never one whose annotated value the text states.
    """
    doubtful = (
        (ranked["predicted_value"] != ranked["annotated_value"])
        & (ranked["error_probability"] >= least_error_probability)
        & ~ranked["stated"]
    )
    kept = ranked[doubtful].sort_values("rank", kind="stable", ignore_index=True)
    return kept.assign(rank=np.arange(1, len(kept) + 1, dtype=np.int64)).drop(columns="stated")


def expected_shares(
    labels: Sequence[OutOfFoldLabels], issues: pd.DataFrame, score: Score = "log_odds", *, seed: int = 0
) -> pd.DataFrame:
    """What to expect of a list, attribute by attribute: the rows of the table ``catalogue_error_shares``.

    Args:
        labels: of :func:`out_of_fold`.
        issues: of :func:`find_label_issues`, of the same labels.
        score: by which they were ranked.
        seed: of the intervals.

    Returns:
        attribute (one row each in their order, then ``all``), labels (that were judged), error_rate (the estimated
        share of wrong ones among these), listed, expected_share (of true errors among the listed: the mean of their
        probabilities; null where none is listed), low and high (a 90% interval).
    """
    counts, noise = _fit_noise(labels, score)
    keys = issues.set_index(KEY).index
    chosen = [pd.MultiIndex.from_product([each.article_ids, [each.attribute]]).isin(keys) for each in labels]
    scores = [-quality(each.given, each.probabilities, score)[mine] for each, mine in zip(labels, chosen, strict=True)]
    low, high = share_intervals(counts, scores, seed=seed)
    judged = np.array([len(each) for each in labels], dtype=np.int64)
    listed = np.array([len(each) for each in scores], dtype=np.int64)
    expected = np.array([noise.error_probability(place, each).sum() for place, each in enumerate(scores)])
    total = max(int(judged.sum()), 1)
    with np.errstate(invalid="ignore"):
        shares = np.append(expected, expected.sum()) / np.append(listed, listed.sum())
    return pd.DataFrame(
        {
            "attribute": pd.Series([*(each.attribute for each in labels), EVERY], dtype="str"),
            "labels": np.append(judged, judged.sum()),
            "error_rate": np.append(noise.rates, (noise.rates * judged).sum() / total),
            "listed": np.append(listed, listed.sum()),
            "expected_share": shares,
            "low": low,
            "high": high,
        }
    )


def _fit_noise(labels: Sequence[OutOfFoldLabels], score: Score) -> tuple[list[ScoreCounts], LabelNoise]:
    """The scores of the labels and of made-up errors, and what they say of errors."""
    counts = [_score_counts(each, score) for each in labels]
    return counts, LabelNoise.fit(counts)


def _score_counts(labels: OutOfFoldLabels, score: Score) -> ScoreCounts:
    """The scores of an attribute's labels, and of every other value that could stand in the place of one.

    What the text states is never listed, and counts on neither side.
    """
    size = max(1, CELLS // max(len(labels.values), 1))
    parts = [_binned(labels, slice(start, start + size), score) for start in range(0, max(len(labels), 1), size)]
    return ScoreCounts.balanced(*np.sum(parts, axis=0))


def _binned(labels: OutOfFoldLabels, part: slice, score: Score) -> tuple[Float64s, Float64s]:
    """Of some of the labels the scores, and the weights of the scores of made-up errors: float64 [bins] each."""
    probabilities, named, given = labels.probabilities[part], labels.named[part], labels.given[part]
    scores, possible, rows = -_qualities(probabilities, score), (probabilities > 0) & ~named, np.arange(len(given))
    mine = possible[rows, given]
    possible[rows, given] = False
    # Each label that may be listed is as many made-up errors as any other, however many values it could have.
    weights = ~named[rows, given] / np.maximum(possible.sum(axis=1), 1)
    others, values = np.nonzero(possible)
    return binned(scores[rows, given][mine]), binned(scores[others, values], weights[others])


def _qualities(probabilities: Float64s, score: Score) -> Float64s:
    """:func:`quality` of every value, if it were the annotated one: float64 [n, classes]."""
    rows, count = np.arange(len(probabilities)), probabilities.shape[1]
    if score != "log_odds":
        each = [quality(np.full(len(rows), value, dtype=np.int64), probabilities, score) for value in range(count)]
        return np.stack(each, axis=1)
    best = probabilities.argmax(axis=1)
    others = np.repeat(probabilities[rows, best][:, None], count, axis=1)
    others[rows, best] = np.partition(probabilities, count - 2, axis=1)[:, count - 2] if count > 1 else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):  # values that could not be predicted; left out by the caller
        return np.asarray(np.log(probabilities) - np.log(others))
