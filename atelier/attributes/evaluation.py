"""How well a model predicts articles that it has not seen.

What belongs here: the table of figures per attribute, its baseline, and the daily split. What does not: the metrics'
arithmetic (:mod:`atelier.attributes.scores`), studies that train several models.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from atelier.attributes.config import AttributeConfig
from atelier.attributes.frames import Frame, identifiers
from atelier.attributes.labels import Head, read_labels
from atelier.attributes.model import AttributeModel
from atelier.attributes.scores import accuracy, weighted_f1
from atelier.attributes.splits import holdout

METRICS = ("samples", "classes", "accuracy", "weighted_f1", "majority_accuracy", "majority_weighted_f1")
AVERAGED = METRICS[2:]
TEST_SHARE = 0.1

__all__ = ["METRICS", "TEST_SHARE", "evaluate", "fit_and_evaluate", "holdout"]


def evaluate(model: AttributeModel, articles: Frame, labels: Frame) -> pd.DataFrame:
    """Judge a model on labelled articles.

    Every label counts, also one whose value was too rare in training to be predicted: it is a miss. The majority
    baseline always says the value that was most frequent in training.

    Args:
        model: fitted.
        articles: what to judge on, as for :meth:`AttributeModel.predict`; should not have been trained on.
        labels: article_id, attribute, value. Labels of other articles are left out.

    Returns:
        attribute, metric, value (float64): for each attribute that has a head or a label ``samples`` (labels judged),
        ``classes`` (values that can be predicted; 0 without a head), ``accuracy``, ``weighted_f1`` (F1 by class, by
        support), ``majority_accuracy``, ``majority_weighted_f1`` (null where there is nothing to judge); then the
        attribute ``mean``: labels and classes in all, and the unweighted mean of the others over attributes that have
        a head and a label.

    Raises:
        ArticlesError: as :meth:`AttributeModel.predict_proba`, and two labels for one attribute.
    """
    truth = read_labels(labels)
    ids = pd.Index(identifiers(articles).to_numpy(zero_copy_only=False))
    truth = truth[truth["article_id"].isin(ids)]
    found = model.predict_proba(articles)
    heads = {head.attribute: (head, matrix) for head, matrix in zip(model.heads.heads, found.matrices, strict=False)}
    rows = {
        attribute: _judge(*heads[attribute], truth[truth["attribute"] == attribute], ids)
        if attribute in heads
        else {"samples": float((truth["attribute"] == attribute).sum()), "classes": 0.0}
        for attribute in sorted({*heads, *truth["attribute"].unique()})
    }
    return _table(rows)


def _judge(head: Head, matrix: npt.NDArray[np.float32], truth: pd.DataFrame, ids: pd.Index) -> dict[str, float]:
    """The figures of one attribute; ``matrix`` is [articles, classes]."""
    places = ids.get_indexer(pd.Index(truth["article_id"]))
    predicted = matrix.argmax(axis=1)[places].astype(np.int64)
    # Values that cannot be predicted get positions of their own behind the classes.
    rare = sorted(set(truth["value"]) - set(head.values))
    known = pd.Index([*head.values, *rare], dtype=object)
    actual = known.get_indexer(pd.Index(truth["value"], dtype=object)).astype(np.int64)
    majority = np.full_like(actual, head.majority)
    return {
        "samples": float(len(actual)),
        "classes": float(len(head.values)),
        "accuracy": accuracy(actual, predicted),
        "weighted_f1": weighted_f1(actual, predicted),
        "majority_accuracy": accuracy(actual, majority),
        "majority_weighted_f1": weighted_f1(actual, majority),
    }


def _table(rows: dict[str, dict[str, float]]) -> pd.DataFrame:
    wide = pd.DataFrame.from_dict(rows, orient="index", columns=list(METRICS), dtype=np.float64)
    judged = wide[wide["accuracy"].notna()]
    means = {name: wide[name].sum() for name in METRICS[:2]} | {name: judged[name].mean() for name in AVERAGED}
    wide = pd.concat([wide, pd.DataFrame(means, index=["mean"], dtype=np.float64)])
    long = wide.rename_axis("attribute").reset_index().melt("attribute", var_name="metric", value_name="value")
    order = {name: place for place, name in enumerate(wide.index)}
    long = long.assign(place=long["attribute"].map(order)).sort_values("place", kind="stable")
    return long.drop(columns="place").astype({"attribute": "str", "metric": "str"}).reset_index(drop=True)


def fit_and_evaluate(
    articles: Frame,
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
    held_out = holdout(articles, test_share, seed=seed)
    known, unseen = _rows(articles, ~held_out), _rows(articles, held_out)
    # Labels of held-out articles are strangers to the training articles, but would be counted as such.
    owners = pd.Series(read_labels(labels)["article_id"])
    theirs = owners.isin(identifiers(unseen).to_numpy(zero_copy_only=False)).to_numpy()
    complete = read_labels(labels)
    model = AttributeModel(config, device=device).fit(known, complete[~theirs])
    return model, evaluate(model, unseen, complete[theirs])


def _rows(frame: Frame, chosen: npt.NDArray[np.bool_]) -> Frame:
    return frame.filter(pa.array(chosen)) if isinstance(frame, pa.Table) else frame.loc[chosen]
