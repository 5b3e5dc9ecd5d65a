"""The attribute model as others use it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.articles.errors import ArticlesError
from atelier.attributes import AttributeConfig, AttributeModel, complete, evaluate
from atelier.attributes.model import NotFittedError
from atelier.errors import BundleError
from tests.devices import DEVICES

NO_LABELS = pd.DataFrame({"article_id": [], "attribute": [], "value": []}, dtype="str")


@pytest.fixture(scope="module")
def fitted(planted) -> AttributeModel:
    torch.set_num_threads(1)
    config = AttributeConfig(
        image_units=16,
        filters=16,
        text_units=16,
        token_dim=8,
        brand_dim=2,
        joint_units=32,
        tokens=12,
        batch_size=16,
        max_epochs=25,
        learning_rate=0.01,
        precision="float32",
    )
    return AttributeModel(config).fit(planted.articles, planted.labels)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_learns_from_photographs_text_and_type(planted, fitted) -> None:
    labelled = pd.MultiIndex.from_frame(planted.labels[["article_id", "attribute"]])
    unseen = planted.truth[~pd.MultiIndex.from_frame(planted.truth[["article_id", "attribute"]]).isin(labelled)]
    table = evaluate(fitted, planted.articles, unseen).pivot(index="attribute", columns="metric", values="value")
    assert (table["weighted_f1"] > 0.85).all(), table
    assert table.loc["neckline", "weighted_f1"] > 0.98, "the text names it"
    assert (table["weighted_f1"] > table["majority_weighted_f1"] + 0.3).all()


def test_attributes_are_predicted_where_they_apply(planted, fitted) -> None:
    predicted = fitted.predict(planted.articles)
    assert list(predicted.columns) == ["article_id", "attribute", "value", "confidence"]
    pairs = predicted[["article_id", "attribute"]].reset_index(drop=True)
    expected = planted.truth[["article_id", "attribute"]].sort_values(["article_id", "attribute"], ignore_index=True)
    pd.testing.assert_frame_equal(pairs, expected, check_dtype=False)
    assert predicted["confidence"].between(0, 1).all()


def test_probabilities_are_what_predict_says(planted, fitted) -> None:
    found = fitted.predict_proba(planted.articles)
    assert found.attributes == ("colour", "neckline", "sleeve")
    for matrix, values in zip(found.matrices, found.values, strict=True):
        assert matrix.shape == (len(planted.articles), len(values))
        np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-5)
    colours = fitted.predict(planted.articles).query("attribute == 'colour'")
    assert (found.values[0][found.matrices[0].argmax(axis=1)] == colours["value"].to_numpy()).all()


def test_a_prediction_does_not_depend_on_the_articles_beside_it(planted, fitted) -> None:
    whole = fitted.predict(planted.articles)
    alone = fitted.predict(planted.articles.iloc[[7]])
    mine = whole[whole["article_id"] == "a00007"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, mine, rtol=1e-4)


def test_loading_gives_the_same_predictions_and_saving_again_the_same_bytes(planted, fitted, tmp_path) -> None:
    fitted.save(tmp_path / "one")
    loaded = AttributeModel.load(tmp_path / "one")
    pd.testing.assert_frame_equal(loaded.predict(planted.articles), fitted.predict(planted.articles))
    assert (loaded.config, loaded.summary, loaded.history) == (fitted.config, fitted.summary, fitted.history)
    loaded.save(tmp_path / "two")
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    assert {path.suffix for path in (tmp_path / "one").iterdir()} == {".json", ".parquet", ".safetensors"}


@pytest.mark.parametrize("device", DEVICES)
def test_what_a_device_learned_is_predicted_on_the_processor(planted, tiny, tmp_path, device: str) -> None:
    there = AttributeModel(tiny, device=device).fit(planted.articles, planted.labels)
    there.save(tmp_path)
    assert device not in (tmp_path / "config.json").read_text()
    found = there.predict(planted.articles).merge(planted.truth, on=["article_id", "attribute"])
    assert (found["value_x"] == found["value_y"]).mean() > 0.9
    predicted = [model.predict_proba(planted.articles).matrices for model in (there, AttributeModel.load(tmp_path))]
    for one, other in zip(*predicted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_fitting_twice_gives_the_same_bytes_and_leaves_inputs_and_random_state_alone(planted, tiny, tmp_path) -> None:
    config = tiny.model_copy(update={"max_epochs": 2})
    articles, labels = planted.articles.copy(deep=True), planted.labels.copy(deep=True)
    for name in ("one", "two"):
        torch.manual_seed(len(name))
        torch.rand(len(name) + (name == "two"))
        state = torch.get_rng_state()
        AttributeModel(config).fit(articles, labels).save(tmp_path / name)
        assert torch.equal(torch.get_rng_state(), state)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    pd.testing.assert_frame_equal(labels, planted.labels)
    assert articles.drop(columns="embeddings").equals(planted.articles.drop(columns="embeddings"))


def test_another_seed_gives_another_model(planted, tiny) -> None:
    few = tiny.model_copy(update={"max_epochs": 1})
    one = AttributeModel(few).fit(planted.articles, planted.labels).predict(planted.articles)
    other = AttributeModel(few.model_copy(update={"seed": 1})).fit(planted.articles, planted.labels)
    assert not one.equals(other.predict(planted.articles))


def test_training_stops_early_and_keeps_the_best_epoch(planted, tiny) -> None:
    config = tiny.model_copy(update={"max_epochs": 40, "patience": 2})
    model = AttributeModel(config).fit(planted.articles, planted.labels)
    scores = [epoch.validation["score"] for epoch in model.history]
    assert len(scores) < 40
    assert np.argmax(scores) == len(scores) - 3
    assert model.summary["epochs"] == len(scores)


def test_summary_counts_add_up(planted, tiny) -> None:
    extra = pd.DataFrame(
        [("stranger", "colour", "colour 1"), ("a00000", "odd", "only one")],
        columns=["article_id", "attribute", "value"],
    )
    config = tiny.model_copy(update={"max_epochs": 1, "min_samples": 5})
    summary = AttributeModel(config).fit(planted.articles, pd.concat([planted.labels, extra])).summary
    assert summary["labels_of_unknown_articles"] == 1
    assert summary["labels"] == len(planted.labels) + 1
    assert summary["labels_of_rare_values"] == 1
    assert (summary["attributes"], summary["attributes_without_head"]) == (3, 1)
    assert summary["training_articles"] + summary["validation_articles"] == planted.labels.article_id.nunique()


# ---- ordinary inputs that lack something

BARE = pd.DataFrame({"article_id": ["nothing"]})


def test_an_article_with_nothing_but_an_id_gets_every_attribute(fitted) -> None:
    predicted = fitted.predict(BARE)
    assert predicted["attribute"].tolist() == ["colour", "neckline", "sleeve"]
    assert np.isfinite(predicted["confidence"]).all()


@pytest.mark.parametrize("column", ["text", "product_type", "brand", "division", "embeddings"])
def test_a_missing_column_and_a_null_column_are_the_same(planted, fitted, column) -> None:
    null = planted.articles.assign(**{column: None})
    missing = planted.articles.drop(columns=column)
    pd.testing.assert_frame_equal(fitted.predict(null), fitted.predict(missing))


def test_unknown_metadata_is_ordinary(planted, fitted) -> None:
    strange = planted.articles.assign(brand="new", division="new", product_type="new", text="Ωmega 漢字")
    predicted = fitted.predict(strange)
    assert len(predicted) == 3 * len(strange)
    assert predicted["confidence"].notna().all()


def test_no_articles(planted, fitted) -> None:
    assert fitted.predict(planted.articles.iloc[:0]).empty


@pytest.mark.parametrize("columns", [["article_id"], ["article_id", "text"], ["article_id", "embeddings"]])
def test_training_on_a_single_modality(planted, tiny, columns) -> None:
    config = tiny.model_copy(update={"max_epochs": 2})
    model = AttributeModel(config).fit(planted.articles[columns], planted.labels)
    # Without product types every attribute applies.
    assert len(model.predict(planted.articles)) == 3 * len(planted.articles)


def test_concatenated_shots(planted, tiny) -> None:
    config = tiny.model_copy(update={"image_pooling": "concatenate", "shots": 2, "max_epochs": 15})
    model = AttributeModel(config).fit(planted.articles, planted.labels)
    scores = evaluate(model, planted.articles, planted.truth).set_index(["attribute", "metric"])["value"]
    assert scores["colour", "weighted_f1"] > 0.8
    assert model.network is not None
    assert model.network.image.inputs == 2 * 8 + 5


def test_arrow_tables_are_as_good_as_frames(planted, fitted) -> None:
    frame = planted.articles
    lists = pa.array([matrix.tolist() for matrix in frame["embeddings"]], pa.list_(pa.list_(pa.float32())))
    table = pa.Table.from_pandas(frame.drop(columns="embeddings"), preserve_index=False)
    table = table.append_column("embeddings", lists)
    pd.testing.assert_frame_equal(fitted.predict(table), fitted.predict(frame))


# ---- little or nothing to learn


def test_without_labels_nothing_is_predicted(planted, tiny, tmp_path) -> None:
    model = AttributeModel(tiny).fit(planted.articles, NO_LABELS)
    assert model.predict(planted.articles).empty
    assert model.network is None
    model.save(tmp_path / "bundle")
    assert AttributeModel.load(tmp_path / "bundle").predict(planted.articles).empty


def test_without_articles_nothing_is_predicted(planted, tiny) -> None:
    model = AttributeModel(tiny).fit(planted.articles.iloc[:0], planted.labels)
    assert model.predict(planted.articles).empty
    assert model.summary["labels_of_unknown_articles"] == len(planted.labels)


def test_values_that_are_all_too_rare_predict_nothing(planted, tiny) -> None:
    model = AttributeModel(tiny.model_copy(update={"min_samples": 1000})).fit(planted.articles, planted.labels)
    assert model.predict(planted.articles).empty


def test_a_single_class_is_certain(planted, tiny) -> None:
    labels = planted.labels.assign(value="the same")
    predicted = AttributeModel(tiny.model_copy(update={"max_epochs": 1})).fit(planted.articles, labels)
    found = predicted.predict(planted.articles)
    assert set(found["value"]) == {"the same"}
    assert (found["confidence"] == 1).all()


def test_a_single_labelled_article_is_enough_to_run(planted, tiny) -> None:
    config = tiny.model_copy(update={"min_samples": 1})
    model = AttributeModel(config).fit(planted.articles, planted.labels.iloc[:1])
    assert model.summary["training_articles"] == 1
    assert set(model.predict(BARE)["value"]) == {planted.labels["value"].iloc[0]}


@pytest.mark.parametrize("articles", [0, 1, 5, 1200, 4000, 100_000])
def test_sizes_suit_the_data(articles) -> None:
    config = AttributeConfig.for_data(articles)
    assert 2 <= config.samples_needed(articles) <= 5
    assert [config.samples_needed(n) for n in (1_200, 2_000, 105_000)] == [3, 5, 5]
    assert AttributeConfig.published().samples_needed(articles) == 500
    assert config.max_epochs <= 30


def test_applicability_can_be_overridden(planted, tiny) -> None:
    config = tiny.model_copy(update={"max_epochs": 1, "applies": {"neckline": ("type 4",)}})
    predicted = AttributeModel(config).fit(planted.articles, planted.labels).predict(planted.articles)
    with_neck = set(predicted.loc[predicted["attribute"] == "neckline", "article_id"])
    assert with_neck == set(planted.articles.loc[planted.articles["product_type"] == "type 4", "article_id"])


# ---- refusals


def test_an_unfitted_model_says_so(planted) -> None:
    with pytest.raises(NotFittedError, match="fit"):
        AttributeModel().predict(planted.articles)


@pytest.mark.parametrize(
    ("articles", "message"),
    [
        (pd.DataFrame({"id": ["a"]}), "no column 'article_id'"),
        (pd.DataFrame({"article_id": ["a", None]}), "null in 1 of 2"),
        (pd.DataFrame({"article_id": ["a", "b", "a"]}), r"more than once.*'a'"),
    ],
)
def test_ids_are_checked(fitted, articles, message) -> None:
    with pytest.raises(ArticlesError, match=message):
        fitted.predict(articles)


def test_vectors_of_another_backbone_are_refused(planted, fitted) -> None:
    with pytest.raises(ArticlesError, match=r"5 values.*trained on 8"):
        fitted.predict(planted.articles.assign(embeddings=[np.zeros((1, 5))] * len(planted.articles)))


@pytest.mark.parametrize(
    "name", ["config.json", "weights.safetensors", "classes.parquet", "vocabulary.parquet", "prediction_sets.parquet"]
)
def test_an_incomplete_bundle_is_an_error(fitted, tmp_path, name) -> None:
    fitted.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(BundleError, match=f"{tmp_path}.*name another bundle"):
        AttributeModel.load(tmp_path)


def test_a_bundle_of_another_version_or_damaged_is_an_error(fitted, tmp_path) -> None:
    fitted.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"format": 99}))
    with pytest.raises(BundleError):
        AttributeModel.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    AttributeModel.load(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(BundleError):
        AttributeModel.load(tmp_path)


def test_the_package_does_not_import_torch_before_it_is_needed() -> None:
    code = "import sys, atelier.attributes as a; a.AttributeConfig; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@settings(max_examples=20, deadline=None)
@given(articles=st.integers(1, 14), styles=st.integers(1, 14), values=st.integers(1, 3), seed=st.integers(0, 5))
def test_a_handful_of_labels_trains_or_predicts_nothing_but_never_crashes(
    articles: int, styles: int, values: int, seed: int
) -> None:
    ids = [f"a{n:02d}" for n in range(articles)]
    frame = pd.DataFrame({"article_id": ids, "text": ids, "product_code": [f"s{n % styles}" for n in range(articles)]})
    labels = pd.DataFrame({"article_id": ids, "attribute": "fit", "value": [f"v{n % values}" for n in range(articles)]})
    config = AttributeConfig.small(
        filters=4,
        text_units=4,
        image_units=4,
        joint_units=4,
        max_epochs=1,
        min_samples=2,
        seed=seed,
        validation_share=0.5,
    )
    model = AttributeModel(config).fit(frame, labels)
    predicted = model.predict(frame)
    assert len(predicted) == articles * len(model.heads)
    assert complete(model, frame, labels).num_rows == articles
