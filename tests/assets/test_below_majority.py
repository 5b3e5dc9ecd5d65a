"""When an attribute counts as not above its majority baseline."""

import pandas as pd
import pytest

from assets.attributes import below_majority


def judged(samples: int, weighted_f1: float, majority: float = 0.45, accuracy: float = 0.6) -> pd.DataFrame:
    figures = {
        "samples": samples,
        "classes": 3,
        "weighted_f1": weighted_f1,
        "majority_weighted_f1": majority,
        "majority_accuracy": accuracy,
    }
    return pd.DataFrame([{"attribute": "fit", "metric": name, "value": value} for name, value in figures.items()])


def annotated(count: int) -> pd.DataFrame:
    return pd.DataFrame({"article_id": [str(n) for n in range(count)], "attribute": "fit", "value": "slim"})


@pytest.mark.parametrize(
    ("samples", "weighted_f1", "labels", "below"),
    [
        (100, 0.46, 1000, False),
        (100, 0.45, 1000, True),  # many judged: level is not above
        (15, 0.44, 150, False),  # 15 judged: two standard errors are 0.25
        (15, 0.21, 150, False),
        (15, 0.19, 150, True),
        (15, 0.0, 99, False),  # too few labels to be asked
    ],
)
def test_below_the_majority(samples: int, weighted_f1: float, labels: int, below: bool) -> None:
    assert below_majority(judged(samples, weighted_f1), annotated(labels)) == (["fit"] if below else [])


def test_without_held_out_labels_nothing_is_above() -> None:
    assert below_majority(judged(0, float("nan"), float("nan"), float("nan")), annotated(100)) == ["fit"]
