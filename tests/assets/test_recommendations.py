"""The models of a day through the DAG: who is fitted on what, whose lists say why, the index, neighbours."""

import shutil
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from assets.attention import attention_of
from assets.daily import STAGES
from assets.report import EXPLAINED, report_path
from atelier import recommenders
from atelier.articles.vectors import ArticleVectors
from atelier.catalogue import Catalogue
from atelier.recommenders import DAILY, MODELS
from atelier.recommenders.article_index import ArticleIndex
from atelier.recommenders.content_explanation import labels_of
from atelier.recommenders.explanations import Explaining
from atelier.recommenders.factorisation.hybrid import Hybrid
from atelier.recommenders.vector_model import VectorRecommender
from dagster_project.build import build_defs
from resources.model_store import Bundle, ModelStore
from resources.retailer import Home
from sql import query
from tests.end_to_end.house import House


def bundle(house: House, name: str) -> Bundle:
    models = ModelStore(house.home.store)
    return models.bundle(name, models.pointer(name, house.ds))


def test_every_declared_model_has_its_stages() -> None:
    by_name = {each.name: each for each in STAGES}
    for name, declared in MODELS.items():
        fit, lists = by_name[f"{name}_model"], by_name[f"recommendations_{name}"]
        assert fit.config is not None
        assert issubclass(fit.config, declared.config)
        assert fit.description == declared.summary
        assert ("article_vectors" in fit.deps) == declared.reads_content
        assert ("article_vectors" in lists.deps) == declared.reasons_from_content
        assert {f"{name}_model", "popular_model"} <= set(lists.deps)
        assert (f"similar_articles_{name}" in by_name) == declared.has_vectors


@pytest.mark.end_to_end
class TestDay:
    """A day of the small retailer."""

    def test_hybrid_reads_the_vectors_of_the_day(self, house: House) -> None:
        manifest = bundle(house, "hybrid_model").manifest
        assert manifest.upstreams["vector_space"] == bundle(house, "vector_space").model_id
        assert {"interactions", "articles", "customers", "article_vectors"} <= manifest.upstreams.keys()
        model = recommenders.load(bundle(house, "hybrid_model").path)
        assert isinstance(model, Hybrid)
        network = model.content_network()
        assert network is not None
        assert len(network.first) == ArticleVectors.load(bundle(house, "vector_space").path).dimension

    @pytest.mark.parametrize("seen", ["excluded", "allowed"])
    @pytest.mark.parametrize("name", DAILY)
    def test_reasons_are_there_where_a_model_can_say_them(self, house: House, name: str, seen: str) -> None:
        lists = house.store.read("recommendations", house.ds).to_pandas()
        lists = lists[(lists["model"] == name) & (lists["seen"] == seen)]
        explains = isinstance(recommenders.load(bundle(house, f"{name}_model").path), Explaining)
        assert explains == (name in ("als", "hybrid", "transformer", "two_stage"))
        expected = (lists["rank"] <= 10) & ~lists["fallback"] & explains & (seen == "excluded")
        assert (lists["reasons"].notna() == expected).all()
        if expected.any():
            found = lists.loc[expected, "reasons"]
            assert expected.sum() > 500
            assert found.map(len).max() <= 4
            assert (found.map(len) > 0).mean() > 0.9

    def test_reasons_of_hybrid_are_parts_of_its_scores(self, house: House) -> None:
        lists = house.store.read("recommendations", house.ds).to_pandas()
        lists = lists[(lists["model"] == "hybrid") & lists["reasons"].notna()]
        rows = lists.explode("reasons").dropna(subset=["reasons"])
        reasons = pd.json_normalize(rows["reasons"].tolist())
        assert (reasons["weight"] > 0).all()
        assert set(reasons["kind"]) == {"article", "attribute"}
        with house.store.connect(as_of=house.ds, tables=["interactions"]) as con:
            chosen = con.sql("SELECT DISTINCT customer_id, article_id FROM interactions WHERE kind <> 'view'").df()
        own = reasons["kind"].to_numpy() == "article"
        pairs = pd.DataFrame({"customer_id": rows["customer_id"].to_numpy()[own], "article_id": reasons["value"][own]})
        assert len(pairs.merge(chosen)) == len(pairs), "a reason is an article that the customer chose"
        names = ArticleVectors.load(bundle(house, "vector_space").path).names
        assert set(reasons["value"][~own]) <= set(labels_of(names))

    def test_stored_reasons_are_those_of_the_model_and_the_day(self, house: House) -> None:
        lists = house.store.read("recommendations", house.ds).to_pandas()
        lists = lists[(lists["seen"] == "excluded") & lists["reasons"].notna()]
        names = ArticleVectors.load(bundle(house, "vector_space").path).names
        articles = house.store.read("articles", house.ds).to_pandas()
        catalogue = Catalogue.from_frames(articles, house.store.read("article_vectors", house.ds), names)
        for name in ("als", "hybrid"):
            rows = lists[lists["model"] == name].sample(200, random_state=0)
            model = recommenders.load(bundle(house, f"{name}_model").path)
            assert isinstance(model, Explaining)
            for stored, made in zip(rows["reasons"], model.explain(rows, catalogue).to_pylist(), strict=True):
                assert [r["value"] for r in stored] == [r["value"] for r in made]
                assert [r["weight"] for r in stored] == pytest.approx([r["weight"] for r in made], rel=1e-3, abs=1e-6)

    def test_the_index_is_that_of_the_days_als(self, house: House) -> None:
        manifest = bundle(house, "article_index").manifest
        assert manifest.upstreams == {"als_model": bundle(house, "als_model").model_id}
        index = ArticleIndex.load(bundle(house, "article_index").path)
        model = recommenders.load(bundle(house, "als_model").path)
        assert isinstance(model, VectorRecommender)
        assert (index.config.trees, index.dimension, index.model) == (5, 8, "als")
        stored = house.store.read("similar_articles", house.ds, part="als").to_pandas()
        article = stored["article_id"].iloc[0]
        near = set(index.similar([article])["similar_article_id"])
        assert len(near & set(stored[stored["article_id"] == article]["similar_article_id"])) >= 9
        curve = pd.read_parquet(bundle(house, "article_index").path / "recall.parquet")
        assert curve[curve["used"]]["recall"].min() > 0.9

    def test_neighbours_by_every_model_with_vectors(self, house: House) -> None:
        near = house.store.read("similar_articles", house.ds).to_pandas()
        assert set(near["model"]) == {"image", *(name for name, declared in DAILY.items() if declared.has_vectors)}
        assert (near["article_id"] != near["similar_article_id"]).all()
        assert near.groupby(["model", "article_id"]).size().eq(10).all()

    def test_every_model_is_judged(self, house: House) -> None:
        metrics = house.store.read("offline_metrics", house.ds).to_pandas()
        assert set(metrics["model"]) == set(DAILY)
        page = report_path(house.home.reports, house.ds).read_text()
        assert "because you chose" in page
        assert "because it sold most" in page

    def test_the_page_shows_customers_whom_most_models_explain(self, house: House) -> None:
        with house.store.connect(as_of=house.ds, tables=["recommendations"]) as con:
            shown = con.sql(query("shown_recommendations"), params=EXPLAINED).df()
        assert shown["customer_id"].nunique() == EXPLAINED["customers"]
        sizes = shown.groupby(["customer_id", "model"]).size()
        assert set(sizes.index.get_level_values("model")) == {"als", "hybrid", "transformer", "two_stage"}
        assert (sizes == EXPLAINED["ranks"]).all()


@pytest.mark.end_to_end
def test_hybrid_can_serve_everybody(house: House, tmp_path: Path) -> None:
    """The same day with another serving model and other config: only the lists are made again."""
    shutil.copytree(house.home.root, tmp_path / "home")
    home = Home(tmp_path / "home")
    home.toml.write_text(home.toml.read_text().replace('serving_model = "als"', 'serving_model = "hybrid"'))
    config = {"k": 7, "judged_sample": 100, "explained_ranks": 3, "explained_sample": 40}
    told = {name: config | ({"explained_sample": 0} if name == "two_stage" else {}) for name in DAILY}
    result = (
        build_defs(home)
        .get_repository_def()
        .get_job("daily_retrain")
        .execute_in_process(
            instance=house.instance,
            partition_key=house.ds.isoformat(),
            asset_selection=[dg.AssetKey(["recommendations", name]) for name in DAILY],
            run_config={"ops": {f"recommendations_{name}": {"config": told[name]} for name in DAILY}},
        )
    )
    checks = [e for e in result.get_asset_check_evaluations() if e.check_name == "every_customer_is_served"]
    assert all(check.passed for check in checks)
    (served,) = [check for check in checks if check.asset_key.path[-1] == "hybrid"]
    assert "hybrid: 300 of 300" in str(served.description)
    store = home.open_store()
    lists = store.read("recommendations", house.ds).to_pandas()
    customers = set(store.read("customers", house.ds).to_pandas()["customer_id"])
    whom = lists[lists["seen"] == "excluded"].groupby("model")["customer_id"].agg(set)
    assert whom["hybrid"] == customers
    assert {len(whom[name]) for name in DAILY if name != "hybrid"} == {100}
    hybrid = lists[lists["model"] == "hybrid"]
    assert hybrid.groupby(["seen", "customer_id"]).size().eq(7).all()
    explained = lists[lists["reasons"].notna()]
    served = hybrid[hybrid["served"]]
    assert (served["reasons"].notna() == ((served["rank"] <= 3) & ~served["fallback"])).all()
    sample = set(explained.loc[explained["model"] == "als", "customer_id"])
    assert 0 < len(sample) <= 40
    others = explained[~explained["served"]]
    assert others["rank"].max() == 3
    assert others["customer_id"].nunique() <= 40
    assert set(explained["seen"]) == {"excluded"}
    assert set(explained["model"]) == {"als", "hybrid", "transformer"}  # two_stage was asked for none
    stock = store.read("articles", house.ds).to_pandas().set_index("article_id")["in_stock"]
    assert stock[hybrid["article_id"]].all()


def test_the_page_shows_what_the_transformer_looked_at(house: House) -> None:
    with house.store.connect(as_of=house.ds, tables=["recommendations"]) as con:
        lists = con.sql(query("shown_recommendations"), params=EXPLAINED).df()
    models = ModelStore(house.home.store)
    found = attention_of(models, house.ds, {*lists["customer_id"], "nobody"})
    assert found is not None
    assert set(found["customer_id"]) <= set(lists["customer_id"])
    assert found.groupby("customer_id")["share"].sum().to_numpy() == pytest.approx(1, rel=1e-4)
    assert attention_of(models, house.home.settings.first_day, {"nobody"}) is None
    assert attention_of(models, house.ds, {"nobody"}) is None
    page = report_path(house.home.reports, house.ds).read_text(encoding="utf-8")
    assert page.count("What transformer looked at in the history") == found["customer_id"].nunique()
