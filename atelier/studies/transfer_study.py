"""Whether what is learned of a large market helps in a small one.

What belongs here: the variants of the question, and fitting them. What does not: which customers make a market (whoever
asks), evaluating lists (:mod:`atelier.studies.recommender_study`).

Source: the thesis on neural sequencers at H&M, whose model of one market was tuned on another.
"""

from collections.abc import Mapping
from functools import cache as once
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.progress import progress
from atelier.recommenders.base import Recommender
from atelier.studies.recommender_plan import RecommenderFit, RecommenderStudyPlan, StudiedModel
from atelier.studies.recommender_scores import RecommenderFitResult
from atelier.studies.recommender_study import Study, fit_model, made_by, run_fit
from atelier.studies.results_cache import ResultsCache, cached

POPULAR = StudiedModel(recommender="popular")
LARGE, TUNED = "large, not tuned", "large, tuned on small"
"""The variants that begin with a model of the large market."""


class TransferPlan(BaseModel):
    """What is compared in the small market. Immutable.

    Attributes:
        model: a sequence model, trained on the small market alone and on the large one.
        tuned: fields of its config that are changed where the model of the large market is trained on by the small one.
        als: fields of als's config.
        seeds: of the fits.
        k: length of the lists.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: StudiedModel
    tuned: dict[str, Any] = {}
    als: dict[str, Any] = {}
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    k: int = Field(default=14, ge=1)

    def models(self) -> dict[str, StudiedModel]:
        """The variants: two that know the small market only, the sequence model of it alone, and the two of both."""
        changed = self.model.model_copy(update={"config": {**self.model.config, **self.tuned}})
        return {
            "popular": POPULAR,
            "als": StudiedModel(recommender="als", config=self.als),
            "small alone": self.model,
            LARGE: self.model,
            TUNED: changed,
        }


def run_transfer(
    large: Interactions,
    small: Interactions,
    truth: Interactions,
    plan: TransferPlan,
    *,
    catalogue: Catalogue | None = None,
    cache: ResultsCache | None = None,
    data: Mapping[str, str] | None = None,
) -> list[RecommenderFitResult]:
    """Judge every variant by what customers of the small market did; the large model is fitted once for each seed.

    Args:
        large: interactions of the large market; its customers are others.
        small: those of the small market, before ``truth``.
        truth: what customers of the small market did then.
        plan: the variants.
        catalogue: the articles of both.
        cache: where results are kept; None: nowhere.
        data: identifies the interactions and the catalogue.

    Returns:
        A result for each variant and seed; popular has one for all seeds.

    Raises:
        StudyError: nobody can be evaluated, or the model is no sequence model.
        WarmStartError: ``plan.tuned`` changes the model's layers.
    """
    whole = RecommenderStudyPlan(
        models=plan.models(), seeds=plan.seeds, shares=(1.0,), k=plan.k, exclude_seen=False, fallback=POPULAR
    )
    study = Study.of(small, truth, whole, catalogue, None, None)

    @once
    def trained(seed: int) -> Recommender[Any]:
        return fit_model(large, plan.model, seed, catalogue)

    def make(fit: RecommenderFit) -> Recommender[Any]:
        seed = fit.seed or 0
        if fit.model == LARGE:
            return trained(seed).with_histories(small)
        return fit_model(small, whole.models[fit.model], seed, catalogue, warm_start=trained(seed))

    shared = {"study": "transfer", "made_by": made_by(), "model": plan.model.model_dump(mode="json")}
    results = []
    for fit in progress(whole.fits(), "transfer", unit="fit"):
        parts = {**shared, "variant": fit.model, "plan": whole.identity(fit)}
        makes = partial(make, fit) if fit.model in (LARGE, TUNED) else None
        results.append(cached(cache, data, parts, RecommenderFitResult, partial(run_fit, fit, study, makes)))
    return results
