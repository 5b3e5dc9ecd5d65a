"""The study as a job: its tables, pictures and kept results, point in time, and what it says where data are missing."""

import shutil
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.pictures import pictures_folder, results_folder
from assets.recommender_study import NAME, RecommenderStudy, _code, _key_figures, _without_sales, study_plan
from assets.report import _recommender_study
from assets.step import Step
from atelier.catalogue import Catalogue
from atelier.report.page import render_page
from atelier.studies import recommender_neighbours
from atelier.studies import recommender_study as study_module
from dagster_project.build import build_defs
from dagster_project.run import run_job
from resources.compute import Compute
from tests.end_to_end.house import HORIZON, House

#: Small and quick: what is tested here is the plumbing.
CONFIG: dict[str, Any] = {"seeds": 2, "shares": [1.0], "factors": 8, "max_epochs": 2, "als": {"iterations": 2}}
MODELS = {"popularity", "collaborative", "content", "hybrid", "als"}
TABLES = ("recommender_study", "recommender_study_tests", "recommender_neighbours")
DAY_OF_VECTORS = ("image_embeddings", "article_features", "article_vectors")


def compare(house: House, ds: date, **changes: Any) -> dg.ExecuteInProcessResult:
    definitions = build_defs(house.home, compute=Compute("cpu", 1))
    config = {"compare_recommenders": CONFIG | changes}
    return run_job(definitions, house.instance, "recommender_study", ds, config=config, log_level="CRITICAL")


def make_vectors(house: House, ds: date) -> None:
    """The vectors of a day, from annotations alone: an attribute model would take longer than all the rest."""
    said = (
        house.store.read("annotated_attributes", ds)
        .to_pandas()
        .assign(
            confidence=None, prediction=None, source="annotated", alternatives=None, model_id=None, text_digest="0" * 64
        )
    )
    said["image_digests"] = [[] for _ in said.index]
    house.store.write("predicted_attributes", ds, said)
    job = build_defs(house.home).get_repository_def().get_job("daily_retrain")
    selected = [dg.AssetKey(name) for name in (*DAY_OF_VECTORS, "vector_space")]
    job.execute_in_process(instance=house.instance, partition_key=ds.isoformat(), asset_selection=selected)


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> Mapping[str, Any]:
    found = result.asset_materializations_for_node("compare_recommenders")
    (event,) = [each for each in found if each.asset_key.path == [asset]]
    return event.metadata


@pytest.fixture(scope="module")
def ready(make_house: Callable[..., House], ingested: House) -> House:
    """A home with everything that the study of its last day reads."""
    house = make_house(like=ingested)
    make_vectors(house, house.ds - timedelta(days=HORIZON))
    return house


@pytest.fixture(scope="module")
def studied(ready: House) -> tuple[House, dg.ExecuteInProcessResult]:
    """The last day, studied."""
    return ready, compare(ready, ready.ds)


def table(house: House, name: str) -> pd.DataFrame:
    return house.store.read(name, house.ds).to_pandas()


def test_the_tables_hold_every_model(studied: tuple[House, dg.ExecuteInProcessResult]) -> None:
    house, _ = studied
    scores = table(house, "recommender_study")
    assert set(scores["model"]) == {*MODELS, "ceiling"}
    everyone = scores[(scores["segment"] == "all") & (scores["metric"] == "precision")].set_index("model")
    assert set(everyone["k"]) == {10}
    assert everyone["customers"].nunique() == 1, "all are judged on the same customers"
    assert everyone.loc["hybrid", "seeds"] == 2
    assert everyone.loc["popularity", "seeds"] == 1, "nothing in it is random"
    assert everyone["value"].idxmax() == "ceiling"
    tests = table(house, "recommender_study_tests")
    assert set(tests["unit"]) == {"customers", "seeds"}
    assert {*tests["model"], *tests["against"]} == MODELS, "the ceiling is no competitor"
    pair = tests[(tests["model"] == "als") & (tests["against"] == "popularity")].set_index("unit")
    expected = everyone.loc["als", "value"] - everyone.loc["popularity", "value"]
    assert pair["difference"].astype(float).tolist() == pytest.approx([expected] * 2)


def test_neighbours_are_of_an_article_that_many_one_that_some_and_one_that_few_chose(
    studied: tuple[House, dg.ExecuteInProcessResult],
) -> None:
    house, _ = studied
    found = table(house, "recommender_neighbours")
    assert set(found["model"]) == MODELS - {"popularity"}
    assert found.groupby(["model", "popularity"])["rank"].agg(list).map(lambda ranks: ranks == [1, 2, 3]).all()
    assert (found["article_id"] != found["similar_article_id"]).all()
    origin = house.ds - timedelta(days=HORIZON)
    with house.store.connect(as_of=origin, tables=["interactions", "article_vectors"]) as con:
        counts = con.sql(
            "SELECT article_id, count(*) AS n FROM interactions SEMI JOIN article_vectors USING (article_id)"
            " WHERE kind IN ('save', 'bag', 'purchase') GROUP BY article_id ORDER BY n DESC, article_id"
        ).df()
    asked = found.drop_duplicates("popularity").set_index("popularity")["article_id"]
    least = counts.sort_values(["n", "article_id"])["article_id"].iloc[0]
    middle = counts["article_id"].iloc[(len(counts) - 1) // 2]
    assert asked.to_dict() == {"most": counts["article_id"].iloc[0], "median": middle, "least": least}


def test_pictures_and_figures_are_metadata_and_files(studied: tuple[House, dg.ExecuteInProcessResult]) -> None:
    house, result = studied
    files = {path.stem: path for path in pictures_folder(house.home.reports, NAME, house.ds).iterdir()}
    assert {"accuracy", "gain_by_share", "by_customers", "neighbours_most", "neighbours_least"} <= set(files)
    assert all(path.read_text().startswith("<svg") for path in files.values())
    assert "data:image/jpeg;base64," in files["neighbours_most"].read_text()
    for asset, name in (("recommender_study", "accuracy"), ("recommender_neighbours", "neighbours_median")):
        shown = metadata(result, asset)[f"picture_{name}"]
        assert isinstance(shown, dg.MarkdownMetadataValue)
        assert "](data:image/svg+xml;base64," in shown.md_str
    figures = metadata(result, "recommender_study")
    assert figures["fits"].value == 9, "four models twice, popularity once"
    assert figures["factors"].value == 8
    scores = table(house, "recommender_study").set_index(["model", "segment", "metric"])["value"]
    assert figures["hybrid_precision"].value == scores["hybrid", "all", "precision"]


def test_a_second_run_fits_nothing_and_gives_the_same_bytes(
    studied: tuple[House, dg.ExecuteInProcessResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    house, _ = studied
    before = house.files(house.ds, *TABLES)
    assert len(before) == 3
    assert len(list(results_folder(house.home.root, NAME, house.ds).iterdir())) == 9 + 4, (
        "fits, and models with neighbours"
    )

    def fitted(*_: object, **__: object) -> None:
        raise AssertionError("it was kept")

    monkeypatch.setattr(study_module, "run_fit", fitted)
    monkeypatch.setattr(recommender_neighbours, "fit_model", fitted)
    compare(house, house.ds)
    assert house.files(house.ds, *TABLES) == before
    monkeypatch.setattr("assets.recommender_study._code", lambda: "other code")
    with pytest.raises(Exception, match="it was kept"):
        compare(house, house.ds)


def test_the_key_figures_of_a_study_of_less_are_its_models_and_the_ceilings() -> None:
    models = {"popularity": (0.5, 0.02), "hybrid": (0.5, 0.04), "ceiling": (1.0, 0.2)}
    rows = [(share, model, "all", "precision", 10, value) for model, (share, value) in models.items()]
    scores = pd.DataFrame(rows, columns=["share", "model", "segment", "metric", "k", "value"])
    expected = {f"{model}_precision": value for model, (_, value) in models.items()}
    assert _key_figures(scores, 10) == expected


@pytest.mark.parametrize("file", ["assets/recommender_study.py", "assets/recommenders.py", "sql/truth.sql"])
def test_what_makes_the_data_is_part_of_the_code(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read, before = Path.read_bytes, _code()
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * path.as_posix().endswith(file))
    assert _code() != before


def test_what_happens_after_the_day_changes_nothing(studied: tuple[House, dg.ExecuteInProcessResult]) -> None:
    house, _ = studied
    earlier = house.ds - timedelta(days=1)
    make_vectors(house, earlier - timedelta(days=HORIZON))
    small = {"models": ["popularity", "als"], "seeds": 1}
    compare(house, earlier, **small)
    before = house.files(earlier, *TABLES)
    shutil.rmtree(results_folder(house.home.root, NAME, earlier))
    empty = house.store.read("interactions", house.ds).slice(0, 0)
    later = house.store.read("interactions", house.ds)
    house.store.write("interactions", house.ds, empty)
    compare(house, earlier, **small)
    house.store.write("interactions", house.ds, later)
    assert house.files(earlier, *TABLES) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"models": ["two_tower"]}, "two_tower.*popularity, collaborative"),
        ({"models": []}, "models"),
        ({"seeds": 0}, "seeds"),
        ({"shares": [1.5]}, "shares"),
        ({"hybrid": {"layers": 2}}, "layers"),
        ({"als": {"iterations": 0}}, "iterations"),
        ({"hybrid": {"mode": "content"}}, "sets mode"),
    ],
)
def test_an_impossible_config_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(dg.Failure, match=words):
        study_plan(RecommenderStudy(**changes), 900)


def test_every_vector_has_the_length_that_als_would_choose() -> None:
    plan = study_plan(RecommenderStudy(models=["als", "hybrid", "content", "repeat"]), 10_000)
    assert list(plan.models) == ["content", "hybrid", "als", "repeat"], "in the order of the tables"
    lengths = {name: each.config.get("factors") for name, each in plan.models.items()}
    assert lengths == {"content": 96, "hybrid": 96, "als": 96, "repeat": None}


def test_days_that_were_not_made_name_the_job_that_makes_them(ready: House, make_house: Callable[..., House]) -> None:
    house = make_house()
    first = house.home.settings.first_day
    origin = house.ds - timedelta(days=HORIZON)

    def copied(table: str, day: date) -> None:
        house.store.write(table, day, ready.store.read(table, day))

    with pytest.raises(Exception, match=rf"before the first day, {first}"):
        compare(house, first)
    with pytest.raises(Exception, match=rf"--job ingest --partition-range {origin + timedelta(days=1)}...{house.ds}"):
        compare(house, house.ds)
    for days in range(HORIZON):
        copied("interactions", house.ds - timedelta(days=days))
    with pytest.raises(Exception, match=rf"articles.*dg launch --job ingest --partition {origin}"):
        compare(house, house.ds)
    copied("articles", origin)
    with pytest.raises(Exception, match=rf"dg launch --job daily_retrain --partition {origin}"):
        compare(house, house.ds)
    assert not (house.home.root / "studies").exists()


def test_the_report_shows_the_newest_study_not_later_than_its_day(
    studied: tuple[House, dg.ExecuteInProcessResult],
) -> None:
    house, _ = studied

    def shown(ds: date) -> str:
        step = SimpleNamespace(store=house.store, ds=ds, home=house.home)
        return render_page("x", ds, [_recommender_study(cast("Step", step))])

    origin = house.ds - timedelta(days=HORIZON)
    later = shown(house.ds + timedelta(days=9))
    assert f"Study of {house.ds}" in later
    assert f"Lists made on {origin}, evaluated on {origin + timedelta(days=1)} … {house.ds}." in later
    assert "data:image/jpeg;base64," in later
    first = house.home.settings.first_day
    assert f"dg launch --job recommender_study --partition {first}" in shown(first)


def test_content_knows_nothing_of_the_interactions_that_are_left_out() -> None:
    vectors = np.array([[0.6, 0.8, 0.1], [0.0, 1.0, 0.2]], dtype=np.float32)
    names = ["attributes: colour=blue", "popularity: popularity", "text: popularity"]
    sold = Catalogue.from_frames(pd.DataFrame({"article_id": ["a", "b"]}), vectors, names)
    np.testing.assert_array_equal(_without_sales(sold).vectors[:, 1], 0)
    np.testing.assert_array_equal(_without_sales(sold).vectors[:, [0, 2]], vectors[:, [0, 2]])
    np.testing.assert_array_equal(sold.vectors, vectors)
    bare = Catalogue.from_frames(pd.DataFrame({"article_id": ["a"]}))
    assert _without_sales(bare) is bare
