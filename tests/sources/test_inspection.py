"""Everything that is wrong with a landing zone is told before anything is stored, and by the command too."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from atelier.sources import open_source
from atelier.sources.inspection import Inspection, inspect
from dagster_project import cli

pytestmark = pytest.mark.hostile


def found(zone: Any) -> dict[str, Inspection]:
    return {one.table: one for one in inspect(open_source("parquet", zone.root), zone.days)}


def checked(zone: Any, *arguments: str) -> Result:
    return CliRunner().invoke(cli.cli, ["check", str(zone.root), *arguments])


def bought(article: str | None, **values: Any) -> dict[str, Any]:
    moment = datetime(2020, 9, 1, 12)
    right = {"customer_id": "u", "article_id": article, "occurred_at": moment, "kind": "purchase", "price": 1.0}
    return right | values


def test_right_files_have_no_faults(zone: Any) -> None:
    for one in found(zone).values():
        assert (one.faults, one.fatal, one.rejected) == ([], None, 0)
        assert one.days == len(zone.days)
    result = checked(zone)
    assert result.exit_code == 0, result.output
    assert "A run would store every row." in result.output


def test_faults_are_counted_by_file_column_and_reason(zone: Any) -> None:
    rows = [bought("a"), bought("zz"), bought("zz"), bought(None), bought("a", price=-1.0)]
    zone.put("interactions", zone.days[0], rows)
    one = found(zone)["interactions"]
    shown = [(f.column, f.rows, f.first_row, f.rejected) for f in one.faults]
    assert shown == [("article_id", 2, 2, True), ("article_id", 1, 4, True), ("price", 1, 5, False)]
    assert {fault.file for fault in one.faults} == {f"interactions/ds={zone.days[0]}.parquet"}
    assert one.faults[0].record is not None
    assert '"zz"' in one.faults[0].record
    result = checked(zone)
    assert result.exit_code == 0
    assert "column 'article_id': 2 rows rejected: " in result.output
    assert "A run would reject 3 rows and store the rest." in result.output


def test_rows_of_interactions_add_up_over_days_and_a_snapshot_counts_once(zone: Any) -> None:
    zone.put("interactions", zone.days[0], [bought("a")] * 3)
    before = found(zone)
    zone.put("interactions", zone.days[1], [bought("b", occurred_at=datetime(2020, 9, 2, 9))] * 2)
    after = found(zone)
    assert after["interactions"].rows_in == before["interactions"].rows_in + 2
    assert after["articles"].rows_in == before["articles"].rows_in == 2


def test_a_fault_of_a_file_that_is_read_again_counts_once(zone: Any) -> None:
    zone.put("annotated_attributes", zone.days[0], [{"article_id": "zz", "attribute": "colour", "value": "red"}])
    zone.put("articles", zone.days[1], [{"article_id": name, "in_stock": True} for name in ("a", "b", "c")])
    one = found(zone)["annotated_attributes"]
    assert [(fault.reason.split()[0], fault.rows) for fault in one.faults] == [("is", 1)]


def test_what_stops_one_table_does_not_hide_the_others(zone: Any) -> None:
    zone.put("articles", zone.days[0], [{"article_id": "a"}])  # no in_stock
    zone.put("customers", zone.days[0], [{"customer_id": "u", "age": 200}])
    tables = found(zone)
    assert tables["articles"].fatal is not None
    assert "in_stock" in tables["articles"].fatal
    assert [fault.column for fault in tables["customers"].faults] == ["age"]
    result = checked(zone)
    assert result.exit_code == 1
    assert "A run would stop at articles" in result.output


def test_a_missing_table_is_fatal_where_nothing_can_be_done_without(zone: Any) -> None:
    for file in (zone.root / "customers").iterdir():
        file.unlink()
    tables = found(zone)
    assert tables["customers"].fatal is not None
    assert "outfits" not in tables


def test_days_and_options_of_the_command(zone: Any) -> None:
    first = str(zone.days[0])
    assert "1 day," in checked(zone, "--last-day", first).output
    refused = checked(zone, "--first-day", str(zone.days[1]), "--last-day", first)
    assert refused.exit_code == 2
    assert "is before the first" in refused.output
    assert checked(zone, "--option", "nonsense").exit_code == 2


def test_control_characters_of_files_do_not_reach_the_terminal(zone: Any) -> None:
    zone.put("interactions", zone.days[0], [bought("\x1b[31mred")])
    result = checked(zone)
    assert "rejected" in result.output
    assert "\x1b" not in result.output


def test_the_template_names_every_file_and_makes_a_right_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(cli.cli, ["init", "--source", "parquet"])
    assert result.exit_code == 2
    for expected in ("interactions/ds=YYYY-MM-DD.parquet (required)", "occurred_at", "view, save, bag, purchase"):
        assert expected in result.output
    monkeypatch.chdir(tmp_path)
    code = result.output.split("from pandas:\n")[1].split("Then:")[0]
    frames = """
from datetime import datetime
import pandas as pd
articles = pd.DataFrame({"article_id": ["a"], "in_stock": [True]})
customers = pd.DataFrame({"customer_id": ["u"]})
interactions = articles[["article_id"]].assign(
    customer_id="u", occurred_at=datetime(2025, 3, 3, 9), kind="purchase"
)
"""
    program = frames + "\n".join(line.removeprefix("    ") for line in code.splitlines())
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    done = CliRunner().invoke(cli.cli, ["check", "zone"])
    assert (done.exit_code, "A run would store every row." in done.output) == (0, True), done.output
