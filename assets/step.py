"""What a stage may use while it runs: its days, the stores, and a place to put what it made and noticed.

What belongs here: :class:`Step`, the only thing between a stage and Dagster. What does not: any stage's own work.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from atelier.errors import ContractViolation
from resources.pointers import combined_version
from resources.retailer import Home, day_range
from resources.tables import REGISTRY

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from resources.compute import Compute
    from resources.embedding_cache import EmbeddingCache
    from resources.feature_store import FeatureStore, Written
    from resources.model_store import Bundle, ModelStore


class Step:
    """One run of one stage.

    Attributes:
        store: the feature store.
        models: the model store.
        home: where Atelier keeps its files.
        compute: the device and the threads.
        log: Dagster's logger.
    """

    def __init__(self, context: dg.AssetExecutionContext, produces: Sequence[str], code_version: str) -> None:
        resources = context.resources
        self.store: FeatureStore = resources.store
        self.models: ModelStore = resources.models
        self.home: Home = resources.home
        self.compute: Compute = resources.compute
        self.log = context.log
        self._context = context
        self._produces = tuple(produces)
        self._code_version = code_version
        self._started = time.perf_counter()
        self._written: dict[str, list[Written]] = defaultdict(list)
        self._bundles: dict[str, Bundle] = {}
        self._notes: dict[str, dict[str, Any]] = defaultdict(dict)
        self._checks: list[dg.AssetCheckResult] = []

    @property
    def days(self) -> Sequence[date]:
        """The days of this run, in order."""
        keys = self._context.partition_key_range
        return day_range(date.fromisoformat(keys.start), date.fromisoformat(keys.end))

    @property
    def ds(self) -> date:
        """The day of this run.

        Raises:
            ValueError: the run covers several.
        """
        days = self.days
        if len(days) != 1:
            raise ValueError(f"{self._produces[0]} does one day at a time, and was asked for {days[0]} … {days[-1]}")
        return days[0]

    @property
    def run_id(self) -> str:
        """Dagster's id of the run: it goes into pointers, never into data."""
        return str(self._context.run.run_id)

    @property
    def cache(self) -> "EmbeddingCache":
        """The vectors of photographs, which all days share."""
        from resources.embedding_cache import EmbeddingCache

        return EmbeddingCache(self.home.store)

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
        self._written[table].append(written)

    def write_range(self, table: str, partitions: Iterable[tuple[date, Any]], part: str | None = None) -> None:
        """Stage many days in one pass over ``partitions``, audit them together, then publish all.

        Raises:
            ContractViolation: a day breaks the table's contract; every partition stays as it was.
        """
        self._written[table].extend(self.store.write_range(table, partitions, part=part, run_id=self.run_id))

    def record(self, table: str, written: "Sequence[Written]") -> None:
        """Note what was published of ``table`` otherwise than by :meth:`write` and :meth:`write_range`."""
        self._written[table].extend(written)

    def rows_written(self, table: str) -> int:
        """How many rows of ``table`` this run has published so far."""
        return sum(written.pointer.rows for written in self._written[table])

    def save_model(
        self,
        name: str,
        save: Callable[[Path], None],
        *,
        tables: Sequence[str],
        seed: int,
        models: "Sequence[Bundle]" = (),
    ) -> "Bundle":
        """Publish a model of this day, made from ``tables`` and from other ``models``."""
        upstreams = self.data_versions(tables) | {each.manifest.name: each.model_id for each in models}
        bundle = self.models.publish(
            name, self.ds, save, upstreams, seed=seed, code_version=self._code_version, run_id=self.run_id
        )
        self._bundles[name] = bundle
        return bundle

    def data_versions(self, tables: Sequence[str]) -> dict[str, str]:
        """What was read of each of ``tables``: the digest of its partition, of all days up to this one for events."""
        return {table: self.store.data_version(table, self.ds) for table in tables}

    # Telling -----------------------------------------------------------------------------------------------------

    def note(self, asset: str, **figures: Any) -> None:
        """Key figures of ``asset``: numbers become charts over the partitions in the UI."""
        self._notes[asset].update(figures)

    def note_day(self, asset: str, day: date, **figures: Any) -> None:
        """Key figures of one day of ``asset``: a run over a range would otherwise put its sums onto every day."""
        if len(self.days) == 1:
            self.note(asset, **figures)
        else:
            self._context.add_asset_metadata(figures, asset_key=asset, partition_key=day.isoformat())

    def check(self, name: str, passed: bool, description: str, **metadata: Any) -> None:
        """The result of a declared, non-blocking check: a failed one is a WARN."""
        self._checks.append(
            dg.AssetCheckResult(
                passed=passed,
                check_name=name,
                asset_key=self._produces[0],
                description=description,
                severity=dg.AssetCheckSeverity.WARN,
                metadata=metadata,
            )
        )
        if not passed:
            self.log.warning(description)

    def check_history(self) -> "pd.DataFrame":
        """The latest result of every check on the step's day: table, check, success, blocking, observed."""
        from resources.check_history import latest_checks

        return latest_checks(self._context.instance, self._context.resources.check_keys, self.ds)

    def broken_contract(self, violation: ContractViolation) -> dg.AssetCheckResult:
        """The failed check that tells of ``violation``."""
        audit, table = violation.audit, violation.table
        tables = [asset for asset in self._produces if asset in REGISTRY]
        return dg.AssetCheckResult(
            passed=False,
            check_name="contract",
            asset_key=table if table in tables else tables[0],
            severity=dg.AssetCheckSeverity.ERROR,
            description=str(violation),
            metadata={"expectations": dg.MarkdownMetadataValue(audit.summary_markdown())} if audit else {},
        )

    def results(self) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        """What Dagster is told once the stage has done its work."""
        for asset in self._produces:
            checks = [check for check in self._checks if check.asset_key == dg.AssetKey(asset)]
            if asset in self._written:
                yield self._table_result(asset, checks)
            elif asset in REGISTRY:
                # Dagster wants a result of every declared check, also where there was nothing to write.
                yield dg.AssetCheckResult(
                    passed=True, check_name="contract", asset_key=asset, description="nothing was written"
                )
                yield from checks
            else:
                yield self._model_result(asset, checks)

    def _table_result(self, table: str, checks: list[dg.AssetCheckResult]) -> dg.MaterializeResult[Any]:
        written = self._written[table]
        rows: dict[date, int] = defaultdict(int)
        for each in written:
            rows[each.pointer.ds] += each.pointer.rows
        for day, count in rows.items():
            self.note_day(table, day, rows=count)
        # A range has no data version: Dagster would put the same one onto every day of it.
        versions = [f"{each.pointer.part}/{each.pointer.data_version}" for each in written]
        return dg.MaterializeResult(
            asset_key=table,
            metadata=self._common(table),
            data_version=dg.DataVersion(combined_version(versions)) if len(rows) == 1 else None,
            check_results=[_contract_result(table, written), *checks],
        )

    def _model_result(self, asset: str, checks: list[dg.AssetCheckResult]) -> dg.MaterializeResult[Any]:
        bundle = self._bundles.get(asset)
        figures = self._common(asset)
        if bundle is None:
            return dg.MaterializeResult(asset_key=asset, metadata=figures, check_results=checks)
        return dg.MaterializeResult(
            asset_key=asset,
            metadata={"model_id": bundle.model_id, "path": str(bundle.path), **figures},
            data_version=dg.DataVersion(bundle.model_id),
            check_results=checks,
        )

    def _common(self, asset: str) -> dict[str, Any]:
        figures: dict[str, Any] = {"seconds": round(time.perf_counter() - self._started, 3), **self._notes[asset]}
        if asset in REGISTRY:
            from resources.lineage_metadata import column_lineage

            figures["dagster/column_lineage"] = column_lineage(REGISTRY[asset])
        return figures


def markdown(text: str) -> dg.MarkdownMetadataValue:
    """Metadata that the UI shows as formatted text."""
    return dg.MarkdownMetadataValue(text)


def _contract_result(table: str, written: Sequence["Written"]) -> dg.AssetCheckResult:
    audits = [w.audit for w in written if w.audit is not None]
    unique = list({id(audit): audit for audit in audits}.values())
    warnings = [r for audit in unique for r in audit.results if not r.success]
    metadata: Mapping[str, Any] = {
        "expectations": markdown("\n\n".join(audit.summary_markdown() for audit in unique) or "no audit configured")
    }
    return dg.AssetCheckResult(
        passed=not warnings,
        check_name="contract",
        asset_key=table,
        metadata=metadata,
        severity=dg.AssetCheckSeverity.WARN,
    )
