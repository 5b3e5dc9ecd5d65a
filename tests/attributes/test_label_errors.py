"""Wrong labels are found by models that have not seen them; what cannot be judged is counted and left alone."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import torch

from atelier.articles.errors import ArticlesError
from atelier.articles.splits import folds
from atelier.attributes import AttributeConfig, label_errors
from atelier.attributes.label_errors import (
    COLUMNS,
    OutOfFold,
    OutOfFoldLabels,
    config_for,
    expected_shares,
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
    given: list[int],
    probabilities: list[list[float]],
    attribute: str = "colour",
    values: str = "abc",
    named: list[list[bool]] | None = None,
) -> OutOfFoldLabels:
    names = np.array(list(values[: len(probabilities[0])]), dtype=object)
    ids = np.array([f"x{place}" for place in range(len(given))], dtype=object)
    fold = np.zeros(len(given), dtype=np.int64)
    matrix = np.array(probabilities)
    texts = np.zeros(matrix.shape, dtype=bool) if named is None else np.array(named)
    return OutOfFoldLabels(attribute, names, ids, np.array(given), fold, matrix, 1.0, texts)


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
    # How many are listed depends on the probability of an error, which starts from 3.3%: here more labels are wrong.
    assert errors["wrong"].sum() >= 5
    assert errors["wrong"].all()
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
    assert list(table.columns) == [name for name in COLUMNS if name != "stated"]
    some = find_label_issues(rank_label_issues([judged([0, 1], [[0.5, 0.5]] * 2)]))
    assert table.dtypes.astype(str).to_dict() == some.dtypes.astype(str).to_dict()
    shares = expected_shares(result.judged, table)
    assert shares["attribute"].tolist() == ["all"]
    assert shares["listed"].tolist() == [0]
    assert shares[["expected_share", "low", "high"]].isna().all(axis=None)
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


@pytest.mark.parametrize("labelled", [1000, 10_000, 100_000])
def test_the_search_trains_one_small_network_half_as_long_and_holds_nothing_out(labelled: int) -> None:
    usual = AttributeConfig.for_data(labelled)
    found = config_for(labelled, seed=3)
    assert (found.max_epochs, found.seed) == (max(1, round(usual.max_epochs / 2)), 3)
    assert (found.validation_share, found.members, found.pair_units) == (0.0, 1, 0)
    assert found.joint_units <= usual.joint_units / 2
    assert (found.batch_size, found.dropout, found.min_samples) == (usual.batch_size, usual.dropout, usual.min_samples)
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


def plain(ranked: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(ranked["article_id"], ranked["attribute"], strict=True))


def test_one_ranking_over_all_attributes_in_a_total_order() -> None:
    """Equal labels of attributes that look alike stand by article and attribute."""
    rows = [[0.05, 0.95], [0.9, 0.1], [0.9, 0.1]]
    ranked = rank_label_issues([judged([0, 0, 1], rows), judged([0, 0, 1], rows, "fit")])
    assert ranked["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    doubted = ["x0", "x0", "x2", "x2", "x1", "x1"]
    assert plain(ranked) == list(zip(doubted, ["colour", "fit"] * 3, strict=True))
    first = ranked.iloc[0]
    assert (first["annotated_value"], first["predicted_value"]) == ("a", "b")
    assert (first["annotated_probability"], first["confidence"]) == (0.05, 0.95)
    assert ranked["error_probability"].is_monotonic_decreasing


def ranking(rows: list[tuple[str, float, bool]]) -> pd.DataFrame:
    """Labels of one attribute, each contradicted or not, with the probability of an error, stated or not."""
    ids = [f"x{place}" for place in range(len(rows))]
    frame = pd.DataFrame(rows, columns=["predicted_value", "error_probability", "stated"])
    frame = frame.assign(article_id=ids, attribute="colour", annotated_value="a", annotated_probability=0.1)
    return frame.assign(confidence=0.9, fold=0, rank=range(1, len(rows) + 1))[list(COLUMNS)].astype(COLUMNS)


def test_only_probable_errors_are_kept_and_ranked_anew() -> None:
    ranked = ranking([("b", 0.9, True), ("b", 0.8, False), ("a", 0.7, False), ("c", 0.5, False), ("c", 0.49, False)])
    table = find_label_issues(ranked)
    assert table["article_id"].tolist() == ["x1", "x3"], "not what the text states, nor what the model confirms"
    assert table["rank"].tolist() == [1, 2]
    assert "stated" not in table
    assert find_label_issues(ranked, least_error_probability=0.4)["article_id"].tolist() == ["x1", "x3", "x4"]


def test_what_the_text_states_is_never_listed_and_ranks_last() -> None:
    """Of 200 labels five are contradicted alike; the texts of two of these state the annotated value."""
    rows = [[0.001, 0.999]] * 5 + [[0.97, 0.03]] * 195
    named = [[True, False]] * 2 + [[False, False]] * 198
    ranked = rank_label_issues([judged([0] * 200, rows, named=named)])
    assert ranked["article_id"].head(3).tolist() == ["x2", "x3", "x4"]
    assert set(ranked["article_id"].tail(2)) == {"x0", "x1"}
    assert find_label_issues(ranked, least_error_probability=0.0)["article_id"].tolist() == ["x2", "x3", "x4"]


def test_the_expected_share_is_the_mean_probability_of_an_error() -> None:
    """One attribute that the model knows, and one of which it says nothing, whose labels are therefore not listed."""
    known = [[0.0005, 0.9995]] * 10 + [[0.995, 0.005]] * 290
    guessed = [[0.55, 0.45]] * 150 + [[0.45, 0.55]] * 150
    labels = [judged([0] * 300, known), judged([0] * 300, guessed, "fit")]
    ranked = rank_label_issues(labels)
    issues = find_label_issues(ranked)
    shares = expected_shares(labels, issues).set_index("attribute")
    assert shares.index.tolist() == ["colour", "fit", "all"]
    assert shares["listed"].tolist() == [10, 0, 10]
    assert shares["labels"].tolist() == [300, 300, 600]
    assert shares.loc["colour", "expected_share"] == pytest.approx(issues["error_probability"].mean())
    assert shares.loc["all", "expected_share"] == pytest.approx(shares.loc["colour", "expected_share"])
    assert shares.loc["fit", ["expected_share", "low", "high"]].isna().all()
    assert 0 <= shares.loc["colour", "low"] <= shares.loc["colour", "high"] <= 1
    again = expected_shares(labels, issues)
    pd.testing.assert_frame_equal(again, expected_shares(labels, issues))


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


# Memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", ["log_odds", "self_confidence", "normalized_margin"])
def test_the_quality_of_every_value_is_that_of_an_annotation(score: label_errors.Score) -> None:
    rows = np.array([[0.1, 0.5, 0.4], [0.4, 0.4, 0.2], [1.0, 0.0, 0.0]])
    found = label_errors._qualities(rows, score)
    for value in range(3):
        expected = label_errors.quality(np.full(3, value), rows, score)
        possible = rows[:, value] > 0
        np.testing.assert_allclose(found[possible, value], expected[possible])


def test_scores_are_counted_alike_in_parts_and_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.dirichlet(np.ones(4), 50)
    labels = judged(rng.integers(0, 4, 50).tolist(), matrix.tolist(), values="abcd", named=rng.random((50, 4)) < 0.2)
    whole = label_errors._score_counts(labels, "log_odds")
    monkeypatch.setattr(label_errors, "CELLS", 12)
    parts = label_errors._score_counts(labels, "log_odds")
    np.testing.assert_array_equal(parts.labels, whole.labels)
    np.testing.assert_allclose(parts.made_up, whole.made_up)
    open_ = ~labels.named[np.arange(50), labels.given]
    assert whole.labels.sum() == open_.sum()
