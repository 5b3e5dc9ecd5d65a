"""What needs a person on a day, for its page: likely catalogue errors, abstained values, articles in no list.

What belongs here: which tables and days they are found in. What does not: how they are shown
(:mod:`atelier.report.open_work`).
"""

from typing import TYPE_CHECKING

from assets.pictures import partition
from assets.recommendations import TABLE as LISTS
from assets.retrieval import SIMILAR
from assets.step import Step
from atelier.complement_lists import TABLE as COMPLEMENTS
from atelier.errors import PartitionMissing
from resources.champions import shown_lists
from sql import query

if TYPE_CHECKING:
    import pandas as pd

    from atelier.report.open_work import OpenWork

#: Sales of how many days make an article one that sells.
WINDOW = 28
#: The articles of the lists beside an article, by table.
BESIDE = {SIMILAR: "similar_article_id", COMPLEMENTS: "complement_article_id"}


def open_work(step: Step) -> "OpenWork":
    """What needs a person on the step's day; what was not made is None."""
    from atelier.report.open_work import SHOWN, OpenWork

    errors = partition(step, "catalogue_errors")
    return OpenWork(
        window=WINDOW,
        errors=None if errors is None else errors.sort_values("rank").head(SHOWN),
        errors_total=0 if errors is None else len(errors),
        abstained=_abstained(step, SHOWN),
        unlisted=_unlisted(step, SHOWN),
    )


def _abstained(step: Step, rows: int) -> "pd.DataFrame | None":
    try:
        with step.connect("interactions", "predicted_attributes") as con:
            params = {"as_of": step.ds, "window": WINDOW, "rows": rows}
            frame: pd.DataFrame = con.execute(query("abstained_sellers"), params).df()
    except PartitionMissing:
        return None
    return frame


def _unlisted(step: Step, rows: int) -> "pd.DataFrame | None":
    """The articles on sale that no list has which customers are shown; lists beside articles count where they are."""
    beside = [table for table in BESIDE if step.ds in step.store.days(table)]
    try:
        shown = _shown_articles(step)
        if shown.empty:
            return None
        with step.connect("articles", *beside) as con:
            con.register("shown", shown)
            selects = [f"SELECT {BESIDE[table]} AS article_id FROM {table}" for table in beside]  # noqa: S608
            none = "SELECT CAST(NULL AS VARCHAR) AS article_id WHERE false"
            con.execute(f"CREATE TEMP VIEW beside AS {' UNION ALL '.join([*selects, none])}")
            frame: pd.DataFrame = con.execute(query("unlisted_articles"), {"rows": rows}).df()
    except PartitionMissing:
        return None
    return frame


def _shown_articles(step: Step) -> "pd.DataFrame":
    """The articles of the lists that customers are shown: of an earlier day where the serving model did not pass.

    Then the fallback's lists of tonight, which customers without an earlier list are shown, are not looked at: they are
    popular articles, and an article that is in none but them counts as seen by nobody.

    Raises:
        PartitionMissing: the lists of that day are not there.
    """
    found = shown_lists(step.store, step.ds)
    model, day = (None, step.ds) if found is None else (found.model, found.made_on)
    shown = f"SELECT DISTINCT article_id FROM {LISTS} WHERE served AND model = coalesce($model, model)"  # noqa: S608
    with step.store.connect(as_of=day, tables=[LISTS]) as con:
        frame: pd.DataFrame = con.sql(shown, params={"model": model}).df()
    return frame
