"""The landing zone: which file holds on which day, and what comes out of it."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from atelier.errors import SourceError
from atelier.sources import Landed, Source, open_source
from atelier.sources.columns import INTERACTION_KINDS, LAYOUTS
from atelier.sources.sample.config import SampleConfig
from atelier.sources.sample.generate import generate
from resources.tables import REGISTRY
from resources.tables.columns import INTERACTION_KINDS as REGISTERED_KINDS

Land = Callable[..., Landed]


def ids(landed: Landed, column: str = "article_id") -> list[str]:
    values: list[str] = landed.accepted.column(column).to_pylist()
    return values


def reasons(landed: Landed) -> list[tuple[int, str, str]]:
    return [(row["row"], row["column_name"], row["reason"]) for row in landed.rejected.to_pylist()]


@pytest.mark.parametrize("table", sorted(LAYOUTS))
def test_the_layouts_agree_with_the_registry(table: str) -> None:
    registered = {name: column for name, column in REGISTRY[table].by_name.items() if name != "ordinal"}
    if table == "images":  # the source lists photographs; their contents are looked at later
        registered = {name: registered[name] for name in ("article_id", "shot", "path")}
    fields = {field.name: field for field in LAYOUTS[table].fields}
    assert list(fields) == list(registered)
    for name, column in registered.items():
        assert (fields[name].type, fields[name].low, fields[name].high) == (column.type, column.low, column.high), name
        assert fields[name].required is not column.nullable, name
    assert INTERACTION_KINDS == REGISTERED_KINDS


def test_it_is_a_source_that_gives_what_is_there(zone: Any) -> None:
    source = open_source("parquet", zone.root)
    assert isinstance(source, Source)
    assert source.tables == {"articles", "customers", "interactions"}
    assert (source.first_day, source.last_day) == (zone.days[0], None)
    assert source.image_root == zone.root / "photographs"
    (zone.root / "retailer.json").write_text('{"first_day": "2020-08-01", "last_day": "2020-09-03", "other": 1}')
    source = open_source("parquet", zone.root)
    assert (source.first_day, source.last_day) == (date(2020, 8, 1), date(2020, 9, 3))
    assert open_source("parquet", zone.root, last_day="2020-09-02").last_day == date(2020, 9, 2)


def test_a_snapshot_holds_until_the_next_and_is_the_same_object_meanwhile(zone: Any) -> None:
    zone.put("articles", zone.days[2], [{"article_id": "c", "in_stock": False}])
    first, second, third = (landed for _, landed in open_source("parquet", zone.root).land("articles", zone.days))
    assert ids(first) == ["a", "b"]
    assert second is first
    assert ids(third) == ["c"]


def test_what_a_snapshot_says_of_later_days_is_applied_on_them(zone: Any) -> None:
    first, second = zone.days[:2]
    rows = [
        {"article_id": "gone", "in_stock": True, "available_from": None, "available_until": first},
        {"article_id": "comes", "in_stock": True, "available_from": second, "available_until": None},
        {"article_id": "", "in_stock": True, "available_from": None, "available_until": None},
        {"article_id": "sold out", "in_stock": False, "available_from": first, "available_until": None},
        {"article_id": "stays", "in_stock": True, "available_from": None, "available_until": None},
    ]
    zone.put("articles", first, rows)
    stock = [
        dict(zip(ids(landed), landed.accepted.column("in_stock").to_pylist(), strict=True))
        for _, landed in open_source("parquet", zone.root).land("articles", zone.days)
    ]
    assert stock[0] == {"gone": True, "comes": False, "sold out": False, "stays": True}
    assert stock[1] == stock[2] == {"gone": False, "comes": True, "sold out": False, "stays": True}


def test_interactions_keep_identical_rows_and_their_place_in_the_file(zone: Any, on: Land) -> None:
    rows = [zone.event(), zone.event(article_id="z"), zone.event(), zone.event(kind="purchase", price=2.5)]
    zone.put("interactions", zone.days[0], rows)
    landed = on(open_source("parquet", zone.root), "interactions")
    assert landed.accepted.column("ordinal").to_pylist() == [0, 2, 3]
    assert reasons(landed) == [(2, "article_id", "is unknown: there is no such row in articles")]
    assert set(REGISTRY["interactions"].by_name) == set(landed.accepted.column_names)


def test_what_is_known_is_what_the_snapshot_of_that_day_says(zone: Any) -> None:
    zone.put("articles", zone.days[1], [{"article_id": "b", "in_stock": True}])
    zone.put("interactions", zone.days[1], [zone.event(occurred_at=datetime(2020, 9, 2))])
    days = dict(open_source("parquet", zone.root).land("interactions", zone.days[:2]))
    assert days[zone.days[0]].accepted.num_rows == 1
    assert reasons(days[zone.days[1]]) == [(1, "article_id", "is unknown: there is no such row in articles")]


def test_an_article_that_was_rejected_is_not_known(zone: Any, on: Land) -> None:
    zone.put("articles", zone.days[0], [{"article_id": "a", "in_stock": -3}])
    landed = on(open_source("parquet", zone.root), "interactions")
    assert reasons(landed) == [(1, "article_id", "is unknown: there is no such row in articles")]


def test_customers_are_checked_only_where_there_are_any(zone: Any, on: Land) -> None:
    zone.put("interactions", zone.days[0], [zone.event(customer_id="stranger")])
    landed = on(open_source("parquet", zone.root), "interactions")
    assert reasons(landed) == [(1, "customer_id", "is unknown: there is no such row in customers")]
    (zone.root / "customers" / f"ds={zone.days[0]}.parquet").unlink()
    assert ids(on(open_source("parquet", zone.root), "interactions"), "customer_id") == ["stranger"]


def test_a_row_of_another_day_is_rejected(zone: Any, on: Land) -> None:
    times = [datetime(2020, 9, 2), datetime(2020, 8, 31, 23, 59, 59), datetime(2020, 9, 1, 23, 59, 59)]
    zone.put("interactions", zone.days[0], [zone.event(occurred_at=at) for at in times])
    landed = on(open_source("parquet", zone.root), "interactions")
    assert reasons(landed) == [
        (1, "occurred_at", "is after the day on which it came"),
        (2, "occurred_at", "is before the day on which it came"),
    ]
    assert landed.accepted.num_rows == 1


def test_a_day_without_a_file_is_empty_and_named(zone: Any) -> None:
    days = dict(open_source("parquet", zone.root).land("interactions", zone.days))
    nothing = days[zone.days[1]]
    assert (nothing.rows_in, nothing.accepted.num_rows) == (0, 0)
    assert nothing.notes == ("no file interactions/ds=2020-09-02.parquet: a day without rows",)
    assert nothing.accepted.schema == days[zone.days[0]].accepted.schema


def test_a_table_whose_first_snapshot_is_yet_to_come_is_empty_and_named(zone: Any) -> None:
    labels = [{"article_id": "a", "attribute": "colour", "value": "red"}]
    zone.put("annotated_attributes", zone.days[1], labels)
    before, after = (x for _, x in open_source("parquet", zone.root).land("annotated_attributes", zone.days[:2]))
    assert before.notes == ("no file of annotated_attributes on or before 2020-09-01",)
    assert after.accepted.to_pylist() == labels


def test_a_day_before_the_first_articles_is_fatal(zone: Any, on: Land) -> None:
    with pytest.raises(SourceError, match=r"articles: there is no file of 2020-08-31 or before.*begin on 2020-09-01"):
        on(open_source("parquet", zone.root), "interactions", zone.days[0] - timedelta(days=1))


def test_duplicates_name_the_row_that_is_kept(zone: Any, on: Land) -> None:
    rows = [
        {"article_id": name, "in_stock": True, "price": price}
        for name, price in [("a", 1.0), ("a", -1.0), ("b", 2.0), ("a", 3.0), ("b", -4.0)]
    ]
    zone.put("articles", zone.days[0], rows)
    landed = on(open_source("parquet", zone.root), "articles")
    assert reasons(landed) == [
        (2, "article_id", "is a duplicate: row 1 is kept"),
        (4, "article_id", "is a duplicate: row 1 is kept"),
        (5, "article_id", "is a duplicate: row 3 is kept"),
    ]
    assert landed.rejected.column("source_file").to_pylist() == ["articles/ds=2020-09-01.parquet"] * 3
    assert landed.rejected.column("record").to_pylist()[1] == '{"article_id":"a","in_stock":"true","price":"3.0"}'


def test_profiles_and_ages(zone: Any, on: Land) -> None:
    schema = pa.schema(
        [("customer_id", pa.int32()), ("age", pa.float64()), ("profile", pa.map_(pa.string(), pa.string()))]
    )
    rows = [{"customer_id": 7, "age": 30.0, "profile": [("club", "yes")]}, {"customer_id": 8}]
    zone.put("customers", zone.days[0], pa.Table.from_pylist(rows, schema=schema))
    landed = on(open_source("parquet", zone.root), "customers")
    assert landed.accepted.to_pylist() == [
        {"customer_id": "7", "age": 30, "profile": [("club", "yes")]},
        {"customer_id": "8", "age": None, "profile": None},
    ]


def test_paths_of_photographs_stay_in_their_folder(
    zone: Any, on: Land, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.jpg"
    secret.write_bytes(b"")
    right = zone.photograph("x/a.jpg")
    (right.parent / "out.jpg").symlink_to(secret)
    (right.parent / "in.jpg").symlink_to(right)
    (right.parent / "loop.jpg").symlink_to(right.parent / "loop.jpg")
    (zone.root / "photographs" / "away").symlink_to(secret.parent)
    outside = "holds '..', which may lead outside of the folder of photographs"
    absolute = "is an absolute path: it has to be relative to the folder of photographs"
    linked = "leads outside of the folder of photographs through a link"
    absent = "names no file in the folder of photographs"
    faults = {
        "x/a.jpg": None,
        "x/in.jpg": None,
        "./x//a.jpg": None,
        "../secret.jpg": outside,
        "x/../x/a.jpg": outside,
        str(secret): absolute,
        str(right): absolute,
        "C:\\a.jpg": absolute,
        "\\\\host\\a.jpg": absolute,
        "x/out.jpg": linked,
        "away/secret.jpg": linked,
        "x/loop.jpg": absent,
        "x/none.jpg": absent,
        "x": "is not a file",
        "a\0.jpg": "holds a NUL character",
        "y" * 5000: absent,
    }
    rows = [{"article_id": "a", "shot": shot, "path": path} for shot, path in enumerate(faults)]
    zone.put("images", zone.days[0], rows)
    landed = on(open_source("parquet", zone.root), "images")
    found = {row["row"]: row["reason"] for row in landed.rejected.to_pylist()}
    assert found == {number: fault for number, fault in enumerate(faults.values(), start=1) if fault}
    assert landed.accepted.column("path").to_pylist() == ["x/a.jpg", "x/in.jpg", "./x//a.jpg"]


def test_a_rejected_photograph_does_not_take_a_right_one_s_place(zone: Any, on: Land) -> None:
    zone.photograph("a.jpg")
    zone.put(
        "images",
        zone.days[0],
        [{"article_id": "a", "shot": 0, "path": path} for path in ("../a.jpg", "a.jpg", "a.jpg")],
    )
    landed = on(open_source("parquet", zone.root), "images")
    assert landed.accepted.num_rows == 1
    assert [(row, reason) for row, _, reason in reasons(landed)][1] == (3, "is a duplicate: row 2 is kept")


def test_the_sample_retailer_says_what_generated_it(zone: Any) -> None:
    with pytest.raises(SourceError, match=r"no sample retailer was generated there \(no retailer.json\)"):
        open_source("sample", zone.root)
    (zone.root / "retailer.json").write_text('{"first_day": "2020-09-01", "last_day": "2020-09-03"}')
    assert open_source("sample", zone.root).last_day == zone.days[2]


def test_a_generated_retailer_is_landed_without_a_fault(tmp_path: Any) -> None:
    generate(tmp_path / "sample", SampleConfig(articles=40, customers=40, days=9, photographs=False))
    source = open_source("sample", tmp_path / "sample")
    assert source.last_day is not None
    days = [source.first_day + timedelta(days=n) for n in range((source.last_day - source.first_day).days + 1)]
    for table in sorted(source.tables):
        landed = [x for _, x in source.land(table, days)]
        assert len(landed) == 9
        assert sum(x.rejected.num_rows for x in landed) == 0, table
        assert sum(x.accepted.num_rows for x in landed) > 0 or table == "images"


def test_only_ranges_and_known_tables_are_landed(zone: Any) -> None:
    source = open_source("parquet", zone.root)
    with pytest.raises(ValueError, match="before 2020-09-03 there is one"):
        list(source.land("articles", [zone.days[0], zone.days[2]]))
    with pytest.raises(ValueError, match="no table 'outfits'; it has articles, customers, interactions"):
        list(source.land("outfits", zone.days))
    assert list(source.land("articles", [])) == []


def test_answers_may_be_csv_and_hold_until_the_next_file(zone: Any, on: Any) -> None:
    source = open_source("parquet", zone.root)
    assert "outfit_feedback" not in source.tables
    folder = zone.root / "outfit_feedback"
    folder.mkdir()
    header = "outfit_id,article_id,answer\n"
    (folder / f"ds={zone.days[1]}.csv").write_text(header + "f,a,accepted\nf,b,accepted\nh,gone,accepted\ng,a,maybe\n")
    zone.put("outfit_feedback", zone.days[2], [{"outfit_id": "f", "article_id": "a", "answer": "rejected"}])
    source = open_source("parquet", zone.root)
    assert on(source, "outfit_feedback", zone.days[0]).accepted.num_rows == 0
    second = on(source, "outfit_feedback", zone.days[1])
    assert second.accepted.column("article_id").to_pylist() == ["a", "b"]
    reasons = ["is unknown: there is no such row in articles", "is none of accepted, rejected"]
    assert second.rejected.column("reason").to_pylist() == reasons
    assert on(source, "outfit_feedback", zone.days[2]).accepted.column("answer").to_pylist() == ["rejected"]


BROKEN = {
    "refers to nothing": ("gone", "rejected"),
    "another word": ("d", "regected"),
    "no article": (None, "rejected"),
}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("broken", BROKEN)
def test_an_answer_with_a_wrong_row_is_rejected_as_a_whole(zone: Any, on: Any, ending: str, broken: str) -> None:
    article, answer = BROKEN[broken]
    rows: list[tuple[str, str | None, str]] = [
        ("o", "a", "rejected"),
        ("p", "a", "accepted"),
        ("o", "b", "rejected"),
        ("p", "b", "accepted"),
    ]
    rows += [("o", article, answer), ("p", "b", "accepted")]
    table = [dict(zip(("outfit_id", "article_id", "answer"), row, strict=True)) for row in rows]
    zone.put("outfit_feedback", zone.days[0], table)
    if ending == "csv":
        file = zone.root / "outfit_feedback" / f"ds={zone.days[0]}.parquet"
        file.with_suffix(".csv").write_text(pd.read_parquet(file).to_csv(index=False))
        file.unlink()
    landed = on(open_source("parquet", zone.root), "outfit_feedback", zone.days[0])
    assert landed.accepted.select(["outfit_id", "article_id"]).to_pydict() == {
        "outfit_id": ["p", "p"],
        "article_id": ["a", "b"],
    }
    found = dict(zip(*(landed.rejected.column(name).to_pylist() for name in ("row", "reason")), strict=True))
    assert list(found) == [1, 3, 5, 6]
    assert found[1] == found[3] == "counts together with row 5, which is wrong"
    assert found[6] == "is a duplicate: row 4 is kept", "a row that stands twice makes no answer wrong"
    assert (landed.rows_in, landed.rejected_rows) == (6, 4)


@pytest.mark.parametrize("line", ["o,b", '"o",b', "o,b,rejected,4", 'o,b,"rejected"x'])
def test_a_broken_line_makes_the_answer_wrong_that_it_is_of(zone: Any, on: Any, line: str) -> None:
    folder = zone.root / "outfit_feedback"
    folder.mkdir()
    rows = ["o,a,rejected", "q,a,accepted", "q,b,accepted", "o,b,rejected", "p,a,rejected", "p,b,rejected", line]
    (folder / f"ds={zone.days[0]}.csv").write_text("\n".join(["outfit_id,article_id,answer", *rows, ""]))
    landed = on(open_source("parquet", zone.root), "outfit_feedback", zone.days[0])
    assert landed.accepted.column("outfit_id").to_pylist() == ["q", "q", "p", "p"]
    *others, last = landed.rejected.column("reason").to_pylist()
    assert others == ["counts together with row 7, which is wrong"] * 2
    assert last.startswith("is not a row of CSV")


def test_two_files_of_a_day_and_csv_of_other_tables_are_refused(zone: Any) -> None:
    folder = zone.root / "outfit_feedback"
    folder.mkdir()
    (folder / f"ds={zone.days[0]}.csv").write_text("outfit_id,article_id,answer\n")
    zone.put("outfit_feedback", zone.days[0], [{"outfit_id": "f", "article_id": "a", "answer": "rejected"}])
    with pytest.raises(SourceError, match=r"ds=2020-09-01\.csv is of the same day"):
        open_source("parquet", zone.root)
    (folder / f"ds={zone.days[0]}.csv").rename(zone.root / "articles" / f"ds={zone.days[0]}.csv")
    with pytest.raises(SourceError, match=r"Name it ds=YYYY-MM-DD\.parquet, or move"):
        open_source("parquet", zone.root)
