"""The sensor for late and corrected days: what is asked for when the landing zone changes after a day was ingested.

What belongs here: which runs are requested, and when. What does not: which files have changed
(:mod:`resources.landing_zone`), what was made from data that have been replaced (:mod:`resources.made_from`), the
nightly requests (:mod:`dagster_project.schedules`).

A sensor and no schedule, because a file may arrive at any time of the day; and no automation conditions, because a day
is one run of a job, and because a mapping of partitions does not know of files.
"""

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from resources.days import runs_of_days
from resources.landing_zone import Changed, changed_files
from resources.made_from import CHANGED, Superseded, superseded
from resources.retailer import Home, day_range

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

    from resources.feature_store import FeatureStore

NAME = "late_days"
#: How often the landing zone is looked at, in seconds.
EVERY = 300
#: A file that was written to so many seconds ago, or later, may not be whole yet: its day waits.
SETTLED = 300
#: The jobs that it requests, in this order: what comes later reads what comes before.
INGEST, REMAKING = "ingest", ("daily_retrain", "judge")
#: Named in a message, at most.
NAMED = 5
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def late_days_sensor(jobs: Sequence["AssetJob"], home: Home, store: "FeatureStore") -> dg.SensorDefinition:
    """The sensor; it starts stopped, as the schedules do.

    It asks for the same run once: where it fails, mend the cause and run ``atelier backfill --superseded``.

    Args:
        jobs: those of the code location.
        home: whose landing zone and store.
        store: is asked which days are there.
    """

    @dg.sensor(
        name=NAME,
        jobs=[job for job in jobs if job.name in (INGEST, *REMAKING)],
        minimum_interval_seconds=EVERY,
        description="Ingests days whose files have changed since, then makes the newest days again that read them.",
    )
    def late_days(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        changed = changed_files(home, home.open_source(), store.days("articles"))
        for day, files in changed.items():
            context.log.info(f"{day}: {_named(sorted(files))} changed since the day was ingested")
        asked = Asked.from_cursor(context.cursor)
        busy, whole = unfinished(context.instance), settled(changed, time.time_ns())
        for day in changed.keys() - whole.keys():
            context.log.info(f"{day}: waits until nobody has written to its files for {SETTLED // 60} minutes")
        # What is asked for while an ingest is at work may be what it is reading.
        requests = [] if INGEST in busy else asked.new(INGEST, ingests(whole))
        # Whoever reads a day that is about to be ingested, or made again, would be superseded at once.
        if not requests and not busy and len(whole) == len(changed):
            recent = recent_days(store.days("recommendations"), home.settings.horizon)
            requests = asked.new("remake", remakes(superseded(home.storage, recent)))
        if requests:
            return dg.SensorResult(run_requests=requests, cursor=asked.cursor)
        context.update_cursor(asked.cursor)
        return dg.SkipReason(
            f"waits for {', '.join(busy)}: what they make may supersede other days"
            if busy
            else "waits for files that somebody may still be writing"
            if len(whole) < len(changed)
            else "nothing has changed that was not asked for already; `atelier superseded` lists what is out of date"
        )

    return late_days


@dataclass
class Asked:
    """What was asked for last and is still wanted: kept in the sensor's cursor, so that nothing is asked for twice.

    A ``run_key`` of Dagster's would keep a state from ever being asked for again, where a file went back and forth.

    Attributes:
        states: for each phase the digest of what a run was asked for, by job and days.
    """

    states: dict[str, dict[str, str]]

    @classmethod
    def from_cursor(cls, cursor: str | None) -> "Asked":
        """What a cursor says; one that somebody has set to something else counts as empty."""
        try:
            read = json.loads(cursor or "{}")
            return cls({str(phase): {str(k): str(v) for k, v in asked.items()} for phase, asked in read.items()})
        except (ValueError, AttributeError):
            return cls({})

    @property
    def cursor(self) -> str:
        """The text for the cursor."""
        return json.dumps(self.states, sort_keys=True)

    def new(self, phase: str, wanted: Iterable[tuple[str, dg.RunRequest]]) -> list[dg.RunRequest]:
        """The requests of a phase whose state was not asked for last; what is not wanted any more is forgotten.

        Args:
            phase: which requests these are.
            wanted: the digest of the state that asks for a run, and the request.
        """
        known, now, requests = self.states.get(phase, {}), dict[str, str](), []
        for state, request in wanted:
            what = f"{request.job_name} {request.partition_key or ' '.join(request.tags.values())}"
            now[what] = state
            if known.get(what) != state:
                requests.append(request)
        self.states[phase] = now
        return requests


def settled(changed: Mapping[date, Changed], now: int) -> dict[date, Changed]:
    """The days all of whose changed files were last written to more than :data:`SETTLED` seconds ago.

    A time that is still to come is that of another clock, and says nothing: such a file is not waited for.

    Args:
        changed: the changed files of each day.
        now: nanoseconds since 1970, as the times of files are.
    """
    newest = now - SETTLED * 10**9
    return {
        day: files
        for day, files in changed.items()
        if all(stamp is None or not newest <= stamp[1] <= now for stamp in files.values())
    }


def recent_days(made: Collection[date], horizon: int) -> Sequence[date]:
    """The newest day that was made and the ``horizon`` days before it, whose lists are still to be judged."""
    return day_range(max(made) - timedelta(days=horizon), max(made)) if made else []


def ingests(changed: Mapping[date, Changed]) -> Iterator[tuple[str, dg.RunRequest]]:
    """A run of ``ingest`` for each row of days that follow each other, with the state of their files.

    Args:
        changed: the changed files of each day, ascending.
    """
    for days in runs_of_days(sorted(changed)):
        first, last = str(days[0]), str(days[-1])
        ends = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        one = first == last
        request = dg.RunRequest(job_name=INGEST, partition_key=first if one else None, tags={} if one else ends)
        yield _digest([[str(day), changed[day]] for day in days]), request


def remakes(found: Sequence[Superseded]) -> Iterator[tuple[str, dg.RunRequest]]:
    """The runs that make days again whose inputs have changed: of one job, because the next job reads what it makes.

    Days whose inputs nobody recorded are left to a person: they may be all days of a home.

    Args:
        found: what is superseded, of the days that may be requested.
    """
    changed = [each for each in found if each.reason == CHANGED]
    job = next((job for job in REMAKING if any(each.job == job for each in changed)), None)
    for day in sorted({each.ds for each in changed if each.job == job}):
        now = [[each.asset, each.input, each.now] for each in changed if (each.job, each.ds) == (job, day)]
        yield _digest(now), dg.RunRequest(job_name=job, partition_key=str(day))


def unfinished(instance: dg.DagsterInstance) -> list[str]:
    """The jobs of which a run is queued or at work."""
    wanted = dg.RunsFilter(statuses=UNFINISHED)
    names = {record.dagster_run.job_name for record in instance.get_run_records(wanted)}
    return sorted(names & {INGEST, *REMAKING})


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _named(files: Sequence[str]) -> str:
    more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
    return ", ".join(files[:NAMED]) + more
