"""The ceiling of the sample retailer: nobody passes it, and it answers the study's question."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.sources.sample import SampleConfig, generate
from atelier.studies.recommender_scores import evaluated_customers
from benchmarks.sample_oracle import StudyData, ceiling, oracle_precision, study_data
from resources.retailer import Home

FIRST = date(2025, 3, 3)
ORIGIN = date(2025, 3, 16)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> StudyData:
    """Three weeks of a small shop, of which the last is judged."""
    root = tmp_path_factory.mktemp("retailer")
    generate(root, SampleConfig(customers=400, styles=60, days=21, first_day=FIRST, photographs=False))
    files = sorted((root / "interactions").glob("*.parquet"))
    data = Interactions.from_frame(pd.concat([pd.read_parquet(file) for file in files], ignore_index=True))
    train, truth = data.split_at("2025-03-17")
    snapshots = [file for file in sorted((root / "articles").glob("*.parquet")) if file.stem <= f"ds={ORIGIN}"]
    articles = pd.read_parquet(snapshots[-1])
    starts = pd.to_datetime(articles["available_from"])
    sold = Catalogue.from_frames(articles[starts <= pd.Timestamp(ORIGIN)])
    return StudyData(root, ORIGIN, 7, train.of_kinds(["save", "bag", "purchase"]), truth.of_kinds(["purchase"]), sold)


def test_nobody_passes_the_ceiling(data: StudyData) -> None:
    scores = oracle_precision(data)
    mine = scores[scores["segment"] == "all"].pivot(index="model", columns="metric", values="value")
    assert list(dict.fromkeys(scores["model"])) == ["ceiling", "in stock", "popularity"]
    assert mine.loc["ceiling", "precision"] > 1.5 * mine.loc["popularity", "precision"] > 0
    assert mine.loc["ceiling", "precision"] >= mine.loc["in stock", "precision"] - 0.01
    customers = scores[(scores["segment"] == "all") & (scores["metric"] == "precision")]["customers"]
    assert customers.nunique() == 1
    assert customers.iloc[0] <= len(evaluated_customers(data.train, data.truth))


def test_it_leaves_out_what_the_study_leaves_out(data: StudyData, monkeypatch: pytest.MonkeyPatch) -> None:
    from atelier.studies.recommender_plan import RecommenderStudyPlan, StudiedModel
    from benchmarks import sample_oracle

    made: dict[str, pd.DataFrame] = {}
    real = sample_oracle.evaluate_lists

    def noted(name: str, lists: pd.DataFrame, *rest: object, **named: object) -> object:
        made[name] = lists
        return real(name, lists, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(sample_oracle, "evaluate_lists", noted)
    plan = RecommenderStudyPlan(models={"popularity": StudiedModel(recommender="popular")}, k=10)
    few = data.sold.frame["article_id"].tolist()[:40]
    ceiling(data, plan, "few", few)
    ceiling(data, plan.model_copy(update={"exclude_seen": False}), "again")
    bought = data.train.of_kinds(["purchase"]).to_frame()[["customer_id", "article_id"]].drop_duplicates()
    assert made["few"].merge(bought, on=["customer_id", "article_id"]).empty
    assert not made["again"].merge(bought, on=["customer_id", "article_id"]).empty
    assert set(made["few"]["article_id"]) <= set(few)
    assert set(made["few"]["customer_id"]) == set(evaluated_customers(data.train, data.truth))
    assert made["few"].groupby("customer_id").size().max() == 10


def test_another_retailer_has_no_ceiling(tmp_path: Path) -> None:
    (tmp_path / "atelier.toml").write_text(
        'source = "parquet"\npath = "landing"\nfirst_day = 2025-03-03\ntime_zone = "UTC"\n', encoding="utf-8"
    )
    with pytest.raises(SystemExit, match="serves parquet"):
        study_data(Home(tmp_path), ORIGIN)
