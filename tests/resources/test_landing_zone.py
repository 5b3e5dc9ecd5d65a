"""Which files a day was read from: what changes, arrives or goes is named for each day that reads it."""

import os
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atelier.sources import open_source
from resources.landing_zone import changed_files, noted_files
from resources.retailer import Home, Settings
from resources.settings_file import write_settings

DAYS = [date(2025, 3, 3) + timedelta(days=n) for n in range(3)]
FIRST, SECOND, THIRD = DAYS


def put(zone: Path, table: str, day: date, content: str = "x") -> Path:
    (zone / table).mkdir(parents=True, exist_ok=True)
    file = zone / table / f"ds={day}.parquet"
    pq.write_table(pa.table({f"{table[:-1]}_id": [content]}), file)
    return file


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that has ingested three days: articles and customers of the first, interactions of the first and third."""
    for table, day in (("articles", FIRST), ("customers", FIRST), ("interactions", FIRST), ("interactions", THIRD)):
        put(tmp_path / "zone", table, day)
    home = Home(tmp_path / "home")
    write_settings(home, Settings(source="parquet", path=str(tmp_path / "zone"), first_day=FIRST, last_day=THIRD))
    ingest(home)
    return home


def ingest(home: Home, *days: date) -> None:
    source = home.open_source()
    for table in sorted(source.tables):
        with noted_files(home, source, table, days or DAYS):
            pass


def changed(home: Home) -> dict[date, list[str]]:
    found = changed_files(home, home.open_source(), DAYS)
    return {day: list(files) for day, files in found.items()}


def zone_of(home: Home) -> Path:
    return Path(home.settings.path)


def test_nothing_has_changed_after_an_ingest(home: Home) -> None:
    assert changed(home) == {}


def test_a_late_file_of_events_is_its_own_day_s(home: Home) -> None:
    put(zone_of(home), "interactions", SECOND)
    assert changed(home) == {SECOND: [f"interactions/ds={SECOND}.parquet"]}
    ingest(home, SECOND)
    assert changed(home) == {}


def test_a_late_snapshot_is_of_all_days_that_read_it(home: Home) -> None:
    put(zone_of(home), "customers", SECOND)
    found = changed(home)
    assert sorted(found) == [SECOND, THIRD]
    assert f"customers/ds={SECOND}.parquet" in found[SECOND]


def test_a_corrected_and_a_removed_file_are_named(home: Home) -> None:
    put(zone_of(home), "interactions", FIRST, content="corrected")
    (zone_of(home) / "interactions" / f"ds={THIRD}.parquet").unlink()
    assert changed(home) == {day: [f"interactions/ds={day}.parquet"] for day in (FIRST, THIRD)}


def test_a_file_of_the_same_size_and_another_time_counts_as_changed(home: Home) -> None:
    file = zone_of(home) / "interactions" / f"ds={THIRD}.parquet"
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert list(changed(home)) == [THIRD]


def test_a_new_table_is_noticed(home: Home) -> None:
    put(zone_of(home), "outfits", THIRD)
    assert list(changed(home)) == DAYS, "nobody noted that there were no outfits"


@pytest.mark.parametrize("text", [None, "", "[]", '{"a": 1}', '{"a": ["x", 2]}', "\0"])
def test_a_day_without_a_readable_note_counts_as_changed(home: Home, text: str | None) -> None:
    note = home.root / "landed" / "interactions" / f"ds={SECOND}.json"
    note.unlink() if text is None else note.write_text(text)
    assert changed(home) == {SECOND: ["the files of interactions, which nobody noted,"]}


def test_an_ingest_that_fails_notes_nothing(home: Home) -> None:
    put(zone_of(home), "interactions", SECOND)
    with pytest.raises(RuntimeError), noted_files(home, home.open_source(), "interactions", [SECOND]):
        raise RuntimeError("a broken file")
    assert list(changed(home)) == [SECOND]


def test_a_file_that_changes_while_it_is_read_is_read_again(home: Home) -> None:
    source = home.open_source()
    with noted_files(home, source, "interactions", [FIRST]):
        put(zone_of(home), "interactions", FIRST, content="in the meantime")
    assert list(changed(home)) == [FIRST]


def test_every_file_of_h_and_m_is_every_day_s(tmp_path: Path) -> None:
    from tests.sources.conftest import HmFolder

    HmFolder(tmp_path)
    source = open_source("hm", tmp_path, first_day=date(2020, 9, 1), last_day=date(2020, 9, 3))
    names = {file.name for file in source.files_of("interactions", date(2020, 9, 2))}
    assert names == {"articles.csv", "customers.csv", "transactions_train.csv"}
