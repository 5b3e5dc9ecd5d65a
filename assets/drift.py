"""Drift: whether the data and the lists of a day are unlike those of the days before.

What belongs here: the stage that measures a day and judges it against the earlier ones. What does not: which tables are
measured (:mod:`resources.day_figures`), figures and verdicts (:mod:`atelier.monitoring.drift`).
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from assets.recommendations import STAGES as LISTED
from assets.stage import stage
from assets.step import Step
from atelier.errors import PartitionMissing
from resources.tables.monitoring import MEASURED

if TYPE_CHECKING:
    import pandas as pd

    from atelier.monitoring.drift.verdicts import DriftConfig

FIGURES, TABLE = "day_figures", "drift"
GROUP = "monitoring"
#: What is measured; the lists are an asset for each model.
READ = (
    *(table for table in MEASURED if table != "recommendations"),
    *(asset for each in LISTED for asset in each.produces),
)
#: How many flagged figures the check names.
NAMED = 5


class DriftSettings(dg.Config):
    """When a figure is flagged. Further settings are those of :class:`atelier.monitoring.drift.verdicts.DriftConfig`.

    Attributes:
        false_alarm: the chance that a day on which nothing is wrong has any flagged figure.
        history: earlier days from which it is estimated how far days ordinarily differ.
    """

    false_alarm: float = 0.001
    history: int = 28


def write_drift(step: Step, config: DriftSettings) -> None:
    """Measures the day, and holds it against yesterday and the same weekday of the weeks before."""
    from atelier.monitoring.drift.verdicts import FLAGGED, UNKNOWN, drift_of

    settings = drift_config(config)
    figures = figures_up_to(step, settings.history)
    found = drift_of({day: frame for day, frame in figures.items() if len(frame)}, step.ds, settings)
    step.write(FIGURES, figures[step.ds].rename(columns={"what": "name", "rows": "sample_size"}))
    step.write(TABLE, found.rename(columns={"rows": "sample_size"}))
    flagged = found[found["verdict"] == FLAGGED]
    known = int((found["verdict"] != UNKNOWN).sum())
    step.note(TABLE, flagged=len(flagged), figures=len(found), judged=known)
    step.check("nothing_drifted", flagged.empty, summary(flagged, known), flagged=len(flagged), judged=known)


def drift_config(config: DriftSettings) -> "DriftConfig":
    """The settings, checked.

    Raises:
        dagster.Failure: a value out of range.
    """
    from pydantic import ValidationError

    from atelier.monitoring.drift.verdicts import DriftConfig
    from resources.retailer import faults

    try:
        return DriftConfig.model_validate(config.model_dump())
    except ValidationError as error:
        raise dg.Failure(f"the config of drift cannot be used: {faults(error)}", allow_retries=False) from error


def figures_up_to(step: Step, history: int) -> "dict[date, pd.DataFrame]":
    """The figures of the step's day and of the days before it that verdicts read.

    What earlier runs stored or remembered is used where nothing that it was measured from has changed since; everything
    else is measured anew, so that a verdict never depends on which days were run before.
    """
    from atelier.monitoring.drift.verdicts import SEASON
    from resources.day_figures import DayTables, measured
    from resources.figure_memory import FigureMemory

    first = max(step.ds - timedelta(days=history + SEASON), step.home.settings.first_day)
    read = first - timedelta(days=2 * SEASON), step.ds
    tables, memory = DayTables(step.store, step.cache, days=read), FigureMemory(step.store.storage)
    remembered = memory.read()
    days = [first + timedelta(days=back) for back in range((step.ds - first).days + 1)]
    found = {day: measured(tables, day, _kept(step, day, remembered), step.code_version) for day in days}
    memory.keep({day: frame for day, frame in found.items() if day != step.ds})
    return found


def _kept(step: Step, day: date, remembered: "dict[date, pd.DataFrame]") -> "pd.DataFrame | None":
    """The figures that were stored for a day or, of a day without a night, remembered; None: there are none."""
    try:
        stored: pd.DataFrame = step.store.read(FIGURES, day).to_pandas()
    except PartitionMissing:
        return remembered.get(day)
    return stored.rename(columns={"name": "what", "sample_size": "rows"})


def summary(flagged: "pd.DataFrame", known: int) -> str:
    """What a check says of a day: the most unusual figures, or that there are none."""
    if flagged.empty:
        return f"none of {known} figures is unusual" if known else "too few earlier days are stored to tell"
    named = "; ".join(
        f"{row['name']}{', ' + row['level'] if row['level'] else ''}: {row['today']:.4g} after {row['earlier']:.4g} on "
        f"{row['compared_with']}"
        for row in flagged.head(NAMED).to_dict("records")
    )
    more = f"; and {len(flagged) - NAMED} more" if len(flagged) > NAMED else ""
    return f"{len(flagged)} of {known} figures are unusual: {named}{more}"


drift = stage(
    name=TABLE,
    description="Measures the day, and holds it against yesterday and the same weekday of the weeks before.",
    produces=[FIGURES, TABLE],
    deps=READ,
    group=GROUP,
    checks={"nothing_drifted": "Whether no figure of the day is unlike yesterday's and those of the same weekday."},
    code=["atelier.monitoring.drift.verdicts", "resources.day_figures"],
    isolated=True,
)(write_drift)

STAGES = (drift,)
