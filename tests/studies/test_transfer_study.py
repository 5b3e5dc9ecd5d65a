"""From a large market to a small one: what is compared, and that what was learned of the large one counts."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from atelier.interactions import Interactions
from atelier.recommenders.sequential.warm_start import WarmStartError
from atelier.studies.recommender_plan import StudiedModel
from atelier.studies.recommender_scores import RecommenderFitResult, StudyError
from atelier.studies.recommender_study import fit_model
from atelier.studies.results_cache import ResultsCache
from atelier.studies.sequence_tables import sequence_table
from atelier.studies.transfer_study import TransferPlan, run_transfer
from tests.recommenders.sequential.circle import circle
from tests.recommenders.sequential.test_sequential import LEARNS, SMALL

CONFIG: dict[str, Any] = LEARNS | SMALL["transformer"] | {"max_epochs": 20}
MODEL = StudiedModel(recommender="transformer", config=CONFIG)
LARGE = Interactions.from_frame(circle(300))
FEW, TRUTH = Interactions.from_frame(circle(30, seed=7)).leave_last_out()
PLAN = TransferPlan(
    model=MODEL,
    tuned={"max_epochs": 2, "embedding_learning_rate": 0.005},
    als={"factors": 4, "iterations": 2, "threads": 1},
    k=1,
)


def found(results: list[RecommenderFitResult]) -> dict[str, float]:
    table = sequence_table({"transfer": results})
    rows = table[table["metric"] == "hit_rate"]
    return dict(zip(rows["variant"], rows["value"].astype(float), strict=True))


def test_what_was_learned_of_the_large_market_counts_in_the_small_one(tmp_path: Path) -> None:
    cache, data = ResultsCache(tmp_path), {"data": "circle"}
    results = run_transfer(LARGE, FEW, TRUTH, PLAN, cache=cache, data=data)
    values = found(results)
    assert list(values) == ["popular", "als", "small alone", "large, not tuned", "large, tuned on small"]
    assert values["large, not tuned"] > 0.8
    assert values["large, tuned on small"] > 0.8
    assert values["small alone"] < 0.6
    assert {result.interactions for result in results} == {len(FEW)}
    # All is kept, and the kept results are the results.
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(kept) == 5
    assert found(run_transfer(LARGE, FEW, TRUTH, PLAN, cache=cache, data=data)) == values
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept


def test_what_cannot_be_transferred_is_named() -> None:
    als = StudiedModel(recommender="als", config={"factors": 4, "threads": 1})
    with pytest.raises(StudyError, match="als cannot start from als: take sequencer or transformer"):
        fit_model(FEW, als, warm_start=fit_model(FEW, als))
    changed = PLAN.model_copy(update={"tuned": {"blocks": 2}, "model": MODEL.model_copy()})
    with pytest.raises(WarmStartError, match="layers differ"):
        run_transfer(FEW, FEW, TRUTH, changed)
    with pytest.raises(ValidationError, match="seeds"):
        TransferPlan(model=MODEL, seeds=())
