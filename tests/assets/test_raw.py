"""Ingest: what comes in is stored or rejected, both or neither; norms of vectors are read only where they are new."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from assets.images import EncoderConfig, build_encoder, norms_of
from assets.raw import ingest, land
from assets.step import RunResources, Step
from atelier.errors import ContractViolation
from atelier.sources import Landed
from atelier.sources.landed import REJECTED_SCHEMA
from resources.contracts import Audit, ExpectationResult
from resources.embedding_cache import ROW_GROUP, EmbeddingCache
from resources.feature_store import FeatureStore
from resources.pointers import Pointers
from resources.retailer import EncoderSettings, Home
from resources.schema import Table
from resources.staging import StagedFile
from resources.storage import open_storage
from resources.suppression import add_requests

DAY = date(2026, 3, 1)
DAYS = [DAY + timedelta(days=n) for n in range(3)]
TABLE = "annotated_attributes"
ENCODER = "small-1"


class Killed(BaseException):
    """The process is gone: nothing catches it."""


def auditor(broken: str) -> Callable[[Table, Sequence[StagedFile]], Audit]:
    """Judges every table sound but ``broken``."""

    def audit(table: Table, staged: Sequence[StagedFile]) -> Audit:
        fine = table.name != broken
        result = ExpectationResult("unique", None, "", success=fine, blocking=True, observed="twice", examples=[])
        return Audit(table.name, len(staged), sum(file.rows for file in staged), [result])

    return audit


def step_of(home: Path, days: Sequence[date] = DAYS, broken: str = "") -> Step:
    store = FeatureStore(home, threads=1, audit=auditor(broken))
    resources = RunResources(
        cast("Any", SimpleNamespace(storage=open_storage(home))), store, cast("Any", None), cast("Any", None)
    )
    return Step(resources, days, "run", "1")


def landed(good: int, bad: int) -> Landed:
    accepted = pa.table(
        {
            "article_id": pa.array([f"a{n}" for n in range(good)], pa.string()),
            "attribute": pa.array(["neckline"] * good, pa.string()),
            "value": pa.array(["V"] * good, pa.string()),
        }
    )
    rejected = pd.DataFrame({"row": range(1, bad + 1)}, dtype="int64").assign(
        source_table=TABLE,
        source_file="labels.parquet",
        column_name="value",
        reason="is null",
        row_kept=False,
        record=None,
    )
    refused = pa.Table.from_pandas(rejected[REJECTED_SCHEMA.names], REJECTED_SCHEMA, preserve_index=False)
    return Landed(accepted, refused, good + bad)


def landings(good: int, bad: int) -> Iterator[tuple[date, Landed]]:
    yield from ((day, landed(good + number, bad + number)) for number, day in enumerate(DAYS))


def stored(home: Path) -> dict[str, list[int]]:
    """The rows of each day, for the table and for what was refused of it."""
    store = FeatureStore(home)
    return {table: [pointer.rows for pointer in store.pointers(table)] for table in (TABLE, "rejected")}


def test_what_comes_in_is_stored_or_rejected(tmp_path: Path) -> None:
    step = step_of(tmp_path)
    tally = ingest(step, TABLE, landings(good=4, bad=0))
    assert stored(tmp_path) == {TABLE: [4, 5, 6], "rejected": [0, 1, 2]}
    assert [(each.rows_in, each.refused) for each in tally.days] == [(4, 0), (6, 1), (8, 2)]
    assert [step.rows_written(TABLE, day) for day in DAYS] == [4, 5, 6]
    passed = {(check.name, check.day): check.passed for check in step.outcome.checks}
    assert passed == {
        **{("rows_add_up", day): True for day in DAYS},
        ("few_rows_rejected", DAYS[0]): True,
        ("few_rows_rejected", DAYS[1]): False,
        ("few_rows_rejected", DAYS[2]): False,
    }
    assert {pointer.run_id for pointer in step.store.pointers()} == {"run"}


@pytest.mark.parametrize("broken", [TABLE, "rejected"])
def test_a_broken_contract_of_either_table_leaves_both(tmp_path: Path, broken: str) -> None:
    ingest(step_of(tmp_path), TABLE, landings(good=4, bad=0))
    before = FeatureStore(tmp_path).pointers()
    with pytest.raises(ContractViolation, match=f"table {broken}, .* breaks its contract"):
        ingest(step_of(tmp_path, broken=broken), TABLE, landings(good=1, bad=3))
    assert FeatureStore(tmp_path).pointers() == before
    assert list((tmp_path / "_staging").iterdir()) == []


def test_where_every_row_is_rejected_the_reasons_can_be_read(tmp_path: Path) -> None:
    match = r"every row .*: 9 × value is null \(first in row 1\)\. All are in the table rejected"
    with pytest.raises(ContractViolation, match=match):
        ingest(step_of(tmp_path, broken=TABLE), TABLE, ((day, landed(0, 3)) for day in DAYS))
    assert stored(tmp_path) == {TABLE: [], "rejected": [3, 3, 3]}


@pytest.mark.parametrize("flips", range(6))
def test_a_process_that_dies_publishes_no_day_that_does_not_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flips: int
) -> None:
    flip = Pointers.put
    done: list[None] = []

    def dies(*arguments: Any) -> None:
        if len(done) == flips:
            raise Killed
        flip(*arguments)
        done.append(None)

    monkeypatch.setattr(Pointers, "put", dies)
    with pytest.raises(Killed):
        ingest(step_of(tmp_path), TABLE, landings(good=4, bad=1))
    rows = stored(tmp_path)
    # A day is there when its table is: then what was refused of it is there, too.
    assert rows == {"rejected": [1, 2, 3][:flips], TABLE: [4, 5, 6][: max(flips - 3, 0)]}

    monkeypatch.undo()
    ingest(step_of(tmp_path), TABLE, landings(good=4, bad=1))
    assert stored(tmp_path) == {"rejected": [1, 2, 3], TABLE: [4, 5, 6]}


def test_what_is_staged_is_not_seen_before_it_is_published(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, threads=1)
    with store.stage_range(TABLE, [(DAY, landed(4, 0).accepted)]) as staged:
        assert staged.rows == 4
        assert store.pointers() == []
    assert store.pointers() == []
    assert list(tmp_path.rglob("*.parquet")) == []
    with store.stage_range(TABLE, [(DAY, landed(4, 0).accepted)], run_id="r") as staged:
        written = staged.publish()
    assert [each.pointer for each in written] == store.pointers()
    assert store.read(TABLE, DAY).num_rows == 4


# ---------------------------------------------------------------- norms of image vectors


def digest(number: int) -> str:
    return f"{number:064x}"


def vectors(numbers: Sequence[int], dimension: int = 513) -> Any:
    rows = [np.random.default_rng(number).standard_normal(dimension) for number in numbers]
    return np.array(rows, np.float32).reshape(len(numbers), dimension)


def embeddings(digests: Sequence[str], norms: Any, encoder_id: str = ENCODER) -> pd.DataFrame:
    return pd.DataFrame({"digest": list(digests), "encoder_id": encoder_id, "dimension": 513, "norm": norms}).astype(
        {"digest": "str", "encoder_id": "str"}
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The digests of every read of the cache."""
    calls: list[list[str]] = []
    parts = EmbeddingCache.parts

    def noted(cache: EmbeddingCache, digests: Sequence[str], encoder_id: str) -> Any:
        calls.append(list(digests))
        return parts(cache, digests, encoder_id)

    monkeypatch.setattr(EmbeddingCache, "parts", noted)
    return calls


def test_norms_of_yesterday_are_taken_and_only_the_rest_is_read(tmp_path: Path, asked: list[list[str]]) -> None:
    step = step_of(tmp_path, [DAYS[1]])
    numbers = [5, 3, 8, 1, 9]
    step.cache.append(ENCODER, [digest(n) for n in numbers], vectors(numbers))
    digests = [digest(n) for n in numbers]

    alone = norms_of(step, digests, ENCODER, new=set())
    assert asked.pop() == digests
    assert np.array_equal(alone, np.linalg.norm(vectors(numbers), axis=1))
    without = step.store.write("image_embeddings", DAYS[1], embeddings(digests, alone))

    yesterday = [digest(n) for n in (3, 5, 7, 9)]  # 7 is gone today
    step.store.write("image_embeddings", DAY, embeddings(yesterday, np.linalg.norm(vectors([3, 5, 7, 9]), axis=1)))
    reused = norms_of(step, digests, ENCODER, new=set())
    assert asked.pop() == [digest(8), digest(1)]
    assert np.array_equal(reused, alone)
    with_yesterday = step.store.write("image_embeddings", DAYS[1], embeddings(digests, reused))
    assert with_yesterday.pointer.data_version == without.pointer.data_version


def test_a_day_like_yesterday_reads_no_vector(tmp_path: Path, asked: list[list[str]]) -> None:
    step = step_of(tmp_path, [DAYS[1]])
    step.store.write("image_embeddings", DAY, embeddings([digest(1), digest(2)], [1.5, 0.0]))
    assert norms_of(step, [digest(2), digest(1)], ENCODER, new=set()).tolist() == [0.0, 1.5]
    assert asked == [[]]


def test_norms_of_another_encoder_or_before_a_new_encoding_do_not_count(tmp_path: Path) -> None:
    step = step_of(tmp_path, [DAYS[1]])
    step.cache.append(ENCODER, [digest(1), digest(2)], vectors([1, 2]))
    true = np.linalg.norm(vectors([1, 2]), axis=1)
    step.store.write("image_embeddings", DAY, embeddings([digest(1), digest(2)], [7.0, 7.0], encoder_id="other"))
    assert np.array_equal(norms_of(step, [digest(1), digest(2)], ENCODER, new=set()), true)
    step.store.write("image_embeddings", DAY, embeddings([digest(1), digest(2)], [7.0, 7.0]))
    assert norms_of(step, [digest(1), digest(2)], ENCODER, new={digest(2)}).tolist() == [7.0, float(true[1])]


def test_of_all_vectors_a_row_group_at_most_is_read_at_a_time_and_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, numbers = step_of(tmp_path, [DAYS[1]]), np.random.default_rng(0).permutation(3 * ROW_GROUP + 5)
    digests, true = [digest(n) for n in numbers], np.stack([numbers, numbers + 1], axis=1).astype(np.float32)
    for block in np.array_split(np.arange(len(numbers)), 2):
        step.cache.append(ENCODER, [digests[i] for i in block], true[block])
    sizes: list[int] = []
    norm = np.linalg.norm

    def noted(rows: Any, axis: int) -> Any:
        sizes.append(len(rows))
        return norm(rows, axis=axis)

    monkeypatch.setattr(np.linalg, "norm", noted)
    found = norms_of(step, digests, ENCODER, new=set())
    assert max(sizes) <= ROW_GROUP
    assert sum(sizes) == len(digests)
    assert found.tobytes() == norm(true, axis=1).astype("float64").tobytes()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_photographs_are_decoded_by_the_threads_of_the_settings_and_two_at_least(threads: int) -> None:
    settings = SimpleNamespace(encoder=EncoderSettings(backbone="small", weights="none"))
    compute = SimpleNamespace(threads=threads, apply=lambda: "cpu")
    encoder, _ = build_encoder(
        cast("Step", SimpleNamespace(home=SimpleNamespace(settings=settings), compute=compute)), EncoderConfig()
    )
    assert encoder.threads == max(2, threads)


@pytest.mark.parametrize("file", ["ds=*.json", "ds=*/*.parquet"], ids=["pointer", "file"])
def test_a_damaged_yesterday_gives_no_norm_and_stops_nobody(tmp_path: Path, file: str) -> None:
    step = step_of(tmp_path, [DAYS[1]])
    step.cache.append(ENCODER, [digest(1), digest(2)], vectors([1, 2]))
    step.store.write("image_embeddings", DAY, embeddings([digest(1), digest(2)], [7.0, 7.0]))
    (path,) = tmp_path.glob(f"image_embeddings/{file}")
    path.write_bytes(path.read_bytes()[:40])
    found = norms_of(step, [digest(1), digest(2)], ENCODER, new=set())
    assert np.array_equal(found, np.linalg.norm(vectors([1, 2]), axis=1))


def test_a_norm_does_not_depend_on_which_vectors_are_read_with_it() -> None:
    for dimension in (1, 7, 128, 513, 4096):
        many = vectors(range(9), dimension)
        alone = [np.linalg.norm(many[[n]], axis=1)[0] for n in range(9)]
        assert np.array_equal(np.linalg.norm(many, axis=1), alone)


def test_without_photographs_there_are_no_norms(tmp_path: Path) -> None:
    assert norms_of(step_of(tmp_path, [DAYS[1]]), [], ENCODER, new=set()).shape == (0,)


# ---------------------------------------------------------------- customers who asked to be forgotten


def test_rows_of_forgotten_customers_are_counted_and_stored_nowhere(tmp_path: Path) -> None:
    home = Home(tmp_path)
    add_requests(home, ["c1"], {}, DAY)
    people = Landed(pa.table({"customer_id": ["c0", "c1"], "age": [30, 31], "profile": pa.nulls(2)}), rows_in=2)
    source = SimpleNamespace(tables={"customers"}, land=lambda _, days: ((day, people) for day in days))
    store = FeatureStore(home.store, threads=1)
    step = Step(RunResources(home, store, cast("Any", None), cast("Any", None)), DAYS, "run", "1")
    ingest(step, "customers", land(step, cast("Any", source), "customers"))
    assert store.read("customers", DAY)["customer_id"].to_pylist() == ["c0"]
    assert len({each.file for each in store.pointers("customers")}) == 1  # days that are one object share a file
    assert step.outcome.day_notes["customers", DAY] == {"rows_in": 2, "rows_rejected": 0, "rows_suppressed": 1}
    said = [check for check in step.outcome.checks if check.name == "rows_add_up"]
    assert all(check.passed and "1 of forgotten customers left out" in check.description for check in said)
    assert not any("c1" in check.description for check in step.outcome.checks)
