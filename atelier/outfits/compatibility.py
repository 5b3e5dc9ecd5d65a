"""The outfit model: what goes together, learned from outfits that somebody put together.

What belongs here: fitting and scoring. What does not: completing outfits (:mod:`atelier.outfits.completion`), training
(:mod:`atelier.outfits.training`), figures (:mod:`atelier.outfits.evaluation`), files (:mod:`atelier.outfits.bundle`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch

from atelier.arrays import Float64s, Int64s, distinct_values
from atelier.articles.table import Articles
from atelier.devices import own_random_state
from atelier.errors import AtelierError
from atelier.frames import Frame
from atelier.ids import preview
from atelier.nn.training_loop import Epoch
from atelier.outfits.article_inputs import ArticleEncoder, Inputs
from atelier.outfits.bundle import Stored, read_bundle, write_bundle
from atelier.outfits.config import OutfitConfig
from atelier.outfits.controls import Scorer
from atelier.outfits.evaluation import outfit_scores
from atelier.outfits.feedback import Feedback, rejected_pairs
from atelier.outfits.network import Batch, Ensemble
from atelier.outfits.outfits import FEWEST, Outfits, OutfitsError
from atelier.outfits.pair_scores import PairScores
from atelier.outfits.pair_statistics import PairStatistics
from atelier.outfits.questions import FamilyDraw
from atelier.outfits.training import Lessons, similar_articles, statistics_of, train

ABSENT = 0.5
"""Outfits that an article never combined is taken to have been in, where popularity counts."""
MEMBER_SEEDS = 7919
"""How far the seeds of two members of an ensemble lie apart."""
SIMILAR = 5
"""Articles that one may be swapped for in training."""
REFERENCES = 64
"""Articles of a family that an article's score is held against, so that scores of several families can be compared."""


class NotFittedError(AtelierError, RuntimeError):
    """A model is asked before it was fitted."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a fit leaves.

    Attributes:
        articles: all that can be asked for; of a model that was loaded, their identifiers alone.
        inputs: what the network reads of them.
        counted: what was counted over the outfits of training.
        network: the trained one.
        accepted: the pairs and outfits that people accepted; the counts hold each ``feedback_weight`` times.
        rejected: those that people rejected.
        history: a record of each pass; empty for a model that was loaded.
    """

    articles: Articles
    inputs: Inputs
    counted: PairStatistics
    network: Ensemble
    accepted: Outfits
    rejected: Outfits
    history: list[Epoch]


class OutfitModel:
    """Scores outfits and candidates for their missing article.

    A score is the log of how much likelier an article is in this outfit than among all of its family: 0 says nothing,
    above 0 it fits better than most. How popular an article is makes no difference unless it is asked for.

    Args:
        config: see :class:`OutfitConfig`; None: the defaults.
    """

    def __init__(self, config: OutfitConfig | None = None) -> None:
        self.config = config or OutfitConfig()
        self._fitted: Fitted | None = None

    def fit(
        self, outfits: Frame | Outfits, articles: Frame | Articles, feedback: Frame | Feedback | None = None
    ) -> Self:
        """Learn from outfits.

        Args:
            outfits: ``outfit_id``, ``article_id``; exact duplicates count once.
            articles: ``article_id``, the family's column, and what the config's modalities read: ``embeddings`` (0…n
                image vectors each), ``text`` or ``name`` and ``description``, columns of attributes. Articles of no
                outfit are welcome: they can be scored by what is known of them.
            feedback: people's answers: ``outfit_id``, ``article_id``, ``answer`` (accepted, rejected); each counts as
                ``feedback_weight`` outfits. None: nobody was asked.

        Raises:
            OutfitsError: a column is missing, an article of an outfit is not among the articles, or there is no outfit
                of two articles.
            DivergedError: the learning rate is too high for these outfits.
        """
        table = Articles.from_frame(articles)
        given = outfits if isinstance(outfits, Outfits) else Outfits.from_frame(outfits, table)
        answers = _answers(feedback, table)
        lessons = Lessons.of(given.deduplicated(), answers, self.config.feedback_weight)
        good = lessons.good
        if not len(good.outfits):
            raise OutfitsError("there is no outfit of two articles or more to learn from: give some, or train nothing")
        seen = good.outfits.frequency > 0
        encoder = ArticleEncoder.fit(table, self.config, seen)
        inputs = encoder(table)
        counted = PairStatistics.of(good.outfits, inputs.codes, good.weights, rejected_pairs(answers.rejected))
        values = tuple(len(each) + 1 for each in encoder.values)
        with own_random_state(torch.device("cpu"), self.config.seed):
            network = Ensemble(inputs, values, len(encoder.families) + 1, self.config)
            similar = None
            if self.config.swap_share and inputs.images.shape[1]:
                similar = similar_articles(inputs.images, inputs.families, seen, SIMILAR)
            history = [
                look
                for place, member in enumerate(network.networks)
                for look in train(member, lessons, counted, inputs.families, self._config_of(place), similar)
            ]
        network.eval()
        self._fitted = Fitted(table, inputs, counted, network, answers.accepted, answers.rejected, history)
        return self

    def _config_of(self, member: int) -> OutfitConfig:
        """The config of a member: what it draws differs from what the others draw."""
        return self.config.model_copy(update={"seed": (self.config.seed + member * MEMBER_SEEDS) % 2**31})

    def save(self, path: str | Path) -> None:
        """Write config.json, weights.safetensors and articles.parquet; the same model gives the same bytes.

        Raises:
            NotFittedError: there is nothing to save.
        """
        fitted = self.fitted
        parts = (fitted.inputs, fitted.counted, fitted.network, fitted.accepted, fitted.rejected)
        write_bundle(Path(path), Stored(self.config, fitted.articles.ids, *parts))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The model of a folder that :meth:`save` wrote; it gives the scores of the one that was saved.

        Raises:
            BundleError: a file is missing, damaged or of another bundle, or the bundle has another format.
        """
        stored = read_bundle(Path(path))
        model = cls(stored.config)
        articles = Articles.from_frame(pd.DataFrame({"article_id": stored.article_ids.to_pandas()}))
        model._fitted = Fitted(
            articles, stored.inputs, stored.counted, stored.network.eval(), stored.accepted, stored.rejected, history=[]
        )
        return model

    @property
    def fitted(self) -> Fitted:
        """What the fit left.

        Raises:
            NotFittedError: there was none.
        """
        if self._fitted is None:
            raise NotFittedError("the outfit model is not fitted: call fit(outfits, articles) first")
        return self._fitted

    def scorer(self, popularity: float = 0.0) -> Scorer:
        """Scores of candidates by numbers of articles, as :mod:`atelier.outfits.evaluation` reads them.

        Args:
            popularity: weight of the log of a candidate's share of training outfits; 1 gives the log of its
                probability among its family, up to a constant, 0 the log of its lift.
        """
        fitted = self.fitted
        prior = np.log(fitted.counted.frequency + ABSENT)

        def score(rest: Int64s, candidates: Int64s) -> Float64s:
            statistics = None
            if self.config.statistics:
                counts = fitted.counted.counts(rest, candidates)
                statistics = torch.from_numpy(statistics_of(fitted.counted, rest, candidates, counts))
            with torch.inference_mode():
                found = fitted.network(Batch(torch.tensor(rest), torch.tensor(candidates), statistics))
            scores: Float64s = found.double().numpy() + popularity * prior[candidates]
            return scores

        return score

    def comparable_scorer(self) -> Scorer:
        """Scores that can be compared between families and outfits, for judging whole outfits.

        A softmax leaves a constant open for each outfit and family. Here the score of an article is held against the
        mean likelihood of articles of its family, drawn by popularity once and for all.
        """
        plain, table, families = self.scorer(), self._references(), self.fitted.inputs.families

        def score(rest: Int64s, candidates: Int64s) -> Float64s:
            references = plain(rest, table[families[candidates[:, 0]]])
            top = references.max(axis=1, keepdims=True)
            level: Float64s = top + np.log(np.exp(references - top).mean(axis=1, keepdims=True))
            return plain(rest, candidates) - level

        return score

    def pair_scores(self) -> PairScores:
        """The scores of :meth:`comparable_scorer` for single articles that all have the same candidates."""
        fitted = self.fitted
        return PairScores.of(fitted.network, fitted.counted, fitted.inputs.families, self._references())

    def _references(self) -> Int64s:
        """Articles of each family, drawn by popularity: int64 [families, :data:`REFERENCES`]."""
        fitted = self.fitted
        families, weights = fitted.inputs.families, fitted.counted.frequency + ABSENT
        draw, kinds = FamilyDraw(families, weights.astype(np.float64)), distinct_values(families)
        table = np.zeros((int(kinds.max()) + 1, REFERENCES), np.int64)
        table[kinds] = draw(kinds, REFERENCES, np.random.default_rng([self.config.seed, 2]))
        return table

    def score(self, outfits: Frame) -> pd.DataFrame:
        """How well the articles of each outfit go together.

        Args:
            outfits: ``outfit_id``, ``article_id``, of articles that the model was fitted with; each of two articles or
                more.

        Returns:
            ``outfit_id``, ``score``: the mean, over its articles, of the log of how much likelier each is with the
            others than among its family. In the order of the identifiers; no row where there is no outfit.

        Raises:
            OutfitsError: an article is unknown, or an outfit has only one article, which goes together with nothing.
            NotFittedError: there was no fit.
        """
        read = Outfits.from_frame(outfits, self.fitted.articles)
        if len(alone := np.flatnonzero(read.sizes < FEWEST)):
            names = [read.names[row] for row in alone]
            raise OutfitsError(
                f"{len(names):,} outfits have only one article: {preview(names, len(names))}; a score says how well "
                "articles go together: leave these outfits out, or ask `complete` what goes with the article"
            )
        scores = outfit_scores(self.comparable_scorer(), read.padded()) if len(read) else np.empty(0)
        return pd.DataFrame({"outfit_id": pd.array(read.names, "str"), "score": scores})


def _answers(feedback: Frame | Feedback | None, articles: Articles) -> Feedback:
    """People's answers as sets of articles."""
    if feedback is None:
        return Feedback.none(len(articles))
    return feedback if isinstance(feedback, Feedback) else Feedback.from_frame(feedback, articles)
