"""two_stage: what it learns, whom it serves, its sources, its config and its bundle."""

from copy import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.errors import BundleError, UnknownIdentifier
from atelier.interactions import InteractionsError
from atelier.recommenders.two_stage.moment import source_names
from atelier.recommenders.two_stage.two_stage import TwoStage
from atelier.recommenders.two_stage.two_stage_config import TwoStageConfig
from tests.recommenders.two_stage.socks_and_coats import ARTICLES, CATALOGUE, DAYS, FRAME, SMALL, fitted


@pytest.fixture
def model() -> TwoStage:
    return fitted()


def test_it_learns_what_is_bought_again(model: TwoStage) -> None:
    """The last article is a coat; the ranker puts the sock, which is the next one, first. ``repeat`` cannot know."""
    recs = model.recommend(k=1, exclude_seen=False)
    own = "sock" + (recs["customer_id"].str[1:].astype(int) % 6).astype(str)
    assert (recs["article_id"] == own).all()
    by_recency = recommenders.build("repeat").fit(FRAME, CATALOGUE).recommend(k=1, exclude_seen=False)
    assert by_recency["article_id"].str.startswith("coat").all()
    figures = model.training_figures()
    assert figures["lists"] == 240.0
    assert {name for name in figures if name.startswith("recall_")} == {
        *(f"recall_{source}" for source in source_names(model.config)),
        "recall_merged",
    }
    # Of the two purchases of the last day the sock was bought before and the coat was not.
    assert figures["recall_own"] == 0.5
    assert figures["recall_merged"] == max(value for name, value in figures.items() if name.startswith("recall_"))


def test_the_network_learns_it_too() -> None:
    settings = {**SMALL, "ranker": "network", "network_epochs": 60, "network_learning_rate": 0.01}
    model = recommenders.build("two_stage", **settings).fit(FRAME, CATALOGUE)
    recs = model.recommend(k=1, exclude_seen=False)
    own = "sock" + (recs["customer_id"].str[1:].astype(int) % 6).astype(str)
    assert (recs["article_id"] == own).mean() > 0.9
    assert isinstance(model, TwoStage)
    reasons = model.explain(recs.head(1)).to_pylist()
    assert reasons[0][0]["kind"] == "source"


def test_new_customers_are_ranked_as_known_ones_with_the_same_history(model: TwoStage) -> None:
    new = FRAME[FRAME["customer_id"] == "c03"].assign(customer_id="new")
    found = model.recommend(histories=new, k=12, exclude_seen=False)
    known = model.recommend(["c03"], k=12, exclude_seen=False)
    pd.testing.assert_frame_equal(found.drop(columns="customer_id"), known.drop(columns="customer_id"))


def test_customers_without_history_get_what_sells() -> None:
    frame = pd.DataFrame({"customer_id": [*sorted(set(FRAME["customer_id"])), "x"]})
    model = recommenders.build("two_stage", **SMALL).fit(FRAME, CATALOGUE, frame)
    popular = recommenders.build("popular", window_days=3).fit(FRAME, CATALOGUE, frame)
    assert model.recommend(["x"], k=5)["article_id"].tolist() == popular.recommend(["x"], k=5)["article_id"].tolist()


@pytest.mark.parametrize("damaged", [slice(0, -1), slice(0, 40)])
def test_a_bundle_with_damaged_trees_does_not_load(model: TwoStage, damaged: slice, tmp_path: Path) -> None:
    model.save(tmp_path / "sound")
    assert isinstance(recommenders.load(tmp_path / "sound"), TwoStage)
    other = copy(model)
    other.weights = model.weights | {"ranker.trees": model.weights["ranker.trees"][damaged]}
    other.save(tmp_path / "damaged")
    with pytest.raises(BundleError, match=r"damaged: the trees of two_stage are not those that were saved"):
        recommenders.load(tmp_path / "damaged")


def test_the_age_of_a_new_customer_is_read() -> None:
    ages = pd.DataFrame({"customer_id": sorted(set(FRAME["customer_id"]))})
    ages["age"] = np.where(ages["customer_id"].str[1:].astype(int) % 2, 20.0, 60.0)
    model = recommenders.build("two_stage", **SMALL, age="age").fit(FRAME, CATALOGUE, ages)
    assert isinstance(model, TwoStage)
    new = pd.DataFrame({"customer_id": ["new"], "age": [60.0]})
    history = FRAME[FRAME["customer_id"] == "c03"].assign(customer_id="new")
    known = model.with_histories(history, new).customer_profiles.profiles
    assert known["history.ages"].tolist() == [60.0]
    assert np.isnan(model.with_histories(history).customer_profiles.profiles["history.ages"]).all()


def test_without_a_positive_it_fuses_and_says_so() -> None:
    """Two days with different articles: no candidate is chosen."""
    frame = pd.DataFrame(
        {
            "customer_id": ["u", "u", "v"],
            "article_id": ["coat1", "coat2", "sock4"],
            "occurred_at": pd.to_datetime(["2020-03-01", "2020-03-02", "2020-03-01"]),
        }
    )
    with pytest.warns(UserWarning, match=r"nothing to rank by.*train it on more days") as found:
        model = recommenders.build("two_stage", **SMALL).fit(frame, CATALOGUE)
    assert found[0].filename == __file__
    assert model.recommend(["u"], k=1, exclude_seen=False)["article_id"].tolist() == ["coat2"]
    assert isinstance(model, TwoStage)
    reasons = model.explain(model.recommend(["u"], k=1, exclude_seen=False)).to_pylist()
    assert reasons == [[{"kind": "source", "value": "own", "weight": pytest.approx(1 / 61)}]]


def test_the_table_of_candidates_is_streamed(model: TwoStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atelier.recommenders.two_stage.two_stage.CHUNK", 7)
    batches = list(model.candidate_batches(limit=8))
    assert [batch.num_rows for batch in batches] == [7 * 8] * 8 + [4 * 8]
    assert next(model.candidate_batches(["c00"], limit=12)).num_rows == 12  # more than are ranked
    table = pd.concat(batch.to_pandas() for batch in batches)
    assert not table.duplicated(["customer_id", "article_id"]).any()
    assert {f"rank_{name}" for name in source_names(model.config)} <= set(table.columns)
    with pytest.raises(UnknownIdentifier, match="'nobody'"):
        list(model.candidate_batches(["nobody"]))
    for limit in (0, -1, 2.5):
        with pytest.raises(ValueError, match=f"limit is how many candidates .* not {limit}"):
            next(model.candidate_batches(limit=limit))  # type: ignore[arg-type]


def test_ages_are_read_and_make_a_source() -> None:
    customers = pd.DataFrame({"customer_id": sorted(set(FRAME["customer_id"]))})
    customers["age"] = np.where(np.arange(len(customers)) % 2, 25, 55)
    model = recommenders.build("two_stage", **SMALL, age="age").fit(FRAME, CATALOGUE, customers)
    assert isinstance(model, TwoStage)
    assert model.config.customer_columns == ("age",)
    assert "popular_age" in source_names(model.config)
    assert np.nanmax(model.weights["snapshot.sold_by_age"][1]) > 0
    with pytest.raises(InteractionsError, match="age names age, which the frame of customers lacks"):
        recommenders.build("two_stage", **SMALL, age="age").fit(FRAME, CATALOGUE)
    texts = customers.assign(age="young")
    with pytest.raises(InteractionsError, match="age of customers holds something else than numbers"):
        recommenders.build("two_stage", **SMALL, age="age").fit(FRAME, CATALOGUE, texts)


def test_the_number_of_threads_changes_no_byte(model: TwoStage) -> None:
    two = recommenders.build("two_stage", **{**SMALL, "threads": 2}).fit(FRAME, CATALOGUE)
    np.testing.assert_array_equal(two.weights["ranker.trees"], model.weights["ranker.trees"])


def test_a_config_without_content_reads_none() -> None:
    assert TwoStageConfig().reads_content
    assert not TwoStageConfig(content_length=0).reads_content


def test_sources_are_named_once_and_are_others() -> None:
    with pytest.raises(ValidationError, match="named twice"):
        TwoStageConfig(recommenders=("als", "als"))
    with pytest.raises(ValidationError, match="cannot be a source of itself"):
        TwoStageConfig(recommenders=("two_stage",))
    with pytest.raises(recommenders.UnknownModelError, match="no recommender 'best'"):
        recommenders.build("two_stage", **{**SMALL, "recommenders": ["best"]}).fit(FRAME, CATALOGUE)


def described() -> Catalogue:
    """Each sock and coat has a twin of the same content; nobody chose the twins."""
    twins = ARTICLES.assign(article_id="new " + ARTICLES["article_id"])
    both = pd.concat([ARTICLES, twins], ignore_index=True)
    return Catalogue.from_frames(both, np.vstack([np.eye(12, dtype=np.float32)] * 2))


def test_an_article_that_nobody_chose_becomes_a_candidate_by_its_content() -> None:
    sources = (*TwoStageConfig().sources, "neighbours")
    model = recommenders.build("two_stage", **{**SMALL, "sources": sources, "candidates": 30}).fit(FRAME, described())
    assert isinstance(model, TwoStage)
    assert model.ranks_unsold
    assert source_names(model.config)[-1] == "neighbours"
    table = next(model.candidate_batches(["c03"])).to_pandas()
    near = table[table["rank_neighbours"].notna()]
    own = set(FRAME.loc[FRAME["customer_id"] == "c03", "article_id"])
    assert set(near["article_id"]) == {f"new {article}" for article in own}
    only = model.recommend(["c03"], k=2, candidates=["new sock3", "new sock4"])
    assert only["article_id"].tolist() == ["new sock3", "new sock4"], "the twin of their own sock comes first"
    plain = recommenders.build("two_stage", **SMALL).fit(FRAME, described())
    assert not plain.can_rank(["new sock3"]).any()


def test_a_twin_that_was_chosen_later_is_a_positive_of_that_day() -> None:
    """On the last day everybody takes the new twin of their sock, which is among that day's candidates as new."""
    sock = FRAME["article_id"].str.startswith("sock") & (FRAME["occurred_at"] == DAYS[-1])
    rows = FRAME.assign(article_id=np.where(sock, "new " + FRAME["article_id"], FRAME["article_id"]))
    settings = {**SMALL, "sources": ("own", "neighbours"), "candidates": 30, "training_days": 1}
    model = recommenders.build("two_stage", **settings).fit(rows, described())
    assert model.training_figures()["recall_neighbours"] == 0.5
    table = next(model.candidate_batches(["c03"])).to_pandas()
    new = table.loc[table["rank_neighbours"].notna(), "article_id"]
    assert not new.str.startswith("new sock").any(), "it was chosen since"


def test_neighbours_need_content() -> None:
    with pytest.raises(ValidationError, match="the source neighbours compares content"):
        TwoStageConfig(sources=("neighbours",), content_length=0)


def test_a_channels_name_may_hold_a_line_break() -> None:
    frame = FRAME.assign(channel=np.where(FRAME["article_id"].str.startswith("sock"), "web\nshop", "web"))
    model = recommenders.build("two_stage", **SMALL).fit(frame, CATALOGUE)
    new = frame[frame["customer_id"] == "c03"].assign(customer_id="new")
    found = model.recommend(histories=new, k=12, exclude_seen=False)
    known = model.recommend(["c03"], k=12, exclude_seen=False)
    pd.testing.assert_frame_equal(found.drop(columns="customer_id"), known.drop(columns="customer_id"))


def test_a_group_of_features_is_named_once() -> None:
    with pytest.raises(ValidationError, match="a group of features is named twice"):
        TwoStageConfig(features=("own", "own"))
