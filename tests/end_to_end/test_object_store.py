"""A home whose store is on object storage: the whole DAG makes there what it makes in a folder, byte for byte."""

import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from assets.publishing import rows_not_shown
from assets.report import report_path
from dagster_project.cli import cli
from resources.doctor import examine
from resources.model_store import ModelStore
from resources.publishing import COPY
from resources.retailer import Home
from resources.settings_file import write_settings
from resources.store_owner import StoreTaken
from resources.usage_lock import in_use
from tests.end_to_end.house import House
from tests.end_to_end.night_on_objects import RECOMMENDERS

pytestmark = [pytest.mark.end_to_end, pytest.mark.nightly]

REPOSITORY = Path(__file__).resolve().parents[2]
#: What depends neither on days that were made before (as does what an attribute champion predicted, and what follows
#: from it) nor on other recommenders: the house has more of both.
SAME = {
    *(
        "annotated_attributes",
        "articles",
        "customers",
        "images",
        "interactions",
        "outfits",
        "outfit_feedback",
        "rejected",
    ),
    *("attribute_metrics", "image_embeddings", "recommendations", "similar_articles"),
}
SAME_MODELS = {"als_model", "attribute_model", "image_index"}


@pytest.fixture(scope="module")
def night(house: House, object_server: str, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home of the house's retailer with its store on object storage, after a night. Do not change it."""
    home = Home(tmp_path_factory.mktemp("on-objects"))
    changed = {"store": "s3://atelier-tests/a night/store", "recommenders": RECOMMENDERS}
    write_settings(home, house.home.settings.model_copy(update=changed))
    days = [home.settings.first_day.isoformat(), house.ds.isoformat()]
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "tests" / "end_to_end" / "night_on_objects.py"), str(home.root), *days],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return home


def files(home: Home, ds: date) -> dict[tuple[str, str | None], str]:
    pointers = home.open_store().pointers()
    return {(each.table, each.part): each.data_version for each in pointers if each.ds == ds and each.table in SAME}


def test_the_same_files_lie_there_as_in_a_folder(house: House, night: Home) -> None:
    mine, theirs = files(night, house.ds), files(house.home, house.ds)
    assert {table for table, _ in mine} == SAME
    assert mine == {name: theirs[name] for name in mine}
    models = ModelStore(night.storage)
    assert {name: models.pointer(name, house.ds) for name in SAME_MODELS} == {
        name: identity for name, identity in house.models(house.ds).items() if name in SAME_MODELS
    }
    assert sorted(path.name for path in night.store.iterdir()) == ["_copies", "_locks", "_staging", "home.json"]


def test_the_database_shows_the_day_and_nothing_is_broken(house: House, night: Home) -> None:
    assert rows_not_shown(night.open_store(), night.database, [house.ds]) == {house.ds: {}}
    assert night.storage.size(COPY) == night.database.stat().st_size
    broken = [finding for finding in examine(night).broken if "dagster.yaml" not in finding.file]
    assert broken == [], "the house has no settings of Dagster's"


def test_another_machine_reads_the_night_and_may_not_write(
    house: House, night: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Home(tmp_path)
    shutil.copy(night.toml, other.toml)
    monkeypatch.setenv("ATELIER_HOME", str(other.root))
    models = ModelStore(other.storage)
    assert models.bundle("als_model", models.pointer("als_model", house.ds)).path.is_relative_to(other.store)
    for command in (["report", "--print"], ["publish"], ["vacuum"], ["superseded"]):
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0, (command, done.output)
    page = report_path(other.reports, house.ds)
    assert page.read_bytes() == report_path(night.reports, house.ds).read_bytes()
    with pytest.raises(StoreTaken, match="another home writes into s3://"), in_use(other):
        pytest.fail("two homes would overwrite each other's work")
