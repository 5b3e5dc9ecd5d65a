"""The table of figures."""

import numpy as np
import pandas as pd
import pytest

from atelier.articles.table import Articles
from atelier.attributes import AttributeModel, evaluate, fit_and_evaluate, holdout
from atelier.attributes.evaluation import AVERAGED, METRICS
from atelier.attributes.labels import Head, Heads
from atelier.attributes.model import Probabilities
from atelier.attributes.prediction_sets import PredictionSets


class _Fixed(AttributeModel):
    """Predicts ``v`` for the first two articles and ``round`` for the others, colour ``red`` for all.

    Of the second article's neck both values remain possible.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heads = Heads(
            (
                Head("colour", np.array(["red"], dtype=object), np.array([4])),
                Head("neck", np.array(["round", "v"], dtype=object), np.array([9, 3])),
            )
        )
        self.prediction_sets = PredictionSets(np.array([0.0, 0.35]), np.array([0, 12]))

    @property
    def temperatures(self) -> np.ndarray:  # type: ignore[override]
        return np.array([1.0, 2.0])

    def predict_proba(self, articles: Articles) -> Probabilities:  # type: ignore[override]
        neck = np.array([[0.18, 0.82], [0.38, 0.62], [0.9, 0.1], [0.7, 0.3]], dtype=np.float32)
        heads = self.heads.heads
        return Probabilities(
            articles.names,
            self.heads.attributes,
            tuple(head.values for head in heads),
            (np.ones((4, 1), dtype=np.float32), neck),
            np.ones((4, 2), dtype=bool),
            self.prediction_sets.of((np.ones((4, 1), dtype=np.float32), neck)),
        )


def test_figures_by_hand() -> None:
    articles = pd.DataFrame({"article_id": ["a", "b", "c", "d"]})
    labels = pd.DataFrame(
        [
            ("a", "neck", "v"),
            ("b", "neck", "round"),
            ("c", "neck", "round"),
            ("d", "neck", "never seen"),
            ("a", "sleeve", "long"),
            ("stranger", "neck", "v"),
        ],
        columns=["article_id", "attribute", "value"],
    )
    table = evaluate(_Fixed(), articles, labels)
    figures = table[~table["metric"].str.startswith("reliability")]
    assert figures["attribute"].tolist() == [name for name in ("colour", "neck", "sleeve", "mean") for _ in METRICS]
    wide = table.pivot(index="attribute", columns="metric", values="value")
    # neck: predicted v, v, round, round. F1 of round 2·1/(2+2) = 1/2 (2 of 4), of v 2/3 (1 of 4), of the rare value 0.
    neck = wide.loc["neck"]
    assert (neck["samples"], neck["classes"]) == (4, 2)
    assert neck["accuracy"] == pytest.approx(0.5)
    assert neck["weighted_f1"] == pytest.approx(0.5 * 0.5 + 0.25 * 2 / 3)
    # The majority of training is round: right for two of four; its F1 is 2·2/(2+4).
    assert neck["majority_accuracy"] == pytest.approx(0.5)
    assert neck["majority_weighted_f1"] == pytest.approx(0.5 * 2 / 3)
    assert wide.loc["colour", list(METRICS)].isna().sum() == len(AVERAGED)
    assert (wide.loc["sleeve", "samples"], wide.loc["sleeve", "classes"]) == (1, 0)
    assert wide.loc["sleeve", list(METRICS)].isna().sum() == len(AVERAGED)
    # Confidence .82 right, .62 wrong, .9 right, .7 wrong (the value never seen): each in a bin of its own.
    assert neck["expected_calibration_error"] == pytest.approx((0.18 + 0.62 + 0.1 + 0.7) / 4)
    # Before the temperature of 2: p² over its sum with (1 − p)².
    raw = [p**2 / (p**2 + (1 - p) ** 2) for p in (0.82, 0.62, 0.9, 0.7)]
    errors = [1 - raw[0], raw[1], 1 - raw[2], raw[3]]
    assert neck["expected_calibration_error_raw"] == pytest.approx(sum(errors) / 4, rel=1e-5)
    # Sets: {v}, {v, round}, {round}, {round}; the last label cannot be held.
    assert (neck["coverage"], neck["set_size"], neck["abstained"]) == (0.75, 1.25, 0.25)
    assert neck["calibration_samples"] == 12
    mean = wide.loc["mean"].dropna()
    bins = [mean[f"reliability_confidence_{place:02d}"] for place in (10, 11, 13, 14)]  # ⌈15 · confidence⌉
    assert bins == pytest.approx([0.62, 0.7, 0.82, 0.9])
    assert [mean[f"reliability_accuracy_{place:02d}"] for place in (10, 11, 13, 14)] == [0, 0, 1, 1]
    assert sum(mean.filter(like="reliability_labels")) == 4
    assert wide.loc["mean", "weighted_f1"] == pytest.approx(neck["weighted_f1"])
    assert (wide.loc["mean", "samples"], wide.loc["mean", "classes"]) == (5, 3)


def test_the_daily_figures_are_of_articles_that_were_held_out(planted, tiny) -> None:
    config = tiny.model_copy(update={"max_epochs": 3})
    model, table = fit_and_evaluate(planted.articles, planted.labels, config, test_share=0.25)
    held = holdout(planted.articles, 0.25)
    unseen = planted.articles[held]
    mine = planted.labels[planted.labels["article_id"].isin(unseen["article_id"])]
    pd.testing.assert_frame_equal(table, evaluate(model, unseen, mine))
    assert model.summary["articles"] == int((~held).sum())
    assert model.summary["labels"] == len(planted.labels) - len(mine)
    assert model.summary["labels_of_unknown_articles"] == 0
    # What was held out cannot have mattered: the same training articles give the same model.
    again = AttributeModel(config).fit(planted.articles[~held], planted.labels)
    pd.testing.assert_frame_equal(model.predict(unseen), again.predict(unseen))


def test_nothing_to_judge(planted, tiny) -> None:
    _, table = fit_and_evaluate(planted.articles, planted.labels.iloc[:0], tiny)
    assert table["attribute"].unique().tolist() == ["mean"]
    assert table.set_index("metric")["value"][["samples", "classes"]].tolist() == [0, 0]
