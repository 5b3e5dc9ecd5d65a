"""The whole of it: every place of a home, in an order that a killed process may leave at any point.

What belongs here: the order, and what is told of each place. What does not: the places themselves, each a module beside
this one.

First the request is put on the list, with the models that have learned from the customer: from then on no ingest
brings the customer back, and nothing has to be found out twice. The rows by which it is known since when there is a
customer go last.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from resources.forgetting.bundles import CustomerBundles
from resources.forgetting.databases import forget_in_postgres
from resources.forgetting.files import forget_in_files, forget_in_objects
from resources.forgetting.mentions import Mentions
from resources.forgetting.partitions import CustomerPartitions
from resources.histories import histories_path, remove_histories
from resources.kept_files import kept_files
from resources.retailer import Home
from resources.suppression import add_requests, suppression_of
from resources.usage_lock import HomeInUse, alone

if TYPE_CHECKING:
    import dagster as dg

RESULTS = ("recommender_study", "sequence_study")
"""Studies whose kept results have a figure for each customer, in the order of their identifiers."""


@dataclass
class Forgotten:
    """What was done.

    Attributes:
        places: what was removed, for people: the place and what it held.
        left: files that name a customer and could not be changed; they are to be deleted by hand.
        added: how many of the customers had not asked before.
        learned: by model, the last day on which it was trained on rows of one of the customers.
    """

    places: list[tuple[str, str]] = field(default_factory=list)
    left: list[Path] = field(default_factory=list)
    added: int = 0
    learned: dict[str, date] = field(default_factory=dict)

    @property
    def free_from(self) -> date | None:
        """The day from which on no model has learned from them; None where none ever has."""
        return max(self.learned.values()) + timedelta(days=1) if self.learned else None


def forget(
    home: Home,
    instance: "dg.DagsterInstance",
    customers: Sequence[str],
    *,
    is_at_work: "Callable[[dg.DagsterRun], bool]" = lambda _: True,
    today: date | None = None,
) -> Forgotten:
    """Take customers out of everything that a home holds, and have later ingests leave them out.

    Args:
        home: an initialised one.
        instance: Dagster's storage.
        customers: identifiers, as the retailer writes them; unknown ones are put on the list all the same.
        is_at_work: whether the process of a run that has not ended is there.
        today: the day of the request; None: that of the clock (UTC).

    Raises:
        HomeInUse: a run writes into the home; nothing was done.
        DamagedFile: a file is damaged; the message names the command that mends it, and what was not reached is done by
            the next call.
        BundleError: likewise a bundle.
        SuppressionError: the list of earlier requests cannot be read.
    """
    with alone(home), kept_files(home):
        _refuse_runs(instance, is_at_work)
        done, mentions = Forgotten(), Mentions(customers)
        bundles = CustomerBundles(home, mentions.customers)
        first_days = CustomerPartitions(home, mentions.customers).first_days()
        on = today or datetime.now(UTC).date()
        done.added = add_requests(home, mentions.customers, bundles.learned(first_days), on)
        done.learned = _learned(home, mentions.customers)
        done.places += _drop_results(home, min(first_days.values(), default=None))
        done.places += _in_bundles(bundles)
        removed = remove_histories(home.root)
        for file in forget_in_files(home, _folders(home, instance), mentions):
            if file.done is None:
                done.left.append(file.path)
            else:
                done.places.append((_named(home, file.path), file.done))
        done.places += [(home.storage.location(name), "redacted") for name in forget_in_objects(home.storage, mentions)]
        done.places += [
            (f"Dagster's database {name}", f"{rows} rows redacted")
            for name, rows in forget_in_postgres(instance, mentions)
            if rows
        ]
        done.places += _in_partitions(CustomerPartitions(home, mentions.customers, bundles.renamed))
        bundles.remove_replaced()
        home.open_store().vacuum(timedelta(0))
        _publish(home)
        # Once more after publishing: a server may have made it anew from the old database meanwhile.
        if remove_histories(home.root) or removed:
            done.places.append((histories_path(home.root).relative_to(home.root).as_posix(), "removed"))
    return done


def _refuse_runs(instance: "dg.DagsterInstance", is_at_work: "Callable[[dg.DagsterRun], bool]") -> None:
    """Refuse while a run is between two steps, when none of them holds the lock."""
    import dagster as dg

    begun = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    for run in instance.get_runs(dg.RunsFilter(statuses=begun)):
        if is_at_work(run):
            raise HomeInUse(
                f"run {run.run_id} of {run.job_name} is at work: wait until it has ended, or cancel it in Dagster's "
                "UI, and try again"
            )


def _learned(home: Home, customers: Sequence[str]) -> dict[str, date]:
    """By model, the last day on which it was trained on rows of one of the customers, as the list of requests says."""
    suppression, found = suppression_of(home), dict[str, date]()
    for customer in customers:
        learned: Mapping[str, date] = suppression.requests[suppression.hash_of(customer)].learned
        for model, day in learned.items():
            found[model] = max(day, found.get(model, day))
    return dict(sorted(found.items()))


def _drop_results(home: Home, first: date | None) -> Iterator[tuple[str, str]]:
    """Remove what studies keep to resume: it depends on data that change now, so that it is never read again."""
    for study in RESULTS if first is not None else ():
        for day in sorted((home.root / "studies" / study).glob("ds=*")):
            files = [path for path in day.rglob("*.json") if day.name >= f"ds={first}"]
            for path in files:
                path.unlink()
            if files:
                yield _named(home, day), f"{len(files)} kept results with a figure for each customer deleted"


def _in_bundles(bundles: CustomerBundles) -> Iterator[tuple[str, str]]:
    for each in bundles.forget():
        yield f"model {each.model} of {each.training_day}", f"rows of {each.customers} removed"


def _in_partitions(partitions: CustomerPartitions) -> Iterator[tuple[str, str]]:
    """What was removed, a line for each table."""
    rows, days = Counter[str](), dict[str, list[date]]()
    for each in partitions.forget():
        rows[each.table] += each.rows
        days.setdefault(each.table, []).extend(each.days)
    for table, held in days.items():
        span = f"{min(held)} … {max(held)}" if min(held) < max(held) else f"{min(held)}"
        removed = f"{rows[table]:,} rows removed from" if rows[table] else "new ids of bundles written into"
        yield f"table {table}", f"{removed} partitions of {len(set(held))} days, {span}"


def _folders(home: Home, instance: "dg.DagsterInstance") -> list[Path]:
    """The home, and the folder of Dagster's files where it lies elsewhere."""
    dagster = None if instance.is_ephemeral else Path(instance.root_directory)
    outside = dagster is not None and not dagster.is_relative_to(home.root)
    return [home.root, *([dagster] if dagster is not None and outside else [])]


def _named(home: Home, path: Path) -> str:
    return path.relative_to(home.root).as_posix() if path.is_relative_to(home.root) else str(path)


def _publish(home: Home) -> None:
    """Build ``atelier.duckdb`` anew: rows deleted from a file of DuckDB would stay in its free blocks."""
    from resources.publishing import COPY, publish

    published = any(home.root.glob(f"{home.database.name}*")) or home.storage.exists(COPY)
    if published:  # a publisher that was killed leaves an unfinished one
        allowed = home.settings.compute
        publish(home.open_store(), home.database, threads=allowed.threads, memory_limit=allowed.memory_limit)
