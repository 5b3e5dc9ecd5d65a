"""Which models the recommender study compares, and which fits follow from that.

What belongs here: the plan and the preset of the published comparison. What does not: running it
(:mod:`atelier.studies.recommender_study`).
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from atelier import recommenders
from atelier.recommenders.base import Recommender

Order = Literal["kept", "within_days", "shuffled"]
"""The true order, days in their true order but shuffled within, or shuffled wholly."""

Search = Literal["exact", "annoy"]
"""How the articles with the highest scores are found: among all of them, or by an approximate index."""

#: Deterministic recommenders: on all interactions one fit serves for all seeds.
NOTHING_RANDOM = ("popular", "repeat", "markov", "item_knn")


class StudiedModel(BaseModel):
    """One model of the study: a recommender with its config. Immutable.

    Attributes:
        recommender: its name, as :func:`atelier.recommenders.build` takes it.
        config: fields of its config, without the seed.
        reads_content: whether it is given the vectors of the catalogue.
        order: the order of each customer's training interactions (:func:`atelier.studies.recommender_study.reordered`);
            lists are made from histories in their true order.
        search: how lists are found; annoy only where the score is a product of two vectors
            (:class:`atelier.recommenders.article_index.ArticleIndex`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recommender: str
    config: dict[str, Any] = {}
    reads_content: bool = False
    order: Order = "kept"
    search: Search = "exact"

    @model_validator(mode="after")
    def _has_vectors(self) -> Self:
        known = self.recommender in recommenders.MODELS  # of another, `build` says that there is none
        if self.search == "annoy" and known and not recommenders.declared(self.recommender).has_vectors:
            raise ValueError(f"{self.recommender} has no vectors that annoy could search: leave search at exact")
        return self

    def build(self, seed: int, device: str = "cpu") -> Recommender[Any]:
        """The model, not yet fitted.

        Raises:
            UnknownModelError: there is no such recommender.
            pydantic.ValidationError: a field of its config is unknown or its value not allowed.
        """
        return recommenders.build(self.recommender, device, **self.config, seed=seed)


class RecommenderFit(NamedTuple):
    """One fit of a study: which model, on which share of the interactions, with which seed (None: any)."""

    model: str
    share: float
    seed: int | None


class RecommenderStudyPlan(BaseModel):
    """The models, seeds, shares and list lengths of a study. Immutable.

    Attributes:
        models: by their name in the tables, in the order of the tables; each is tested against those before it.
        seeds: of the fits, and of the sampling of interactions where the share is below 1.
        shares: shares of the training interactions: each interaction is sampled with that probability, the same ones
            for every model.
        k: the list length at which models are compared.
        further_k: other list lengths at which scores are given.
        exclude_seen: whether lists and truth leave out what the customer had purchased in all of the training data,
            whatever share of it a model is fitted on.
        fallback: the model that makes the lists of customers for whom another model cannot rank.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: dict[str, StudiedModel] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(default=tuple(range(10)), min_length=1)
    shares: tuple[float, ...] = Field(default=(1.0, 0.5, 0.25, 0.1), min_length=1)
    k: int = Field(default=10, ge=1)
    further_k: tuple[int, ...] = ()
    exclude_seen: bool = True
    fallback: StudiedModel = StudiedModel(recommender="popular")

    @field_validator("seeds", "shares")
    @classmethod
    def _distinct(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"{values} holds a value twice")
        return values

    @field_validator("shares")
    @classmethod
    def _share(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 < share <= 1 for share in shares):
            raise ValueError(f"a share must be above 0 and at most 1, not {shares}")
        return shares

    @classmethod
    def published(
        cls,
        factors: int,
        *,
        hybrid: Mapping[str, Any] | None = None,
        als: Mapping[str, Any] | None = None,
        popularity: Mapping[str, Any] | None = None,
        repeat: bool = False,
        **plan: Any,
    ) -> Self:
        """The published comparison, and ALS in addition; all vectors have the same length.

        Args:
            factors: length of every vector.
            hybrid: config of ``hybrid`` in all three modes.
            als: config of ``als``.
            popularity: config of ``popular``, which is also the fallback.
            repeat: also study ``repeat``, which makes sense only if lists may hold seen articles.
            plan: other fields of the plan.
        """
        popular = StudiedModel(recommender="popular", config=dict(popularity or {}))
        modes = {"collaborative": False, "content": True, "hybrid": True}
        models = {"popularity": popular} | {
            mode: StudiedModel(
                recommender="hybrid", config={**(hybrid or {}), "mode": mode, "factors": factors}, reads_content=reads
            )
            for mode, reads in modes.items()
        }
        models["als"] = StudiedModel(recommender="als", config={**(als or {}), "factors": factors})
        if repeat:
            models["repeat"] = StudiedModel(recommender="repeat", config=popular.config)
        return cls.model_validate({"models": models, "fallback": popular, **plan})

    @property
    def ks(self) -> tuple[int, ...]:
        """Every list length, ascending."""
        return tuple(sorted({self.k, *self.further_k}))

    def fits(self) -> list[RecommenderFit]:
        """Every fit of the study, ordered by share, then seed, then model, each in the plan's order."""
        return [
            RecommenderFit(model, share, None if self._one_for_all(model, share) else seed)
            for share in self.shares
            for index, seed in enumerate(self.seeds)
            for model in self.models
            if not (index and self._one_for_all(model, share))
        ]

    def _one_for_all(self, model: str, share: float) -> bool:
        studied = self.models[model]
        return share == 1 and studied.order == "kept" and studied.recommender in NOTHING_RANDOM

    def identity(self, fit: RecommenderFit) -> dict[str, object]:
        """The parts of the plan on which one fit depends; its other models, seeds and shares may change.

        A model is told by its whole config, so that one which is named twice, or with a default written out, is fitted
        once.
        """
        shared = self.model_dump(mode="json", exclude={"models", "seeds", "shares"})
        studied = self.models[fit.model]
        config = studied.build(0).config.model_dump(mode="json", exclude={"seed"})
        model = studied.model_dump(mode="json") | {"config": config}
        return {**shared, "model": model, "share": fit.share, "seed": fit.seed}
