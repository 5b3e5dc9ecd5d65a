"""The H&M files: what becomes what, and that no day knows of a later one."""

import tempfile
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.errors import SourceError
from atelier.sources import Landed, Source, open_source
from atelier.sources.hidden_labels import HideLabels, is_hidden
from atelier.sources.hm import IN_STOCK_DAYS
from atelier.sources.hm_layout import ALL_ATTRIBUTES
from resources.tables import REGISTRY

Land = Callable[..., Landed]
A, B = "0000000001", "0000000002"
FIRST = date(2020, 9, 1)


def rows(landed: Landed) -> list[dict[str, Any]]:
    accepted: list[dict[str, Any]] = landed.accepted.to_pylist()
    return accepted


def reasons(landed: Landed) -> list[tuple[int, str, str]]:
    return [(row["row"], row["column_name"], row["reason"]) for row in landed.rejected.to_pylist()]


def as_parquet(root: Path) -> None:
    """Replace the CSV files by Parquet files as pandas would write them: numbers are numbers, ids have no zeros."""
    for file in root.glob("*.csv"):
        pq.write_table(pa_csv.read_csv(file), file.with_suffix(".parquet"))
        file.unlink()


def test_each_column_becomes_what_the_documentation_says(hm: Any, on: Land) -> None:
    source = open_source("hm", hm.root)
    assert isinstance(source, Source)
    article = rows(on(source, "articles"))[0]
    assert article == {
        "article_id": A,
        "product_code": "product_code",
        "name": "prod_name",
        "description": "detail_desc",
        "product_type": "product_type_name",
        "brand": None,
        "division": "index_name",
        "price": Decimal("0.5"),
        "available_from": FIRST,
        "available_until": None,
        "in_stock": True,
    }
    labels = [row for row in rows(on(source, "annotated_attributes")) if row["article_id"] == A]
    assert [row["attribute"] for row in labels] == sorted(set(ALL_ATTRIBUTES) - {"product_type_name"})
    assert all(row["value"] == row["attribute"] for row in labels)
    assert rows(on(source, "customers")) == [
        {"customer_id": "u", "age": 21, "profile": None},
        {"customer_id": "v", "age": None, "profile": [("status", "ACTIVE")]},
    ]
    assert rows(on(source, "interactions")) == [
        {
            "ordinal": 0,
            "customer_id": "u",
            "article_id": A,
            "occurred_at": datetime(2020, 9, 1),
            "kind": "purchase",
            "price": Decimal("0.5"),
            "channel": "store",
            "session_id": None,
        }
    ]


@pytest.mark.parametrize("table", ["articles", "customers", "interactions", "annotated_attributes", "images"])
def test_the_columns_are_the_registry_s(hm: Any, on: Land, table: str) -> None:
    (hm.root / "images").mkdir()
    names = [name for name in REGISTRY[table].by_name if name not in ("digest", "width", "height")]
    assert on(open_source("hm", hm.root), table).accepted.column_names == names


def test_csv_and_parquet_give_the_same(hm: Any) -> None:
    hm.sales([("2020-09-01", "u", A, "0.5", "1"), ("2020-09-03", "v", B, "0.25", "2"), ("2020-09-03", "v", A, "", "2")])

    def everything() -> list[Any]:
        source = open_source("hm", hm.root)
        tables = sorted(source.tables)
        return [(name, [rows(landed) for _, landed in source.land(name, hm.days)]) for name in tables]

    text = everything()
    as_parquet(hm.root)
    assert everything() == text
    assert [len(day) for day in dict(text)["interactions"]] == [1, 0, 2]


def test_all_nine_columns_can_be_attributes(hm: Any, on: Land) -> None:
    source = open_source("hm", hm.root, attributes="all")
    assert {row["attribute"] for row in rows(on(source, "annotated_attributes"))} == set(ALL_ATTRIBUTES)
    assert {(row["product_type"], row["division"]) for row in rows(on(source, "articles"))} == {(None, None)}
    few = open_source("hm", hm.root, attributes=["colour_group_name"], division=None)
    assert {row["attribute"] for row in rows(on(few, "annotated_attributes"))} == {"colour_group_name"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"attributes": "all", "product_type": "product_type_name"},
            "product_type_name: a column is metadata or attribute",
        ),
        ({"attributes": ["x", "x"]}, "x: a column is metadata or attribute, and only once"),
        ({"division": "index_group_name"}, "index_group_name: a column is metadata"),
        ({"hide_labels": 1.5}, "less than or equal to 1"),
        ({"hide_labels": {"fraction": {"colour": 0.5}}}, "which are no attributes"),
        ({"first_day": "2020-09-02", "last_day": "2020-09-01"}, "is after last_day"),
        ({"hide": 0.5}, "Extra inputs"),
        ({"threads": 0}, "threads: Input should be greater"),
    ],
)
def test_wrong_options_are_refused_and_named(hm: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        open_source("hm", hm.root, **options)


def test_first_sale_price_and_stock_follow_the_sales(hm: Any) -> None:
    last = FIRST + timedelta(days=IN_STOCK_DAYS)
    hm.sales(
        [
            ("2020-09-01", "u", A, "0.5", "1"),
            ("2020-09-01", "u", A, "0.4", "1"),
            ("2020-09-02", "u", A, "", "1"),
            (str(last + timedelta(days=1)), "u", B, "0.9", "2"),
        ]
    )
    days = [FIRST - timedelta(days=1) + timedelta(days=n) for n in range(IN_STOCK_DAYS + 3)]
    landed = {
        day: {row["article_id"]: row for row in rows(x)} for day, x in open_source("hm", hm.root).land("articles", days)
    }

    def seen(day: date, article: str) -> tuple[Any, ...]:
        row = landed[day][article]
        return row["available_from"], row["price"], row["in_stock"]

    assert seen(FIRST - timedelta(days=1), A) == (None, None, False)
    assert seen(FIRST, A) == (FIRST, Decimal("0.4"), True)  # the last price of the day
    assert seen(last, A) == (FIRST, Decimal("0.4"), True)  # a sale without a price does not hide the last one
    assert seen(last + timedelta(days=1), A) == (FIRST, Decimal("0.4"), False)  # 28 days after the sale of 2 September
    assert seen(last, B) == (None, None, False)  # it will be sold tomorrow, and nothing shows it
    assert seen(last + timedelta(days=1), B) == (last + timedelta(days=1), Decimal("0.9"), True)


def test_articles_that_did_not_change_come_as_the_same_object(hm: Any) -> None:
    first, second, third = (landed for _, landed in open_source("hm", hm.root).land("articles", hm.days))
    assert first is second is third


SALES = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from(["u", "v", "stranger"]),
        st.sampled_from([A, B, "0000000009"]),
        st.sampled_from(["0.5", "0.25", "-1", ""]),
        st.sampled_from(["1", "2", "3"]),
    ),
    max_size=14,
)


@settings(max_examples=6)
@given(sales=SALES, until=st.integers(0, 4))
def test_a_day_is_the_same_whatever_comes_later_and_however_it_is_asked_for(
    make_hm: Callable[[Path], Any], sales: list[tuple[int, str, str, str, str]], until: int
) -> None:
    days = [FIRST + timedelta(days=n) for n in range(5)]
    dated = [(str(days[day]), *rest) for day, *rest in sales]
    with tempfile.TemporaryDirectory() as folder:
        hm = make_hm(Path(folder))
        for table in ("articles", "interactions"):
            hm.sales(dated)
            source = open_source("hm", hm.root, first_day=FIRST, threads=1)
            whole = dict(source.land(table, days))
            [(_, alone)] = source.land(table, days[until : until + 1])
            hm.sales([row for row in dated if row[0] <= str(days[until])])
            before = dict(open_source("hm", hm.root, first_day=FIRST, threads=1).land(table, days[: until + 1]))
            now, earlier = whole[days[until]], before[days[until]]
            assert alone.accepted.equals(now.accepted)
            assert earlier.accepted.equals(now.accepted)
            assert alone.rejected.equals(now.rejected)
            assert [r for _, *r in reasons(earlier)] == [r for _, *r in reasons(now)]  # rows have other places
            if table == "interactions":
                assert sum(landed.rows_in for landed in whole.values()) == len(sales)
                for day, landed in whole.items():
                    _check_day(landed, [row for row in dated if row[0] == str(day)])


def _check_day(landed: Landed, of_day: list[tuple[Any, ...]]) -> None:
    """The accepted ordinals, from a slow reading of the day's rows."""
    right = [
        place
        for place, (_, customer, article, *_) in enumerate(of_day)
        if customer != "stranger" and article != "0000000009"
    ]
    assert landed.accepted.column("ordinal").to_pylist() == right
    assert landed.rejected_rows == len(of_day) - len(right)
    assert landed.values_dropped == sum((of_day[n][3] == "-1") + (of_day[n][4] == "3") for n in right)


def test_rows_without_a_readable_date_come_on_the_first_day_and_disturb_no_ordinal(hm: Any) -> None:
    sales = [
        ("soon", "u", A, "1", "1"),
        ("2020-09-02", "u", A, "1", "1"),
        ("9999-12-31", "u", A, "1", "1"),
        ("", "u", A, "1", "1"),
        ("2020-09-01", "u", A, "1", "1"),
    ]
    hm.sales(sales)
    source = open_source("hm", hm.root)
    assert (source.first_day, source.last_day) == (FIRST, FIRST + timedelta(days=1))
    first, second = (landed for _, landed in source.land("interactions", hm.days[:2]))
    assert reasons(first) == [
        (1, "t_dat", "is not a date"),
        (3, "t_dat", "is not between 1900 and 2199"),
        (4, "t_dat", "is null"),
    ]
    assert first.accepted.column("ordinal").to_pylist() == second.accepted.column("ordinal").to_pylist() == [0]
    assert [row["source_file"] for row in first.rejected.to_pylist()] == ["transactions_train.csv"] * 3


def test_rows_after_a_given_last_day_are_rejected_on_it_or_ignored(hm: Any, on: Land) -> None:
    hm.sales([(f"2020-09-0{day}", "u", A, "1", "1") for day in (1, 2, 3, 2)])
    source = open_source("hm", hm.root, last_day="2020-09-02")
    landed = on(source, "interactions", hm.days[1])
    assert reasons(landed) == [(3, "t_dat", "is after the day on which it came")]
    assert landed.accepted.column("ordinal").to_pylist() == [0, 1]
    ignoring = open_source("hm", hm.root, last_day="2020-09-02", after_last_day="ignore")
    assert on(ignoring, "interactions", hm.days[1]).rejected.num_rows == 0
    assert rows(on(source, "articles", hm.days[1]))[0]["available_from"] == FIRST


def test_far_too_many_rows_after_last_day_are_fatal(hm: Any, on: Land, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atelier.sources.hm.TOO_MANY_LATE", 2)
    hm.sales([("2020-09-03", "u", A, "1", "1")] * 3)
    with pytest.raises(SourceError, match=r"column 't_dat': 3 rows are after last_day 2020-09-01.*after_last_day"):
        on(open_source("hm", hm.root, first_day="2020-09-01", last_day="2020-09-01"), "interactions")


def test_malformed_rows_are_rejected_and_the_others_keep_their_numbers(hm: Any) -> None:
    lines = [
        "t_dat,customer_id,article_id,price,sales_channel_id",
        f"2020-09-01,u,{A},1,1",
        "2020-09-01,u",
        f"2020-09-02,u,{A},-1,1",
        "a,b,c,d,e,f,g",
        "\udcff,u,x,1,1",
        f'"2020-09-02"x,u,{A},1,1',
        f"2020-09-02,u,{A},1,1",
    ]
    (hm.root / "transactions_train.csv").write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    source = open_source("hm", hm.root)
    first, second = (landed for _, landed in source.land("interactions", hm.days[:2]))
    malformed = [row["row"] for row in first.rejected.to_pylist() if row["reason"].startswith("is not a row of CSV: ")]
    assert malformed == [2, 4, 5, 6]
    assert reasons(second) == [(3, "price", "is negative")]
    assert second.accepted.select(["ordinal", "price"]).to_pylist() == [
        {"ordinal": 0, "price": None},
        {"ordinal": 1, "price": Decimal("1.000000000")},
    ]
    assert [landed.rows_in for landed in (first, second)] == [5, 2]
    articles = rows(next(landed for _, landed in source.land("articles", hm.days[:1])))
    assert [row["in_stock"] for row in articles] == [True, False]


def test_a_day_without_sales_is_empty_and_named(hm: Any) -> None:
    hm.sales([("2020-09-01", "u", A, "1", "1"), ("2020-09-03", "u", A, "1", "1")])
    _, nothing, _ = (landed for _, landed in open_source("hm", hm.root).land("interactions", hm.days))
    assert nothing.notes == ("no row of transactions_train.csv is dated 2020-09-02: a day without sales",)
    assert (nothing.rows_in, nothing.accepted.num_rows) == (0, 0)


def test_without_a_customers_file_everyone_is_taken(hm: Any, on: Land) -> None:
    hm.sales([("2020-09-01", "stranger", A, "1", "1")])
    assert reasons(on(open_source("hm", hm.root), "interactions"))[0][1:] == (
        "customer_id",
        "is unknown: there is no such row in customers",
    )
    (hm.root / "customers.csv").unlink()
    source = open_source("hm", hm.root)
    assert "customers" not in source.tables
    assert on(source, "interactions").accepted.num_rows == 1


def test_customers_may_have_ids_only(hm: Any, on: Land) -> None:
    hm.customers([("u",), ("v",)], header=["customer_id"])
    assert rows(on(open_source("hm", hm.root), "customers"))[0] == {"customer_id": "u", "age": None, "profile": None}


def test_photographs_are_found_by_their_names(hm: Any, on: Land, tmp_path_factory: pytest.TempPathFactory) -> None:
    nothing = on(open_source("hm", hm.root), "images")
    assert (nothing.rows_in, nothing.notes) == (0, ("there is no folder images: no article has a photograph",))
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.jpg"
    secret.write_bytes(b"")
    for path in (f"000/{A}.jpg", f"001/{A}.jpg", "000/0000000009.jpg", "000/notes.txt", "notes.txt"):
        hm.photograph(path)
    (hm.root / "images" / "000" / f"{B}.jpg").symlink_to(secret)
    landed = on(open_source("hm", hm.root), "images")
    assert rows(landed) == [{"article_id": A, "shot": 0, "path": f"000/{A}.jpg"}]
    assert {row["source_file"]: row["reason"].split(":")[0] for row in landed.rejected.to_pylist()} == {
        f"images/000/{B}.jpg": "leads outside of the folder of photographs through a link",
        f"images/001/{A}.jpg": "is not named NNN/NNNNNNNNNN.jpg for an article",
        "images/000/0000000009.jpg": "is unknown",
        "images/000/notes.txt": "is not named NNN/NNNNNNNNNN.jpg for an article",
        "images/notes.txt": "is not named NNN/NNNNNNNNNN.jpg for an article",
    }
    assert (landed.rows_in, landed.notes) == (6, ("1 of 2 articles have no photograph",))


def test_hidden_labels_are_the_rest_and_the_same_whatever_else_there_is(hm: Any, on: Land) -> None:
    hm.articles([hm.article(f"{number:010}") for number in range(1, 200)])
    hide = HideLabels(fraction=0.3, seed=5)
    source: Any = open_source("hm", hm.root, hide_labels={"fraction": 0.3, "seed": 5})
    shown = {(row["article_id"], row["attribute"]) for row in rows(on(source, "annotated_attributes"))}
    hidden = {(row.article_id, row.attribute) for row in source.hidden_labels().itertuples()}
    everything = {
        (row["article_id"], row["attribute"]) for row in rows(on(open_source("hm", hm.root), "annotated_attributes"))
    }
    assert shown | hidden == everything
    assert not shown & hidden
    assert hidden == {pair for pair in everything if is_hidden(hide, *pair)}
    assert abs(len(hidden) / len(everything) - 0.3) < 0.05
    hm.articles([hm.article(A)])
    again = {(row.article_id, row.attribute) for row in source.hidden_labels().itertuples()}
    assert again == {pair for pair in hidden if pair[0] == A}


@pytest.mark.parametrize(("fraction", "count"), [(0.0, 0), (1.0, 16), ({"section_name": 1.0}, 2), (0, 0)])
def test_all_or_none_or_one_attribute_s_labels_can_be_hidden(hm: Any, fraction: Any, count: int) -> None:
    source: Any = open_source("hm", hm.root, hide_labels={"fraction": fraction})
    hidden = source.hidden_labels()
    assert list(hidden.columns) == ["article_id", "attribute", "value"]
    assert len(hidden) == count


def test_unlabelled_attributes_are_no_rows(hm: Any, on: Land) -> None:
    hm.articles([hm.article(A, colour_group_name="", section_name="")])
    assert on(open_source("hm", hm.root), "annotated_attributes").rows_in == 6


@pytest.mark.real_data
def test_every_transaction_of_a_real_week_is_there(real_data: Path) -> None:
    source = open_source("hm", real_data / "hm_week")
    assert (source.first_day, source.last_day) == (date(2020, 9, 16), date(2020, 9, 22))
    days = [date(2020, 9, day) for day in range(16, 23)]
    landed = dict(source.land("interactions", days))
    assert [landed[day].accepted.num_rows for day in days] == [27028, 40718, 39284, 36796, 31489, 32130, 32866]
    assert sum(day.rows_in for day in landed.values()) == 240_311
    file = pq.read_table(real_data / "hm_week" / "transactions_train.parquet")
    for column in ("customer_id", "article_id"):  # row order is kept
        together = pa.concat_tables(day.accepted for day in landed.values()).column(column)
        assert together.cast(pa.string()).equals(file.column(column).cast(pa.string()))
    assert next(landed for _, landed in source.land("customers", days[:1])).accepted.num_rows == 68_984


@pytest.mark.real_data
def test_a_real_day_without_sales_is_named(real_data: Path) -> None:
    source = open_source("hm", real_data / "hm")
    assert (source.first_day, source.last_day) == (date(2018, 9, 20), date(2020, 9, 22))
    days = [date(2018, 12, 20) + timedelta(days=n) for n in range(9)]
    landed = dict(source.land("interactions", days))
    written = pa_csv.read_csv(real_data / "hm" / "transactions_train.csv").column("t_dat").to_pylist()
    assert len(written) == 31_662
    assert [landed[day].accepted.num_rows for day in days] == [written.count(day) for day in days]
    assert [day for day, x in landed.items() if x.notes] == [date(2018, 12, 25)]
    [(_, last)] = source.land("interactions", [date(2020, 9, 22)])
    assert (last.accepted.num_rows, last.rejected.num_rows) == (34, 0)
    images = next(x for _, x in source.land("images", days[:1]))
    assert (images.accepted.num_rows, images.rejected.num_rows) == (8024, 0)
    articles = next(x for _, x in source.land("articles", days[-1:]))
    assert (articles.accepted.num_rows, articles.rejected.num_rows) == (105_542, 0)


def test_answers_about_outfits_lie_beside_the_files(hm: Any, on: Land) -> None:
    assert "outfit_feedback" not in open_source("hm", hm.root).tables
    folder = hm.root / "outfit_feedback"
    folder.mkdir()
    rows = ["f,0000000001,rejected", "f,0000000002,rejected"]
    rows += ["g,0000000001,rejected", "g,0000000002,rejected", "g,0000000003,rejected"]
    (folder / f"ds={hm.days[1]}.csv").write_text("\n".join(["outfit_id,article_id,answer", *rows, ""]))
    source = open_source("hm", hm.root)
    first, second, third = (landed for _, landed in source.land("outfit_feedback", list(hm.days[:3])))
    assert (first.accepted.num_rows, first.notes) == (0, ("no file of outfit_feedback yet",))
    assert second.accepted.column("article_id").to_pylist() == ["0000000001", "0000000002"]
    assert second.rejected.column("row").to_pylist() == [3, 4, 5], "what was said of three articles holds for no two"
    assert third is second
