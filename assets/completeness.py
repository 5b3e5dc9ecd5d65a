"""The last step of the day, which checks that everything was made.

What belongs here: that step, which fails the run and names what is missing. What does not: recording why it is missing,
which the failed step does itself (:mod:`assets.results`).
"""

from collections.abc import Iterable
from datetime import date

import dagster as dg

from assets.publishing import GROUP
from assets.results import MADE
from assets.stage import stage
from assets.step import Step


def missing_assets(step: Step) -> dict[str, str]:
    """The assets that were not made on the step's day, each with the reason."""
    history = step.check_history()
    absent = history[(history["check"] == MADE) & ~history["success"]]
    return dict(zip(absent["table"], absent["observed"], strict=True))


def remake_command(missing: Iterable[str], ds: date) -> str:
    """The command that makes the missing assets of a day, and publishes again."""
    published = ("feature_store", "report", "completeness")
    return f'dg launch --assets "{",".join([*missing, *published])}" --partition {ds}'


@stage(produces=["completeness"], deps=["feature_store", "report"], group=GROUP)
def completeness(step: Step) -> None:
    """Fails if a model, its lists or its neighbours are missing, after database and report were published."""
    absent = missing_assets(step)
    if absent:
        reasons = "\n".join(f"  {asset}: {reason}" for asset, reason in absent.items())
        command = remake_command(absent, step.ds)
        raise dg.Failure(
            f"of {step.ds} is missing:\n{reasons}\nMend the cause, then make them with: {command}", allow_retries=False
        )


STAGES = (completeness,)
"""The last stage of the day."""
