"""The calibration of the attribute model's confidence, and which conformal score gives the smallest sets.

    ATELIER_HOME=… python -m benchmarks.prediction_sets [--day YYYY-MM-DD] [--seeds 0 1 2]
    python -m benchmarks.prediction_sets --hm FOLDER --vectors FILE [--seeds 0 1]

The first form uses the annotations of a home, by default of the last day whose photographs are encoded, with a fifth of
the styles held out; the second H&M's photographed articles, nine attributes, text and photographs, with 32% held out.
FILE is an .npz with the arrays ``names`` (article ids) and ``vectors``. For each seed (of splits and network) one model
is trained, without a further tenth of the styles. It is then calibrated twice: on the styles of early stopping, as
:class:`atelier.attributes.AttributeModel` does, and on that further tenth, which training did not use. If calibrating
on the styles of early stopping did harm, the sets of the first would cover less of the held-out labels.

What belongs here: the comparison, and the conformal scores that were not chosen. What does not: the chosen one
(:mod:`atelier.attributes.prediction_sets`).
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from atelier.articles.table import Articles
from atelier.attributes import AttributeConfig, AttributeModel, holdout
from atelier.attributes.labels import UNLABELLED, labels_of, read_labels
from atelier.attributes.prediction_sets import labels_needed, set_figures
from atelier.attributes.scores import Reliability
from atelier.attributes.temperature import fit_temperatures, uncalibrated
from atelier.errors import AtelierError
from benchmarks.hm_articles import TEST_SHARE, read_articles, with_labels, with_vectors
from resources.article_inputs import article_inputs
from resources.embedding_cache import EmbeddingCache
from resources.feature_store import FeatureStore
from resources.retailer import Home

COVERAGE = 0.9
#: The parameters of RAPS: the penalty of each further value, and the number of values without penalty.
PENALTY, FREE = 0.05, 1
CALIBRATED_ON = ("shared", "fresh")
FIGURES = ("coverage", "set_size", "abstained")

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def _ranks(matrix: Floats) -> Integers:
    return np.argsort(np.argsort(-matrix, axis=1, kind="stable"), axis=1)


def _mass_before(matrix: Floats) -> Floats:
    """The probability of all values that are more probable than each."""
    order = np.argsort(-matrix, axis=1, kind="stable")
    ranked = np.take_along_axis(matrix, order, axis=1)
    found: Floats = np.take_along_axis(np.cumsum(ranked, axis=1) - ranked, _ranks(matrix), axis=1)
    return found


def _random(matrix: Floats) -> Floats:
    return np.random.default_rng(0).random((len(matrix), 1))


#: Conformal scores, float64 [n, classes], of probabilities; a set holds the values with a score up to the threshold.
SCORES: Mapping[str, Callable[[Floats], Floats]] = {
    "LAC (Sadinle et al. 2019)": lambda p: 1 - p,
    "APS (Romano et al. 2020)": lambda p: _mass_before(p) + p,
    "APS, randomised": lambda p: _mass_before(p) + p * _random(p),
    "APS, without its own": _mass_before,
    "RAPS (Angelopoulos et al. 2021)": lambda p: _mass_before(p) + p + PENALTY * np.maximum(_ranks(p) + 1 - FREE, 0),
}


@dataclass(frozen=True)
class Labelled:
    """Predictions for articles: log-probabilities [n, classes] for each attribute, and truth int64 [n, attributes]."""

    logits: list[npt.NDArray[np.float32]]
    truth: Integers

    @classmethod
    def of(cls, model: AttributeModel, articles: pd.DataFrame, labels: pd.DataFrame) -> "Labelled":
        """The predictions of a model for labelled articles, before temperature scaling."""
        found = model.predict_proba(articles)
        truth = model.heads.encode(labels_of(Articles.from_frame(articles), read_labels(labels)), len(articles))
        raw = [uncalibrated(m, t) for m, t in zip(found.matrices, model.temperatures.tolist(), strict=True)]
        return cls([np.log(np.maximum(part, 1e-30)).astype(np.float32) for part in raw], truth)

    def probabilities(self, temperatures: torch.Tensor) -> list[Floats]:
        """The calibrated probabilities of each attribute, float64 [n, classes]."""
        parts = zip(self.logits, temperatures.tolist(), strict=True)
        return [torch.softmax(torch.from_numpy(part).double() / t, dim=1).numpy() for part, t in parts]

    def temperatures(self) -> torch.Tensor:
        """The temperatures of the attributes, fitted on these labels."""
        targets = torch.from_numpy(np.maximum(self.truth, UNLABELLED))
        return fit_temperatures([torch.from_numpy(part) for part in self.logits], targets)


def evaluate(calibration: Labelled, held_out: Labelled) -> Iterator[dict[str, Any]]:
    """The metrics of each attribute and score on the held-out labels, with the calibration error before and after."""
    temperatures = calibration.temperatures()
    known, unseen = calibration.probabilities(temperatures), held_out.probabilities(temperatures)
    raw = held_out.probabilities(torch.ones(len(temperatures)))
    for index in range(len(known)):
        mine = held_out.truth[:, index] != UNLABELLED
        truth = held_out.truth[mine, index]
        if not len(truth):
            continue
        correct = unseen[index][mine].argmax(axis=1) == truth
        errors = {
            f"ece_{name}": Reliability.of(part[index][mine].max(axis=1), correct).expected_calibration_error
            for name, part in (("before", raw), ("after", unseen))
        }
        for name, score in SCORES.items():
            threshold = _threshold(score(known[index]), calibration.truth[:, index])
            sets = score(unseen[index]) <= threshold
            sets[np.arange(len(sets)), unseen[index].argmax(axis=1)] = True
            yield {"score": name, "labels": len(truth)} | errors | set_figures(sets[mine], truth)


def _threshold(scores: Floats, truth: Integers) -> float:
    own = np.where(truth >= 0, scores[np.arange(len(truth)), np.maximum(truth, 0)], np.inf)
    ranked = np.sort(own[truth != UNLABELLED])
    needed = labels_needed(len(ranked), COVERAGE)
    return float(ranked[needed - 1]) + 1e-9 if needed <= len(ranked) else np.inf


def compare(articles: pd.DataFrame, labels: pd.DataFrame, test_share: float, seeds: Sequence[int]) -> pd.DataFrame:
    """The metrics of every seed: seed, calibrated_on, score, labels, ece_before, ece_after, and FIGURES."""
    rows = []
    for seed in seeds:
        test = holdout(articles, test_share, seed=seed)
        fresh = holdout(articles, 0.1, seed=seed, purpose="fresh") & ~test
        training = articles[~test & ~fresh].reset_index(drop=True)
        theirs = labels[labels["article_id"].isin(training["article_id"])]
        config = AttributeConfig.for_data(theirs["article_id"].nunique()).model_copy(update={"seed": seed})
        model = AttributeModel(config).fit(training, theirs)
        used = theirs["attribute"].isin(model.heads.attributes)
        stopped = training[training["article_id"].isin(theirs.loc[used, "article_id"])]
        stopped = stopped[holdout(stopped, config.validation_share, seed=seed, purpose="validation")]
        sides = [Labelled.of(model, part, labels) for part in (stopped, articles[fresh], articles[test])]
        for name, side in zip(CALIBRATED_ON, sides[:2], strict=True):
            rows += [{"seed": seed, "calibrated_on": name} | row for row in evaluate(side, sides[2])]
    return pd.DataFrame(rows)


def as_text(table: pd.DataFrame) -> str:
    """A table of means over attributes, then over seeds, with the coverage over all labels of each seed."""
    keys = ["calibrated_on", "score"]
    means = table.groupby([*keys, "seed"])[[*FIGURES, "ece_before", "ece_after"]].mean().groupby(keys).mean()
    held = table.assign(held=table["coverage"] * table["labels"]).groupby([*keys, "seed"])[["held", "labels"]].sum()
    spread = (held["held"] / held["labels"]).unstack("seed").add_prefix("coverage of labels, seed ")
    return means.join(spread).round(3).to_string()


def _of_home(home: Home, day: date | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    store = FeatureStore(home.store)
    day = day or store.last_day("image_embeddings")
    labels = store.read("annotated_attributes", day).to_pandas()
    return article_inputs(store, EmbeddingCache(home.store), day), labels


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--day", type=date.fromisoformat, help="of the home; the last one if left out")
    parser.add_argument("--hm", type=Path, help="the folder of the H&M files, in place of a home")
    parser.add_argument("--vectors", type=Path, help="an .npz with names and vectors; needed with --hm")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    if options.hm and not options.vectors:
        parser.error("--hm needs --vectors")
    if options.hm:
        articles, labels = with_labels(with_vectors(read_articles(options.hm), options.vectors))
    else:
        try:
            articles, labels = _of_home(Home.from_environment(), options.day)
        except AtelierError as error:
            raise SystemExit(f"error: {error}") from error
    print(as_text(compare(articles, labels, TEST_SHARE if options.hm else 0.2, options.seeds)))


if __name__ == "__main__":
    main()
