"""What a step read is written down beside what it made.

What belongs here: when the inputs of a step are looked up, and what it has made of them. What does not: versions and
records (:mod:`resources.made_from`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from assets.results import table_of
from assets.step import Step
from resources.made_from import InputVersions, Reads, Record, put_record, versions_read


@contextmanager
def recorded_inputs(step: Step, reads: Reads) -> Iterator[None]:
    """Look up the versions of a step's inputs before its work, and write them down once it has published.

    A stage that reads no asset has no record: what it reads is the landing zone (:mod:`resources.landing_zone`). Work
    that fails leaves the record as it was.
    """
    if not reads.deps and not reads.judged_deps:
        yield
        return
    root, horizon = step.home.storage, step.home.settings.horizon if reads.judged_deps else 0
    versions = InputVersions(root)
    inputs = {day: versions_read(versions, reads.inputs(day, horizon)) for day in step.days}
    yield
    for day in step.days:
        made = tuple(asset for asset in reads.produces if _made(step, asset, day))
        put_record(root, Record(reads.stage, day, made, inputs[day]))


def _made(step: Step, asset: str, day: date) -> bool:
    """Whether the step has published a model, a table or a part of one under the name of an asset."""
    if asset in step.outcome.bundles:
        return True
    table, part = table_of(asset), asset.partition("/")[2]
    written = step.outcome.written.get(table, []) if table else []
    return any(each.pointer.ds == day and (not part or each.pointer.part == part) for each in written)
