"""The outfit model beside controls that only count: what the benchmarks of outfits have in common.

What belongs here: articles and outfits of any source, one split's comparison, ablations. What does not: reading a
source, the splits and questions of one benchmark.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from atelier.arrays import Float64s, Int64s, Mask
from atelier.articles.table import Articles
from atelier.outfits import OutfitModel
from atelier.outfits.config import OutfitConfig
from atelier.outfits.controls import Joined, Scorer, controls
from atelier.outfits.evaluation import (
    BrokenOutfits,
    Interval,
    auc_difference,
    auc_over_outfits,
    broken_outfits,
    mean_over_outfits,
    outfit_scores,
    right_answers,
    scored,
)
from atelier.outfits.given import one_by_one
from atelier.outfits.names import Draw
from atelier.outfits.outfits import Outfits
from atelier.outfits.questions import FamilyDraw, Questions, fill_in_the_blank
from atelier.outfits.splits import Split

JOINED, MODEL = "joined", "model"


class Question(NamedTuple):
    """Questions of one sort, and the popularity that the model's score takes in for them."""

    negatives: Draw
    popularity: float = 0.0
    asked: Mask | None = None
    offered: Mask | None = None


@dataclass(frozen=True, eq=False)
class Data:
    """Articles with their vectors and attributes, and all outfits.

    Attributes:
        articles: n articles.
        outfits: of them, not yet divided.
        names: of the attributes.
        codes: int64 [n, attributes], for the controls.
        families: int64 [n].
    """

    articles: Articles
    outfits: Outfits
    names: list[str]
    codes: Int64s
    families: Int64s

    @classmethod
    def of(cls, products: pd.DataFrame, outfits: pd.DataFrame, names: list[str], family: str) -> "Data":
        """Articles of a frame, and outfits of them.

        Args:
            products: ``article_id``, what the model reads, and the columns ``names``.
            outfits: ``outfit_id``, ``article_id``.
            names: the attributes that controls count.
            family: which of them says of which family an article is.
        """
        articles = Articles.from_frame(products)
        codes = np.stack([pd.factorize(products[name], sort=True)[0] for name in names], axis=1).astype(np.int64)
        codes -= codes.min(axis=0, keepdims=True).clip(max=0)  # a value that is not known has a number of its own
        return cls(articles, Outfits.from_frame(outfits, articles), names, codes, codes[:, names.index(family)])


class Comparison:
    """One split: a fitted model, the controls, and their figures side by side.

    Args:
        data: what there is.
        split: its parts.
        seed: of the questions.
        config: the model's.
    """

    def __init__(self, data: Data, split: Split, seed: int, config: OutfitConfig) -> None:
        self.data, self.split, self.seed = data, split, seed
        wall, cpu = time.perf_counter(), time.process_time()
        self.model = OutfitModel(config).fit(split.train, data.articles)
        self.seconds, self.cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
        self.controls = controls(split.train, data.codes, data.names)

    def questions(self, name: str, wanted: Mapping[str, Question]) -> list[dict[str, Any]]:
        """Ask questions of the test part: rows of question, part, model, control, figures."""
        test, validation = wanted["test"], wanted["validation"]
        asked = ask(self.data, self.split.test, self.split.train.frequency, test, self.seed)
        known = ask(self.data, self.split.validation, self.split.train.frequency, validation, self.seed)
        values = self._values(asked, known, self.model.scorer(test.popularity))
        rows = [self._row(name, values, asked.outfits)]
        trained = self.split.train.frequency[asked.candidates[:, 0]] > 0
        if test.negatives == "popularity":
            left = {each: found[trained] for each, found in values.items()}
            rows.append(self._row(f"{name}, trained on", left, asked.outfits[trained]))
        return rows

    def given_questions(self, name: str, asked: Questions, known: Questions) -> dict[str, Any]:
        """Ask questions that came with the outfits, whose wrong answers may be of other families.

        Args:
            name: of the questions.
            asked: they.
            known: questions of validation, by which controls are joined.
        """
        values = self._values(asked, known, one_by_one(self.model.comparable_scorer()))
        return self._row(name, values, asked.outfits)

    def _values(self, asked: Questions, known: Questions, model: Scorer) -> dict[str, Float64s]:
        """Right answers of the model, of each control and of all joined."""
        joined = Joined.fit(tuple(self.controls.values()), known)
        scorers: dict[str, Scorer] = {MODEL: model, **self.controls, JOINED: joined}
        return {each: right_answers(scored(scorer, asked)) for each, scorer in scorers.items()}

    def _row(self, name: str, values: Mapping[str, Float64s], outfits: Int64s) -> dict[str, Any]:
        means = {each: float(found.mean()) for each, found in values.items()}
        best = max((each for each in means if each != MODEL), key=means.__getitem__)
        gain = mean_over_outfits(values[MODEL] - values[best], outfits)
        return self._figures(name, len(outfits), mean_over_outfits(values[MODEL], outfits), best, means, gain)

    def auc(self, name: str, offered: Mask | None = None) -> dict[str, Any]:
        """AUC of real outfits against broken ones."""
        weights = self.split.train.frequency.astype(np.float64) if offered is None else offered.astype(np.float64)
        broken = broken_outfits(self.split.test, FamilyDraw(self.data.families, weights), self.seed)
        return self.auc_of(name, broken, paired=True)

    def auc_of(self, name: str, outfits: BrokenOutfits, *, paired: bool) -> dict[str, Any]:
        """AUC of real outfits against others; ``paired``: whether each of the others was made of a real one."""
        scorers = {MODEL: self.model.comparable_scorer(), **self.controls}
        values = {each: _both(scorer, outfits) for each, scorer in scorers.items()}
        figures = {each: auc_over_outfits(*found, paired=paired) for each, found in values.items()}
        means = {each: found.value for each, found in figures.items()}
        best = max(self.controls, key=means.__getitem__)
        gain = auc_difference(values[MODEL], values[best], paired=paired)
        return self._figures(name, len(outfits.real), figures[MODEL], best, means, gain)

    def _figures(
        self, name: str, count: int, model: Interval, best: str, means: Mapping[str, float], gain: Interval
    ) -> dict[str, Any]:
        shown = {each: f"{value:.3f}" for each, value in means.items() if each != MODEL}
        head = {"questions": name, "seed": self.seed, "asked": count, MODEL: str(model), "gain": str(gain)}
        return {**head, "best control": best, **shown, "value": model.value}


def _both(scorer: Scorer, outfits: BrokenOutfits) -> tuple[Float64s, Float64s]:
    return outfit_scores(scorer, outfits.real), outfit_scores(scorer, outfits.broken)


def ask(data: Data, outfits: Outfits, frequency: Int64s, question: Question, seed: int) -> Questions:
    """Questions of one sort about some outfits; ``frequency``: of each article in outfits of training."""
    families, asked, offered = data.families, question.asked, question.offered
    return fill_in_the_blank(
        outfits, families, question.negatives, frequency=frequency, seed=seed, asked=asked, offered=offered
    )


def ablations(
    data: Data,
    split: Split,
    seed: int,
    config: OutfitConfig,
    variants: Mapping[str, Mapping[str, Any]],
    questions: Mapping[str, Question],
) -> Iterator[dict[str, str]]:
    """The model of ``config`` and variants of it, asked the same questions about the test part.

    Args:
        data: what there is.
        split: its parts.
        seed: of the questions and the models.
        config: what variants depart from.
        variants: what each one changes.
        questions: by name.

    Yields:
        For each the share of right answers, with its interval for the model and, for a variant, the paired difference
        from the model and its interval; and the AUC of real outfits against broken ones, likewise.
    """
    frequency = split.train.frequency
    asked = {name: ask(data, split.test, frequency, each, seed) for name, each in questions.items()}
    broken = broken_outfits(split.test, FamilyDraw(data.families, frequency.astype(np.float64)), seed)
    full: dict[str, Float64s] = {}
    whole: tuple[Float64s, Float64s] | None = None
    for variant, changed in {MODEL: {}, **variants}.items():
        model = OutfitModel(config.model_copy(update={"seed": seed, **changed})).fit(split.train, data.articles)
        right = {
            name: right_answers(scored(model.scorer(questions[name].popularity), each)) for name, each in asked.items()
        }
        scores = _both(model.comparable_scorer(), broken)
        full, whole = full or right, whole or scores
        shares = {name: mean_over_outfits(found, asked[name].outfits) for name, found in right.items()}
        shares["AUC"] = auc_over_outfits(*scores)
        changes = {name: mean_over_outfits(found - full[name], asked[name].outfits) for name, found in right.items()}
        changes["AUC"] = auc_difference(scores, whole)
        cells = {name: _cell(share, None if variant == MODEL else changes[name]) for name, share in shares.items()}
        yield {"variant": variant, **cells}


def _cell(share: Interval, change: Interval | None) -> str:
    if change is None:
        return str(share)
    signed = f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]".replace("-", "−")
    return f"{share.value:.3f} ({signed})"


def printed(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print figures as a table in Markdown."""
    print(pd.DataFrame(list(rows)).drop(columns="value", errors="ignore").to_markdown(index=False), flush=True)
