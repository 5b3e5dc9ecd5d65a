"""What a fitted model is worth on later days, and what stands at each rank of its lists.

What belongs here: the same frozen models judged day by day (longevity), and the mean popularity, price and age of what
they recommend, by rank. What does not: formulas (:mod:`atelier.metrics`), pictures (:mod:`atelier.report`).

Source: the thesis on neural sequencers at H&M, which draws popularity, price and age by rank and asks how long a model
stays good.
"""

from collections.abc import Mapping
from datetime import date, timedelta

import pandas as pd

from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.metrics import PURCHASE, evaluate
from atelier.progress import progress
from atelier.studies.recommender_plan import StudiedModel
from atelier.studies.recommender_scores import StudyError, evaluated_customers
from atelier.studies.recommender_study import fit_model, made_by, own_lists
from atelier.studies.results_cache import KeptTable, ResultsCache, cached

DAYS = 28
FROZEN, READING = "frozen", "reads on"
"""Lists of the day of the fit on every day; lists of each day's histories by the weights of that day."""
BY_RANK = ("mean_popularity_at_rank", "mean_price_at_rank", "mean_age_days_at_rank")


def longevity(
    history: Interactions,
    origin: date,
    models: Mapping[str, StudiedModel],
    *,
    days: int = DAYS,
    k: int = 14,
    seed: int = 0,
    catalogue: Catalogue | None = None,
    cache: ResultsCache | None = None,
    data: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Judge models fitted on the days up to ``origin`` by the purchases of each later day.

    Customers are those with history on ``origin`` who purchase on the day; repeats are allowed. Articles that came on
    sale after ``origin`` are purchased, and no frozen model can recommend them: that is part of what ages.

    Args:
        history: interactions up to ``origin`` and of the days after it.
        origin: the last day that the models are fitted on.
        models: by name.
        days: how many days after ``origin`` are judged.
        k: length of the lists.
        seed: of the fits.
        catalogue: the articles on ``origin``.
        cache: where results are kept; None: nowhere.
        data: identifies the interactions and the catalogue.

    Returns:
        model, histories (``frozen``: those up to ``origin``; ``reads on``: those up to the day before the judged one),
        day (1 to ``days``), metric, value, standard_error (over customers), customers. A day on which no known customer
        purchased has no rows.

    Raises:
        StudyError: no day has purchases of known customers.
    """
    shared = {"study": "longevity", "origin": str(origin), "days": days, "k": k, "seed": seed, "made_by": made_by()}
    tables = []
    for name, studied in progress(models.items(), "longevity", unit="model"):

        def judged(studied: StudiedModel = studied) -> KeptTable:
            return KeptTable.of(_judged_daily(history, origin, studied, days, k, seed, catalogue))

        parts = {**shared, "model": studied.model_dump(mode="json")}
        tables.append(cached(cache, data, parts, KeptTable, judged).frame().assign(model=name))
    columns = ["model", "histories", "day", "metric", "value", "standard_error", "customers"]
    return pd.concat(tables, ignore_index=True)[columns]


def _judged_daily(
    history: Interactions,
    origin: date,
    studied: StudiedModel,
    days: int,
    k: int,
    seed: int,
    catalogue: Catalogue | None,
) -> pd.DataFrame:
    """The figures of one model on each day."""
    train, _ = history.split_at(origin + timedelta(days=1))
    model = fit_model(train, studied, seed, catalogue)
    tables = []
    for day in range(1, days + 1):
        known, rest = history.split_at(origin + timedelta(days=day))
        truth = rest.split_at(origin + timedelta(days=day + 1))[0].of_kinds(PURCHASE)
        if (train.customer_ids.encode(truth.customer_ids.values, unknown="minus_one") < 0).all():
            continue  # nobody known purchased: the day has no figures
        customers = evaluated_customers(train, truth)
        for histories, asked in ((FROZEN, model), (READING, model.with_histories(known))):
            lists = asked.recommend(customers, k, exclude_seen=False)
            found = evaluate(lists, truth, k, customers=customers, attribute=None)
            chosen = found[(found["segment"] == "all") & found["metric"].isin(["hit_rate", "ndcg"])]
            tables.append(chosen.assign(day=day, histories=histories))
    if not tables:
        raise StudyError(
            f"no customer who was known on {origin} purchased on the {days} days after it: take other days"
        )
    return pd.concat(tables, ignore_index=True)[["histories", "day", "metric", "value", "standard_error", "customers"]]


def by_rank(
    train: Interactions,
    truth: Interactions,
    models: Mapping[str, StudiedModel],
    articles: pd.DataFrame,
    *,
    as_of: date | None = None,
    k: int = 14,
    seed: int = 0,
    catalogue: Catalogue | None = None,
    cache: ResultsCache | None = None,
    data: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The mean popularity, price and age of what stands at each rank, and in the catalogue.

    Args:
        train: what the models are fitted on; popularity is units purchased in it.
        truth: its customers get the lists.
        models: by name.
        articles: article_id and, where known, price and available_from.
        as_of: the day on which ages are counted; None: the last day of ``train``.
        k: length of the lists; repeats are allowed.
        seed: of the fits.
        catalogue: the articles that are recommended.
        cache: where results are kept; None: nowhere.
        data: identifies the interactions and the catalogue.

    Returns:
        model, metric (as :func:`atelier.metrics.evaluate` names them), k (the rank), segment (``all`` or
        ``catalogue``), value, standard_error, customers; what the data cannot tell is absent.

    Raises:
        StudyError: nobody has both history and truth.
    """
    customers = evaluated_customers(train, truth)
    shared = {"study": "by_rank", "k": k, "seed": seed, "as_of": str(as_of), "made_by": made_by()}
    tables = []
    for name, studied in progress(models.items(), "by rank", unit="model"):

        def measured(studied: StudiedModel = studied) -> KeptTable:
            model = fit_model(train, studied, seed, catalogue)
            lists = own_lists(model, studied.search, customers, k=k, exclude_seen=False)
            found = evaluate(
                lists, truth, k, train=train, catalogue=articles, customers=customers, as_of=as_of, attribute=None
            )
            return KeptTable.of(found[found["metric"].isin(BY_RANK)])

        parts = {**shared, "model": studied.model_dump(mode="json")}
        tables.append(cached(cache, data, parts, KeptTable, measured).frame().assign(model=name))
    return pd.concat(tables, ignore_index=True)
