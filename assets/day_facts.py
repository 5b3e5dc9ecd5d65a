"""The facts of a day, for the summary that opens its page.

What belongs here: reading them from the store and from Dagster's checks. What does not: what is said of them
(:mod:`atelier.report.this_day`), what differs from the day before (:mod:`assets.day_changes`).
"""

from datetime import date, timedelta
from statistics import median
from typing import TYPE_CHECKING

from assets.checks import COUNTED, changed_rows
from assets.completeness import missing_assets, remake_command
from assets.day_changes import day_before
from assets.evaluation import judge_command, judged_later, missing, origin_of
from assets.pictures import partition
from assets.recommendations import TABLE as LISTS
from assets.recommenders import TRAIN_KINDS
from assets.retrieval import SIMILAR
from assets.step import Step
from atelier.errors import PartitionMissing
from atelier.recommenders import declared
from resources.champions import shown_lists
from resources.promotions import serving_model
from resources.retailer import day_range
from sql import query

if TYPE_CHECKING:
    import pandas as pd

    from atelier.report.this_day import DayFacts, Rows, Served

#: The tables whose rows the summary counts: events first.
TABLES = ("interactions", *(table for table in COUNTED if table != "interactions"))
WEEK = 7


def day_facts(step: Step) -> "DayFacts":
    """The facts of the step's day; what was not made is absent."""
    from atelier.report.this_day import DayFacts

    rows, lists = _rows(step), _served(step, step.ds)
    serving = serving_model(step.home, step.ds)
    articles, without, without_any = _without_neighbours(step)
    absent = missing_assets(step)
    reason, first = _unjudged(step)
    return DayFacts(
        ds=step.ds,
        horizon=step.home.settings.horizon,
        rows=rows,
        not_ingested=_not_ingested(step),
        customers=rows["customers"].today or 0,
        serving=serving,
        served=lists,
        served_before=_served_before(step, serving),
        kept=_kept(step),
        values=_values(step),
        articles=articles,
        without_neighbours=without,
        without_any=without_any,
        missing=absent,
        remake=remake_command(absent, step.ds),
        checks=step.check_history(),
        metrics=partition(step, "offline_metrics"),
        unjudged=reason,
        before_first_lists=first,
        judged_later=judged_later(step.home.settings, step.ds),
    )


def _rows(step: Step) -> "dict[str, Rows]":
    from atelier.report.this_day import Rows

    faults, found = partition(step, "rejected"), {}
    for table in TABLES:
        rows = {pointer.ds: pointer.rows for pointer in step.store.pointers(table) if pointer.ds <= step.ds}
        week = [rows[day] for n in range(1, WEEK + 1) if (day := step.ds - timedelta(days=n)) in rows]
        refused = 0 if faults is None else int(((faults["source_table"] == table) & ~faults["row_kept"]).sum())
        found[table] = Rows(
            today=rows.get(step.ds),
            yesterday=rows.get(step.ds - timedelta(days=1)),
            usual=median(week) if week and table == "interactions" else None,
            unusual=bool(changed_rows(step.store, table, [step.ds])),
            rejected=refused,
        )
    return found


def _not_ingested(step: Step) -> list[date]:
    """The days before the step's of which no interactions are in the store."""
    there = {pointer.ds for pointer in step.store.pointers("interactions")}
    before = day_range(step.home.settings.first_day, step.ds - timedelta(days=1))
    return [day for day in before if day not in there]


def _served(step: Step, ds: date) -> "dict[str, Served]":
    """Whom the lists of the served model, and of those that read content, serve on a day; empty: it has no lists."""
    from atelier.report.this_day import Served

    try:
        with step.store.connect(as_of=ds, tables=[LISTS, "interactions"]) as con:
            rows = con.sql(query("served_lists"), params={"kinds": list(TRAIN_KINDS)}).fetchall()
    except PartitionMissing:
        return {}
    serving = serving_model(step.home, step.ds)
    return {model: Served(*counts) for model, *counts in rows if model == serving or declared(model).reads_content}


def _kept(step: Step) -> tuple[str, date, int] | None:
    """The model and the day whose lists are shown in place of tonight's, and how many customers have one; or None."""
    shown = shown_lists(step.store, step.ds)
    if shown is None or shown.made_on == step.ds:
        return None
    count = f"SELECT count(DISTINCT customer_id) FROM {LISTS} WHERE served AND model = $model"  # noqa: S608 - our own name
    with step.store.connect(as_of=shown.made_on, tables=[LISTS]) as con:
        ((customers,),) = con.execute(count, {"model": shown.model}).fetchall()
    return shown.model, shown.made_on, customers


def _served_before(step: Step, model: str) -> "tuple[date, Served] | None":
    """Whom the lists of ``model`` served on the newest earlier day that has lists, and that day."""
    before = day_before(step, LISTS)
    served = {} if before is None else _served(step, before)
    return (before, served[model]) if before is not None and model in served else None


def _values(step: Step) -> "pd.DataFrame | None":
    """How many values of each attribute people, the model alone, or the model as one of several gave."""
    try:
        with step.connect("predicted_attributes") as con:
            frame: pd.DataFrame = con.sql(query("values_by_source")).df()
    except PartitionMissing:
        return None
    return frame


def _without_neighbours(step: Step) -> tuple[int, dict[str, int] | None, int]:
    """The articles of the day, and how many have no neighbours by each model and by any; None: none were computed."""
    try:
        with step.connect(SIMILAR, "articles") as con:
            *by_model, (_, articles, by_any) = con.sql(query("without_neighbours")).fetchall()
    except PartitionMissing:
        return 0, None, 0
    return articles, {model: without for model, _, without in by_model}, by_any


def _unjudged(step: Step) -> tuple[str, bool]:
    """Why nothing is judged on the day and what to run, and whether no day had lists that could be."""
    origin = origin_of(step)
    if origin < step.home.settings.first_day:
        return f"There are no lists of {origin}, which is before the first day.", True
    reason = missing(step) or f"the lists of {origin} wait: run `{judge_command(step.ds)}`"
    return f"{reason[:1].upper()}{reason[1:]}.", False


def unjudged(step: Step) -> str:
    """Why the page of the step's day has no figures of recommendations, and what to run, as sentences."""
    reason, first = _unjudged(step)
    return f"Nothing was judged on this day. {reason}" + (
        f" {judged_later(step.home.settings, step.ds)}" if first else ""
    )
