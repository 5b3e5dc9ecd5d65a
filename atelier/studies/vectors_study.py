"""Whether a sequence model's gain lies in its article vectors: the same vectors inside als, and as nearest neighbours.

What belongs here: putting vectors into other models. What does not: fitting and evaluating them
(:mod:`atelier.studies.recommender_study`).

Source: the thesis on neural sequencers at H&M, whose authors ask this. The vectors stay fixed inside als: a warm start
is forgotten after few iterations, as each solves for all articles anew.
"""

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import cache as once
from functools import partial
from typing import Any, cast

import numpy as np
from scipy.sparse import csr_matrix

from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.progress import progress
from atelier.recommenders.base import Recommender
from atelier.recommenders.factorisation.als import ALS
from atelier.recommenders.vector_model import VectorRecommender, unit
from atelier.search.ragged import Scores
from atelier.studies.recommender_plan import RecommenderFit, RecommenderStudyPlan, StudiedModel
from atelier.studies.recommender_scores import RecommenderFitResult
from atelier.studies.recommender_study import Study, fit_model, made_by, run_fit
from atelier.studies.results_cache import ResultsCache, cached

POPULAR = StudiedModel(recommender="popular")
RECENT = 5
"""The last interactions whose neighbours are sought, as many as ``markov`` reads."""


def vectors_plan(name: str, model: StudiedModel, als: Mapping[str, Any], **plan: Any) -> RecommenderStudyPlan:
    """The variants: both models, als with the other's vectors, and the nearest neighbours by the vectors of each.

    Args:
        name: of the sequence model in the tables.
        model: the sequence model.
        als: fields of als's config.
        plan: other fields of the plan.
    """
    factorised = StudiedModel(recommender="als", config=dict(als))
    models = {
        "als": factorised,
        name: model,
        f"als, vectors of {name}": factorised,
        "neighbours, vectors of als": factorised,
        f"neighbours, vectors of {name}": model,
    }
    return RecommenderStudyPlan(models=models, shares=(1.0,), exclude_seen=False, fallback=POPULAR, **plan)


def run_vectors(
    train: Interactions,
    truth: Interactions,
    plan: RecommenderStudyPlan,
    *,
    catalogue: Catalogue | None = None,
    cache: ResultsCache | None = None,
    data: Mapping[str, str] | None = None,
) -> list[RecommenderFitResult]:
    """Judge every variant; als and the sequence model are fitted once for each seed.

    Args:
        train: the interactions before ``truth``.
        truth: what customers did then.
        plan: of :func:`vectors_plan`.
        catalogue: the articles.
        cache: where results are kept; None: nowhere.
        data: identifies the interactions and the catalogue.

    Returns:
        A result for each variant and seed.

    Raises:
        StudyError: nobody can be evaluated.
    """
    study = Study.of(train, truth, plan, catalogue, None, None)
    name = list(plan.models)[1]

    @once
    def fitted(variant: str, seed: int) -> VectorRecommender[Any]:
        return cast(VectorRecommender[Any], fit_model(train, plan.models[variant], seed, catalogue))

    def make(fit: RecommenderFit) -> Recommender[Any]:
        seed = fit.seed or 0
        if fit.model in ("als", name):
            return fitted(fit.model, seed)
        als = cast(ALS, fitted("als", seed))
        if fit.model == f"als, vectors of {name}":
            return solved(als, vectors_for(als, fitted(name, seed)), train)
        whose = fitted("als" if fit.model == "neighbours, vectors of als" else name, seed)
        return neighbours(als, vectors_for(als, whose), train)

    models = {each: model.model_dump(mode="json") for each, model in plan.models.items()}
    shared = {"study": "vectors", "models": models, "made_by": made_by()}
    return [
        cached(
            cache,
            data,
            {**shared, "variant": fit.model, "plan": plan.identity(fit)},
            RecommenderFitResult,
            partial(run_fit, fit, study, partial(make, fit)),
        )
        for fit in progress(plan.fits(), "vectors", unit="fit")
    ]


def vectors_for(als: ALS, model: VectorRecommender[Any]) -> Scores:
    """The model's vectors of the articles that als ranks, float32 [n, factors]."""
    return model.compared_vectors(model.article_ids.encode(als.article_ids.values)[als.ranked])


def solved(als: ALS, vectors: Scores, train: Interactions) -> Recommender[Any]:
    """Als whose article factors are these vectors: only customers are solved for (equation 4 of Hu, Koren, Volinsky).

    The vectors are scaled to als's own mean squared length, because its regularisation suits that.

    Args:
        als: fitted.
        vectors: float32 [n, factors], of the articles that als ranks.
        train: the histories of customers.
    """
    own = np.square(als.weights["articles"]).sum(axis=1).mean()
    scale = np.sqrt(own / np.square(vectors).sum(axis=1).mean())
    return _with(als, (vectors * scale).astype(np.float32)).with_histories(train)


def neighbours(als: ALS, vectors: Scores, train: Interactions) -> Recommender[Any]:
    """The score is the mean cosine with the last :data:`RECENT` interactions; als lends its lists of articles only.

    Args:
        als: fitted on ``train``.
        vectors: float32 [n, factors], of the articles that als ranks.
        train: the histories of customers.
    """
    known, directions = als.customer_profiles, unit(vectors)
    history = train.aligned(customer_ids=known.ids)
    counts = np.bincount(history.customers, minlength=len(known.ids))
    recent = np.arange(len(history)) >= np.cumsum(counts)[history.customers] - RECENT
    customers = history.customers[recent]
    columns = als.columns[als.article_ids.encode(history.article_ids.values)[history.articles[recent]]]
    shares = (1 / np.clip(counts, 1, RECENT))[customers].astype(np.float32)
    means = csr_matrix((shares, (customers, columns)), shape=(len(counts), len(directions))) @ directions
    profiles = {**known.profiles, "customers": means[known.rankable].astype(np.float32)}
    model = _with(als, directions)
    model.customer_profiles = replace(known, profiles=profiles)
    return model


def _with(als: ALS, vectors: Scores) -> ALS:
    """The same als with other article factors."""
    model = copy.copy(als)
    vars(model).pop("whitened", None)  # it was computed from the factors of before
    model.weights = {**als.weights, "articles": vectors}
    return model
