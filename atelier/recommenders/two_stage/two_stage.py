"""``two_stage``: candidates from several sources, ranked by trees or a network over features of customer and article.

What belongs here: the model: its examples, its fit, its lists. What does not: sources, features and trees, each of
which has a module beside this one.

**Training** splits the model's own interactions by time. For each of the last days, everything (sources, counts,
histories, recommenders among the sources) is made of what came before that day, and the day's interactions are the
labels. The negatives are the other candidates of the same customer: what the ranker will have to tell apart. Customers
without a positive among their candidates teach nothing and are left out. What was sent back counts until then
(:mod:`~atelier.recommenders.two_stage.training_days`). Then everything is made again of all
interactions, for the lists. Without dates the last interaction of each customer is the label.

**Lists** hold the ranked candidates first and then, where more is asked for, the popular articles. Customers without
history get the popular articles alone: on validation days trees ordered these worse than their sales did. Only the
ranker ``joint`` ranks for them too, where one of the attributes that the towers read is known. The score is
1 + 1/(1 + exp(−r)) for candidates, r the ranker's score, and popularity as a share, which is below 1, for the others.
"""

import warnings
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import expit

from atelier.arrays import Float32s, Float64s, distinct_values
from atelier.bundles import Array, under
from atelier.catalogue import Catalogue
from atelier.errors import BundleError
from atelier.ids import Codes, IdMap
from atelier.interactions import Interactions
from atelier.progress import progress
from atelier.recommenders.abstract_recommender import NeighbourRanker, Ranker
from atelier.recommenders.base import Recommender
from atelier.recommenders.baselines.popular import neighbours_by_common_customers
from atelier.recommenders.training_data.customer_features import number_column
from atelier.recommenders.two_stage import explanation
from atelier.recommenders.two_stage.candidate_recall import candidate_recall
from atelier.recommenders.two_stage.examples import Examples, held_out
from atelier.recommenders.two_stage.histories import Histories, frequent_channels, packed_channels, unpacked_channels
from atelier.recommenders.two_stage.moment import (
    Moment,
    Situation,
    all_feature_names,
    asked_profiles,
    asked_recommender,
    asked_weights,
    moment,
    profile_arrays,
    read_by,
)
from atelier.recommenders.two_stage.network_ranker import NetworkRanker
from atelier.recommenders.two_stage.ranker import BoostedRanker
from atelier.recommenders.two_stage.ranker import Ranker as CandidateRanker
from atelier.recommenders.two_stage.ranking_features import FeatureInputs
from atelier.recommenders.two_stage.snapshot import WINDOWS, ArticleGroups, Snapshot, moment_after, without_the_day
from atelier.recommenders.two_stage.training_curves import HELD_OUT, TRAINING, last_figures, packed, unpacked
from atelier.recommenders.two_stage.training_days import TrainingDay, TrainingRows
from atelier.recommenders.two_stage.two_stage_config import DECLARATION, TOWERS, TwoStageConfig
from atelier.recommenders.two_stage.two_tower import TwoTower
from atelier.search.ragged import Indices, Pairs, Ranked, best, first_of_order, followed, without

CHUNK = 1024
"""Customers whose candidates are ranked at once: memory goes by it, not by the number of customers."""


class TwoStage(Recommender[TwoStageConfig]):
    """Candidates from several sources, ranked by boosted trees; see the module."""

    declaration = DECLARATION
    examples_seen: int = 0
    """Lists that the last fit learned from."""
    recall_by_source: Mapping[str, float] = MappingProxyType({})
    """The recall of the newest day's candidates, by source and ``merged``; empty where nobody of it has a history."""

    # Fitting

    @property
    def ranks_unsold(self) -> bool:
        """Whether it can rank an article that nobody has interacted with: where ``neighbours`` is a source."""
        return self.config.ranks_unsold

    def _with_nearest(self, groups: ArticleGroups, past: TrainingRows) -> ArticleGroups:
        """The groups, where ``neighbours`` is a source with the nearest articles of those that were chosen.

        Near are articles that nobody chose before the first day that is learned from. Which of them are still new on a
        later day the source knows.
        """
        if not self.ranks_unsold:
            return groups
        new, chosen = self.in_stock & self.ranked, past.rows.articles
        new[chosen[past.oldest(self.config)]] = False
        return groups.with_nearest(distinct_values(chosen), new, self.config.per_article)

    def _fit(self, train: Interactions, catalogue: Catalogue | None, customers: Any) -> dict[str, Array]:
        return self._fit_with_returns(train, train, catalogue, customers)

    def _fit_with_returns(
        self, train: Interactions, everything: Interactions, catalogue: Catalogue | None, customers: Any
    ) -> dict[str, Array]:
        vars(self).pop("trained_ranker", None)
        past = TrainingRows.of(everything, self.config.train_kinds, train.customer_ids, self.article_ids)
        groups = ArticleGroups.of_catalogue(catalogue, self.article_ids, self.config.content_length, self.config.seed)
        groups = self._with_nearest(groups, past)
        channels = frequent_channels(past.rows, past.oldest(self.config))
        ages = self._ages(customers, train.customer_ids)
        known = None if catalogue is None else without_the_day(catalogue)
        situation = Situation(self.config, groups, channels, ages, known, customers)
        self.examples_seen, self.recall_by_source = 0, {}
        ranker, curve = (None, None) if self.config.ranker == "joint" else self._trained(past, situation)
        now, asked = moment(train, moment_after(train), situation, self.in_stock & self.ranked, self.device)
        if self.config.ranker == "joint":
            towers = cast(TwoTower, asked[TOWERS][0])
            ranker, curve = NetworkRanker.joint(towers.ranking_weights, self._feature_names), towers.training_curve()
        self.weights = {
            **({} if curve is None else {"curve": packed(curve)}),
            **({} if ranker is None else {f"ranker.{name}": array for name, array in ranker.arrays().items()}),
            "channel_names": packed_channels(channels),
            **{f"group.{name}": array for name, array in vars(groups).items()},
            **now.inputs.snapshot.arrays(),
            **asked_weights(asked),
        }
        return now.inputs.histories.arrays() | asked_profiles(asked)

    def _ages(self, customers: Any, ids: IdMap) -> Float32s:
        """The ages of the customers, float32; NaN where not known."""
        if self.config.age is None:
            return np.full(len(ids), np.nan, dtype=np.float32)
        return number_column(customers, self.config.age, ids, "age")

    def _trained(self, past: TrainingRows, situation: Situation) -> tuple[CandidateRanker | None, pd.DataFrame | None]:
        """The trained ranker and its training curve; None, with a warning, where nothing can be learned."""
        days = past.days(self.config)
        parts = [self._examples(past, day, situation, days[0]) for day in progress(days, "two_stage: examples")]
        found = [part for part in parts if len(part.groups)]
        if not found:
            warnings.warn(
                "two_stage has nothing to rank by: no candidate was chosen on a later day. Its lists are the sources' "
                "by reciprocal-rank fusion; train it on more days",
                stacklevel=4,
            )
            return None, None
        examples = Examples.joined(found)
        away = held_out(len(past.rows.customer_ids), self.config.held_out, self.config.seed)[examples.customers]
        if away.all():
            warnings.warn(
                f"two_stage holds nobody out: with held_out {self.config.held_out:g} no customer would be left to "
                "learn from, so that it learns from all and its training curve shows training alone; lower held_out",
                stacklevel=4,
            )
            away = np.zeros_like(away)
        learned = examples.where(~away)
        self.examples_seen = len(learned.groups)
        judged = {TRAINING: learned.some(self.config.seed), HELD_OUT: examples.where(away).some(self.config.seed)}
        if self.config.ranker == "boosted":
            trees = BoostedRanker.trained(learned, self._feature_names, self.config)
            return trees, trees.curve(judged)
        network = NetworkRanker.trained(learned, self._feature_names, self.config, judged)
        return network, network.curve()

    def _examples(self, past: TrainingRows, day: TrainingDay, situation: Situation, newest: TrainingDay) -> Examples:
        """The labelled candidates of one day; those of the newest are judged too."""
        none = np.zeros(0, np.int64)
        nothing = Examples(np.zeros((0, len(self._feature_names)), np.float32), np.zeros(0, np.int8), none, none)
        known, train, label = past.known(day.before), past.rows, day.label
        if not len(known) or not label.any():
            return nothing
        then, _ = moment(known, day.as_of, situation, np.ones(len(self.article_ids), dtype=bool), self.device)
        rows = self._learned_from(known, distinct_values(train.customers[label]))
        if day is newest:
            regulars = rows[then.inputs.histories.lengths[rows] > 0]
            truth = train.rows(label & np.isin(train.customers, regulars))
            found = candidate_recall(then, truth, train.customer_ids, self.article_ids)
            self.recall_by_source = dict(found.groupby("source", sort=False)["recall"].mean())
        chosen = Pairs(train.customers[label].astype(np.int64), train.articles[label])
        parts = [self._labelled(then, part, chosen) for part in _chunks(rows)]
        return Examples.joined([nothing, *parts])

    def _learned_from(self, known: Interactions, customers: Codes) -> Indices:
        """The customers of a day whose candidates are examples: a seeded choice of those with history and without."""
        has = np.bincount(known.customers, minlength=len(known.customer_ids)) > 0
        random, old = np.random.default_rng(self.config.seed), has[customers]
        regulars = random.permutation(customers[old])[: self.config.customers_per_day]
        newcomers = random.permutation(customers[~old])[: self.config.newcomers]
        return np.sort(np.concatenate([regulars, newcomers])).astype(np.int64)

    def _labelled(self, then: Moment, rows: Indices, chosen: Pairs) -> Examples:
        """The candidates of the customers ``rows``, but for those without a positive."""
        candidates = then.candidates(rows)
        n = len(self.article_ids)
        labels = ~without(Pairs(rows[candidates.rows], candidates.codes), chosen, n)
        has = np.bincount(candidates.rows[labels], minlength=len(rows)) > 0
        kept = has[candidates.rows]
        candidates = candidates.where(kept)
        sizes = np.bincount(candidates.rows, minlength=len(rows))
        read = then.features(rows, candidates)
        return Examples(read, labels[kept].astype(np.int8), sizes[sizes > 0], rows[sizes > 0])

    def training_figures(self) -> dict[str, float | None]:
        """How many lists were trained on, the recall of the newest day's candidates, and the training curve's end.

        Recall, by source and ``merged``, is the mean over that day's customers with history of the share of what they
        chose that is among their candidates; it is left out where nobody who chose then has a history. The ranker
        ``joint`` learns from no day's candidates, and has none.
        """
        recall = {f"recall_{source}": float(value) for source, value in self.recall_by_source.items()}
        return {"lists": float(self.examples_seen), **recall, **last_figures(self.training_curve())}

    def training_curve(self) -> pd.DataFrame:
        """How well the ranker ordered lists after each part of its training; see :meth:`Recommender.training_curve`.

        A step is a tree or an epoch. The lists are of labelled candidates, so that recall is of what is among these.
        """
        return unpacked(self.weights["curve"]) if "curve" in self.weights else super().training_curve()

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Self:
        """Read a saved model, its ranker too: see :meth:`Recommender.load`.

        Raises:
            BundleError: as there; or the ranker is damaged, or reads other features than this version makes.
        """
        model = super().load(path, device)
        try:
            _ = model.trained_ranker
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from error
        return model

    # Ranking

    @property
    def _feature_names(self) -> tuple[str, ...]:
        return all_feature_names(self.config)

    @cached_property
    def trained_ranker(self) -> CandidateRanker | None:
        """The trained ranker; None where there was nothing to learn from."""
        arrays = under(self.weights, "ranker.")
        if not arrays:
            return None
        if self.config.ranker != "boosted":
            return NetworkRanker.from_arrays(arrays, self._feature_names)
        return BoostedRanker.from_arrays(arrays, self._feature_names, self.config.threads)

    def moment(self, profiles: dict[str, Array] | None = None, candidates: int | None = None) -> Moment:
        """The sources and the inputs of features with which lists are made.

        Args:
            profiles: of the customers; None: of those trained with.
            candidates: of each customer, at most; None: as the config says.

        Raises:
            NotFittedError: the model was not fitted.
        """
        self._check_fitted()
        config = self.config if candidates is None else self.config.model_copy(update={"candidates": candidates})
        held = self.customer_profiles.profiles if profiles is None else profiles
        groups = ArticleGroups(**under(self.weights, "group."))
        inputs = FeatureInputs(Snapshot.from_arrays(self.weights), Histories.from_arrays(held), groups)
        asked = {name: (self._asked(name), under(held, f"source.{name}.")) for name in self.config.recommenders}
        return Moment.of(inputs, asked, self.in_stock & self.ranked, config)

    def _asked(self, name: str) -> Recommender[Any]:
        """A recommender that is a source, with its weights."""
        model = asked_recommender(name, self.config, self.device)
        model.article_ids, model.in_stock = self.article_ids, self.in_stock
        model.ranked = self.weights[f"source.{name}.ranked"]
        model.weights = under(self.weights, f"source.{name}.weight.")
        return model

    def _profile(self, history: Interactions) -> dict[str, Array]:
        if "channel_names" not in self.weights:
            raise BundleError("two_stage was saved without the channels that this version reads: train the model again")
        channels = unpacked_channels(self.weights["channel_names"])
        ages = np.full(len(history.customer_ids), np.nan, dtype=np.float32)
        own = Histories.of_interactions(history, longest=self.config.history, channels=channels, ages=ages)
        found = own.arrays()
        for name in self.config.recommenders:
            model = self._asked(name)
            used, served = read_by(model, history)
            arrays = profile_arrays(served, model._profile(used))
            found |= {f"source.{name}.{key}": array for key, array in arrays.items()}
        return found

    def _attribute_profile(self, customers: Any, history: Interactions) -> dict[str, Array]:
        if customers is None:
            return {}
        found: dict[str, Array] = {}
        if self.config.age is not None:
            found["history.ages"] = number_column(customers, self.config.age, history.customer_ids, "age")
        if self.config.customer_attributes:
            towers = self._asked(TOWERS)
            arrays = towers._attribute_profile(customers, read_by(towers, history)[0])
            found |= {f"source.{TOWERS}.profile.{key}": array for key, array in arrays.items()}
        return found

    def _ranked_candidates(self, now: Moment, rows: Indices) -> tuple[Pairs, Float32s]:
        """The candidates of those among the customers ``rows`` who are ranked for, and what the ranker says of them."""
        ranked_for = np.flatnonzero(now.ranks_for(rows))
        active = rows[ranked_for]
        candidates = now.candidates(active)
        raw: Float64s = candidates.fused()
        if self.trained_ranker is not None:
            raw = self.trained_ranker.scores(now.features(active, candidates))
        return Pairs(ranked_for[candidates.rows], candidates.codes), raw.astype(np.float32)

    def _popular(self, now: Moment, eligible: Codes) -> tuple[Codes, Float32s]:
        """The eligible articles by what sold lately, then by what sold before, and their share of the most sold."""
        sold = now.inputs.snapshot.sold
        lately = sold[WINDOWS.index(self.config.popular_days)]
        order = eligible[np.lexsort((eligible, -sold[-1][eligible], -lately[eligible]))]
        return order, (lately[order] / (lately.max(initial=0) + 1)).astype(np.float32)

    def _ranker(self, profiles: dict[str, Array], eligible: Codes, k: int) -> Ranker:
        now, n = self.moment(profiles), len(self.article_ids)
        allowed = np.zeros(n, dtype=bool)
        allowed[eligible] = True
        order, shares = self._popular(now, eligible)

        def part(rows: Indices, excluded: Pairs) -> Ranked:
            mine, scores = self._ranked_candidates(now, rows)
            may = allowed[mine.codes] & without(mine, excluded, n)
            mine, scores = mine.where(may), scores[may]
            first = best(mine.rows, mine.codes, scores, len(rows), k)
            first = Ranked(first.codes, (1 + expit(first.scores)).astype(np.float32))
            taken = excluded.joined(mine)
            return followed(first, first_of_order(order, shares, taken, len(rows), k, n))

        def rank(rows: Indices, excluded: Pairs) -> Ranked:
            starts = range(0, max(len(rows), 1), CHUNK)
            parts = [part(rows[start : start + CHUNK], excluded.within(start, start + CHUNK)) for start in starts]
            return Ranked(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

        return rank

    def _neighbour_ranker(self, eligible: Codes, k: int) -> NeighbourRanker:
        return neighbours_by_common_customers(self.customer_profiles.seen, len(self.article_ids), eligible, k)

    # The table of candidates, and reasons

    def candidate_batches(self, customers: Any = None, limit: int | None = None) -> Iterator[pa.RecordBatch]:
        """The merged candidates of customers, a batch of customers at a time.

        Args:
            customers: texts, or a frame with ``customer_id``; None: all.
            limit: candidates of a customer, at most; None: as the config says.

        Yields:
            ``customer_id, article_id`` and, for each source, its ``rank_…`` (null where it does not list the article)
            and ``score_…``.

        Raises:
            UnknownIdentifier: a customer is unknown.
            ValueError: ``limit`` is no whole number of at least 1.
            NotFittedError: the model was not fitted.
        """
        self._check_fitted()
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 1):
            raise ValueError(
                f"limit is how many candidates a customer has at most, a whole number from 1, not {limit!r}"
            )
        now, known = self.moment(candidates=limit), self.customer_profiles
        for rows in _chunks(self._places(known, customers)):
            ids = known.ids.take(known.rankable[rows])
            yield now.candidates(rows).batch(ids, self.article_ids)

    def explain(
        self,
        recs: Any,
        catalogue: Catalogue | None = None,
        histories: Any = None,
        *,
        articles: int = 2,
        attributes: int = 2,
    ) -> pa.ListArray:
        """Why each article was recommended: see :func:`atelier.recommenders.two_stage.explanation.explain`.

        Args:
            recs: a frame with ``customer_id`` and ``article_id``, n rows in any order.
            catalogue: makes no difference: what the model reads of content is kept in it.
            histories: what the customers were ranked by, where it is not what was trained on.
            articles: makes no difference.
            attributes: features among the reasons, at most.

        Returns:
            n lists of kind (``source``, ``feature``), value and weight; null for customers whom the model does not
            know.

        Raises:
            UnknownIdentifier: an article is unknown.
            NotFittedError: the model was not fitted.
        """
        self._check_fitted()
        known = self.customer_profiles if histories is None else self._new_profiles(histories, None)
        names = self._feature_names
        parts = explanation.ListParts(self.moment(known.profiles), self.trained_ranker, names, self.article_ids)
        return explanation.explain(parts, known, recs, attributes)


def _chunks(rows: Indices) -> Iterator[Indices]:
    """Parts of at most ``CHUNK`` customers."""
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]
