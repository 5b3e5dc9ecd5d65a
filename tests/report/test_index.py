"""The page of all days: a row for each day, links that hold, records that survive writing and reading."""

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.report_index import days_with_page, record_path, write_index
from atelier.report.index import DayRecord, DayRecordError, index_page, links_of
from atelier.report.page import render_page
from atelier.report.this_day import SIGNS, Line
from tests.report.test_page import HOSTILE, outline
from tests.report.test_sections import text

pytestmark = pytest.mark.hostile

DAYS = [date(2025, 3, 7), date(2025, 3, 13), date(2025, 3, 14)]
LINES = [Line("Rows", "good", "812", "", "ingest"), Line("Customers", "warn", "35.0% fallback", "", "recommendations")]


def ids_and_links(page: str) -> tuple[set[str], list[str]]:
    tags = outline(page).tags
    ids = [str(attributes["id"]) for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    return set(ids), [str(attributes["href"]) for tag, attributes in tags if tag == "a"]


def test_a_row_for_each_day_newest_first() -> None:
    page = index_page("Shop", [DayRecord.of(DAYS[0], LINES[:1]), DayRecord(DAYS[1]), DayRecord.of(DAYS[2], LINES)])
    shown = text(page)
    assert "2025-03-14 ! look ✓ 812 ! 35.0% fallback 2025-03-13 – not known – – 2025-03-07 ✓ fine ✓ 812 –" in shown
    assert ids_and_links(page)[1] == [f"ds={day}.html" for day in reversed(DAYS)]


def test_every_link_of_a_page_leads_somewhere() -> None:
    index, _ = ids_and_links(index_page("Shop", [DayRecord(day) for day in DAYS]))
    for place, day in enumerate(DAYS):
        links = {link.rel: link.href for link in links_of(day, DAYS)}
        assert links.get("prev") == (f"ds={DAYS[place - 1]}.html" if place else None)
        assert links["up"].partition("#")[2] in index
        assert links["next"].partition("#")[2] in index


def test_the_next_day_is_found_on_the_page_of_all_days() -> None:
    page = index_page("Shop", [DayRecord(day) for day in DAYS])
    rows = re.findall(r"<tr>.*?</tr>", page, flags=re.DOTALL)
    (row,) = [row for row in rows if f'id="after-{DAYS[0]}"' in row]
    assert f'href="ds={DAYS[1]}.html"' in row


def test_a_page_does_not_change_when_the_next_day_is_written() -> None:
    before, after = (render_page("x", DAYS[1], [], links_of(DAYS[1], days)) for days in (DAYS[:2], DAYS))
    assert before == after


def test_no_day_yet() -> None:
    assert "No page has been written yet" in index_page("Shop", [])


marks = st.sampled_from(sorted(SIGNS))


@given(status=marks, figures=st.dictionaries(st.text(), st.tuples(marks, st.text())))
def test_a_record_is_what_was_written(status: str, figures: dict[str, tuple[str, str]]) -> None:
    record = DayRecord(DAYS[0], status, figures)
    assert DayRecord.from_json(record.to_json(), "x") == record


@pytest.mark.parametrize(
    "broken", ["", "{}", "[]", '{"ds": "2025-03-07", "status": "great", "figures": []}', '{"ds": 3, "figures": []}']
)
def test_a_broken_record_is_named(broken: str) -> None:
    with pytest.raises(DayRecordError, match=r"day\.json .* delete it"):
        DayRecord.from_json(broken, "day.json")


def test_hostile_texts_are_shown_as_text() -> None:
    page = index_page(HOSTILE, [DayRecord(DAYS[0], "bad", {HOSTILE: ("warn", HOSTILE)})])
    outline(page)
    assert "<script" not in page


def test_the_page_of_all_days_is_written_beside_the_others(tmp_path: Path) -> None:
    for day in DAYS:
        (tmp_path / f"ds={day}.html").write_text("a page")
    (tmp_path / f"ds={DAYS[0]}-lineage").mkdir()
    (tmp_path / "index.html").write_text("an older one")
    assert days_with_page(tmp_path) == DAYS
    write_index(tmp_path, "Shop", DAYS[2], LINES)
    index = write_index(tmp_path, "Shop", DAYS[1], LINES[:1])
    first = index.read_bytes()
    shown = text(first.decode())
    assert shown.index("2025-03-14 ! look") < shown.index("2025-03-13 ✓ fine") < shown.index("2025-03-07 – not known")
    write_index(tmp_path, "Shop", DAYS[1], LINES[:1])
    assert index.read_bytes() == first
    assert not list(tmp_path.glob("*.new"))


def test_a_record_of_a_day_whose_page_was_removed_has_no_row(tmp_path: Path) -> None:
    later = DAYS[2] + timedelta(days=1)
    record_path(tmp_path, later).write_text(DayRecord(later).to_json())
    (tmp_path / f"ds={DAYS[2]}.html").write_text("a page")
    assert str(later) not in write_index(tmp_path, "Shop", DAYS[2], LINES).read_text()


@pytest.mark.parametrize("content", [b"", b'{"ds": "2025-', b"\xff\xfe"], ids=["empty", "truncated", "no text"])
def test_the_damaged_record_of_another_day_is_named_with_the_command_and_stops_nothing(
    tmp_path: Path, content: bytes
) -> None:
    for day in DAYS:
        (tmp_path / f"ds={day}.html").touch()
    record_path(tmp_path, DAYS[0]).write_bytes(content)
    said = r"ds=2025-03-07\.json is no record .* dg launch --assets report --partition 2025-03-07$"
    with pytest.warns(UserWarning, match=said):
        index = write_index(tmp_path, "Days", DAYS[1], LINES)
    assert 'id="day-2025-03-07"' in index.read_text(), "the day is shown by its page alone"
    write_index(tmp_path, "Days", DAYS[0], LINES)  # its own day mends it
    write_index(tmp_path, "Days", DAYS[1], LINES)


def test_days_that_were_made_from_data_that_have_been_replaced_are_marked() -> None:
    records = [DayRecord.of(day, LINES[:1]) for day in DAYS]
    assert "superseded" not in index_page("Shop", records)
    shown = text(index_page("Shop", records, [DAYS[0], DAYS[1], date(2024, 1, 1)]))
    assert "3 days were made from data that have been replaced since" in shown
    assert "2025-03-14 ✓ fine ✓ as stored ✓ 812 2025-03-13 ✓ fine ! superseded ✓ 812" in shown
