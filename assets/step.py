"""What a stage may use while it runs: its days, the stores, and the record of what it published.

What belongs here: :class:`Step`, the only part of a run that a stage sees. What does not: any stage's own work, the
report to Dagster (:mod:`assets.results`).
"""

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.retailer import Home, Settings, day_range

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from resources.compute import Compute
    from resources.embedding_cache import EmbeddingCache
    from resources.feature_store import FeatureStore, Written
    from resources.model_store import Bundle, ModelStore


@dataclass(frozen=True)
class RunResources:
    """The resources of every step of a run, as the one Dagster resource of the code location.

    Attributes:
        home: the folder of Atelier's files, and its settings.
        store: the feature store.
        models: the model store.
        compute: the device and the threads.
        check_keys: every check of the code location.
    """

    home: Home
    store: "FeatureStore"
    models: "ModelStore"
    compute: "Compute"
    check_keys: tuple[dg.AssetCheckKey, ...] = ()


@dataclass(frozen=True)
class CheckResult:
    """The result of a declared, non-blocking check.

    Attributes:
        name: of the check.
        passed: whether it passed; a failed one is a WARN.
        description: what was found.
        metadata: figures, for the UI.
        day: the day that it is about; None: it holds for every day of the run.
        gate: whether a failure is an ERROR, after which the run fails once everything is published.
    """

    name: str
    passed: bool
    description: str
    metadata: dict[str, Any]
    day: date | None = None
    gate: bool = False


@dataclass
class Outcome:
    """What a step published, noted and checked. It can be sent from one process to another.

    Attributes:
        written: the published partitions, by table.
        bundles: the published models, by asset.
        notes: key figures, by asset.
        day_notes: key figures of single days, by asset and day.
        checks: the results of declared checks.
    """

    written: "dict[str, list[Written]]" = field(default_factory=lambda: defaultdict(list))
    bundles: "dict[str, Bundle]" = field(default_factory=dict)
    notes: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    day_notes: dict[tuple[str, date], dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    checks: list[CheckResult] = field(default_factory=list)


@dataclass
class Step:
    """One run of one stage.

    Attributes:
        resources: the stores that it reads and writes, and the device.
        days: the days of this run, in order.
        run_id: Dagster's id of the run: it goes into pointers, never into data.
        code_version: of the stage; it goes into the manifests of models.
        context: Dagster's; None where the work is done in a process of its own (:mod:`assets.isolation`).
        outcome: what it has published, noted and checked so far.
    """

    resources: RunResources
    days: Sequence[date]
    run_id: str
    code_version: str
    context: dg.AssetExecutionContext | None = None
    outcome: Outcome = field(default_factory=Outcome)
    _checks: "pd.DataFrame | None" = field(default=None, init=False, repr=False)

    @property
    def home(self) -> Home:
        """The folder of Atelier's files, and its settings."""
        return self.resources.home

    @property
    def store(self) -> "FeatureStore":
        """The feature store."""
        return self.resources.store

    @property
    def models(self) -> "ModelStore":
        """The model store."""
        return self.resources.models

    @property
    def compute(self) -> "Compute":
        """The device and the threads."""
        return self.resources.compute

    @property
    def log(self) -> logging.Logger:
        """Dagster's logger, or this process's own."""
        return self.context.log if self.context else logging.getLogger("atelier")

    @property
    def dagster(self) -> dg.AssetExecutionContext:
        """Dagster's context of the step.

        Raises:
            ValueError: the work is done in a process of its own, which has no access to Dagster's storage.
        """
        if self.context is None:
            raise ValueError("Dagster's storage can be read and written only in Dagster's own process")
        return self.context

    @property
    def ds(self) -> date:
        """The day of this run.

        Raises:
            ValueError: the run covers several.
        """
        if len(self.days) != 1:
            raise ValueError(f"the stage runs one day at a time, and was given {self.days[0]} … {self.days[-1]}")
        return self.days[0]

    @property
    def cache(self) -> "EmbeddingCache":
        """The vectors of photographs, which all days share."""
        from resources.embedding_cache import EmbeddingCache

        return EmbeddingCache(self.home.storage)

    # Reading -----------------------------------------------------------------------------------------------------

    def connect(self, *tables: str) -> "duckdb.DuckDBPyConnection":
        """A DuckDB in memory with a view of each of ``tables``, as of this day.

        Raises:
            PartitionMissing: a snapshot or derived table was not made for this day.
        """
        return self.store.connect(as_of=self.ds, tables=tables)

    def read(self, table: str) -> "pd.DataFrame":
        """The partition of ``table`` of this day.

        Raises:
            PartitionMissing: it was not made.
        """
        frame: pd.DataFrame = self.store.read(table, self.ds).to_pandas()
        return frame

    def bundle(self, name: str) -> "Bundle":
        """The model ``name`` of this day.

        Raises:
            PartitionMissing: it was not trained.
        """
        return self.models.bundle(name, self.models.pointer(name, self.ds))

    # Writing -----------------------------------------------------------------------------------------------------

    def write(self, table: str, data: Any, part: str | None = None, ds: date | None = None) -> None:
        """Stage, audit and publish the partition of ``table`` of this day.

        Raises:
            ContractViolation: the data break the table's contract; the partition stays as it was.
        """
        written = self.store.write(table, ds or self.ds, data, part=part, run_id=self.run_id)
        self.outcome.written[table].append(written)

    def write_range(self, table: str, partitions: Iterable[tuple[date, Any]], part: str | None = None) -> None:
        """Stage many days in one pass over ``partitions``, audit them together, then publish all.

        Raises:
            ContractViolation: a day breaks the table's contract; every partition stays as it was.
        """
        self.outcome.written[table].extend(self.store.write_range(table, partitions, part=part, run_id=self.run_id))

    def record(self, table: str, written: "Sequence[Written]") -> None:
        """Record partitions of ``table`` that were not published by :meth:`write` or :meth:`write_range`."""
        self.outcome.written[table].extend(written)

    def rows_written(self, table: str, day: date) -> int:
        """How many rows of ``table`` this run has published of a day so far."""
        return sum(each.pointer.rows for each in self.outcome.written[table] if each.pointer.ds == day)

    def save_model(
        self,
        name: str,
        save: Callable[[Path], None],
        *,
        tables: Sequence[str],
        seed: int,
        models: "Sequence[Bundle]" = (),
        recipe: str | None = None,
    ) -> "Bundle":
        """Publish a model of this day, made from ``tables`` and from other ``models``, by a :meth:`recipe`."""
        bundle = self.models.publish(
            name,
            self.ds,
            save,
            self._upstreams(tables, models),
            seed=seed,
            code_version=self.code_version,
            run_id=self.run_id,
            recipe=recipe,
        )
        self.outcome.bundles[name] = bundle
        return bundle

    def recipe(self, tables: Sequence[str], models: "Sequence[Bundle]" = (), **settings: Any) -> str:
        """A digest of all that a training of this day depends on: its data, its settings, code and libraries.

        Versions of data hold their day, because a day hides articles that go on sale later: so a recipe is one day's.

        Args:
            tables: what it reads.
            models: the models it reads.
            settings: its config, the device, and whatever else changes its result; values that JSON can hold.
        """
        from resources.bundle_manifest import library_versions

        made_of = {
            "upstreams": self._upstreams(tables, models),
            "settings": settings,
            "code_version": self.code_version,
            "libraries": library_versions(),
        }
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()

    def training_state(self, recipe: str) -> Path:
        """The file in which a training by a recipe is kept until its end, so that another process can go on with it."""
        return self.home.storage.resumable(f"training-{recipe}.safetensors")

    def reused(self, name: str, recipe: str) -> "Bundle | None":
        """Make the bundle that came of a recipe before the model of this day; None: it has to be trained."""
        bundle = self.models.made_by(name, recipe)
        if bundle is not None:
            self.models.reuse(bundle, self.ds, self.run_id)
            self.outcome.bundles[name] = bundle
            self.note(name, reused=f"trained on {bundle.manifest.training_day} from the same inputs")
        return bundle

    def _upstreams(self, tables: Sequence[str], models: "Sequence[Bundle]") -> dict[str, str]:
        return self.data_versions(tables) | {each.manifest.name: each.model_id for each in models}

    def withdraw_model(self, name: str) -> bool:
        """Leave this day without a model, as if none was ever trained on it; whether it had one."""
        return self.models.withdraw(name, self.ds)

    def data_versions(self, tables: Sequence[str]) -> dict[str, str]:
        """The version of each of ``tables``: the digest of its partition, for events of all days up to this one."""
        return {table: self.store.data_version(table, self.ds) for table in tables}

    # Reporting ---------------------------------------------------------------------------------------------------

    def note(self, asset: str, **figures: Any) -> None:
        """Record key figures of ``asset``; the UI charts numbers over the partitions."""
        self.outcome.notes[asset].update(figures)

    def note_day(self, asset: str, day: date, **figures: Any) -> None:
        """Record key figures of one day of ``asset``; :meth:`note` in a run over a range applies to every day."""
        self.outcome.day_notes[asset, day].update(figures)

    def check(self, name: str, passed: bool, description: str, day: date | None = None, /, **metadata: Any) -> None:
        """Record the result of a declared, non-blocking check; a failed one is a WARN.

        Args:
            name: of the check, as the stage declares it.
            passed: whether it passed.
            description: what was found.
            day: the day that it is about; None: the result holds for every day of the run.
            metadata: figures, for the UI.
        """
        self.outcome.checks.append(CheckResult(name, passed, description, metadata, day))
        if not passed:
            self.log.warning(description)

    def gate(self, name: str, passed: bool, description: str, **metadata: Any) -> None:
        """Record the result of a declared check whose failure is an ERROR, but stops no step that follows.

        Args:
            name: of the check, as the stage declares it.
            passed: whether it passed.
            description: what was found, and what was done.
            metadata: figures, for the UI.
        """
        self.outcome.checks.append(CheckResult(name, passed, description, metadata, gate=True))
        if not passed:
            self.log.error(description)

    def tag_run(self, key: str, text: str) -> None:
        """Put a tag on the run, which Dagster's list of runs shows.

        Raises:
            ValueError: the work is done in a process of its own, which has no access to Dagster's storage.
        """
        self.dagster.instance.add_run_tags(self.run_id, {key: text})

    def check_history(self) -> "pd.DataFrame":
        """The latest result of every check on the step's day: asset, check, success, blocking, observed; read once.

        Raises:
            ValueError: the work is done in a process of its own, which has no access to Dagster's storage.
        """
        from resources.check_history import latest_checks

        if self._checks is None:
            self._checks = latest_checks(self.dagster.instance, self.resources.check_keys, self.ds)
        return self._checks


def markdown(text: str) -> dg.MarkdownMetadataValue:
    """Metadata that the UI shows as formatted text."""
    return dg.MarkdownMetadataValue(text)


def days_of_run(keys: dg.PartitionKeyRange, settings: Settings) -> Sequence[date]:
    """The days of a run.

    Raises:
        Failure: a partition of the run is no day of this home, which Dagster does not look at before it queues a run.
    """
    from resources.days import NoSuchDay, day_of

    try:
        return day_range(day_of(keys.start, settings), day_of(keys.end, settings))
    except NoSuchDay as error:
        raise dg.Failure(f"the run's partition: {error}", allow_retries=False) from error
