"""The last step of the day, which checks that everything was made, and is fit to be shown.

What belongs here: that step, which fails the run and names what is missing or failed its gates. What does not:
recording why it is missing, which the failed step does itself (:mod:`assets.results`); measuring (:mod:`assets.gates`).
"""

from collections.abc import Iterable
from datetime import date

import dagster as dg

from assets.gates import CHECK as GATE_CHECK
from assets.publishing import GROUP
from assets.results import MADE
from assets.stage import stage
from assets.step import Step

#: What is made again after a missing asset: what judges the day by what it has, and what shows it.
AFTERWARDS = ("gates", "champions", "day_figures", "drift", "feature_store", "report", "completeness")


def missing_assets(step: Step) -> dict[str, str]:
    """The assets that were not made on the step's day, each with the reason."""
    history = step.check_history()
    absent = history[(history["check"] == MADE) & ~history["success"]]
    return dict(zip(absent["table"], absent["observed"], strict=True))


def remake_command(missing: Iterable[str], ds: date) -> str:
    """The command that makes the missing assets of a day, judges the day again, and publishes it."""
    return f'dg launch --assets "{",".join([*missing, *AFTERWARDS])}" --partition {ds}'


def failed_gates(step: Step) -> str | None:
    """What the gates say of the models of the step's day that failed; None where all passed, or none were run."""
    history = step.check_history()
    failed = history.loc[(history["check"] == GATE_CHECK) & ~history["success"], "observed"]
    return None if failed.empty else str(failed.iloc[0])


@stage(produces=["completeness"], deps=["feature_store", "report"], group=GROUP)
def completeness(step: Step) -> None:
    """Fails if a model, its lists or its neighbours are missing or failed the gates, after everything was published."""
    absent, failed, said = missing_assets(step), failed_gates(step), []
    if absent:
        reasons = "\n".join(f"  {asset}: {reason}" for asset, reason in absent.items())
        command = remake_command(absent, step.ds)
        said.append(f"of {step.ds} is missing:\n{reasons}\nMend the cause, then make them with: {command}")
    if failed:
        said.append(f"on {step.ds} models failed their gates:\n{failed}\nEach champion stays; see docs/gates.md")
    if said:
        raise dg.Failure("\n".join(said), allow_retries=False)


STAGES = (completeness,)
"""The last stage of the day."""
