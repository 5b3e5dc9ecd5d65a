"""Wrong labels are found by models that have not seen them; what cannot be judged is counted and left alone."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.articles.errors import ArticlesError
from atelier.articles.splits import folds
from atelier.attributes import AttributeConfig
from atelier.attributes.label_errors import (
    COLUMNS,
    OutOfFold,
    OutOfFoldLabels,
    config_for,
    find_label_issues,
    out_of_fold,
    quality,
    rank_label_issues,
)

CONFIG = AttributeConfig(
    image_units=16,
    filters=16,
    text_units=16,
    token_dim=8,
    brand_dim=2,
    joint_units=32,
    tokens=12,
    batch_size=16,
    max_epochs=10,
    learning_rate=0.01,
    precision="float32",
    validation_share=0.0,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """PyTorch promises the same numbers at one number of threads only, and other tests may have changed it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def searching() -> AttributeConfig:
    """For what does not depend on how good the model is."""
    return CONFIG.model_copy(update={"max_epochs": 2})


def judged(
    given: list[int], probabilities: list[list[float]], attribute: str = "colour", values: str = "abc"
) -> OutOfFoldLabels:
    names = np.array(list(values[: len(probabilities[0])]), dtype=object)
    ids = np.array([f"x{place}" for place in range(len(given))], dtype=object)
    fold = np.zeros(len(given), dtype=np.int64)
    return OutOfFoldLabels(attribute, names, ids, np.array(given), fold, np.array(probabilities), 1.0)


# The search ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spoiled(planted: object) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """The planted catalogue, its labels with 15 wrong colours among them, and which those are."""
    labels = planted.truth[planted.truth["attribute"] != "sleeve"].reset_index(drop=True)  # type: ignore[attr-defined]
    colours = labels.index[labels["attribute"] == "colour"]
    wrong = np.random.default_rng(1).choice(colours, 15, replace=False)
    another = {"colour 0": "colour 1", "colour 1": "colour 2", "colour 2": "colour 0"}
    labels.loc[wrong, "value"] = labels.loc[wrong, "value"].map(another)
    return planted.articles, labels, pd.Series(labels.index.isin(wrong), index=labels.index)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def found(spoiled: tuple[pd.DataFrame, pd.DataFrame, pd.Series]) -> OutOfFold:
    articles, labels, _ = spoiled
    return out_of_fold(articles, labels, CONFIG)


def test_planted_errors_come_first_and_little_else_is_doubted(
    spoiled: tuple[pd.DataFrame, pd.DataFrame, pd.Series], found: OutOfFold
) -> None:
    _, labels, wrong = spoiled
    ranked = rank_label_issues(found.judged).merge(
        labels.assign(wrong=wrong), on=["article_id", "attribute"], validate="1:1"
    )
    assert len(ranked) == len(labels)
    assert (ranked["value"] == ranked["annotated_value"]).all()
    assert ranked["wrong"].head(15).mean() >= 0.9
    errors = find_label_issues(rank_label_issues(found.judged)).merge(
        labels.assign(wrong=wrong), on=["article_id", "attribute"]
    )
    assert errors["wrong"].sum() >= 7
    assert errors["wrong"].mean() >= 0.8


def test_no_style_is_on_both_sides_and_probabilities_are_calibrated_over_all_folds(
    spoiled: tuple[pd.DataFrame, pd.DataFrame, pd.Series], found: OutOfFold
) -> None:
    articles, _, _ = spoiled
    style = articles.set_index("article_id")["product_code"]
    assert [each.attribute for each in found.judged] == ["colour", "neckline"]
    for each in found.judged:
        sides = pd.DataFrame({"style": style.loc[each.article_ids.tolist()].to_numpy(), "fold": each.folds})
        assert (sides.groupby("style")["fold"].nunique() == 1).all()
        assert set(each.folds) == {0, 1, 2}
        assert each.probabilities.sum(axis=1) == pytest.approx(1)
    # No temperature nearby makes the labels more likely. (Necklines are so certain that they take the lowest.)
    colour = found.judged[0]
    rows, logits = np.arange(len(colour)), np.log(colour.probabilities)
    for factor in (2**-0.05, 2**0.05):
        other = np.exp(logits / factor)
        other /= other.sum(axis=1, keepdims=True)
        assert np.log(other[rows, colour.given]).mean() <= logits[rows, colour.given].mean() + 1e-9


def test_a_label_is_judged_without_being_seen(
    spoiled: tuple[pd.DataFrame, pd.DataFrame, pd.Series], searching: AttributeConfig
) -> None:
    """Another label for one article of a fold leaves what is said of that fold, but for calibration, as it was."""
    articles, labels, _ = spoiled
    before = out_of_fold(articles, labels, searching, folds=2)
    place = labels.index[labels["attribute"] == "colour"][7]
    changed = labels.copy()
    changed.loc[place, "value"] = "colour 0" if labels.loc[place, "value"] != "colour 0" else "colour 1"
    after = out_of_fold(articles, changed, searching, folds=2)
    fold = folds(articles, 2)[articles["article_id"].eq(labels.loc[place, "article_id"]).to_numpy()][0]

    def raw(result: OutOfFold, own: bool) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        colour = result.judged[0]
        powered = colour.probabilities**colour.temperature
        kept = colour.folds == fold if own else colour.folds != fold
        return np.asarray((powered / powered.sum(axis=1, keepdims=True))[kept])

    assert raw(before, own=True) == pytest.approx(raw(after, own=True), abs=1e-9)
    assert raw(before, own=False) != pytest.approx(raw(after, own=False), abs=1e-9)


def test_the_same_search_gives_the_same_table_whatever_the_order_of_rows(
    spoiled: tuple[pd.DataFrame, pd.DataFrame, pd.Series], found: OutOfFold
) -> None:
    articles, labels, _ = spoiled
    again = out_of_fold(articles, labels.sample(frac=1, random_state=0), CONFIG)
    pd.testing.assert_frame_equal(rank_label_issues(again.judged), rank_label_issues(found.judged))


# What cannot be judged -------------------------------------------------------------------------------------------


def test_every_label_is_judged_or_counted(
    spoiled: tuple[pd.DataFrame, pd.DataFrame, pd.Series], searching: AttributeConfig
) -> None:
    articles, labels, _ = spoiled
    ids = articles["article_id"].to_numpy()
    colours = labels[labels["attribute"] == "colour"]
    more = pd.concat(
        [
            colours.assign(value=colours["value"].mask(colours["article_id"] == ids[3], "puce")),
            pd.DataFrame({"article_id": ids[:100], "attribute": "season", "value": "summer"}),
            pd.DataFrame({"article_id": ids[:3], "attribute": "trim", "value": ["lace", "fringe", "lace"]}),
            pd.DataFrame({"article_id": ["stranger"], "attribute": ["colour"], "value": ["colour 0"]}),
        ]
    )
    result = out_of_fold(articles, more, searching)
    assert [each.attribute for each in result.judged] == ["colour"]
    assert ids[3] not in set(result.judged[0].article_ids), "a value that nobody else has cannot be confirmed"
    counts = result.summary
    assert counts["in_all"] == len(more)
    assert counts["of_unknown_articles"] == 1
    assert counts["judged"] == len(colours) - 1
    # Fringe is on one article; lace may be unknown to a fold as well.
    assert 2 <= counts["of_rare_values"] <= 4
    rest = ("judged", "of_rare_values", "of_unjudged_attributes", "of_unknown_articles")
    assert sum(counts[name] for name in rest) == len(more)
    assert (counts["attributes_judged"], counts["attributes_unjudged"]) == (1, 2)


def test_a_value_that_only_one_fold_holds_is_neither_doubted_nor_predicted_there(searching: AttributeConfig) -> None:
    """All articles of a style have it, so the model that judges them does not know it."""
    styles = np.repeat([f"s{place}" for place in range(30)], 4)
    articles = pd.DataFrame({"article_id": [f"a{place:03}" for place in range(120)], "product_code": styles})
    value = np.where(styles == "s5", "rare", np.where(np.arange(120) % 2, "red", "blue"))
    articles["text"] = value
    labels = pd.DataFrame({"article_id": articles["article_id"], "attribute": "colour", "value": value})
    result = out_of_fold(articles, labels, searching)
    (colour,) = result.judged
    assert result.summary["of_rare_values"] == 4
    assert colour.values.tolist() == ["blue", "rare", "red"]
    own = folds(articles, 3)[20]
    rare = colour.probabilities[:, 1]
    assert (rare[colour.folds == own] == 0).all()
    assert (rare[colour.folds != own] > 0).all()
    assert find_label_issues(rank_label_issues(result.judged)).empty


@pytest.mark.parametrize("articles", [0, 1, 5])
@pytest.mark.parametrize("labelled", [False, True])
def test_too_little_to_judge_gives_an_empty_typed_table(
    articles: int, labelled: bool, searching: AttributeConfig
) -> None:
    """Articles of which nothing but the id is known."""
    frame = pd.DataFrame({"article_id": [f"a{place}" for place in range(articles)]}, dtype="str")
    labels = frame.assign(attribute="colour", value="red").astype("str")
    result = out_of_fold(frame, labels if labelled else labels.head(0), searching)
    assert result.judged == ()
    table = find_label_issues(rank_label_issues(result.judged))
    assert table.empty
    assert list(table.columns) == list(COLUMNS)
    assert (
        table.dtypes.astype(str).to_dict()
        == rank_label_issues([judged([0, 1], [[0.5, 0.5]] * 2)]).dtypes.astype(str).to_dict()
    )
    assert result.summary["of_unjudged_attributes"] + result.summary["of_rare_values"] == articles * labelled


def test_articles_without_anything_are_judged_by_what_is_common(searching: AttributeConfig) -> None:
    """Nothing distinguishes them, so nothing contradicts a label confidently."""
    frame = pd.DataFrame({"article_id": [f"a{place}" for place in range(60)]})
    labels = frame.assign(attribute="colour", value=["red", "blue"] * 30)
    result = out_of_fold(frame, labels, searching)
    assert result.summary["judged"] == 60
    assert find_label_issues(rank_label_issues(result.judged)).empty


def test_one_fold_is_refused(searching: AttributeConfig) -> None:
    frame = pd.DataFrame({"article_id": ["a"]})
    with pytest.raises(ArticlesError, match="at least 2"):
        out_of_fold(frame, frame.assign(attribute="colour", value="red"), searching, folds=1)


def test_the_search_trains_half_as_long_and_holds_nothing_out() -> None:
    usual = AttributeConfig.for_data(1000)
    assert config_for(1000, seed=3).model_dump() == {
        **usual.model_dump(),
        "max_epochs": round(usual.max_epochs / 2),
        "validation_share": 0.0,
        "seed": 3,
    }
    assert config_for(1000, max_epochs=2).max_epochs == 2


# The ranking -----------------------------------------------------------------------------------------------------


def test_scores_by_hand() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.0, 0.25, 0.75]])
    given = np.array([1, 2])
    assert quality(given, probabilities, "log_odds") == pytest.approx([np.log(0.2 / 0.7), np.log(3)])
    assert quality(given, probabilities, "self_confidence") == pytest.approx([0.2, 0.75])
    # cleanlab moves the margin p(given) − p(other) from −1…1 to 0…1.
    assert quality(given, probabilities, "normalized_margin") == pytest.approx([0.25, 0.75])
    assert quality(np.array([0]), np.array([[1.0, 0.0]]), "log_odds") == pytest.approx([np.inf])
    with pytest.raises(ArticlesError, match="score is 'guess'"):
        rank_label_issues([], "guess")  # type: ignore[arg-type]


def test_one_ranking_over_all_attributes_in_a_total_order() -> None:
    colour = judged([0, 0, 1], [[0.05, 0.95], [0.9, 0.1], [0.9, 0.1]])
    fit = judged([1, 1], [[0.9, 0.1], [0.99, 0.01]], "fit")
    ranked = rank_label_issues([colour, fit])
    assert ranked["rank"].tolist() == [1, 2, 3, 4, 5]
    assert list(zip(ranked["article_id"], ranked["attribute"], strict=True)) == [
        ("x1", "fit"),
        ("x0", "colour"),
        ("x0", "fit"),
        ("x2", "colour"),
        ("x1", "colour"),
    ]
    first = ranked.iloc[0]
    assert (first["annotated_value"], first["predicted_value"]) == ("b", "a")
    assert (first["annotated_probability"], first["confidence"]) == (0.01, 0.99)


def test_only_confident_contradictions_are_kept_and_ranked_anew() -> None:
    rows = [[0.1, 0.5, 0.4], [0.11, 0.8, 0.09], [0.05, 0.49, 0.46], [0.04, 0.06, 0.9], [0.9, 0.05, 0.05]]
    table = find_label_issues(rank_label_issues([judged([0] * 5, rows)]))
    assert table["article_id"].tolist() == ["x3", "x0"]
    assert table["rank"].tolist() == [1, 2]
    wider = find_label_issues(rank_label_issues([judged([0] * 5, rows)]), least_confidence=0.4, most_annotated=0.2)
    assert wider["article_id"].tolist() == ["x3", "x2", "x1", "x0"]


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.tuples(*[st.floats(0.001, 1)] * 3)), min_size=1, max_size=30),
    st.sampled_from(["log_odds", "self_confidence", "normalized_margin", "confidence_weighted_entropy"]),
)
def test_what_is_kept_is_the_ranking_without_the_others(
    labels: list[tuple[int, tuple[float, float, float]]], score: str
) -> None:
    matrix = np.array([row for _, row in labels])
    each = judged([place for place, _ in labels], (matrix / matrix.sum(axis=1, keepdims=True)).tolist())
    ranked = rank_label_issues([each], score)  # type: ignore[arg-type]
    table = find_label_issues(ranked)
    slow = [
        row["article_id"]
        for _, row in ranked.iterrows()
        if row["predicted_value"] != row["annotated_value"]
        and row["confidence"] >= 0.5
        and row["annotated_probability"] <= 0.1
    ]
    assert table["article_id"].tolist() == slow
    assert table["rank"].tolist() == list(range(1, len(slow) + 1))


# Folds -----------------------------------------------------------------------------------------------------------


def test_a_style_stays_in_its_fold_when_the_catalogue_grows() -> None:
    def catalogue(count: int) -> pd.DataFrame:
        places = np.arange(count)
        return pd.DataFrame({"article_id": [f"a{n}" for n in places], "product_code": [f"s{n // 2}" for n in places]})

    few, many = folds(catalogue(300), 3), folds(catalogue(3000), 3)
    assert (few == many[:300]).all()
    assert (many[::2] == many[1::2]).all()
    assert (np.bincount(many) > 800).all()
    assert (folds(catalogue(300), 3, seed=1) != few).any()
    assert (folds(catalogue(300).drop(columns="product_code"), 3)[::2] != few[1::2]).any()
