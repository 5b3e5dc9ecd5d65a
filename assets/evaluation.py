"""Evaluation: the recommendations of ``ds − horizon``, evaluated on what customers did since.

What belongs here: which lists are compared with which truth, and the assets that store the metrics. What does not: the
formulas of the metrics (:mod:`atelier.metrics`).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.recommendations import TABLE, lists_of
from assets.recommenders import TRAIN_KINDS, catalogue, fitted_daily, training_interactions
from assets.stage import stage
from assets.step import Step
from atelier.recommenders import MODELS
from resources.retailer import Settings, day_range
from resources.tables.columns import SEEN
from sql import query

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from atelier.catalogue import Catalogue
    from atelier.interactions import Interactions
    from atelier.recommenders.base import Recommender

GROUP = "evaluation"
KINDS = ("purchase",)
KEY_METRICS = ("precision", "hit_rate", "coverage")
#: The tag of a run that says what it judged, or why nothing.
TAG = "atelier/judged"


class EvaluationConfig(dg.Config):
    """How lists are evaluated.

    Attributes:
        k: the lengths of lists.
        truth_kinds: the kinds of interaction that count as relevant.
        train_kinds: the kinds that count as history.
        attribute: metrics are also given for each value of this column of ``articles``.
    """

    k: list[int] = [10, 12, 14, 20, 30]
    truth_kinds: list[str] = list(KINDS)
    train_kinds: list[str] = list(TRAIN_KINDS)
    attribute: str = "product_type"


@dataclass(frozen=True)
class EvaluationData:
    """The data on which the lists of one day are evaluated; nothing in it but ``truth`` is later than ``origin``.

    Attributes:
        origin: the day of the lists.
        train: the interactions up to ``origin``.
        catalogue: the articles on ``origin``.
        customers: the customers of the evaluation: ``customer_id``.
        truth: their interactions in (origin, ds].
        models: the models that have lists.
    """

    origin: date
    train: "Interactions"
    catalogue: "Catalogue"
    customers: "pd.DataFrame"
    truth: "pd.DataFrame"
    models: list[str]


@stage(
    produces=["offline_metrics", "customer_metrics", "model_comparisons"],
    deps=["interactions"],
    judged_deps=["articles", "customers", *(asset for name in MODELS for asset in (f"{name}_model", lists_of(name)))],
    group=GROUP,
    checks={
        "judged": "Whether the lists of every model of ds − horizon were evaluated, and if not, how to make them.",
        "enough_customers": "Whether enough customers bought something for the metrics to be reliable.",
    },
)
def offline_metrics(step: Step, config: EvaluationConfig) -> None:
    """Evaluates the recommendations of ds − horizon; if data are missing, checks and run say how to make them."""
    origin = origin_of(step)
    remedy = missing(step)
    with_lists = models_with_lists(step, origin)
    absent = [name for name in fitted_daily(step.home.settings) if name not in with_lists]
    found = f"the lists of {origin} are evaluated on what customers did until {step.ds}"
    found += f"; there are no lists of {', '.join(absent)}" if absent else ""
    step.check("judged", remedy is None and not absent, remedy or found)
    step.tag_run(TAG, f"nothing: {remedy}" if remedy else f"the lists of {origin}")
    if remedy is not None:
        step.note("offline_metrics", judged=f"nothing: {remedy}")
        step.check("enough_customers", False, f"no customer is evaluated: {remedy}")
        return
    from atelier.interactions import Interactions
    from atelier.metrics import FEW_CUSTOMERS

    data = prepare(step, origin, config)
    customers = len(Interactions.from_frame(data.truth).of_kinds(config.truth_kinds).customer_ids)
    step.check(
        "enough_customers",
        customers >= FEW_CUSTOMERS,
        f"{customers} customers are evaluated"
        + ("" if customers >= FEW_CUSTOMERS else ": too few for reliable metrics"),
    )
    _write_metrics(step, data, config)
    _write_customer_metrics(step, data, config)


def origin_of(step: Step) -> date:
    """The day whose lists are evaluated on the step's day."""
    return step.ds - timedelta(days=step.home.settings.horizon)


def missing(step: Step) -> str | None:
    """What has to be run before the step's day can be judged; None where nothing is missing."""
    store = step.store
    return unmet(step.home.settings, step.ds, store.days(TABLE), store.days("interactions"))


def unmet(settings: Settings, ds: date, lists: Collection[date], interactions: Collection[date]) -> str | None:
    """What has to be run before the lists of ``ds − horizon`` can be judged on ``ds``; None where nothing is missing.

    Args:
        settings: of the home.
        ds: the day of judging.
        lists: the days that have lists.
        interactions: the days whose interactions are stored.
    """
    origin = ds - timedelta(days=settings.horizon)
    if origin < settings.first_day:
        return (
            f"no recommendations of {origin}, which is before the first day, {settings.first_day}."
            f" {judged_later(settings, ds)}"
        )
    again = f"`{judge_command(ds)}`"
    if origin not in lists:
        return f"no recommendations of {origin}: run `dg launch --job daily_retrain --partition {origin}`, then {again}"
    absent = [day for day in day_range(origin + timedelta(days=1), ds) if day not in interactions]
    if absent:
        return (
            f"no interactions of {absent[0]} … {absent[-1]}: run"
            f" `dg launch --job ingest --partition-range {absent[0]}...{absent[-1]}`, then {again}"
        )
    return None


def judge_command(ds: date) -> str:
    """The command that evaluates, on ``ds``, the lists of ``ds − horizon``."""
    return f"dg launch --job judge --partition {ds}"


def judged_later(settings: Settings, ds: date) -> str:
    """When the lists that were made on ``ds`` are evaluated, and by which command."""
    later = ds + timedelta(days=settings.horizon)
    if settings.last_day is not None and later > settings.last_day:
        return (
            f"The lists of {ds} cannot be evaluated: that takes what customers do until {later}, and the source"
            f" ends on {settings.last_day}."
        )
    return f"The lists of {ds} are evaluated on {later}, once it is ingested: run `{judge_command(later)}`."


def check_days(step: Step, origin: date) -> None:
    """Make sure that lists of the day ``origin`` can be judged by the days since.

    Raises:
        Failure: it is before the first day, or a day since then was not ingested.
    """
    if origin < step.home.settings.first_day:
        raise dg.Failure(
            f"nothing to compare on {step.ds}: lists would be made on {origin}, before the first day, "
            f"{step.home.settings.first_day}"
        )
    days = day_range(origin + timedelta(days=1), step.ds)
    absent = [day for day in days if step.store.pointer("interactions", day) is None]
    if absent:
        raise dg.Failure(
            f"no interactions of {absent[0]} … {absent[-1]}: run "
            f"`dg launch --job ingest --partition-range {absent[0]}...{absent[-1]}`"
        )


def models_with_lists(step: Step, origin: date) -> list[str]:
    """The models that have lists of a day, in the order of the leaderboard."""
    return [name for name in MODELS if step.store.pointer(TABLE, origin, name) is not None]


def prepare(step: Step, origin: date, config: EvaluationConfig) -> EvaluationData:
    """Read the data on which the lists of ``origin`` are evaluated."""
    with step.store.connect(as_of=origin, tables=[TABLE]) as con:
        customers: pd.DataFrame = con.sql(query("judged_lists")).df()
    with step.connect("interactions") as con:
        truth = con.sql(query("truth"), params={"origin": origin, "kinds": config.truth_kinds}).df()
    return EvaluationData(
        origin=origin,
        train=training_interactions(step, sorted({*config.train_kinds, *KINDS}), origin),
        catalogue=catalogue(step, origin),
        customers=customers,
        truth=truth[truth["customer_id"].isin(customers["customer_id"])],
        models=models_with_lists(step, origin),
    )


def _lists(step: Step, data: EvaluationData, model: str) -> Iterator[tuple[str, "pa.Table"]]:
    """The lists of ``model`` under both policies, for the whole sample, because coverage is not over buyers only."""
    from resources.frames import dictionary_table

    with step.store.connect(as_of=data.origin, tables=[TABLE]) as con:
        con.register("sample", data.customers)
        for seen in SEEN:
            rows = con.sql(
                "SELECT customer_id, article_id, rank FROM recommendations SEMI JOIN sample USING (customer_id)"
                " WHERE model = $model AND seen = $seen ORDER BY customer_id, rank",
                params={"model": model, "seen": seen},
            )
            yield seen, dictionary_table(rows)


def _maker(step: Step, data: EvaluationData, model: str) -> "Recommender[Any]":
    """The model that made the lists, by the id recorded with them: it may have been fitted again since."""
    from atelier import recommenders

    with step.store.connect(as_of=data.origin, tables=[TABLE]) as con:
        found = con.execute(
            "SELECT DISTINCT model_id FROM recommendations WHERE model = $model AND NOT fallback", {"model": model}
        ).fetchall()
    name = f"{model}_model"
    model_id = found[0][0] if found else step.models.pointer(name, data.origin)
    return recommenders.load(step.models.bundle(name, model_id).path, str(step.compute.apply()))


def _restricted(
    maker: "Recommender[Any]", data: EvaluationData, segments: "pd.DataFrame", exclude_seen: bool, k: int
) -> dict[str, "pd.DataFrame"]:
    """Lists made from the articles of each segment only (warm, cold, new), by segment."""
    customers = data.truth["customer_id"].drop_duplicates().sort_values()
    served = customers[maker.can_serve(customers)]
    return {
        str(name): maker.recommend(served, k=k, exclude_seen=exclude_seen, candidates=articles["article_id"])
        for name, articles in segments.groupby("segment")
    }


def _write_metrics(step: Step, data: EvaluationData, config: EvaluationConfig) -> None:
    import pandas as pd

    from atelier.metrics import article_segments, evaluate

    segments = article_segments(data.catalogue, data.train, config.train_kinds)
    for model in data.models:
        frames, maker = [], _maker(step, data, model)
        for seen, lists in _lists(step, data, model):
            excluded = seen == "excluded"
            figures = evaluate(
                lists,
                data.truth,
                config.k,
                train=data.train,
                catalogue=data.catalogue,
                exclude_seen=excluded,
                truth_kinds=config.truth_kinds,
                train_kinds=config.train_kinds,
                attribute=config.attribute,
                restricted_recs=_restricted(maker, data, segments, excluded, max(config.k)),
                as_of=data.origin,
                customers=data.customers["customer_id"],
            )
            frames.append(figures.assign(model=model, seen=seen))
        step.write("offline_metrics", pd.concat(frames, ignore_index=True), part=model)
        step.note("offline_metrics", **_key_figures(model, frames))


def _key_figures(model: str, frames: list["pd.DataFrame"]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for frame in frames:
        everyone = frame[(frame["segment"] == "all") & (frame["k"] == 10) & frame["metric"].isin(KEY_METRICS)]
        named = model + "_" + everyone["metric"].astype("str") + "_at_10_seen_" + everyone["seen"]
        figures |= dict(zip(named, everyone["value"].astype(float), strict=True))
    return {name: value for name, value in figures.items() if value == value}  # the UI cannot chart NaN


def _write_customer_metrics(step: Step, data: EvaluationData, config: EvaluationConfig) -> None:
    import pandas as pd

    from atelier.metrics import compare, customers_with_history, per_customer

    values: dict[str, dict[str, pd.DataFrame]] = {seen: {} for seen in SEEN}
    for model in data.models:
        for seen, lists in _lists(step, data, model):
            values[seen][model] = per_customer(
                lists,
                data.truth,
                config.k,
                train=data.train,
                exclude_seen=seen == "excluded",
                truth_kinds=config.truth_kinds,
            )
        frames = [values[seen][model].assign(model=model, seen=seen) for seen in SEEN]
        step.write("customer_metrics", pd.concat(frames, ignore_index=True), part=model)
    known = customers_with_history(data.train, config.train_kinds)
    tests = [compare(values[seen], known).assign(seen=seen) for seen in SEEN]
    step.write("model_comparisons", pd.concat(tests, ignore_index=True))


STAGES = (offline_metrics,)
