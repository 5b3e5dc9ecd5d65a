"""A home whose store is on object storage: the whole DAG makes there what it makes in a folder, byte for byte."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from resources.retailer import Home, write_settings
from tests.end_to_end.house import House
from tests.end_to_end.night_on_objects import RECOMMENDERS

pytestmark = pytest.mark.end_to_end

REPOSITORY = Path(__file__).resolve().parents[2]
#: Tables that also depend on which other days were made before, or on which recommenders there are.
OF_OTHER_DAYS = {"drift", "champions", "gates", "business_figures", "offline_metrics", "customer_metrics"}
OF_RECOMMENDERS = {"day_figures", "retrieval_recall"}


@pytest.fixture(scope="module")
def night(house: House, object_server: str, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home of the house's retailer with its store on object storage, after a night. Do not change it."""
    home = Home(tmp_path_factory.mktemp("on-objects"))
    settings = house.home.settings.model_copy(
        update={"store": "s3://atelier-tests/a night/store", "recommenders": RECOMMENDERS}
    )
    write_settings(home, settings)
    script = str(REPOSITORY / "tests" / "end_to_end" / "night_on_objects.py")
    days = [settings.first_day.isoformat(), house.ds.isoformat()]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, script, str(home.root), *days], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return home


def files(home: Home, ds: date) -> dict[str, str]:
    return {f"{each.table}/{each.part}": each.data_version for each in home.open_store().pointers() if each.ds == ds}


def test_the_same_files_lie_there_as_in_a_folder(house: House, night: Home) -> None:
    mine, theirs = files(night, house.ds), files(house.home, house.ds)
    assert {"articles/None", "recommendations/als", "predicted_attributes/None", "outfits/None"} <= mine.keys()
    compared = [name for name in mine if name.split("/")[0] not in OF_OTHER_DAYS | OF_RECOMMENDERS]
    print("DIFF", [name for name in mine if mine[name] != theirs.get(name)], len(compared))
    assert len(compared) > 20
    assert {name: mine[name] for name in compared} == {name: theirs.get(name) for name in compared}
