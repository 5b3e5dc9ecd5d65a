"""`atelier report` opens the newest page, and says what writes one where there is none."""

import webbrowser
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from dagster_project.cli import cli
from resources.retailer import Home, Settings
from resources.settings_file import write_settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = Home(tmp_path)
    write_settings(made, Settings(source="sample", path="retailer", first_day=date(2025, 1, 1)))
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    return made


@pytest.mark.parametrize(("browser", "said"), [(True, ""), (False, "no browser was found here")])
def test_the_newest_page_is_opened(home: Home, monkeypatch: pytest.MonkeyPatch, browser: bool, said: str) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or browser)
    home.reports.mkdir()
    for name in ("ds=2025-01-02", "ds=2025-01-10", "ds=2025-01-10-map", "index"):
        (home.reports / f"{name}.html").touch()
    done = CliRunner().invoke(cli, ["report"])
    assert done.exit_code == 0
    assert opened == [(home.reports / "ds=2025-01-10.html").as_uri()]
    assert opened[0] in done.output
    assert said in done.output
    CliRunner().invoke(cli, ["report", "--print"])
    assert len(opened) == 1


def test_without_a_page_the_job_is_named(home: Home) -> None:
    done = CliRunner().invoke(cli, ["report"])
    assert "daily_retrain" in str(done.exception)
