# ruff: noqa: S608 - the SQL of these tests is made from the registry and temporary paths
"""Every table of the registry: a valid partition passes, each thing its declaration forbids is found and named.

The valid rows and the corruptions are both made here from the Column declarations, in words of their own, so that a
rule which resources.profile forgets or mixes up does not vanish from the test as well.
"""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache, partial
from pathlib import Path

import duckdb
import pytest

from atelier.errors import ContractViolation
from resources.contracts import ROW_LIMIT, Audit, ExpectationResult, _counts_observed, _evaluate, _rows_observed, audit
from resources.feature_store import FeatureStore
from resources.profile import StagedTable, may_be_empty, row_columns
from resources.schema import Column, Table
from resources.suites import count_suite, declaration_faults, row_suite, type_suite
from resources.tables import REGISTRY
from resources.tables.columns import DIGEST

DAY = date(2020, 9, 1)
ROWS = 9
INTEGERS = ("SMALLINT", "INTEGER", "BIGINT")


@dataclass(frozen=True)
class Staged:
    """What the audit needs of a staged file."""

    ds: date
    part: str | None
    path: Path


def valid(table: Table, column: Column) -> str:
    """An SQL expression for a valid value of row ``i``; the last instant of the day for events."""
    low = 0.0 if column.low is None else column.low
    if column.name == table.part:
        made = "'a-part'"
    elif column.values is not None:
        made = f"{list(column.values)}[1 + i % {len(column.values)}]"
    elif column.pattern is not None:
        matching = {DIGEST: "sha256(CAST(i AS VARCHAR))", "^[0-9a-f]{32}$": "md5(CAST(i AS VARCHAR))"}
        assert column.pattern in matching, f"teach this generator the pattern of {table.name}.{column.name}"
        made = matching[column.pattern]
    else:
        made = {
            "VARCHAR": f"'{column.name} ' || i",
            "BOOLEAN": "i % 2 = 0",
            "DATE": "$ds - CAST(i AS INTEGER)",
            "TIMESTAMP": "$ds + INTERVAL 1 DAY - INTERVAL 1 MICROSECOND",
            "VARCHAR[]": "['one', 'two']",
            "FLOAT[]": "[0.6, -0.8]",
            "BIGINT[]": "[3, 4]",
            "DOUBLE": f"{low} + ({1 if column.high is None else column.high} - {low}) * i / 9",
            "MAP(VARCHAR, VARCHAR)": "MAP {'postcode': 'N1'}",
        }.get(column.type, "NULL" if column.type.startswith("STRUCT") else f"{low} + i")
    return f"CASE WHEN i % 3 = 2 THEN NULL ELSE {made} END" if column.nullable else made


def stage(table: Table, path: Path, ds: date = DAY, change: dict[str, str] | None = None, rows: int = ROWS) -> Staged:
    """Stage a valid partition in which row 1 of the changed columns holds something else."""
    change = change or {}
    values = {column.name: valid(table, column) for column in table.columns}
    selected = ", ".join(
        f'CAST({values[c.name]} AS {c.type}) AS "{c.name}"'
        if c.name not in change
        else f"CASE WHEN i = 1 THEN CAST({change[c.name]} AS {c.type}) ELSE CAST({values[c.name]} AS {c.type}) END"
        f' AS "{c.name}"'
        for c in table.columns
    )
    return write(
        path, f"SELECT {selected} FROM range({rows}) AS t(i) ORDER BY ALL", ds, "a-part" if table.part else None
    )


@cache
def connection() -> duckdb.DuckDBPyConnection:
    """One for the thousand small files of this module; to open each its own would cost more than to write them."""
    return duckdb.connect(config={"threads": 1})


def write(path: Path, select: str, ds: date, part: str | None) -> Staged:
    connection().sql(select, params={"ds": ds} if "$ds" in select else None).write_parquet(str(path))
    return Staged(ds, part, path)


def corruptions(table: Table) -> Iterator[tuple[str, str]]:
    """Column and SQL value: everything that the declaration forbids of one value."""
    for c in table.columns:
        if not c.nullable:
            yield c.name, "NULL"
        if c.low is not None:
            yield c.name, str(c.low - 1 if c.type in INTEGERS else c.low - 0.000001)
        if c.high is not None:
            yield c.name, str(c.high + 1 if c.type in INTEGERS else c.high + 0.000001)
        if c.values is not None:
            yield c.name, f"'{c.values[0].upper()}'"
        if c.pattern == DIGEST:
            yield from (
                (c.name, value) for value in ("''", "repeat('A', 64)", "repeat('a', 65)", "repeat('a', 64) || chr(10)")
            )
        if c.name == table.part:
            yield c.name, "'another-part'"
        if c.type in ("DOUBLE", "FLOAT"):
            yield from ((c.name, value) for value in ("'nan'", "'inf'", "'-inf'"))
        if c.type == "FLOAT[]":
            yield from ((c.name, value) for value in ("[0.5, 'nan'::FLOAT]", "['inf'::FLOAT, 0.5]", "[0.5, NULL]"))
        if c.type == "DATE":
            yield c.name, "'infinity'"
        if table.kind == "event" and c.type == "TIMESTAMP":
            yield from ((c.name, value) for value in ("$ds + INTERVAL 1 DAY", "$ds - INTERVAL 1 MICROSECOND"))


def named_days(result: ExpectationResult) -> set[str]:
    return set(re.findall(r"\d{4}-\d{2}-\d{2}", result.observed))


def failing(verdict: Audit, column: str) -> list[ExpectationResult]:
    return [result for result in verdict.failures if result.column == column]


tables = pytest.mark.parametrize("table", REGISTRY.values(), ids=REGISTRY)


@tables
def test_declarations_are_sound_and_give_valid_suites(table: Table) -> None:
    assert declaration_faults(table, REGISTRY) == []
    expectations = [
        expectation
        for suite in (type_suite(table), count_suite(table), row_suite(table))
        for expectation in suite.expectations
    ]
    names = [expectation.meta["name"] for expectation in expectations]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)
    assert {f"null_{c.name}" for c in table.columns if not c.nullable} <= set(names)


@tables
def test_a_valid_partition_passes(table: Table, tmp_path: Path) -> None:
    verdict = audit(table, [stage(table, tmp_path / "staged.parquet")])
    assert verdict.failures == []
    assert verdict.success
    assert (verdict.rows, verdict.partitions) == (ROWS, 1)
    assert "all met" in verdict.summary()
    assert "✗" not in verdict.summary_markdown()


@tables
def test_everything_forbidden_is_found_on_its_own_day_and_column(table: Table, tmp_path: Path) -> None:
    """One day for each corruption, a duplicate key and an empty partition; the first and last day are sound."""
    staged = [stage(table, tmp_path / "sound.parquet")]
    expected: set[tuple[str, str]] = set()
    for column, value in corruptions(table):
        ds = DAY + timedelta(days=len(staged))
        staged.append(stage(table, tmp_path / f"{ds}.parquet", ds, {column: value}))
        expected.add((column, ds.isoformat()))
    doubled, empty, last = (DAY + timedelta(days=len(staged) + n) for n in range(3))
    sound = stage(table, tmp_path / "doubled.parquet", doubled)
    twice = f"SELECT * FROM '{sound.path}' UNION ALL (SELECT * FROM '{sound.path}' ORDER BY {table.order} LIMIT 1)"
    staged.append(write(tmp_path / "twice.parquet", twice, doubled, sound.part))
    expected.add((", ".join(table.key), doubled.isoformat()))
    staged.append(stage(table, tmp_path / "empty.parquet", empty, rows=0))
    if not may_be_empty(table):
        expected.add(("", empty.isoformat()))
    staged.append(stage(table, tmp_path / "last.parquet", last))

    verdict = audit(table, staged)

    found = {(result.column or "", day) for result in verdict.failures for day in named_days(result)}
    assert found == expected
    assert not verdict.success
    assert verdict.rows == ROWS * (len(staged) - 1) + 1
    for result in verdict.failures:
        assert result.blocking
        if result.column:
            assert 1 <= len(result.examples) <= 5
            assert all(set(result.column.split(", ")) <= set(example) for example in result.examples)
    duplicate = next(result for result in verdict.failures if result.name == "duplicate_keys")
    assert duplicate.observed == f"1 row: {doubled}{'/a-part' if table.part else ''} (1)"
    assert duplicate.examples[0]["times"] == "2"
    assert json.loads(json.dumps(verdict.to_json()))["success"] is False


def test_an_empty_list_of_articles_is_named_and_a_day_without_sales_is_ordinary(tmp_path: Path) -> None:
    verdict = audit(REGISTRY["articles"], [stage(REGISTRY["articles"], tmp_path / "articles.parquet", rows=0)])
    assert [(failure.name, failure.observed) for failure in verdict.failures] == [("rows", "no rows on 2020-09-01")]
    interactions = REGISTRY["interactions"]
    assert audit(interactions, [stage(interactions, tmp_path / "interactions.parquet", rows=0)]).failures == []


def test_what_may_be_empty() -> None:
    never = {name for name, table in REGISTRY.items() if not may_be_empty(table)}
    assert "catalogue_map" not in never, "a retailer may have no photographs"
    features = {"article_features", "customer_features", "article_vectors"}
    assert never == {"articles", "customers", "catalogue_error_shares", "drift", *features}


@pytest.mark.parametrize(
    ("columns", "at_fault", "observed"),
    [
        ("* REPLACE (CAST(age AS BIGINT) AS age)", "age", "age is BIGINT, not SMALLINT: 2020-09-01"),
        ("* EXCLUDE (age)", "age", "age is absent, not SMALLINT: 2020-09-01"),
        ("*, 1 AS height", "height", "height is INTEGER, not absent: 2020-09-01"),
    ],
)
def test_types_are_those_declared(columns: str, at_fault: str, observed: str, tmp_path: Path) -> None:
    table = REGISTRY["customers"]
    sound = stage(table, tmp_path / "sound.parquet", DAY + timedelta(days=1))
    other = write(tmp_path / "other.parquet", f"SELECT {columns} FROM '{sound.path}'", DAY, None)
    verdict = audit(table, [sound, other])
    (failure,) = verdict.failures
    assert (failure.name, failure.column, failure.observed) == ("types", at_fault, observed)
    assert not verdict.success


def test_a_failure_reads_well(tmp_path: Path) -> None:
    table = REGISTRY["customers"]
    verdict = audit(table, [stage(table, tmp_path / "staged.parquet", change={"age": "131"})])
    exact, row = failing(verdict, "age")
    assert exact.name == "outside_age"
    assert exact.expected == "from 0 to 130"
    assert exact.observed == "1 row: 2020-09-01 (1)"
    assert exact.examples == [{"ds": "2020-09-01", "customer_id": "customer_id 1", "age": "131"}]
    assert (row.name, row.observed, row.sampled) == ("row_range_age", "1 of 9 rows", None)
    assert "- age: from 0 to 130; found 1 row: 2020-09-01 (1), for example ds=2020-09-01" in verdict.summary()
    assert "| ✗ | outside_age | age | from 0 to 130 |" in verdict.summary_markdown()


def test_many_failing_days_are_counted_beyond_those_named(tmp_path: Path) -> None:
    table = REGISTRY["outfits"]
    days = [DAY + timedelta(days=n) for n in range(12)]
    verdict = audit(table, [stage(table, tmp_path / f"{ds}.parquet", ds, {"article_id": "NULL"}) for ds in days])
    (failure,) = failing(verdict, "article_id")
    assert failure.observed.startswith("12 rows: 2020-09-01 (1), 2020-09-02 (1), ")
    assert failure.observed.endswith("2020-09-10 (1) and 2 more")


def test_a_sample_says_so_repeats_and_what_it_misses_is_still_counted(tmp_path: Path) -> None:
    table = REGISTRY["interactions"]
    staged = stage(table, tmp_path / "staged.parquet", change={"kind": "'theft'"}, rows=2_000)
    verdict = audit(table, [staged], row_limit=0)
    (failure,) = verdict.failures  # a sample of nothing cannot find it; the exact count must
    assert (failure.name, failure.sampled) == ("unlisted_kind", None)
    rows = [result for result in verdict.results if result.name.startswith("row_")]
    assert {result.sampled for result in rows} == {
        "0 of 2,000 rows, chosen by a hash of the key (the same ones each time)"
    }
    assert "Row-level expectations ran on 0 of 2,000 rows" in verdict.summary_markdown()
    with StagedTable(table, [staged]) as files:
        columns = [table.by_name["ordinal"]]
        first, again = (set(files.rows(columns, 2_000, 500)["ordinal"]) for _ in range(2))
    assert first == again
    assert 400 < len(first) < 600


def test_a_sample_is_a_subset_of_any_larger_one(tmp_path: Path) -> None:
    table = REGISTRY["interactions"]
    with StagedTable(table, [stage(table, tmp_path / "staged.parquet", rows=2_000)]) as files:
        columns = [table.by_name["ordinal"]]
        small, large = (set(files.rows(columns, 2_000, limit)["ordinal"]) for limit in (300, 900))
    assert small < large


def test_one_file_may_stand_for_several_days(tmp_path: Path) -> None:
    table = REGISTRY["articles"]
    staged = stage(table, tmp_path / "staged.parquet", change={"price": "-1"})
    verdict = audit(table, [staged, replace(staged, ds=DAY + timedelta(days=1))])
    assert verdict.rows == 2 * ROWS
    exact = next(result for result in verdict.failures if result.name == "outside_price")
    assert exact.observed == "2 rows: 2020-09-01 (1), 2020-09-02 (1)"


@pytest.mark.parametrize("folder", ["export[1]", "export?"])
def test_a_staged_file_is_audited_and_no_neighbour(tmp_path: Path, folder: str) -> None:
    table = REGISTRY["articles"]
    for name in (folder, "export1"):
        (tmp_path / name).mkdir()
    sound = stage(table, tmp_path / folder / "staged.parquet")
    stage(table, tmp_path / "export1" / "staged.parquet", change={"price": "-1"})
    verdict = audit(table, [sound])
    assert (verdict.rows, verdict.failures) == (ROWS, [])


def test_parts_are_told_apart(tmp_path: Path) -> None:
    table = REGISTRY["rejected"]
    sound = stage(table, tmp_path / "sound.parquet")
    select = f"SELECT * REPLACE ('b-part' AS source_table, CAST(-1 AS BIGINT) AS \"row\") FROM '{sound.path}' LIMIT 1"
    other = write(tmp_path / "other.parquet", select, DAY, "b-part")
    verdict = audit(table, [sound, other])
    exact = next(result for result in verdict.failures if result.name == "outside_row")
    assert exact.observed == "1 row: 2020-09-01/b-part (1)"


def test_what_cannot_be_audited_is_an_error(tmp_path: Path) -> None:
    table = REGISTRY["articles"]
    staged = stage(table, tmp_path / "staged.parquet")
    with pytest.raises(ValueError, match="one file for each day and part"):
        audit(table, [])
    with pytest.raises(ValueError, match="one file for each day and part"):
        audit(table, [staged, staged])
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"no Parquet")
    with pytest.raises(duckdb.Error, match="broken"):
        audit(table, [replace(staged, path=broken)])


def test_an_expectation_that_cannot_be_evaluated_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = REGISTRY["customers"]
    original = StagedTable.profile
    monkeypatch.setattr(StagedTable, "profile", lambda self: original(self).drop(columns="null_customer_id"))
    verdict = audit(table, [stage(table, tmp_path / "staged.parquet")])
    assert not verdict.success
    (failure,) = verdict.failures
    assert failure.name == "null_customer_id"
    assert "could not be evaluated" in failure.observed


def test_the_store_does_not_publish_what_breaks_its_contract(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "store", audit=audit)
    frame = duckdb.sql("SELECT 'c' AS customer_id, 30 AS age, NULL AS profile").df()
    assert store.write("customers", DAY, frame).audit is not None
    with pytest.raises(ContractViolation, match="outside_age") as caught:
        store.write("customers", DAY, frame.assign(age=-1))
    assert not caught.value.audit.success  # type: ignore[attr-defined]
    assert store.read("customers", DAY)["age"].to_pylist() == [30]


def test_great_expectations_is_silent(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    table = REGISTRY["interactions"]
    with caplog.at_level(logging.INFO):
        audit(table, [stage(table, tmp_path / "staged.parquet", change={"kind": "'theft'"})])
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    assert caplog.records == []
    assert [str(warning.message) for warning in recwarn] == []


ORIGIN = Table("origin", "snapshot", "", ("id",), (Column("id", "VARCHAR", ""),))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"key": ("nobody",)}, "key column nobody is not declared"),
        ({"part": "size"}, "part size is not in the key"),
        ({"upstreams": ("origin", "nowhere")}, "upstream nowhere is no table"),
        ({"columns": (Column("id", "VARCHAR", "", nullable=True),)}, "key column id is nullable"),
        ({"columns": (Column("id", "VARCHAR", ""), Column("id", "VARCHAR", ""))}, "column id is declared twice"),
        ({"columns": (Column("id", "VARCHAR", ""), Column("ds", "DATE", ""))}, "ds is the partition"),
        ({"columns": (Column("id", "NUMBERISH", ""),)}, "a type is unknown"),
        ({"columns": (Column("id", "INTEGER", "", low=2, high=1),)}, "id is declared from 2 to 1"),
        ({"columns": (Column("id", "VARCHAR", "", values=("a", "a")),)}, "the values of id are none, or repeat"),
        ({"columns": (Column("id", "VARCHAR", "", values=()),)}, "the values of id are none, or repeat"),
        ({"columns": (Column("id", "VARCHAR", "", pattern="["),)}, "the pattern of id is none"),
        ({"columns": (Column("id", "VARCHAR", "", lineage=("origin.no",)),)}, "origin.no, which is not declared"),
        ({"columns": (Column("id", "VARCHAR", "", lineage=("else.id",)),)}, "else is no upstream"),
    ],
)
def test_faults_of_a_declaration_are_found(change: dict[str, object], fault: str) -> None:
    sound = Table("derived", "derived", "", ("id",), (Column("id", "VARCHAR", ""),), upstreams=("origin",))
    registry = {"origin": ORIGIN, "derived": sound}
    assert declaration_faults(sound, registry) == []
    faults = declaration_faults(replace(sound, **change), registry)  # type: ignore[arg-type]
    assert len(faults) == 1
    assert fault in faults[0]


@pytest.mark.parametrize("table", [REGISTRY[name] for name in ("articles", "interactions", "recommendations")])
def test_what_is_found_all_at_once_is_what_great_expectations_finds_of_each(table: Table, tmp_path: Path) -> None:
    staged = [stage(table, tmp_path / f"{n}.parquet", DAY + timedelta(days=n), rows=ROWS * n) for n in (1, 2)]
    names = [one.meta["name"] for one in count_suite(table).expectations]
    with StagedTable(table, staged) as files:
        profile = files.profile()
        each = _evaluate(profile, count_suite(table), partial(_counts_observed, files, 3 * ROWS))
    assert [result for result in audit(table, staged).results if result.name in names] == each
    assert [result.name for result in each] == names


def test_no_rows_have_the_results_that_great_expectations_finds(tmp_path: Path) -> None:
    table = REGISTRY["interactions"]
    staged = stage(table, tmp_path / "empty.parquet", rows=0)
    row_names = [one.meta["name"] for one in row_suite(table).expectations]
    assumed = [result for result in audit(table, [staged]).results if result.name in row_names]
    with StagedTable(table, [staged]) as files:
        frame = files.rows(row_columns(table), 0, ROW_LIMIT)
    assert assumed == _evaluate(frame, row_suite(table), _rows_observed)
    assert len(assumed) == len(row_names) > 0
