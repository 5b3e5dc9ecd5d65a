"""All that two stages know at one moment: the sources of candidates, and what features are computed from.

What belongs here: :class:`Moment`, made from interactions or from a bundle's arrays. What does not: labels and the
ranker (:mod:`~atelier.recommenders.two_stage.two_stage`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from atelier.arrays import Float32s, Mask
from atelier.bundles import Array, under
from atelier.catalogue import Catalogue
from atelier.ids import Codes
from atelier.interactions import Interactions
from atelier.recommenders.base import Recommender
from atelier.recommenders.two_stage.candidates import Candidates
from atelier.recommenders.two_stage.histories import Histories
from atelier.recommenders.two_stage.ranking_features import FeatureInputs, feature_names, features
from atelier.recommenders.two_stage.ranking_network import vector_names
from atelier.recommenders.two_stage.snapshot import WINDOWS, ArticleGroups, snapshot
from atelier.recommenders.two_stage.sources import (
    FittedRecommender,
    OwnArticles,
    Source,
    bought_together,
    content_neighbours,
    popular,
    popular_by_age,
    same_style,
)
from atelier.recommenders.two_stage.two_stage_config import TOWERS, CountedSource, TwoStageConfig
from atelier.recommenders.two_stage.two_tower_config import TwoTowerConfig
from atelier.search.ragged import Indices

Asked = Mapping[str, tuple[Recommender[Any], dict[str, Array]]]
"""Recommenders that are sources, by name, each with ``served`` and its own profiles of the customers."""


@dataclass(frozen=True, eq=False)
class Situation:
    """What stays the same from moment to moment.

    Attributes:
        config: of the model.
        groups: of the n articles.
        channels: the names of the channels.
        ages: float32 [m], of the customers, NaN where not known.
        catalogue: as ``fit`` was given it.
        customers: as ``fit`` was given them.
    """

    config: TwoStageConfig
    groups: ArticleGroups
    channels: tuple[str, ...]
    ages: Float32s
    catalogue: Catalogue | None
    customers: Any


@dataclass(frozen=True, eq=False)
class Moment:
    """The sources and the inputs of features of one moment.

    Attributes:
        inputs: of features.
        sources: of candidates, in the order of their columns.
        config: of the model.
    """

    inputs: FeatureInputs
    sources: tuple[Source, ...]
    config: TwoStageConfig

    @classmethod
    def of(cls, inputs: FeatureInputs, asked: Asked, allowed: Mask, config: TwoStageConfig) -> "Moment":
        """The moment of what was counted.

        Args:
            inputs: of features.
            asked: recommenders fitted on the same interactions.
            allowed: bool [n], the articles that can be candidates.
            config: of the model.
        """
        seen, histories, most = inputs.snapshot, inputs.histories, config.candidates
        made: dict[str, Callable[[], list[Source]]] = {
            "own": lambda: [OwnArticles(histories, allowed)],
            "style": lambda: [same_style(histories, inputs.groups.style, seen, allowed, config.per_style)],
            "together": lambda: [bought_together(histories, seen, allowed)],
            "popular": lambda: [
                *(popular(window, seen, allowed, most) for window in range(len(WINDOWS))),
                *([popular_by_age(histories, seen, allowed, most)] if config.age is not None else []),
            ],
            "neighbours": lambda: [content_neighbours(histories, inputs.groups, seen, allowed)],
        }
        counted = [source for name, sources in made.items() if name in config.sources for source in sources()]
        others = [
            FittedRecommender(name, model, profiles["served"], under(profiles, "profile."), allowed)
            for name, (model, profiles) in asked.items()
        ]
        return cls(inputs, (*counted, *others), config)

    @property
    def _towers(self) -> FittedRecommender:
        (found,) = (each for each in self.sources if isinstance(each, FittedRecommender) and each.name == TOWERS)
        return found

    def candidates(self, rows: Indices) -> Candidates:
        """The merged candidates of the customers ``rows`` (int64 [n]), each source's list as long as all may be."""
        k = self.config.candidates
        lists = {source.name: source.lists(rows, k) for source in self.sources}
        return Candidates.merged(lists, len(self.inputs.groups.style), k)

    def ranks_for(self, rows: Indices) -> Mask:
        """Which of the customers ``rows`` (int64 [n]) get ranked candidates, bool [n]; the others get what sells.

        They are those with history and, where the ranker was trained together with the towers, those of whom the
        towers read an attribute.
        """
        known: Mask = self.inputs.histories.lengths[rows] > 0
        return known | self._towers.described(rows) if self.config.ranker == "joint" else known

    def features(self, rows: Indices, candidates: Candidates) -> Float32s:
        """The features of candidates of the customers ``rows``: float32 [m, features]."""
        vectors = [self._towers.vectors(rows[candidates.rows], candidates.codes)] if self.config.reads_towers else []
        return np.hstack([features(self.inputs, rows, candidates, self.config.counted_features), *vectors])


def moment(train: Interactions, as_of: int, situation: Situation, allowed: Mask, device: str) -> tuple[Moment, Asked]:
    """What is known at the moment ``as_of``.

    Args:
        train: the interactions before it, numbered by all articles and customers of the model.
        as_of: microseconds since 1970, or ``UNKNOWN``.
        situation: what stays the same.
        allowed: bool [n], the articles that can be candidates.
        device: on which recommenders are fitted.

    Returns:
        The moment, and the fitted recommenders among its sources.
    """
    config = situation.config
    seen = snapshot(
        train,
        situation.groups,
        as_of,
        ages=situation.ages,
        channels=situation.channels,
        followers=config.followers,
        graph_days=config.graph_days,
        by_age=config.age is not None,
    )
    histories = Histories.of_interactions(
        train, longest=config.history, channels=situation.channels, ages=situation.ages
    )
    asked = {name: _fitted(asked_recommender(name, config, device), train, situation) for name in config.recommenders}
    return Moment.of(FeatureInputs(seen, histories, situation.groups), asked, allowed, config), asked


def source_names(config: TwoStageConfig) -> tuple[str, ...]:
    """The names of the sources of a model with this config, in the order of :attr:`Moment.sources`."""
    windows = (*(f"popular_{days}" for days in WINDOWS), *(("popular_age",) if config.age is not None else ()))
    counted = {source: windows if source == "popular" else (source,) for source in get_args(CountedSource)}
    listed = [name for source, names in counted.items() if source in config.sources for name in names]
    return (*listed, *config.recommenders)


def all_feature_names(config: TwoStageConfig) -> tuple[str, ...]:
    """The names of the features of a model with this config, in the order of :meth:`Moment.features`."""
    names = feature_names(source_names(config), config.counted_features)
    return (*names, *vector_names(TwoTowerConfig().factors)) if config.reads_towers else names


def asked_recommender(name: str, config: TwoStageConfig, device: str) -> Recommender[Any]:
    """A recommender that is a source: with its default settings, the model's seed and the kinds that it learns from.

    Towers read the customers' attributes that the model names; where the ranker is trained together with them, they
    take its steps, its epochs and whom it holds out.
    """
    from atelier import recommenders

    together: dict[str, Any] = {
        "ranking_negatives": config.negatives,
        "learning_rate": config.network_learning_rate,
        "max_epochs": config.network_epochs,
    }
    settings = together | {"held_out": config.held_out} if name == TOWERS and config.ranker == "joint" else {}
    settings |= {"customer_attributes": config.customer_attributes} if name == TOWERS else {}
    return recommenders.build(name, device, seed=config.seed, train_kinds=config.train_kinds, **settings)


def _fitted(
    model: Recommender[Any], train: Interactions, situation: Situation
) -> tuple[Recommender[Any], dict[str, Array]]:
    """The recommender, fitted, and its profiles."""
    model.fit(train, situation.catalogue, situation.customers)
    known = model.customer_profiles
    if model.article_ids != train.article_ids or known.ids != train.customer_ids:
        raise AssertionError(f"{model.name} numbers articles or customers in another way than the model that asks it")
    return model, profile_arrays(known.rankable, known.profiles)


def profile_arrays(served: Array, profiles: Mapping[str, Array]) -> dict[str, Array]:
    """What :meth:`Moment.of` reads of a recommender's customers: who is served, and the profiles."""
    return {"served": np.asarray(served), **{f"profile.{name}": array for name, array in profiles.items()}}


def read_by(model: Recommender[Any], history: Interactions) -> tuple[Interactions, Codes]:
    """What a recommender among the sources reads of new histories, and the customers whom it serves by that, int32."""
    used = model._with_rankable_articles(model._preferred(history, fitting=False))
    if model.declaration.serves_anyone:
        return used.aligned(history.customer_ids), np.arange(len(history.customer_ids), dtype=np.int32)
    return used, history.customer_ids.encode(used.customer_ids.values)


def asked_weights(asked: Asked) -> dict[str, Array]:
    """The weights of the recommenders among the sources, under their names."""
    found: dict[str, Array] = {}
    for name, (model, _) in asked.items():
        found[f"source.{name}.ranked"] = model.ranked
        found |= {f"source.{name}.weight.{key}": array for key, array in model.weights.items()}
    return found


def asked_profiles(asked: Asked) -> dict[str, Array]:
    """Their profiles of the customers, likewise."""
    return {f"source.{name}.{key}": array for name, (_, profiles) in asked.items() for key, array in profiles.items()}
