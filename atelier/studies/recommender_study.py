"""Recommenders compared on the same data and evaluation task, over several seeds and with less and less data.

What belongs here: running the fits of a study and caching their results, so that a killed study resumes. What does not:
the choice of fits (:mod:`~atelier.studies.recommender_plan`), the evaluation of lists
(:mod:`~atelier.studies.recommender_scores`), tables (:mod:`~atelier.studies.recommender_tables`), pictures
(:mod:`atelier.report`).

Source: Cardoso, Daolio and Vargas, "Product Characterisation towards Personalisation" (KDD 2018), the evaluation of
recommendations: popularity, collaborative, content and hybrid by precision and recall at 10.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self, cast

import numpy as np
import pandas as pd

from atelier.catalogue import Catalogue
from atelier.ids import IdMap, column
from atelier.interactions import Interactions
from atelier.nn.training_loop import Watch
from atelier.progress import progress
from atelier.recommenders import MODELS, declared
from atelier.recommenders.article_index import ArticleIndex
from atelier.recommenders.base import Recommender
from atelier.recommenders.eligibility import seen_articles
from atelier.recommenders.fallback import SERVED, serve
from atelier.recommenders.schemas import plain
from atelier.recommenders.sequential.model import SequenceRecommender
from atelier.recommenders.vector_model import VectorRecommender
from atelier.search.ragged import RaggedLists
from atelier.studies.recommender_plan import Order, RecommenderFit, RecommenderStudyPlan, Search, StudiedModel
from atelier.studies.recommender_scores import EvaluationTask, RecommenderFitResult, StudyError, score_lists
from atelier.studies.results_cache import ResultsCache, cached, digest, made_with


class Sample:
    """The interactions on which all models of one share and seed are fitted.

    Args:
        study: the data of all fits.
        drawn: the share, and the seed where the share is below 1.

    Attributes:
        train: the interactions.
        fallback: makes the lists of customers for whom another model cannot rank; it is fitted here, so that its time
            is not counted in another fit's seconds.
    """

    def __init__(self, study: "Study", drawn: tuple[float, int | None]) -> None:
        self.study, self.drawn = study, drawn
        self.train = subsample(study.task.train, drawn[0], drawn[1] or 0)
        self._seen: RaggedLists | None = None
        self.fallback = self.fit(study.plan.fallback, drawn[1] or 0)

    def fit(self, studied: StudiedModel, seed: int, watch: Watch | None = None) -> Recommender[Any]:
        """A model fitted on the sample; its lists leave out what was seen in all interactions, sampled or not."""
        task = self.study.task
        customers = pd.DataFrame({"customer_id": task.customers})
        model = fit_model(self.train, studied, seed, self.study.catalogue, customers, self.study.device, watch)
        if task.exclude_seen:
            if self._seen is None:  # computed once, as all models of a sample have the same customers and articles
                known = task.seen.aligned(model.customer_profiles.ids, model.article_ids, unknown="drop")
                self._seen = seen_articles(known)
            model.customer_profiles = replace(model.customer_profiles, seen=self._seen)
        return model


@dataclass(eq=False)
class Study:
    """The data of all fits of a study.

    Attributes:
        plan: the models, seeds and shares.
        task: the evaluation task.
        catalogue: the retailer's articles, with vectors; None: models get no catalogue.
        candidates: the articles that may be recommended, as text; None: all in stock.
        device: where models compute, as PyTorch names it.
    """

    plan: RecommenderStudyPlan
    task: EvaluationTask
    catalogue: Catalogue | None = None
    candidates: pd.Index | None = None
    device: str = "cpu"
    _sample: Sample | None = None

    @classmethod
    def of(
        cls,
        train: Any,
        truth: Any,
        plan: RecommenderStudyPlan,
        catalogue: Catalogue | None,
        customers: Any,
        candidates: Any,
    ) -> Self:
        """Convert the arguments of :func:`run_study`."""
        if candidates is not None:
            candidates = IdMap.from_values(column(candidates, "article_id"), "article_id").values.to_pandas()
        task = EvaluationTask.of(
            Interactions.from_frame(train),
            Interactions.from_frame(truth),
            plan.ks,
            exclude_seen=plan.exclude_seen,
            catalogue=catalogue,
            customers=customers,
            candidates=candidates,
        )
        return cls(plan, task, catalogue, None if candidates is None else pd.Index(candidates))

    def sample(self, fit: RecommenderFit) -> Sample:
        """The interactions of a fit; the last sample is stored, because several models are fitted on it."""
        drawn = (fit.share, None if fit.share == 1 else fit.seed)
        if self._sample is None or self._sample.drawn != drawn:
            self._sample = Sample(self, drawn)
        return self._sample

    def lists(self, model: Recommender[Any], fit: RecommenderFit) -> tuple[pd.DataFrame, int]:
        """A list for each customer, the fallback's where the model cannot rank, and the number of the model's own."""
        task = self.task
        asked: dict[str, Any] = {"k": max(task.ks), "exclude_seen": task.exclude_seen, "candidates": self._known(model)}
        fallback, own = self.sample(fit).fallback, model.can_serve(task.customers)
        if (search := self.plan.models[fit.model].search) == "annoy":
            found = [own_lists(model, search, task.customers[own], **asked)]
            if not own.all():
                found.append(fallback.recommend(task.customers[~own], **asked))
            return pd.concat(found, ignore_index=True), int(own.sum())
        lists: pd.DataFrame = plain(list(serve(model, fallback, task.customers, **asked)), SERVED).to_pandas()
        return lists, int(own.sum())

    def _known(self, model: Recommender[Any]) -> pd.Index | None:
        """The candidates that a model knows; a model fitted on fewer interactions may know fewer articles."""
        if self.candidates is None:
            return None
        return self.candidates[model.article_ids.encode(self.candidates, unknown="minus_one") >= 0]

    def digests(self) -> dict[str, str]:
        """Digests of the customers and the candidates."""
        named = {"customers": self.task.customers, "candidates": self.candidates}
        return {name: digest({"ids": ids.tolist()}) for name, ids in named.items() if ids is not None}


def run_study(
    train: Any,
    truth: Any,
    plan: RecommenderStudyPlan,
    *,
    catalogue: Catalogue | None = None,
    customers: Any = None,
    candidates: Any = None,
    cache: ResultsCache | None = None,
    data: Mapping[str, str] | None = None,
    device: str = "cpu",
) -> list[RecommenderFitResult]:
    """Run every fit of a study, or read its result from the cache if an earlier run, perhaps a killed one, stored it.

    The evaluation task is the same at every share of the interactions: customers, truth and seen articles are
    determined by the whole of ``train``. A model fitted on a share of it ranks by that share alone; only the filter of
    seen articles uses all purchases, and what it removes is not in the truth either. A customer without history in the
    share, for whom the model cannot rank, gets the list of ``plan.fallback``, fitted on the same share, as in
    :func:`atelier.recommenders.fallback.serve`.

    Args:
        train: :class:`Interactions` (or a frame of them) before the lists.
        truth: the same, of the days of the evaluation; only purchases count.
        plan: the models, seeds and shares.
        catalogue: the retailer's articles; its vectors are given to models that read content.
        customers: the customers to evaluate (texts, or a frame with ``customer_id``), of whom only those with purchases
            in ``truth`` and history in ``train`` are used; None: all of these.
        candidates: the articles that may be recommended (texts, or a frame with ``article_id``); None: all in stock.
        cache: where results are cached; None: they are not.
        data: identifies ``train``, ``truth`` and ``catalogue``, for example by the versions of their tables. A cached
            result is used only if this, the plan, the customers, the candidates, the code, the libraries, the number
            of threads and the device are the same.
        device: where models compute, as PyTorch names it.

    Returns:
        One result for each of ``plan.fits()``, in that order.

    Raises:
        StudyError: no customer can be evaluated, or the fallback cannot rank for customers without history.
        UnknownModelError, pydantic.ValidationError: a model of the plan does not exist or its config is not valid.
        CachedResultError: a cached file is damaged.
        ValueError: ``cache`` without ``data``.
    """
    for studied in (*plan.models.values(), plan.fallback):
        studied.build(0, device)  # an invalid config of any model fails here, before the first fit
    if not declared(plan.fallback.recommender).serves_anyone:
        raise StudyError(
            f"the fallback {plan.fallback.recommender} cannot rank for customers without history, for whom it is "
            "needed: take popular"
        )
    study = replace(Study.of(train, truth, plan, catalogue, customers, candidates), device=device)
    shared = {"asked": study.digests(), "made_by": made_by(), "device": device}
    results = []
    for fit in progress(plan.fits(), "recommender study", unit="fit"):
        parts = {"plan": plan.identity(fit), **shared}
        result = cached(cache, data, parts, RecommenderFitResult, partial(run_fit, fit, study))
        results.append(result.model_copy(update={"model": fit.model}))  # it may have been kept under another name
    return results


def run_fit(
    fit: RecommenderFit, study: Study, make: Callable[[], Recommender[Any]] | None = None
) -> RecommenderFitResult:
    """Fit one model, make its lists and evaluate them; the model is not stored.

    Args:
        fit: which model of the plan, on which sample.
        study: the data.
        make: gives the fitted model; None: it is fitted on the sample as the plan says.
    """
    sample, seed = study.sample(fit), fit.seed or 0
    start = time.process_time()
    model = sample.fit(study.plan.models[fit.model], seed) if make is None else make()
    fitted = time.process_time()
    lists, served = study.lists(model, fit)
    ranked = time.process_time()
    epochs = getattr(model, "epochs", None)
    return score_lists(
        lists,
        study.task,
        **fit._asdict(),
        k=study.plan.k,
        interactions=len(sample.train),
        served=served,
        seconds=fitted - start,
        ranking_seconds=ranked - fitted,
        epochs=None if epochs is None else len(epochs),
    )


def fit_model(
    train: Interactions,
    studied: StudiedModel,
    seed: int = 0,
    catalogue: Catalogue | None = None,
    customers: Any = None,
    device: str = "cpu",
    watch: Watch | None = None,
    warm_start: Recommender[Any] | None = None,
) -> Recommender[Any]:
    """A model of a plan, fitted as the study fits it.

    Args:
        train: the interactions that it is fitted on.
        studied: the model.
        seed: of everything random in it.
        catalogue: the retailer's articles; models that do not read content get it without vectors.
        customers: a frame of customers that the model should know besides those in ``train``.
        device: where it computes.
        watch: is told of each epoch: see :class:`~atelier.recommenders.base.Recommender`.
        warm_start: a fitted sequence model from whose weights training starts; None: from random ones.

    Raises:
        StudyError: ``warm_start`` of a model that is no sequence model.
    """
    if catalogue is not None and not studied.reads_content:
        catalogue = replace(catalogue, vectors=None, names=None)
    model = studied.build(seed, device)
    model.watch = watch
    if warm_start is not None:
        if not isinstance(model, SequenceRecommender) or not isinstance(warm_start, SequenceRecommender):
            raise StudyError(
                f"{model.name} cannot start from {warm_start.name}: take sequencer or transformer for both"
            )
        model.warm_start = warm_start
    model.fit(reordered(train, studied.order, seed), catalogue=catalogue, customers=customers)
    return model if studied.order == "kept" else model.with_histories(train, customers)


def own_lists(model: Recommender[Any], search: Search, customers: Any, **asked: Any) -> pd.DataFrame:
    """The lists that a model itself makes.

    Args:
        model: fitted; with vectors where the search is annoy.
        search: how lists are found.
        customers: whom it can serve.
        asked: ``k``, ``exclude_seen`` and ``candidates``, as :meth:`Recommender.recommend` takes them.
    """
    if search == "annoy":
        with_vectors = cast(VectorRecommender[Any], model)
        return ArticleIndex.build(with_vectors).recommend(with_vectors, customers, **asked)
    return model.recommend(customers, **asked)


def reordered(train: Interactions, order: Order, seed: int) -> Interactions:
    """The interactions with what each customer did put in another order; when they did something stays.

    Args:
        train: n interactions.
        order: see :data:`~atelier.studies.recommender_plan.Order`.
        seed: of the order.

    Raises:
        StudyError: the order is to be kept between days, and the interactions have no dates.
    """
    if order == "kept":
        return train
    if order == "within_days" and not train.dated:
        raise StudyError("interactions without dates cannot be shuffled within days: leave this order out")
    days = train.occurred_at.astype("datetime64[D]").astype(np.int64) if order == "within_days" else train.customers
    places = np.lexsort((np.random.default_rng([seed, 7]).random(len(train)), days, train.customers))
    return replace(
        train,
        articles=train.articles[places],
        kinds=None if train.kinds is None else train.kinds[places],
        prices=None if train.prices is None else train.prices[places],
        channels=None if train.channels is None else train.channels[places],
    )


def subsample(train: Interactions, share: float, seed: int) -> Interactions:
    """A random sample: each interaction with probability ``share``, at least one; the same for all models of a seed."""
    if share == 1:
        return train
    draws = np.random.default_rng([seed, round(share * 1_000_000)]).random(len(train))
    sampled = draws < share
    sampled[draws.argmin()] = True
    return train.rows(sampled)


def evaluate_lists(
    name: str,
    lists: pd.DataFrame,
    train: Any,
    truth: Any,
    plan: RecommenderStudyPlan,
    *,
    catalogue: Catalogue | None = None,
    customers: Any = None,
    candidates: Any = None,
) -> RecommenderFitResult:
    """Evaluate lists that no model of the plan made, for example a ceiling's, as the study evaluates its models.

    Append the result to those of :func:`run_study`: :func:`~atelier.studies.recommender_tables.scores_of` then has its
    rows, at share 1, and :func:`~atelier.studies.recommender_tables.paired_tests_of` leaves it out.

    Args:
        name: the name in the tables.
        lists: customer_id, article_id, rank, for the customers that
            :func:`~atelier.studies.recommender_scores.evaluated_customers` gives.
        train: as for :func:`run_study`, and so for the others.
        truth: as there.
        plan: the study's.
        catalogue: as there.
        customers: as there.
        candidates: as there.

    Raises:
        StudyError: no customer can be evaluated.
    """
    task = Study.of(train, truth, plan, catalogue, customers, candidates).task
    return score_lists(lists, task, model=name, k=plan.k, tested=False)


def made_by() -> dict[str, object]:
    """Code, libraries and threads on which a result depends: see :func:`atelier.studies.results_cache.made_with`."""
    modules = [__name__, *(model.module for model in MODELS.values())]
    return made_with(modules, ("annoy", "implicit", "numpy", "scipy", "torch"))
