"""How well a model predicts articles that it has not seen.

What belongs here: the table of figures per attribute, its baseline, and the daily split. What does not: the metrics'
arithmetic (:mod:`atelier.attributes.scores`), studies that train several models.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from atelier.articles.splits import holdout
from atelier.articles.table import Articles
from atelier.attributes.config import AttributeConfig
from atelier.attributes.labels import labels_of, read_labels
from atelier.attributes.model import AttributeModel
from atelier.attributes.prediction_sets import decided, set_figures
from atelier.attributes.scores import AGAINST_MAJORITY, MEAN, Reliability, figures_table, label_figures, positions_of
from atelier.attributes.temperature import uncalibrated
from atelier.frames import Frame
from atelier.nn.replicas import ALONE, Replicas

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
    """Evaluate a model on labelled articles.

    Every label counts, also one whose value was too rare in training to be predicted: it is a miss. The majority
    baseline always says the value that was most frequent in training.

    Args:
        model: fitted.
        articles: what to evaluate on, as for :meth:`AttributeModel.predict`; not what it was trained on.
        labels: article_id, attribute, value. Labels of other articles are left out.

    Returns:
        attribute, metric, value (float64). First, for each attribute that has a head or a label, and except for the
        counts null where it has only one of the two:

        - ``samples``, its labels; ``classes``, the values that can be predicted (0 without a head);
          ``calibration_samples``, the labels by which temperature and prediction sets were fitted;
        - ``accuracy`` and ``weighted_f1`` (F1 by class, weighted by support), and ``majority_accuracy`` and
          ``majority_weighted_f1`` of the majority baseline;
        - ``expected_calibration_error``, and ``expected_calibration_error_raw`` before the temperature;
        - ``coverage``, the share of the labels that the prediction set holds; ``set_size``, its mean number of values;
          ``abstained``, the share of the labels on which the model would abstain: the set is not a single value, or its
          value is less probable than the config's ``least_confidence``.

        Then the attribute ``mean``: of the counts the sum, of the others the unweighted mean over attributes that have
        a head and a label. At last, also of the attribute ``mean``, all labels in the bins of
        :class:`atelier.attributes.scores.Reliability`: for each bin that holds any, numbered from 01,
        ``reliability_labels_01``, ``reliability_confidence_01`` and ``reliability_accuracy_01``.

    Raises:
        ArticlesError: as :meth:`AttributeModel.predict_proba`, and two labels for one attribute.
    """
    articles = Articles.from_frame(articles)
    truth, found = labels_of(articles, read_labels(labels)), model.predict_proba(articles)
    heads = {head.attribute: (number, head) for number, head in enumerate(model.heads.heads) if found.matrices}
    figures: dict[str, dict[str, float]] = {}
    confidence, correct = [np.zeros(0)], [np.zeros(0, bool)]
    for name in sorted({*heads, *truth["attribute"]}):
        mine = truth[truth["attribute"] == name]
        number, head = heads.get(name, (0, None))
        if head is None:
            figures[name] = label_figures(None, mine["value"], ()) | {"calibration_samples": 0.0}
            continue
        matrix, sets = found.matrices[number][mine["row"]], found.sets[number][mine["row"]]
        guesses = head.values[matrix.argmax(axis=1)]
        correct.append(guesses == mine["value"].to_numpy(dtype=object))
        confidence.append(matrix.max(axis=1).astype(np.float64))
        figures[name] = label_figures(head, mine["value"], guesses)
        figures[name]["calibration_samples"] = float(model.prediction_sets.labels[number])
        if len(mine):
            raw = uncalibrated(matrix, float(model.temperatures[number])).max(axis=1)
            for suffix, each in (("_raw", raw), ("", confidence[-1])):
                error = Reliability.of(each, correct[-1]).expected_calibration_error
                figures[name][f"expected_calibration_error{suffix}"] = error
            figures[name] |= set_figures(sets, *positions_of(head.values, mine["value"]))
            least = model.config.least_confidence if model.config else 0.0
            figures[name]["abstained"] = float((~decided(sets, matrix, least)).mean())
    bins = _reliability(Reliability.of(np.concatenate(confidence), np.concatenate(correct)))
    return pd.concat([figures_table(figures, COUNTS, AVERAGED), bins], ignore_index=True)


def _reliability(bins: Reliability) -> pd.DataFrame:
    """The bins that hold any label, as rows of the attribute ``mean``."""
    rows = {
        f"reliability_{name}_{number + 1:02d}": float(values[number])
        for number in np.flatnonzero(bins.labels)
        for name, values in (("labels", bins.labels), ("confidence", bins.confidence), ("accuracy", bins.accuracy))
    }
    frame = pd.DataFrame({"attribute": MEAN, "metric": list(rows), "value": list(rows.values())})
    return frame.astype({"attribute": "str", "metric": "str", "value": "float64"})


def fit_and_evaluate(
    articles: Frame | Articles,
    labels: Frame,
    config: AttributeConfig | None = None,
    *,
    test_share: float = TEST_SHARE,
    seed: int = 0,
    device: str = "cpu",
    training_state: Path | None = None,
    replicas: Replicas = ALONE,
) -> tuple[AttributeModel, pd.DataFrame]:
    """Train a model and evaluate it on styles that it has not seen, as the pipeline does every day.

    The model is not trained again on the held-out styles afterwards, so that the figures are those of the model which
    is returned and predicts.

    Args:
        articles: as for :meth:`AttributeModel.fit`.
        labels: as for :meth:`AttributeModel.fit`.
        config: None chooses what suits the data.
        test_share: share of the styles that are held out (published: 0.1).
        seed: of the split.
        device: where to compute.
        training_state: a file in which training keeps its state, as :class:`AttributeModel` has it.
        replicas: likewise, the processes that train together.

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
    model = AttributeModel(config, device=device)
    model.training_state, model.replicas = training_state, replicas
    model.fit(articles.rows(~held_out), every[~theirs])
    return model, evaluate(model, unseen, every[theirs])
