"""A customer is forgotten: nothing in any file of a home names them, and whatever is about others is as it was.

The home is small and made by hand (``small_home.py``); a home through which the whole DAG has run is in
tests/end_to_end/test_forgotten_customer.py.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from atelier import recommenders
from atelier.errors import DamagedFile
from resources.doctor import examine
from resources.feature_store import FeatureStore
from resources.forgetting.databases import forget_in_sqlite
from resources.forgetting.forgetting import Forgotten, forget
from resources.forgetting.mentions import Mentions
from resources.histories import histories_path, make_histories
from resources.integrity import distrust
from resources.model_store import ModelStore
from resources.retailer import Home
from resources.suppression import suppression_of
from resources.usage_lock import HomeInUse, alone, in_use
from tests.resources.forgetting.small_home import FIRST, GONE, OTHERS, SECOND, THIRD, interactions, make, texts

REPOSITORY = Path(__file__).resolve().parents[3]
TODAY = date(2025, 4, 1)
#: An identifier as a whole: one that is the beginning of another is not the other.
NAMED = re.compile("|".join(rf"(?<![0-9A-Za-z]){each}(?![0-9A-Za-z])" for each in GONE))
#: The steps at which a process is killed: every EVERY-th file that is put in place or removed.
EVERY, HOMES = 8, 8


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the home, to be copied."""
    return make(tmp_path_factory.mktemp("before") / "home").root


@pytest.fixture(scope="module")
def forgotten(before: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Forgotten]:
    """A copy of it without the customers, and what was told."""
    home = copied(before, tmp_path_factory.mktemp("forgotten"))
    return home, forgetting(home)


@pytest.fixture
def home(before: Path, tmp_path: Path) -> Home:
    """A copy of the home that a test may change."""
    return copied(before, tmp_path)


def copied(root: Path, folder: Path) -> Home:
    shutil.copytree(root, folder / "home")
    return Home(folder / "home")


def forgetting(home: Home, customers: list[str] = GONE) -> Forgotten:
    with dg.DagsterInstance.ephemeral() as instance:
        return forget(home, instance, customers, today=TODAY)


def naming(home: Home, pattern: re.Pattern[str] = NAMED) -> set[str]:
    """The files that name a forgotten customer, however they are encoded."""
    return {name for name, text in texts(home.root) if pattern.search(text)}


def contents(home: Home) -> dict[str, bytes]:
    """The bytes of tables, bundles, pages, logs: of all but locks, pointers, which tell the time, and databases."""
    found = {path.relative_to(home.root).as_posix(): path for path in home.root.rglob("*") if path.is_file()}
    skipped = re.compile(r"_locks/|^store/[^/]+/ds=.*\.json$|\.duckdb|\.db|forgotten\.")
    return {name: path.read_bytes() for name, path in found.items() if not skipped.search(name)}


def named_files(home: Home) -> dict[tuple[str, date, str | None], str]:
    return {(each.table, each.ds, each.part): each.file for each in FeatureStore(home.store).pointers()}


# What is gone, and what stays -------------------------------------------------------------------------------------


def test_the_home_names_the_customers_everywhere(before: Path) -> None:
    """Otherwise the tests below would find nothing because there was nothing."""
    found = naming(Home(before))
    expected = ["atelier.duckdb", "customers.parquet", "step.err", "step.out", "runs.db", f"ds={THIRD}.html"]
    tables = ["customers", "interactions", "rejected", "recommendations", "customer_metrics"]
    for wanted in [*expected, *(f"store/{table}/" for table in tables)]:
        assert any(wanted in name for name in found), wanted


def test_no_file_names_them_afterwards(forgotten: tuple[Home, Forgotten]) -> None:
    home, done = forgotten
    assert naming(home) == set()
    assert done.left == []
    assert done.added == 2
    assert examine(home).findings == []


def test_rows_of_others_are_as_they_were(before: Path, forgotten: tuple[Home, Forgotten]) -> None:
    old, new = FeatureStore(before / "store"), FeatureStore(forgotten[0].store)
    ids = dict(
        zip(
            old.read("recommendations", THIRD)["model_id"].unique().to_pylist(),
            new.read("recommendations", THIRD)["model_id"].unique().to_pylist(),
            strict=True,
        )
    )
    for pointer in old.pointers():
        expected = old.read(pointer.table, pointer.ds, pointer.part).to_pandas()
        if "customer_id" in expected:
            expected = expected[~expected["customer_id"].isin(GONE)].reset_index(drop=True)
        if pointer.table == "rejected":
            expected = expected[1:].reset_index(drop=True)
        found = new.read(pointer.table, pointer.ds, pointer.part).to_pandas()
        if "model_id" in expected and pointer.ds == THIRD:
            expected["model_id"] = expected["model_id"].map(ids)
        columns = [name for name in expected if name != "model_id" or pointer.ds == THIRD]
        assert found[columns].astype(str).equals(expected[columns].astype(str)), pointer


def test_a_partition_is_the_file_that_an_ingest_without_them_writes(
    forgotten: tuple[Home, Forgotten], tmp_path: Path
) -> None:
    rows = interactions(SECOND)
    kept = np.isin(rows["customer_id"].to_numpy(zero_copy_only=False), GONE, invert=True)
    written = FeatureStore(tmp_path / "anew", threads=1).write("interactions", SECOND, rows.filter(kept))
    found = FeatureStore(forgotten[0].store).pointer("interactions", SECOND)
    assert found is not None
    assert found.data_version == written.pointer.data_version
    assert (found.rows, found.size) == (written.pointer.rows, written.pointer.size)


def test_days_that_share_a_file_share_the_new_one(before: Path, forgotten: tuple[Home, Forgotten]) -> None:
    for home in (Home(before), forgotten[0]):
        files = named_files(home)
        assert files["customers", FIRST, None] == files["customers", SECOND, None]
        assert files["customers", THIRD, None] != files["customers", FIRST, None]


def test_lists_of_the_model_are_the_same_for_others(before: Path, forgotten: tuple[Home, Forgotten]) -> None:
    models = [ModelStore(root / "store") for root in (before, forgotten[0].root)]
    old, new = (recommenders.load(each.bundle("als_model", each.pointer("als_model", THIRD)).path) for each in models)
    assert new.recommend(OTHERS, k=5).equals(old.recommend(OTHERS, k=5))
    assert not set(GONE) & set(new.customer_profiles.ids.values.to_pylist())


def test_a_bundle_has_another_id_wherever_it_is_named(before: Path, forgotten: tuple[Home, Forgotten]) -> None:
    home, _ = forgotten
    old, new = ModelStore(before / "store"), ModelStore(home.store)
    for ds in (SECOND, THIRD):
        identity = new.pointer("als_model", ds)
        assert identity != old.pointer("als_model", ds)
        index = new.bundle("article_index", new.pointer("article_index", ds))
        assert index.manifest.upstreams == {"als_model": identity}
        for table in ("recommendations", "similar_articles"):
            assert FeatureStore(home.store).read(table, ds)["model_id"].unique().to_pylist() == [identity]
        assert new.pointer("attribute_model", ds) == old.pointer("attribute_model", ds)
    for name in old.names():
        assert len(new.ids(name)) == len(old.ids(name))


def test_a_page_loses_the_section_and_keeps_the_others(before: Path, forgotten: tuple[Home, Forgotten]) -> None:
    page = (forgotten[0].reports / f"ds={THIRD}.html").read_text()
    assert "All is well." in page
    assert f"dg launch --assets report --partition {THIRD}" in page
    assert OTHERS[0] not in page  # who was shown in the same section
    untouched = f"ds={SECOND}.html"
    assert (forgotten[0].reports / untouched).read_bytes() == (before / "reports" / untouched).read_bytes()


def test_logs_and_events_keep_all_else(forgotten: tuple[Home, Forgotten]) -> None:
    logs = forgotten[0].dagster / "storage" / "run" / "compute_logs"
    assert (logs / "step.err").read_text() == (
        f"ValueError: customer 'forgotten' is unknown\nnot {OTHERS[0]}, nor 90210417\n"
    )
    assert json.loads((logs / "step.out").read_text()) == {
        "customer": "forgotten",
        "rows": 90210417,
        "other": OTHERS[2],
    }
    with closing(sqlite3.connect(forgotten[0].dagster / "history" / "runs.db")) as connection:
        events = [event for (event,) in connection.execute("SELECT event FROM event_logs ORDER BY id")]
    assert json.loads(events[0]) == {"message": f"unknown customers: 'forgotten', '{OTHERS[0]}'", "at": 90210417}
    assert json.loads(json.loads(events[1])["nested"]) == {"customer_id": "forgotten", "n": 7}
    assert events[2] == "plain text"


def test_it_says_which_models_have_learned_and_until_when(forgotten: tuple[Home, Forgotten]) -> None:
    home, done = forgotten
    assert done.learned == {"als_model": THIRD, "article_index": THIRD}
    assert done.free_from == date(2025, 3, 6)
    suppression = suppression_of(home)
    assert len(suppression.requests) == 2
    for request in suppression.requests.values():
        assert (request.requested_on, request.learned) == (TODAY, done.learned)
    assert suppression.requests.keys() == {suppression.hash_of(each) for each in GONE}


def test_whoever_is_known_to_nothing_is_only_put_on_the_list(home: Home) -> None:
    files = named_files(home)
    done = forgetting(home, ["never heard of"])
    assert (done.places, done.learned, done.free_from, done.added) == ([], {}, None, 1)
    assert named_files(home) == files


def test_the_sorted_file_of_histories_is_removed(home: Home) -> None:
    path = histories_path(home.root)
    assert make_histories(home.database, path, threads=1, memory_limit="1GB") > 0
    done = forgetting(home)
    assert ("serve/histories.duckdb", "removed") in done.places
    assert path not in done.left
    assert not path.exists()


# Again, killed, refused -------------------------------------------------------------------------------------------


def test_a_second_time_changes_nothing(forgotten: tuple[Home, Forgotten]) -> None:
    home, first = forgotten
    old, requests, files = contents(home), (home.root / "forgotten.json").read_bytes(), named_files(home)
    again = forgetting(home)
    assert (again.places, again.added, again.learned) == ([], 0, first.learned)
    assert contents(home) == old
    assert named_files(home) == files
    assert (home.root / "forgotten.json").read_bytes() == requests


def test_killed_at_any_file_it_is_ended_by_a_plain_second_run(
    before: Path, forgotten: tuple[Home, Forgotten], tmp_path: Path
) -> None:
    homes = [copied(before, tmp_path / str(n)) for n in range(HOMES)]
    command = [sys.executable, "-m", "tests.resources.forgetting.worker", "1", str(EVERY)]
    ran = subprocess.run(
        [*command, *(str(home.root) for home in homes)],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    outcomes = ran.stdout.split()
    assert outcomes == ["killed"] * (HOMES - 1) + ["finished"], "the sweep does not reach the end of the work"
    expected, learned = contents(forgotten[0]), forgotten[1].learned
    distrust()
    for home in homes:
        assert naming(home) == set()
        assert contents(home) == expected
        assert named_files(home) == named_files(forgotten[0])
        assert examine(home).findings == []
        assert all(each.learned == learned for each in suppression_of(home).requests.values())


def test_it_refuses_while_a_step_writes(home: Home) -> None:
    old = contents(home)
    with in_use(home), pytest.raises(HomeInUse, match="wait until it has ended"):
        forgetting(home)
    assert contents(home) == old
    assert not (home.root / "forgotten.json").exists()


def test_steps_share_a_home_and_wait_for_whoever_has_it_alone(home: Home) -> None:
    with in_use(home), in_use(home):
        pass
    code = f"from pathlib import Path; from resources.retailer import Home; from resources.usage_lock import in_use\n\
with in_use(Home(Path({str(home.root)!r}))): print('entered')"
    with alone(home):
        process = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
    assert process.communicate(timeout=60)[0] == "entered\n"


def test_it_refuses_a_run_between_two_steps_unless_its_process_is_gone(home: Home) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.DagsterRun("daily_retrain", status=dg.DagsterRunStatus.STARTED)
        instance.add_run(run)
        with pytest.raises(HomeInUse, match=f"run {run.run_id} of daily_retrain is at work"):
            forget(home, instance, GONE, today=TODAY)
        assert not (home.root / "forgotten.json").exists()
        forget(home, instance, GONE, is_at_work=lambda each: each.run_id != run.run_id, today=TODAY)
    assert naming(home) == set()


def test_a_damaged_partition_is_named_with_what_mends_it(home: Home) -> None:
    pointer = FeatureStore(home.store).pointer("interactions", SECOND)
    assert pointer is not None
    (home.store / pointer.file).write_bytes(b"PAR1")
    with pytest.raises(DamagedFile, match=f"dg launch --job ingest --partition {SECOND}"):
        forgetting(home)


def test_a_file_that_is_no_text_is_named_and_left(home: Home) -> None:
    (home.root / "notes.bin").write_bytes(b"\xff\xfe" + GONE[0].encode() + b"\xff")
    done = forgetting(home)
    assert done.left == [home.root / "notes.bin"]
    assert naming(home) == {"notes.bin"}


def test_a_database_that_another_holds_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.forgetting.databases.SECONDS", 0.1)
    path = tmp_path / "runs.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, body TEXT)")
        other.execute("INSERT INTO runs (body) VALUES (?)", [GONE[0]])
        other.commit()
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(HomeInUse, match=r"runs\.db: stop Dagster's UI and daemon"):
            forget_in_sqlite(path, Mentions(GONE))


@pytest.mark.parametrize("change", ["DELETE FROM runs", "UPDATE runs SET body = 'x'"])
def test_free_pages_of_a_database_are_overwritten(tmp_path: Path, change: str) -> None:
    """As after a process that was killed between the change and the end, or after a row that Dagster itself deleted."""
    path = tmp_path / "runs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, body TEXT)")
        connection.executemany(
            "INSERT INTO runs (body) VALUES (?)", [(f"customer {GONE[0]} of {n}" * 50,) for n in range(20)]
        )
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute(change)
        connection.commit()
    assert GONE[0].encode() in path.read_bytes()
    assert forget_in_sqlite(path, Mentions(GONE)) == 0
    assert GONE[0].encode() not in path.read_bytes()
