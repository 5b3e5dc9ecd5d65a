"""The study of sequence models: what it fits, what is shuffled, and its table."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from atelier import recommenders
from atelier.interactions import Interactions
from atelier.studies.recommender_plan import Order, RecommenderStudyPlan, StudiedModel
from atelier.studies.recommender_scores import StudyError
from atelier.studies.recommender_study import fit_model, reordered, run_study
from atelier.studies.sequence_plan import CELLS, PARTS, SequencePlan
from atelier.studies.sequence_tables import COLUMNS, sequence_table
from tests.studies.tiny import TRAIN, TRUTH

SMALL: dict[str, Any] = {"factors": 8, "hidden": (8,), "max_epochs": 1, "history": 6}


def test_every_part_varies_one_thing() -> None:
    plans = SequencePlan(transformer={"heads": 4}, studied="transformer").plans()
    assert tuple(plans) == PARTS
    models = plans["models"].models
    assert [name for name in models if name.startswith("sequencer:")] == [f"sequencer:{cell}" for cell in CELLS]
    assert {name: models[f"sequencer:{name}"].config["cell"] for name in CELLS} == {cell: cell for cell in CELLS}
    lengths = plans["article_embedding"].models
    assert {name: (m.config["factors"], m.config["heads"]) for name, m in lengths.items()} == {
        "1": (1, 1), "10": (10, 2), "20": (20, 4), "128": (128, 4), "256": (256, 4),
    }  # fmt: skip
    customers = plans["customer_embedding"].models
    assert [m.config.get("customer_factors") for m in customers.values()] == [None, 1, 10, 20, 128, 256]
    assert {m.recommender for m in customers.values()} == {"sequencer"}
    assert [m.order for m in plans["order"].models.values()] == ["kept", "within_days", "shuffled"]
    assert [m.config["history"] for m in plans["history"].models.values()] == [5, 10, 20, 50]
    assert (models["als"].search, models["als_annoy"].search) == ("exact", "annoy")
    for plan in plans.values():
        for studied in plan.models.values():
            studied.build(seed=0)


def test_the_model_that_is_asked_about_exists() -> None:
    with pytest.raises(ValidationError, match=r"studied is 'gru'; there are transformer, sequencer:rnn"):
        SequencePlan(studied="gru")
    plans = SequencePlan(studied="sequencer:lstm", parts=("order", "article_embedding")).plans()
    assert {m.config["cell"] for plan in plans.values() for m in plan.models.values()} == {"lstm"}
    assert "heads" not in plans["article_embedding"].models["10"].config


def interactions(rows: list[tuple[str, int, int]]) -> Interactions:
    """Rows of customer, article and day; the kind goes with the article."""
    frame = pd.DataFrame(rows, columns=["customer_id", "number", "day"])
    return Interactions.from_frame(
        pd.DataFrame(
            {
                "customer_id": frame.customer_id,
                "article_id": "a" + frame.number.astype(str),
                "occurred_at": pd.Timestamp("2020-01-01") + pd.to_timedelta(frame.day, unit="D"),
                "kind": np.where(frame.number % 2, "purchase", "bag"),
                "price": frame.number.astype(float),
            }
        )
    )


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=40))
def test_only_the_order_changes(rows: list[tuple[str, int, int]]) -> None:
    train = interactions(rows)
    orders: tuple[Order, ...] = ("kept", "within_days", "shuffled")
    for order in orders:
        found, true = reordered(train, order, 0).to_frame(), train.to_frame()
        pd.testing.assert_frame_equal(found[["customer_id", "occurred_at"]], true[["customer_id", "occurred_at"]])
        assert (found.article_id.str[1:].astype(float) == found.price).all()
        assert ((found.price % 2 == 1) == (found.kind == "purchase")).all()
        groups = ["customer_id", *(["occurred_at"] if order == "within_days" else [])]
        whole = [frame.groupby(groups, observed=True).price.apply(sorted).to_dict() for frame in (found, true)]
        assert whole[0] == whole[1]
        if order == "kept":
            pd.testing.assert_frame_equal(found, true)


def test_a_long_history_is_shuffled_and_another_seed_shuffles_it_otherwise() -> None:
    train = interactions([("x", number, number) for number in range(9)])
    one, same, other = (reordered(train, "shuffled", seed).articles.tolist() for seed in (0, 0, 1))
    assert one == same != other
    assert one != train.articles.tolist()
    assert reordered(train, "within_days", 0).articles.tolist() == train.articles.tolist()


def test_days_without_dates_cannot_be_kept() -> None:
    undated = Interactions.from_frame(pd.DataFrame({"customer_id": ["x"], "article_id": ["a"]}))
    with pytest.raises(StudyError, match="without dates cannot be shuffled within days"):
        reordered(undated, "within_days", 0)


def test_lists_are_made_from_histories_in_their_true_order() -> None:
    train = interactions([("x", number, number) for number in range(6)] + [("y", number, 9) for number in range(6)])
    markov = StudiedModel(recommender="markov", config={"history": 1}, order="shuffled")
    model = fit_model(train, markov)
    profiles = model.customer_profiles.profiles
    last = [model.article_ids.values[int(profiles["history.codes"][row])].as_py() for row in (0, 1)]
    assert last == ["a5", "a5"]
    shuffled = reordered(train, "shuffled", 0)
    expected = recommenders.build("markov", history=1).fit(shuffled)
    np.testing.assert_array_equal(model.weights["leads.codes"], expected.weights["leads.codes"])
    pd.testing.assert_frame_equal(
        model.recommend(exclude_seen=False), expected.with_histories(train).recommend(exclude_seen=False)
    )


def test_the_table_has_every_variant_of_every_part() -> None:
    plans = SequencePlan(
        parts=("models", "order"), studied="sequencer:gru", orders=("kept", "shuffled"), seeds=(0, 1), k=2,
        sequencer=SMALL | {"mode": "collaborative"}, transformer=SMALL | {"mode": "collaborative", "heads": 2},
        hybrid={"factors": 8, "mode": "collaborative", "max_epochs": 1}, als={"factors": 4, "iterations": 1},
    ).plans()  # fmt: skip
    few = plans["models"].model_copy(
        update={"models": {name: plans["models"].models[name] for name in ("popular", "markov", "sequencer:gru")}}
    )
    chosen: dict[str, RecommenderStudyPlan] = {"models": few, "order": plans["order"]}
    results = {part: run_study(TRAIN, TRUTH, plan) for part, plan in chosen.items()}
    table = sequence_table(results)
    assert tuple(table.columns) == COLUMNS
    assert not table.duplicated(["part", "variant", "metric", "k"]).any()
    variants = table.groupby("part", sort=False).variant.unique().map(list).to_dict()
    assert variants == {"models": ["popular", "markov", "sequencer:gru"], "order": ["kept", "shuffled"]}
    seeds = table.groupby(["part", "variant"]).seeds.first()
    assert seeds["models", "markov"] == 1
    assert seeds["order", "shuffled"] == 2
    kept = table[(table.part == "order") & (table.variant == "kept")].set_index("metric").value
    same = table[(table.part == "models") & (table.variant == "sequencer:gru")].set_index("metric").value
    pd.testing.assert_series_equal(kept, same)
    assert {"hit_rate", "ndcg", "coverage", "overlap", "personalization", "novelty"} <= set(table.metric)
