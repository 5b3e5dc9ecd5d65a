"""What a business asks of a day: active customers, revenue, conversion, retention, sales by attribute value.

What belongs here: the tables ``business_figures`` and ``attribute_sales``, over which windows they go. What does not:
their SQL and so their definitions (:mod:`sql`), how the page shows them (:mod:`atelier.report.business`).
"""

from assets.stage import stage
from assets.step import Step
from sql import query

GROUP = "business"
FIGURES, SALES = "business_figures", "attribute_sales"
#: The lengths of windows, in days; and the days before the step's whose windows stand beside its own.
WINDOWS, BEFORE = (1, 7, 28), 28
#: The weeks on which a forecast's error is measured.
ERROR_WEEKS = 8
#: What the UI charts over the days.
NOTED = ("revenue", "active_customers", "revenue_per_customer", "conversion", "retention")


@stage(produces=[FIGURES], deps=["interactions"], group=GROUP)
def business_figures(step: Step) -> None:
    """What a business asks for, of the day, the week and the four weeks that end with the day."""
    params = {"as_of": step.ds, "windows": list(WINDOWS), "before": BEFORE, "days": stored_days(step)}
    with step.connect("interactions") as con:
        step.write(FIGURES, con.sql(query(FIGURES), params=params))
    today = step.read(FIGURES).query("day == @step.ds")
    for window, row in today.set_index("window_days")[list(NOTED)].iterrows():
        step.note(FIGURES, **{f"{name}_{window}d": float(value) for name, value in row.dropna().items()})


@stage(produces=[SALES], deps=["interactions", "predicted_attributes"], group=GROUP)
def attribute_sales(step: Step) -> None:
    """Weekly sales by attribute value, beside a seasonal-naive forecast and its error."""
    params = {"as_of": step.ds, "weeks": ERROR_WEEKS, "days": stored_days(step)}
    with step.connect("interactions", "predicted_attributes") as con:
        step.write(SALES, con.sql(query(SALES), params=params))
    step.note(SALES, error_weeks=ERROR_WEEKS)


def stored_days(step: Step) -> list[str]:
    """The days up to the step's whose interactions are stored; a stored day may be without any."""
    return sorted(day.isoformat() for day in step.store.days("interactions") if day <= step.ds)


STAGES = (business_figures, attribute_sales)
