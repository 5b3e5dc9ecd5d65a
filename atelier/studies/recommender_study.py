"""Recommenders side by side: the same data, the same question, several seeds, and less and less data.

What belongs here: running the fits of a study and keeping what each gave, so that a study that is killed goes on where
it was. What does not: which fits (:mod:`~atelier.studies.recommender_plan`), how one set of lists is judged
(:mod:`~atelier.studies.recommender_scores`), tables (:mod:`~atelier.studies.recommender_tables`), pictures
(:mod:`atelier.report`).

Source: Cardoso, Daolio and Vargas, "Product Characterisation towards Personalisation" (KDD 2018), the evaluation of
recommendations: popularity, collaborative, content and hybrid by precision and recall at 10.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from atelier.catalogue import Catalogue
from atelier.ids import IdMap, column
from atelier.interactions import Interactions
from atelier.progress import progress
from atelier.recommenders import model_class
from atelier.recommenders.base import Recommender
from atelier.recommenders.eligibility import seen_articles
from atelier.recommenders.fallback import SERVED, serve
from atelier.recommenders.schemas import plain
from atelier.search.ragged import RaggedLists
from atelier.studies.recommender_plan import RecommenderFit, RecommenderStudyPlan, StudiedModel
from atelier.studies.recommender_scores import EvaluationTask, RecommenderFitResult, StudyError, score_lists
from atelier.studies.results_cache import ResultsCache, cached, digest, made_with


class Sample:
    """The interactions that every model of one share and seed is given.

    Args:
        study: what all fits read.
        drawn: the share, and the seed where it is not all.

    Attributes:
        train: the interactions.
        fallback: the model that serves whom another cannot; fitted here, so that no other fit's seconds count it.
    """

    def __init__(self, study: "Study", drawn: tuple[float, int | None]) -> None:
        self.study, self.drawn = study, drawn
        self.train = kept_share(study.task.train, drawn[0], drawn[1] or 0)
        self._seen: RaggedLists | None = None
        self.fallback = self.fit(study.plan.fallback, drawn[1] or 0)

    def fit(self, studied: StudiedModel, seed: int) -> Recommender[Any]:
        """A model fitted on them; it leaves out of lists what was seen in all interactions, kept or not."""
        task = self.study.task
        customers = pd.DataFrame({"customer_id": task.customers})
        model = fit_model(self.train, studied, seed, self.study.catalogue, customers, self.study.device)
        if task.exclude_seen:
            if self._seen is None:  # the same for all: models of one sample know the same customers and articles
                known = task.seen.aligned(model.customer_profiles.ids, model.article_ids, unknown="drop")
                self._seen = seen_articles(known)
            model.customer_profiles = replace(model.customer_profiles, seen=self._seen)
        return model


@dataclass(eq=False)
class Study:
    """What all fits of a study read.

    Attributes:
        plan: which fits.
        task: what the models are asked.
        catalogue: what is sold, with vectors; None: nothing is known of articles.
        candidates: text, the articles that may be recommended; None: all in stock.
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
        judged: Any,
        candidates: Any,
    ) -> Self:
        """Read what :func:`run_study` is given."""
        if candidates is not None:
            candidates = IdMap.from_values(column(candidates, "article_id"), "article_id").values.to_pandas()
        task = EvaluationTask.of(
            Interactions.from_frame(train),
            Interactions.from_frame(truth),
            plan.ks,
            exclude_seen=plan.exclude_seen,
            catalogue=catalogue,
            judged=judged,
            candidates=candidates,
        )
        return cls(plan, task, catalogue, None if candidates is None else pd.Index(candidates))

    def sample(self, fit: RecommenderFit) -> Sample:
        """What a fit is given; the last one is held, as several models are fitted on it."""
        drawn = (fit.share, None if fit.share == 1 else fit.seed)
        if self._sample is None or self._sample.drawn != drawn:
            self._sample = Sample(self, drawn)
        return self._sample

    def lists(self, model: Recommender[Any], fit: RecommenderFit) -> tuple[pd.DataFrame, int]:
        """A list for each customer, the fallback's where the model cannot rank, and how many are the model's own."""
        task = self.task
        batches = serve(
            model,
            self.sample(fit).fallback,
            task.customers,
            k=max(task.ks),
            exclude_seen=task.exclude_seen,
            candidates=self._known(model),
        )
        lists: pd.DataFrame = plain(list(batches), SERVED).to_pandas()
        return lists, int(model.can_serve(task.customers).sum())

    def _known(self, model: Recommender[Any]) -> pd.Index | None:
        """The candidates that a model has heard of: of fewer interactions it has heard of fewer articles."""
        if self.candidates is None:
            return None
        return self.candidates[model.article_ids.encode(self.candidates, unknown="minus_one") >= 0]

    def asked(self) -> dict[str, str]:
        """Digests of the customers and the candidates."""
        named = {"customers": self.task.customers, "candidates": self.candidates}
        return {name: digest({"ids": ids.tolist()}) for name, ids in named.items() if ids is not None}


def run_study(
    train: Any,
    truth: Any,
    plan: RecommenderStudyPlan,
    *,
    catalogue: Catalogue | None = None,
    judged: Any = None,
    candidates: Any = None,
    kept: ResultsCache | None = None,
    data: Mapping[str, str] | None = None,
    device: str = "cpu",
) -> list[RecommenderFitResult]:
    """Run every fit of a study, or read what an earlier run, perhaps a killed one, kept of it.

    The question stays the same at every share of the interactions: the same customers, the same relevant sets, and the
    same articles seen, all by the whole of ``train``. A model that was fitted on a share of it ranks by that share
    alone; only its filter knows what else the customer had purchased, and what it leaves out can be no hit for anyone.
    Who has lost all history, and whom the model cannot rank for, gets the list of ``plan.fallback``, fitted on the same
    share, as customers do in :func:`atelier.recommenders.fallback.serve`.

    Args:
        train: :class:`Interactions` (or a frame of them) that is known when lists are made.
        truth: the same, of the time that is judged; only purchases count.
        plan: which fits.
        catalogue: what is sold; its vectors are given to models that read content.
        judged: customers to judge (texts, or a frame with ``customer_id``); None: all with purchases in ``truth`` and
            history in ``train``, to whom it is restricted in any case.
        candidates: the articles that may be recommended (texts, or a frame with ``article_id``); None: all in stock.
        kept: where results are kept; None keeps none.
        data: what identifies ``train``, ``truth`` and ``catalogue``, for example the versions of their tables: kept
            results are read again only where this, the plan, the customers, the candidates, the code, the libraries,
            the number of threads and the device are the same.
        device: where models compute, as PyTorch names it.

    Returns:
        One result for each of ``plan.fits()``, in that order.

    Raises:
        StudyError: nobody can be judged; the fallback cannot rank for anyone.
        UnknownModelError, pydantic.ValidationError: a model of the plan does not exist or has a config that is none.
        CachedResultError: a kept file is damaged.
        ValueError: ``kept`` without ``data``.
    """
    for studied in (*plan.models.values(), plan.fallback):
        studied.build(0, device)  # what is wrong with the last one is better known before the first is fitted
    if not model_class(plan.fallback.recommender).serves_anyone:
        raise StudyError(
            f"the fallback {plan.fallback.recommender} cannot rank for customers without history, for whom it is "
            "there: take popular"
        )
    study = replace(Study.of(train, truth, plan, catalogue, judged, candidates), device=device)
    shared = {"asked": study.asked(), "made_by": made_by(), "device": device}
    return [
        cached(kept, data, {"plan": plan.identity(fit), **shared}, RecommenderFitResult, partial(run_fit, fit, study))
        for fit in progress(plan.fits(), "recommender study", unit="fit")
    ]


def run_fit(fit: RecommenderFit, study: Study) -> RecommenderFitResult:
    """Fit one model, rank with it and judge it; the model is gone afterwards."""
    sample, seed = study.sample(fit), fit.seed or 0
    start = time.process_time()
    model = sample.fit(study.plan.models[fit.model], seed)
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
) -> Recommender[Any]:
    """A model of a plan, fitted as the study fits it.

    Args:
        train: what it learns from.
        studied: the model.
        seed: of everything random in it.
        catalogue: what is sold; models that do not read content get it without vectors.
        customers: a frame of customers to know beside those in ``train``.
        device: where it computes.
    """
    if catalogue is not None and not studied.reads_content:
        catalogue = replace(catalogue, vectors=None, names=None)
    return studied.build(seed, device).fit(train, catalogue=catalogue, customers=customers)


def kept_share(train: Interactions, share: float, seed: int) -> Interactions:
    """The interactions that are left: each with the probability ``share``, at least one; by seed, for every model."""
    if share == 1:
        return train
    draws = np.random.default_rng([seed, round(share * 1_000_000)]).random(len(train))
    kept = draws < share
    kept[draws.argmin()] = True
    return train.rows(kept)


def judge_lists(
    name: str,
    lists: pd.DataFrame,
    train: Any,
    truth: Any,
    plan: RecommenderStudyPlan,
    *,
    catalogue: Catalogue | None = None,
    judged: Any = None,
    candidates: Any = None,
) -> RecommenderFitResult:
    """Lists that no model of the plan made, for example a ceiling's, judged as the study judges.

    Put it behind the results of :func:`run_study`: :func:`scores_of` then has its rows, at share 1, and
    :func:`paired_tests_of` leaves it out.

    Args:
        name: its name in the tables.
        lists: customer_id, article_id, rank, for the customers whom :func:`judged_customers` names.
        train: as for :func:`run_study`, and so for the others.
        truth: as there.
        plan: the study's.
        catalogue: as there.
        judged: as there.
        candidates: as there.

    Raises:
        StudyError: nobody can be judged.
    """
    task = Study.of(train, truth, plan, catalogue, judged, candidates).task
    return score_lists(lists, task, model=name, k=plan.k, tested=False)


def made_by() -> dict[str, object]:
    """What beside plan and data a result may depend on: see :func:`atelier.studies.results_cache.made_with`."""
    package = Path(__file__).parent.parent
    folders = ("recommenders", "nn", "search", "metrics")
    read = (*folders, "interactions.py", "ids.py", "catalogue.py", "bundles.py", "devices.py")
    return made_with([package / name for name in read], ("implicit", "numpy", "scipy", "torch"))
