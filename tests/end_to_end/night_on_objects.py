"""A night of the whole DAG in a home whose store is on object storage. Run as a script, in a process of its own.

Steps that are isolated are forked from a server of Python's, which knows the environment of the moment when it was
started: the address of the object storage has to be there before that.
"""

import sys
from datetime import date
from pathlib import Path

import dagster as dg

from resources.retailer import Home
from tests.end_to_end.house import CONFIG, House

RECOMMENDERS = ("popular", "als")


def main(root: str, first: str, last: str) -> None:
    """Ingest the days and make the last one."""
    home, ds = Home(Path(root)), date.fromisoformat(last)
    config = {step: values for step, values in CONFIG.items() if step.removesuffix("_model") in ("als", "attribute")}
    config |= {step: CONFIG[step] for step in ("article_index", "outfit_model")}
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(home, instance, ds)
        house.run("ingest", date.fromisoformat(first), ds)
        house.run("daily_retrain", ds, config=config)


if __name__ == "__main__":
    main(*sys.argv[1:])
