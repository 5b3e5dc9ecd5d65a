"""What the report is told of checks: those of its day, whatever became of other runs."""

from collections.abc import Callable
from datetime import timedelta

import dagster as dg
import pytest

from dagster_project.build import build_defs
from resources.check_history import latest_checks
from tests.end_to_end.house import House

pytestmark = pytest.mark.end_to_end

KEYS = [dg.AssetCheckKey(dg.AssetKey(table), "contract") for table in ("articles", "article_features")]


def test_a_ranged_run_speaks_for_every_day_of_its_range_and_no_other(house: House) -> None:
    first = house.home.settings.first_day
    assert latest_checks(house.instance, KEYS, first)["table"].tolist() == ["articles"]
    assert latest_checks(house.instance, KEYS, house.ds)["table"].tolist() == ["article_features", "articles"]
    assert latest_checks(house.instance, KEYS, first - timedelta(days=1)).empty


def test_a_check_that_was_planned_and_never_made_is_passed_over(make_house: Callable[..., House]) -> None:
    house = make_house()
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_defs(house.home).get_repository_def().get_job("daily_retrain")
        result = job.execute_in_process(
            instance=instance,
            partition_key=house.ds.isoformat(),
            raise_on_error=False,
            asset_selection=[dg.AssetKey("article_features")],
        )
        assert not result.success, "articles are missing: the check was planned, and the step failed before it"
        assert latest_checks(instance, KEYS, house.ds).empty
