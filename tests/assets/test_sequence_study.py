"""The study of sequence models as a job: its table and pictures, what it kept, and what it refuses."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.pictures import pictures_folder, results_folder
from assets.sequence_study import NAME, SequenceStudy, plan_of, some_customers
from atelier.interactions import Interactions
from dagster_project.build import build_defs
from dagster_project.run import run_job
from resources.compute import Compute
from tests.end_to_end.house import House

SMALL: dict[str, Any] = {"factors": 8, "hidden": [8], "max_epochs": 1, "history": 6}
CONFIG: dict[str, Any] = {
    "parts": ["order", "history"],
    "histories": [2, 5],
    "seeds": 1,
    "customers": 200,
    "transformer": SMALL | {"heads": 2},
}


@pytest.mark.end_to_end
def test_the_study_of_a_day(house: House) -> None:
    definitions = build_defs(house.home, compute=Compute("cpu", 1))
    config = {"compare_sequence_models": CONFIG}
    run_job(definitions, house.instance, NAME, house.ds, config=config, log_level="CRITICAL")
    table = house.store.read(NAME, house.ds).to_pandas()
    variants = table.groupby("part").variant.unique().map(set).to_dict()
    assert variants == {"order": {"kept", "within_days", "shuffled"}, "history": {"2", "5"}}
    assert table.loc[table.metric == "hit_rate", "value"].between(0, 1).all()
    assert (table.seconds > 0).all()
    pictures = pictures_folder(house.home.reports, NAME, house.ds)
    assert {path.name for path in Path(pictures).iterdir()} == {"order.svg", "history.svg"}
    # What is kept is used again: nothing is fitted a second time.
    kept = {path: path.stat().st_mtime_ns for path in results_folder(house.home.root, NAME, house.ds).rglob("*.json")}
    assert len(kept) == 5
    run_job(definitions, house.instance, NAME, house.ds, config=config, log_level="CRITICAL")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    pd.testing.assert_frame_equal(house.store.read(NAME, house.ds).to_pandas(), table)
    assert house.ds - timedelta(days=house.home.settings.horizon) >= house.home.settings.first_day


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"parts": ["sizes"]}, "parts"),
        ({"studied": "gru"}, "studied is 'gru'; there are transformer"),
        ({"transformer": {"layers": 2}}, "layers"),
        ({"seeds": 0}, "seeds"),
    ],
    ids=["part", "model", "field", "seeds"],
)
def test_what_cannot_be_used_is_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(dg.Failure, match=message):
        plan_of(SequenceStudy(**config))


def test_the_same_customers_are_chosen_each_time() -> None:
    rows = np.repeat(np.arange(30), 2)
    train = Interactions.from_frame(
        pd.DataFrame({"customer_id": [f"c{row:02d}" for row in rows], "article_id": ["a", "b"] * 30})
    )
    few = some_customers(train, 10)
    assert len(few.customer_ids) == 10
    assert len(few) == 20
    assert few.customer_ids.values.equals(some_customers(train, 10).customer_ids.values)
    assert some_customers(train, None) is train
    assert some_customers(train, 30) is train
