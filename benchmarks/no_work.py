"""The code location with one job more, whose steps do nothing: what a step costs beyond its work.

What belongs here: that job. What does not: measuring (:mod:`benchmarks.step_cost`).
"""

import dagster as dg

from dagster_project.build import build_defs
from resources.retailer import Home

STEPS = 6


@dg.op(out=dg.Out(dg.Nothing))
def nothing() -> None:
    """Do nothing."""


@dg.job
def no_work() -> None:
    """Steps that do nothing, none of which waits for another one."""
    for _ in range(STEPS):
        nothing()


defs = dg.Definitions.merge(build_defs(Home.from_environment()), dg.Definitions(jobs=[no_work]))
