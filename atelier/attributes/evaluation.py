"""How well a model predicts articles that it has not seen.

What belongs here: the table of figures per attribute, its baseline, and the daily split. What does not: the metrics'
arithmetic (:mod:`atelier.attributes.scores`), studies that train several models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from atelier.articles.splits import holdout
from atelier.articles.table import Articles
from atelier.attributes.config import AttributeConfig
from atelier.attributes.labels import Head, labels_of, read_labels
from atelier.attributes.model import AttributeModel
from atelier.attributes.scores import AGAINST_MAJORITY, MEAN, Reliability, against_majority
from atelier.attributes.temperature import uncalibrated
from atelier.frames import Frame

COUNTS = ("samples", "classes", "calibration_samples")
AVERAGED = (
    *AGAINST_MAJORITY,
    "expected_calibration_error_raw",
    "expected_calibration_error",
    "coverage",
    "set_size",
    "abstained",
)
METRICS = (*COUNTS, *AVERAGED)
TEST_SHARE = 0.1

__all__ = ["METRICS", "TEST_SHARE", "evaluate", "fit_and_evaluate", "holdout"]


def evaluate(model: AttributeModel, articles: Frame | Articles, labels: Frame) -> pd.DataFrame:
    """Judge a model on labelled articles.

    Every label counts, also one whose value was too rare in training to be predicted: it is a miss. The majority
    baseline always says the value that was most frequent in training.

    Args:
        model: fitted.
        articles: what to judge on, as for :meth:`AttributeModel.predict`; should not have been trained on.
        labels: article_id, attribute, value. Labels of other articles are left out.

    Returns:
        attribute, metric, value (float64): for each attribute that has a head or a label ``samples`` (labels judged),
        ``classes`` (values that can be predicted; 0 without a head), ``calibration_samples`` (labels behind temperature
        and prediction sets), ``accuracy``, ``weighted_f1`` (F1 by class, by support), ``majority_accuracy``,
        ``majority_weighted_f1``, ``expected_calibration_error`` and the same before the temperature
        (``expected_calibration_error_raw``), ``coverage`` (share of the labels that the prediction set holds),
        ``set_size`` (its mean number of values), ``abstained`` (share of the sets that are not a single value): null
        where there is nothing to judge. Then the attribute ``mean``: the counts in all, and the unweighted mean of the
        others over attributes that have a head and a label; and, of all labels together by their confidence, for each
        bin of :class:`atelier.attributes.scores.Reliability` that has any, numbered from 01,
        ``reliability_labels_01``, ``reliability_confidence_01`` and ``reliability_accuracy_01``.

    Raises:
        ArticlesError: as :meth:`AttributeModel.predict_proba`, and two labels for one attribute.
    """
    articles = Articles.from_frame(articles)
    truth = labels_of(articles, read_labels(labels))
    judged = _judged(model, articles, truth)
    others = sorted(set(truth["attribute"].unique()) - judged.keys())
    headless = {
        name: {"samples": float((truth["attribute"] == name).sum()), "classes": 0.0, "calibration_samples": 0.0}
        for name in others
    }
    rows = {name: each.figures() for name, each in judged.items()} | headless
    return pd.concat([_table(dict(sorted(rows.items()))), _reliability(list(judged.values()))], ignore_index=True)


@dataclass(frozen=True)
class _Judged:
    """What a model says of m labelled articles, of one attribute.

    ``actual``: int64 [m], the true values' positions, behind the classes where they cannot be predicted; ``matrix``:
    float32 [m, classes], calibrated; ``sets``: bool [m, classes].
    """

    head: Head
    actual: npt.NDArray[np.int64]
    matrix: npt.NDArray[np.float32]
    sets: npt.NDArray[np.bool_]
    temperature: float
    calibration_samples: int

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        best: npt.NDArray[np.int64] = self.matrix.argmax(axis=1).astype(np.int64)
        return best

    def reliability(self, matrix: npt.NDArray[np.floating[Any]]) -> Reliability:
        return Reliability.of(matrix.max(axis=1).astype(np.float64), self.predicted == self.actual)

    def figures(self) -> dict[str, float]:
        counts = {
            "samples": float(len(self.actual)),
            "classes": float(len(self.head.values)),
            "calibration_samples": float(self.calibration_samples),
        }
        if not len(self.actual):
            return counts
        sizes = self.sets.sum(axis=1)
        held = np.zeros(len(self.actual), dtype=bool)
        known = self.actual < len(self.head.values)
        held[known] = self.sets[known, self.actual[known]]
        raw = uncalibrated(self.matrix, self.temperature)
        return counts | {
            **against_majority(self.actual, self.predicted, self.head.majority),
            "expected_calibration_error_raw": self.reliability(raw).expected_calibration_error,
            "expected_calibration_error": self.reliability(self.matrix).expected_calibration_error,
            "coverage": float(held.mean()),
            "set_size": float(sizes.mean()),
            "abstained": float((sizes != 1).mean()),
        }


def _judged(model: AttributeModel, articles: Articles, truth: pd.DataFrame) -> dict[str, _Judged]:
    """Of each attribute that has a head, what the model says of the articles that are labelled with it."""
    found = model.predict_proba(articles)
    judged = {}
    for place, head in enumerate(model.heads.heads if found.matrices else ()):
        mine = truth[truth["attribute"] == head.attribute]
        rows = mine["row"].to_numpy()
        # Values that cannot be predicted get positions of their own behind the classes.
        known = pd.Index([*head.values, *sorted(set(mine["value"]) - set(head.values))], dtype=object)
        actual = known.get_indexer(pd.Index(mine["value"], dtype=object)).astype(np.int64)
        judged[head.attribute] = _Judged(
            head,
            actual,
            found.matrices[place][rows],
            found.sets[place][rows],
            float(model.temperatures[place]),
            int(model.prediction_sets.labels[place]),
        )
    return judged


def _reliability(judged: Sequence[_Judged]) -> pd.DataFrame:
    """The bins of all labels together, as rows of the attribute ``mean``."""
    confidence = [each.matrix.max(axis=1).astype(np.float64) for each in judged]
    correct = [each.predicted == each.actual for each in judged]
    bins = Reliability.of(np.concatenate([np.zeros(0), *confidence]), np.concatenate([np.zeros(0, bool), *correct]))
    some = np.flatnonzero(bins.labels)
    rows = {
        f"reliability_{name}_{place + 1:02d}": float(values[place])
        for place in some
        for name, values in (("labels", bins.labels), ("confidence", bins.confidence), ("accuracy", bins.accuracy))
    }
    frame = pd.DataFrame({"attribute": MEAN, "metric": list(rows), "value": list(rows.values())})
    return frame.astype({"attribute": "str", "metric": "str", "value": "float64"})


def _table(rows: dict[str, dict[str, float]]) -> pd.DataFrame:
    wide = pd.DataFrame.from_dict(rows, orient="index", columns=list(METRICS), dtype=np.float64)
    judged = wide[wide["accuracy"].notna()]
    means = {name: wide[name].sum() for name in COUNTS} | {name: judged[name].mean() for name in AVERAGED}
    wide = pd.concat([wide, pd.DataFrame(means, index=[MEAN], dtype=np.float64)])
    long = wide.rename_axis("attribute").reset_index().melt("attribute", var_name="metric", value_name="value")
    order = {name: place for place, name in enumerate(wide.index)}
    long = long.assign(place=long["attribute"].map(order)).sort_values("place", kind="stable")
    return long.drop(columns="place").astype({"attribute": "str", "metric": "str"}).reset_index(drop=True)


def fit_and_evaluate(
    articles: Frame | Articles,
    labels: Frame,
    config: AttributeConfig | None = None,
    *,
    test_share: float = TEST_SHARE,
    seed: int = 0,
    device: str = "cpu",
) -> tuple[AttributeModel, pd.DataFrame]:
    """Train a model and judge it on styles that it has not seen: what happens every day.

    The model that is judged is the one that is returned and predicts: it is not trained again on the held-out tenth,
    so that the figures are its own.

    Args:
        articles: as for :meth:`AttributeModel.fit`.
        labels: as for :meth:`AttributeModel.fit`.
        config: None chooses what suits the data.
        test_share: share of the styles that are held out (published: 0.1).
        seed: of the split.
        device: where to compute.

    Returns:
        The model, and :func:`evaluate`'s table on the articles held out.

    Raises:
        ArticlesError: as :meth:`AttributeModel.fit`.
    """
    articles = Articles.from_frame(articles)
    held_out, every = holdout(articles, test_share, seed=seed), read_labels(labels)
    unseen = articles.rows(held_out)
    theirs = unseen.find(every["article_id"]) >= 0
    # The model would count the labels of held-out articles as labels of unknown articles.
    model = AttributeModel(config, device=device).fit(articles.rows(~held_out), every[~theirs])
    return model, evaluate(model, unseen, every[theirs])
