"""The facts of a day and what changed: each query on a few rows, and the day of the small retailer."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg
import duckdb
import pytest

from assets.report import report_path
from atelier.report.index import INDEX
from dagster_project.build import build_defs
from sql import query
from tests.end_to_end.house import HORIZON, JUDGED, House


def ask(name: str, tables: Mapping[str, tuple[str, Sequence[tuple[Any, ...]]]], **params: Any) -> list[tuple[Any, ...]]:
    """The rows of a query of :mod:`sql` over small tables, each given by its columns and rows."""
    with duckdb.connect() as con:
        for table, (columns, rows) in tables.items():
            con.execute(f'CREATE TABLE "{table}" ({columns})')
            for row in rows:
                con.execute(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(row))})', row)  # noqa: S608
        return con.execute(query(name), params).fetchall()


def test_who_is_served_by_what() -> None:
    lists = [
        ("als", "excluded", "c1", 1, False),
        ("als", "excluded", "c1", 2, False),
        ("als", "excluded", "c2", 1, True),  # has only looked at something
        ("als", "excluded", "c3", 1, True),  # has bought something that als cannot use
        ("als", "allowed", "c1", 1, False),
        ("hybrid", "allowed", "c1", 1, False),
        ("hybrid", "allowed", "c2", 1, False),
        ("hybrid", "excluded", "c1", 1, True),
    ]
    columns = "model VARCHAR, seen VARCHAR, customer_id VARCHAR, rank INTEGER, fallback BOOLEAN"
    events = [("c1", "purchase"), ("c2", "view"), ("c3", "save"), ("c3", "bag")]
    tables = {"recommendations": (columns, lists), "interactions": ("customer_id VARCHAR, kind VARCHAR", events)}
    rows = ask("served_lists", tables, kinds=["save", "bag", "purchase"])
    assert rows == [("als", 3, 2, 1), ("hybrid", 2, 0, 0)]


def test_values_by_source() -> None:
    rows = [("fit", "annotated"), ("fit", "abstained"), ("fit", "abstained"), ("colour", "predicted")]
    found = ask("values_by_source", {"predicted_attributes": ("attribute VARCHAR, source VARCHAR", rows)})
    assert found == [("colour", 0, 1, 0), ("fit", 1, 0, 2)]


def test_articles_without_neighbours() -> None:
    similar = [("als", "a1"), ("als", "a1"), ("hybrid", "a1"), ("hybrid", "a2"), ("als", "no article of the day")]
    tables = {
        "articles": ("article_id VARCHAR", [("a1",), ("a2",), ("a3",)]),
        "similar_articles": ("model VARCHAR, article_id VARCHAR", similar),
    }
    assert ask("without_neighbours", tables) == [("als", 3, 2), ("hybrid", 3, 1), (None, 3, 1)]
    nothing = {**tables, "similar_articles": ("model VARCHAR, article_id VARCHAR", [])}
    assert ask("without_neighbours", nothing) == [(None, 3, 3)]


def test_what_changed_of_articles() -> None:
    columns = "article_id VARCHAR, price DECIMAL(18,9), in_stock BOOLEAN"
    before = [("gone", 1, True), ("same", 1, True), ("price", 29.99, True), ("null", 5, True), ("out", 1, True)]
    after = [("new", 1, True), ("new2", 1, True), ("same", 1, True), ("price", 20, True), ("null", None, True)]
    tables = {
        "articles_before": (columns, [*before, ("back", 1, False)]),
        "articles": (columns, [*after, ("out", 1, False), ("back", 1, True)]),
    }
    assert ask("article_changes", tables, examples=1) == [
        ("article_back", 1, "back", None, None, None),
        ("article_gone", 1, "gone", None, None, None),
        ("article_new", 2, "new", None, None, None),
        ("article_price", 2, "null", None, "5", None),
        ("article_sold_out", 1, "out", None, None, None),
    ]
    priced = [row for row in ask("article_changes", tables, examples=9) if row[0] == "article_price"]
    assert priced[1] == ("article_price", 2, "price", None, "29.99", "20")


def test_what_changed_of_customers() -> None:
    column = "customer_id VARCHAR"
    tables = {"customers_before": (column, [("c1",), ("c2",)]), "customers": (column, [("c2",), ("c3",), ("c4",)])}
    assert ask("customer_changes", tables, examples=1) == [
        ("customer_gone", 1, "c1", None, None, None),
        ("customer_new", 2, "c3", None, None, None),
    ]


def test_what_changed_of_labels() -> None:
    columns = "article_id VARCHAR, attribute VARCHAR, value VARCHAR"
    tables = {
        "annotated_attributes_before": (columns, [("a", "fit", "slim"), ("b", "fit", "slim"), ("c", "fit", "slim")]),
        "annotated_attributes": (columns, [("a", "fit", "slim"), ("b", "fit", "loose"), ("b", "heel", "flat")]),
    }
    assert ask("label_changes", tables, examples=3) == [
        ("label_changed", 1, "b", "fit", "slim", "loose"),
        ("label_gone", 1, "c", "fit", "slim", None),
        ("label_new", 1, "b", "heel", None, "flat"),
    ]


def test_what_changed_of_predicted_values() -> None:
    columns = "article_id VARCHAR, attribute VARCHAR, value VARCHAR, source VARCHAR"
    before = [("a", "slim", "predicted"), ("b", "slim", "predicted"), ("c", "slim", "abstained")]
    after = [("a", "loose", "predicted"), ("b", "slim", "abstained"), ("c", "loose", "predicted")]
    more = [("d", "slim", "predicted")], [("d", "loose", "annotated")]  # people say so now: no change of the model
    rows = [[(article, "fit", *rest) for article, *rest in day] for day in ([*before, *more[0]], [*after, *more[1]])]
    tables = {"predicted_attributes_before": (columns, rows[0]), "predicted_attributes": (columns, rows[1])}
    assert ask("value_changes", tables, examples=3) == [
        ("value_abstained", 1, "b", "fit", "slim", "slim"),
        ("value_changed", 2, "a", "fit", "slim", "loose"),
        ("value_changed", 2, "c", "fit", "slim", "loose"),
        ("value_single", 1, "c", "fit", "slim", "loose"),
    ]


@pytest.mark.end_to_end
class TestDay:
    """The days of the small retailer."""

    def test_the_page_opens_with_the_day(self, house: House) -> None:
        page = report_path(house.home.reports, house.ds).read_text()
        assert page.index('<section id="this-day"') == page.index("<section id=")
        (day,) = (
            house.store.connect(as_of=house.ds, tables=["recommendations"])
            .sql(
                "SELECT count(*), count(*) FILTER (WHERE fallback) FROM recommendations"
                " WHERE model = 'als' AND seen = 'excluded' AND rank = 1"
            )
            .fetchall()
        )
        customers, fallback = day
        assert f"{customers - fallback} of {customers} customers have a list of als" in page
        assert f"The lists made on {house.ds - timedelta(days=HORIZON)} were judged" in page

    def test_the_first_day_names_the_command_that_judges_its_lists(self, house: House) -> None:
        early = house.ds - timedelta(days=HORIZON)
        page = report_path(house.home.reports, early).read_text()
        assert f"<code>dg launch --job judge --partition {house.ds}</code>" in page
        waiting = f"<code>dg launch --job judge --partition {early}</code>"
        assert (waiting in page) == (early - timedelta(days=HORIZON) >= house.home.settings.first_day)

    def test_all_days_lead_to_each_other(self, house: House) -> None:
        early, folder = house.ds - timedelta(days=HORIZON), house.home.reports
        index = (folder / INDEX).read_text()
        assert index.index(f'href="ds={house.ds}.html"') < index.index(f'href="ds={early}.html"')
        assert f'rel="prev" href="ds={early}.html"' in report_path(folder, house.ds).read_text()
        for page in (folder / f"ds={house.ds}-lineage").glob("*.html"):
            assert f'href="../ds={house.ds}.html#lineage"' in page.read_text()

    def test_the_report_again_gives_the_same_bytes(self, house: House) -> None:
        folder = house.home.reports
        early = house.ds - timedelta(days=HORIZON)
        job = build_defs(house.home).get_repository_def().get_job("judge")
        written = []
        for _ in range(2):  # other houses share the storage of checks, so only two reports in a row are comparable
            made = job.execute_in_process(
                instance=house.instance, partition_key=house.ds.isoformat(), asset_selection=[dg.AssetKey("report")]
            )
            assert made.success
            written.append({path: path.read_bytes() for path in folder.rglob("*.html")})
        before, after = written
        assert after == before
        assert report_path(folder, early) in before


@pytest.mark.end_to_end
def test_a_judge_that_judges_nothing_says_so_everywhere(make_house: Callable[..., House]) -> None:
    """Not green: both checks warn with the commands, and the run has a tag that names them; nothing is written."""
    house = make_house()
    origin = house.ds - timedelta(days=HORIZON)
    result = house.run("judge", house.ds)
    retrain = f"dg launch --job daily_retrain --partition {origin}"
    again = f"dg launch --job judge --partition {house.ds}"
    found = {each.check_name: each for each in result.get_asset_check_evaluations() if each.check_name != "contract"}
    for name in ("judged", "enough_customers"):
        assert not found[name].passed
        assert retrain in str(found[name].description)
        assert again in str(found[name].description)
    run = house.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags["atelier/judged"].startswith("nothing: ")
    assert retrain in run.tags["atelier/judged"]
    assert not house.files(house.ds, *JUDGED)
    # A backfill counts what was materialised: it is not to fail while its runs succeed.
    materialised = {
        str(each.asset_key.to_user_string()): each for each in result.asset_materializations_for_node("offline_metrics")
    }
    assert materialised.keys() == {"offline_metrics", "customer_metrics", "model_comparisons"}
    assert retrain in str(materialised["offline_metrics"].metadata["judged"].value)
    assert all(each.metadata["missing"].value == "nothing was written" for each in materialised.values())


@pytest.mark.end_to_end
def test_before_the_first_lists_the_judge_names_the_day_that_judges_this_one(make_house: Callable[..., House]) -> None:
    house = make_house()
    first: date = house.home.settings.first_day
    judge = build_defs(house.home).get_repository_def().get_job("judge")
    result = judge.execute_in_process(
        instance=house.instance,
        partition_key=first.isoformat(),
        asset_selection=[dg.AssetKey(table) for table in sorted(JUDGED)],
    )
    (judged,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "judged"]
    assert not judged.passed
    assert f"dg launch --job judge --partition {first + timedelta(days=HORIZON)}" in str(judged.description)
