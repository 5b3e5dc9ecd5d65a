"""Contracts: what the registry declares, audited with Great Expectations before a partition is published.

What belongs here: the evaluation of a table's suites on staged files, and the verdict. What does not: the suites
(:mod:`resources.suites`), how rows are counted (:mod:`resources.profile`), and what a stage knows beyond the registry
(row counts against yesterday's and the like are checks of :mod:`assets`).

An audit covers one or many staged partitions of a table at once. Everything that is declared is counted exactly, in
SQL, and Great Expectations evaluates the counts, all at once and, where that finds something, each: one row per
partition, so that a failure names its days. Declared
values, ranges and patterns are evaluated once more on the rows themselves, above :data:`ROW_LIMIT` rows on a fixed
sample.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

from resources.markdown import markdown_cell
from resources.profile import ROWS, StagedTable, row_columns
from resources.schema import Table
from resources.staging import StagedFile
from resources.suites import count_suite, ephemeral_context, nothing_broken_suite, row_suite, type_suite

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd
    from great_expectations.core.batch_definition import BatchDefinition

#: Above so many rows in an audit, row-level expectations run on a sample of about so many.
ROW_LIMIT = 1_000_000
#: How many partitions a result names, and how many examples it shows.
NAMED = 10
SHOWN = 5
#: The columns of a frame that say where its rows come from; a failure is named by them.
INDEX = ("ds", "part", "column")
#: What :mod:`resources.suites` notes on every expectation.
META = ("name", "about", "expected")


@dataclass(frozen=True)
class ExpectationResult:
    """The outcome of one expectation. All its content is text, booleans and lists of these: safe as JSON.

    Attributes:
        name: unique within the table, for example ``null_price`` or ``row_values_kind``.
        column: the column it is about; several, comma-separated, for a key; None for the table.
        expected: what should be, for people.
        success: whether it holds.
        blocking: whether the partition must not be published where it does not hold.
        observed: what was found; names the days at fault.
        examples: the first offending rows: ds, key and value, as text.
        sampled: None where every row was evaluated; otherwise which rows were.
    """

    name: str
    column: str | None
    expected: str
    success: bool
    blocking: bool
    observed: str
    examples: list[dict[str, str | None]]
    sampled: str | None = None


Observe: TypeAlias = Callable[[ExpectationResult, dict[str, Any]], ExpectationResult]


@dataclass(frozen=True)
class Audit:
    """The verdict on staged partitions of one table.

    Attributes:
        table: the table.
        partitions: how many partitions were audited.
        rows: how many rows they hold.
        results: one for each expectation. Where a column is missing or of another type there are only those about
            types: nothing else can be evaluated.
    """

    table: str
    partitions: int
    rows: int
    results: list[ExpectationResult]

    @property
    def failures(self) -> list[ExpectationResult]:
        """The expectations that do not hold."""
        return [result for result in self.results if not result.success]

    @property
    def success(self) -> bool:
        """Whether every blocking expectation holds."""
        return not any(result.blocking for result in self.failures)

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON-safe content."""
        return asdict(self) | {"success": self.success}

    def summary(self) -> str:
        """One paragraph of plain text: the verdict, then each failure with its days and an example."""
        head = f"{self.table}: {len(self.results)} expectations on {_count(self.rows, 'row')}"
        head += f" in {_count(self.partitions, 'partition')}"
        if not self.failures:
            return f"{head}, all met"
        return "\n".join([f"{head}, {len(self.failures)} not met", *(_line(result) for result in self.failures)])

    def summary_markdown(self) -> str:
        """The same as Markdown, failures first in a table, then what held; for Dagster's metadata and reports."""
        verdict = "met" if not self.failures else f"**{len(self.failures)} of {len(self.results)} not met**"
        sampled = next((result.sampled for result in self.results if result.sampled), None)
        lines = [
            f"Contract of `{self.table}`: {verdict} on {_count(self.rows, 'row')}"
            f" in {_count(self.partitions, 'partition')}."
            + (f" Row-level expectations ran on {sampled}; all others on every row." if sampled else ""),
            "",
            "| | expectation | column | expected | observed | examples |",
            "|---|---|---|---|---|---|",
        ]
        ordered = sorted(self.results, key=lambda result: result.success)
        return "\n".join([*lines, *(_markdown_row(result) for result in ordered)])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _example(example: dict[str, str | None]) -> str:
    return ", ".join(f"{name}={'null' if value is None else value}" for name, value in example.items())


def _line(result: ExpectationResult) -> str:
    example = f", for example {_example(result.examples[0])}" if result.examples else ""
    where = f"{result.column}: " if result.column else ""
    return f"- {where}{result.expected}; found {result.observed}{example} [{result.name}]"


def _markdown_row(result: ExpectationResult) -> str:
    sign = "✓" if result.success else "✗" if result.blocking else "!"
    examples = "; ".join(_example(example) for example in result.examples)
    cells = [sign, result.name, result.column or "", result.expected, result.observed, examples]
    return "| " + " | ".join(map(markdown_cell, cells)) + " |"


def audit(
    table: Table,
    staged: Sequence[StagedFile],
    *,
    threads: int = 2,
    memory_limit: str = "4GB",
    row_limit: int = ROW_LIMIT,
) -> Audit:
    """Audit staged partitions of ``table`` together.

    Args:
        table: what they should be.
        staged: one or many partitions; no two of the same day and part.
        threads: threads of DuckDB.
        memory_limit: of DuckDB; beyond it, it spills to disk.
        row_limit: above so many rows, row-level expectations run on about so many, chosen by a hash of the key.

    Raises:
        ValueError: nothing is staged, or one day and part twice.
        duckdb.Error: a file is not readable as Parquet.
    """
    if not staged or len({(s.ds, s.part) for s in staged}) < len(staged):
        raise ValueError(f"an audit of {table.name} needs one file for each day and part; got {len(staged)}")
    with StagedTable(table, staged, threads=threads, memory_limit=memory_limit) as files:
        results = _evaluate(files.schema(), type_suite(table), _types_observed)
        if not all(result.success for result in results):
            return Audit(table.name, len(staged), 0, results)
        profile = files.profile()
        total = int(profile[ROWS].sum())
        results += _count_results(files, profile, total)
        if columns := row_columns(table):
            if not total:
                results += _held(row_suite(table), lambda _: "0 of 0 rows")
                return Audit(table.name, len(staged), total, results)
            frame = files.rows(columns, total, row_limit)
            sampled = f"{len(frame):,} of {total:,} rows, chosen by a hash of the key (the same ones each time)"
            rows = _evaluate(frame, row_suite(table), _rows_observed)
            results += [replace(result, sampled=sampled if total > row_limit else None) for result in rows]
    return Audit(table.name, len(staged), total, results)


def _count_results(files: StagedTable, profile: "pd.DataFrame", total: int) -> list[ExpectationResult]:
    """The results about counts.

    Great Expectations takes 10 to 20 ms of a processor for each expectation, and a table has about fourteen: where a
    single one finds that no rule is broken, they are not evaluated one by one.
    """
    suite = count_suite(files.table)
    (whole,) = _evaluate(files.broken(profile), nothing_broken_suite(files.table), lambda result, _: result)
    if whole.success:
        return _held(suite, lambda name: _count(total, "row") if name == ROWS else "0 rows")
    return _evaluate(profile, suite, partial(_counts_observed, files, total))


def _evaluate(frame: "pd.DataFrame", suite: "gx.ExpectationSuite", observed: Observe) -> list[ExpectationResult]:
    """Evaluate a suite on a frame, in the suite's order; failures name ds, part and column where the frame has them.

    Args:
        frame: what is evaluated.
        suite: the expectations.
        observed: completes a result by what Great Expectations found of it.
    """
    batch = _whole_frame().get_batch({"dataframe": frame})
    index = [name for name in INDEX if name in frame.columns]
    # COMPLETE names every partition at fault, which is cheap on a profile and not on a million rows.
    form = {"result_format": "COMPLETE", "unexpected_index_column_names": index} if index else "SUMMARY"
    outcome = batch.validate(suite, result_format=form)
    order = {expectation.meta["name"]: number for number, expectation in enumerate(suite.expectations)}
    found = [_result(result, observed) for result in outcome.results]
    if len(found) < len(order):
        raise RuntimeError(f"Great Expectations evaluated {len(found)} of {len(order)} expectations of {suite.name}")
    return sorted(found, key=lambda one: order[one.name])


def _held(suite: "gx.ExpectationSuite", observed: Callable[[str], str]) -> list[ExpectationResult]:
    """The results of a suite of which all is known to hold, so that nothing needs to be evaluated.

    Args:
        suite: the expectations.
        observed: what was found, by the name of an expectation.
    """
    results = []
    for expectation in suite.expectations:
        name, about, expected = (expectation.meta[key] for key in META)
        blocking = _blocks(expectation.severity)
        results.append(ExpectationResult(name, about, expected, True, blocking, observed(name), []))
    return results


def _blocks(severity: object) -> bool:
    """Whether a failure of that severity keeps the partition from being published; the default does."""
    return str(severity or "critical").rpartition(".")[2].lower() == "critical"


@cache
def _whole_frame() -> "BatchDefinition":
    """Great Expectations' definition of a batch that is a frame; to make one writes its whole configuration as YAML."""
    asset = ephemeral_context().data_sources.add_pandas("staged").add_dataframe_asset("frame")
    return asset.add_batch_definition_whole_dataframe("all")


def _result(outcome: Any, observed: Observe) -> ExpectationResult:
    """The result of one expectation, without Great Expectations' wrapping."""
    config = outcome.expectation_config
    blocking = _blocks(config.severity)
    errors = [
        str(info["exception_message"])
        for info in (outcome.exception_info, *outcome.exception_info.values())
        if isinstance(info, dict) and info.get("raised_exception")
    ]
    name, about, expected = (config.meta[key] for key in META)
    if errors:
        text = f"it could not be evaluated: {errors[0]}"
        return ExpectationResult(name, about, expected, False, blocking, text, [])
    result = ExpectationResult(name, about, expected, bool(outcome.success), blocking, "", [])
    return observed(result, dict(outcome.result or {}))


def _partition(entry: dict[str, Any]) -> str:
    """How a partition is named: its day, and its part where it has one."""
    part = entry.get("part")
    return f"{entry['ds']}/{part}" if isinstance(part, str) else str(entry["ds"])


def _listed(texts: list[str]) -> str:
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more


def _types_observed(result: ExpectationResult, details: dict[str, Any]) -> ExpectationResult:
    if result.success:
        return replace(result, observed="as declared")
    days_of: dict[tuple[str, str, str], list[str]] = {}
    for entry in details["unexpected_index_list"]:
        days_of.setdefault((entry["column"], entry["found"], entry["declared"]), []).append(_partition(entry))
    texts = [f"{name} is {kind}, not {declared}: {_listed(days)}" for (name, kind, declared), days in days_of.items()]
    examples: list[dict[str, str | None]] = [
        {"ds": days[0], "column": name, "type": kind} for (name, kind, _), days in days_of.items()
    ]
    columns = ", ".join(dict.fromkeys(name for name, _, _ in days_of))
    return replace(result, column=columns, observed="; ".join(texts), examples=examples[:SHOWN])


def _counts_observed(
    files: StagedTable, total: int, result: ExpectationResult, details: dict[str, Any]
) -> ExpectationResult:
    entries = details.get("unexpected_index_list") or []
    counts = {_partition(entry): int(entry[result.name]) for entry in entries}
    if result.name == ROWS:
        observed = _count(total, "row") if result.success else f"no rows on {_listed(list(counts))}"
        return replace(result, observed=observed)
    broken = sum(counts.values())
    if not broken:
        return replace(result, observed="0 rows")
    listed = _listed([f"{partition} ({count:,})" for partition, count in counts.items()])
    examples = files.examples(files.rule(result.name), SHOWN)
    return replace(result, observed=f"{_count(broken, 'row')}: {listed}", examples=examples)


def _rows_observed(result: ExpectationResult, details: dict[str, Any]) -> ExpectationResult:
    broken, evaluated = details.get("unexpected_count", 0), details.get("element_count", 0)
    examples: list[dict[str, str | None]] = [
        {str(result.column): str(entry["value"]), "times": str(entry["count"])}
        for entry in details.get("partial_unexpected_counts") or []
    ]
    return replace(result, observed=f"{broken:,} of {_count(evaluated, 'row')}", examples=examples[:SHOWN])
