"""two_stage: what it learns, that no feature sees the truth, reasons, and fits without dates or without labels."""

from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.errors import BundleError, UnknownIdentifier
from atelier.interactions import Interactions, InteractionsError
from atelier.recommenders.two_stage.examples import held_out
from atelier.recommenders.two_stage.explanation import ListParts, explain
from atelier.recommenders.two_stage.histories import MOST_CHANNELS, channels_of
from atelier.recommenders.two_stage.moment import Moment, source_names
from atelier.recommenders.two_stage.ranking_features import tells
from atelier.recommenders.two_stage.training_days import TrainingDay, TrainingRows
from atelier.recommenders.two_stage.two_stage import TwoStage
from atelier.recommenders.two_stage.two_stage_config import TwoStageConfig

SMALL: dict[str, Any] = {"recommenders": [], "candidates": 10, "trees": 30, "min_examples_in_leaf": 5, "threads": 1}
DAYS = pd.date_range("2020-03-01", periods=6)
ARTICLES = pd.DataFrame({"article_id": [f"sock{n}" for n in range(6)] + [f"coat{n}" for n in range(6)]})
ARTICLES["product_type"] = np.where(ARTICLES["article_id"].str.startswith("sock"), "Sock", "Coat")
ARTICLES["product_code"] = ARTICLES["article_id"].str[-1]
CATALOGUE = Catalogue.from_frames(ARTICLES)


def planted(customers: int = 60, seed: int = 0) -> pd.DataFrame:
    """Everyone buys their own sock every day, and each day a coat after it that they never buy again."""
    random = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        coats = random.permutation(6)
        for place, day in enumerate(DAYS):
            rows.append((f"c{customer:02d}", f"sock{customer % 6}", day))
            rows.append((f"c{customer:02d}", f"coat{coats[place]}", day + pd.Timedelta(hours=1)))
    return pd.DataFrame(rows, columns=["customer_id", "article_id", "occurred_at"])


FRAME = planted()


@pytest.fixture(scope="module")
def model() -> TwoStage:
    fitted = recommenders.build("two_stage", **SMALL).fit(FRAME, CATALOGUE)
    assert isinstance(fitted, TwoStage)
    return fitted


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


@pytest.mark.parametrize("ranker", ["boosted", "network"])
def test_customers_without_history_are_told_that_it_sells(ranker: str) -> None:
    """The ranker did not order their lists, so no feature is a reason, though the sources list these articles."""
    frame = pd.DataFrame({"customer_id": [*sorted(set(FRAME["customer_id"])), "x"]})
    model = recommenders.build("two_stage", **SMALL, ranker=ranker, network_epochs=1).fit(FRAME, CATALOGUE, frame)
    assert isinstance(model, TwoStage)
    recs = model.recommend(["c01", "x"], k=5, exclude_seen=False)
    reasons = dict(zip(recs["customer_id"], model.explain(recs).to_pylist(), strict=True))
    assert reasons["x"] == [{"kind": "source", "value": "popular", "weight": 0.0}]
    assert reasons["c01"][0]["value"] != "popular"


@pytest.mark.parametrize("damaged", [slice(0, -1), slice(0, 40)])
def test_a_bundle_with_damaged_trees_does_not_load(model: TwoStage, damaged: slice, tmp_path: Path) -> None:
    model.save(tmp_path / "sound")
    assert isinstance(recommenders.load(tmp_path / "sound"), TwoStage)
    other = copy(model)
    other.weights = model.weights | {"ranker.trees": model.weights["ranker.trees"][damaged]}
    other.save(tmp_path / "damaged")
    with pytest.raises(BundleError, match=r"damaged: the trees of two_stage are not those that were saved"):
        recommenders.load(tmp_path / "damaged")


def recorded(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue = CATALOGUE, **settings: Any
) -> dict[tuple[int, str, str], list[float]]:
    """The features of all training examples of the last day: by (day's place, customer, article)."""
    found: dict[tuple[int, str, str], list[float]] = {}
    kept = Moment.features

    def features(self: Moment, rows: Any, candidates: Any) -> Any:
        matrix = kept(self, rows, candidates)
        customers, articles = ids["customers"].take(rows[candidates.rows]), ids["articles"].take(candidates.codes)
        moment = self.inputs.snapshot.moment
        for customer, article, values in zip(customers.to_pylist(), articles.to_pylist(), matrix.tolist(), strict=True):
            found[moment, customer, article] = values
        return matrix

    data = Interactions.from_frame(frame)
    ids = {"customers": data.customer_ids, "articles": CATALOGUE.ids}
    with monkeypatch.context() as patch:
        patch.setattr(Moment, "features", features)
        recommenders.build("two_stage", **(SMALL | settings), training_days=1).fit(data, catalogue)
    return found


def with_returns() -> pd.DataFrame:
    """The same purchases; on the last day everybody sends back what they bought two and three days before."""
    kinds = FRAME.assign(kind="purchase")
    recent = kinds[kinds["occurred_at"].dt.normalize().isin(DAYS[-4:-2])]
    return pd.concat([kinds, recent.assign(occurred_at=DAYS[-1] + pd.Timedelta(hours=2), kind="return")])


def with_another_last_day() -> pd.DataFrame:
    """The same customers at the same times; on the last day they buy few of the articles, and these often."""
    last, other = FRAME["occurred_at"] >= DAYS[-1], FRAME.copy()
    other.loc[last, "article_id"] = np.random.default_rng(1).choice(["sock1", "coat2", "coat5"], last.sum())
    return other


def with_sales(frame: pd.DataFrame) -> Catalogue:
    """The catalogue as it is after the last day: its vectors count what sold, the judged day included."""
    sold = frame["article_id"].value_counts().reindex(ARTICLES["article_id"], fill_value=0).to_numpy()
    vectors = np.column_stack([ARTICLES["product_type"] == "Sock", ARTICLES["product_type"] == "Coat", np.log1p(sold)])
    names = ["product_type: Sock", "product_type: Coat", "popularity: popularity"]
    return Catalogue.from_frames(ARTICLES, vectors.astype(np.float32), names)


@pytest.mark.parametrize("other", ["another last day", "returns"])
def test_no_feature_sees_the_labels(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other purchases or returns on the labels' day change which candidates are positive, and no feature of any."""
    changed = with_returns() if other == "returns" else with_another_last_day()
    one, two = recorded(FRAME, monkeypatch), recorded(changed, monkeypatch)
    common = one.keys() & two.keys()
    assert len(common) > 100
    assert all(np.array_equal(one[key], two[key], equal_nan=True) for key in common)


@pytest.mark.parametrize("source", ["hybrid", "two_tower"])
def test_no_recommender_among_the_sources_sees_the_labels(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor by the catalogue's vectors, which count what sold on the judged day."""
    other = with_another_last_day()
    one, two = (recorded(frame, monkeypatch, with_sales(frame), recommenders=[source]) for frame in (FRAME, other))
    common = one.keys() & two.keys()
    assert len(common) > 100
    assert all(np.array_equal(one[key], two[key], equal_nan=True) for key in common)


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


@pytest.mark.parametrize("ranker", ["network", "boosted"])
def test_held_out_lists_teach_nothing(ranker: str) -> None:
    """Two fits whose held-out lists alone differ have the same ranker, to the medians, means and deviations of it."""
    settings: dict[str, Any] = {**SMALL, "ranker": ranker, "network_epochs": 2, "training_days": 1, "held_out": 0.5}
    ids = Interactions.from_frame(FRAME).customer_ids
    away = ids.take(np.flatnonzero(held_out(len(ids), 0.5, TwoStageConfig().seed))[2:]).to_pylist()
    judged = FRAME["customer_id"].isin(away) & (FRAME["occurred_at"] >= DAYS[-1])
    models = [recommenders.build("two_stage", **settings).fit(frame, CATALOGUE) for frame in (FRAME, FRAME[~judged])]
    curves = [model.training_curve().query("part == 'held_out'") for model in models]
    assert not curves[0].equals(curves[1]), "the held-out lists differ"
    one, two = ({key: array for key, array in each.weights.items() if key.startswith("ranker.")} for each in models)
    assert one.keys() == two.keys()
    assert one.keys() >= ({"ranker.trees"} if ranker == "boosted" else {"ranker.median", "ranker.deviation"})
    for name, array in one.items():
        np.testing.assert_array_equal(two[name], array, err_msg=name)


def test_a_day_that_leaks_into_its_own_features_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    days = TrainingRows.days

    def leaking(self: TrainingRows, config: TwoStageConfig) -> list[TrainingDay]:
        return [replace(day, before=day.before | day.label) for day in days(self, config)]

    monkeypatch.setattr(TrainingRows, "days", leaking)
    with pytest.raises(InteractionsError, match="are not before the moment of the snapshot"):
        recommenders.build("two_stage", **SMALL).fit(FRAME, CATALOGUE)


def looked_back_at(frame: pd.DataFrame) -> TrainingRows:
    data = Interactions.from_frame(frame)
    return TrainingRows.of(data, TwoStageConfig().train_kinds, data.customer_ids, data.article_ids)


def test_days_of_labels() -> None:
    past = looked_back_at(FRAME)
    cuts = past.days(TwoStageConfig(training_days=9, horizon_days=2))
    times = past.rows.occurred_at.astype("datetime64[D]")
    days = [str(np.datetime64(cut.as_of, "us").astype("datetime64[D]")) for cut in cuts]
    assert days == ["2020-03-05", "2020-03-04", "2020-03-03", "2020-03-02"]
    for cut, day in zip(cuts, days, strict=True):
        assert times[cut.before].max() == np.datetime64(day) - 1
        assert set(times[cut.label]) == {np.datetime64(day), np.datetime64(day) + 1}


def test_a_purchase_counts_until_it_is_sent_back_and_is_no_label() -> None:
    """The coat of day 1 is sent back on day 2, the sock of day 2 on day 3."""
    rows = [("coat1", 0, "purchase"), ("coat1", 1, "return"), ("sock1", 1, "purchase"), ("sock2", 1, "purchase")]
    rows += [("sock1", 2, "return"), ("sock3", 2, "purchase")]
    frame = pd.DataFrame(rows, columns=["article_id", "occurred_at", "kind"]).assign(customer_id="u")
    for dated in (True, False):
        past = looked_back_at(
            frame.assign(occurred_at=DAYS[frame["occurred_at"]]) if dated else frame.drop(columns="occurred_at")
        )
        names = past.rows.article_ids.decode(past.rows.articles)
        found = [
            (set(past.rows.article_ids.decode(past.known(day.before).articles)), set(names[day.label]))
            for day in past.days(TwoStageConfig())
        ]
        if dated:
            assert found == [({"sock1", "sock2"}, {"sock3"}), ({"coat1"}, {"sock2"})]
        else:
            assert found == [({"sock2"}, {"sock3"})], "the return of the sock came before the last choice"


def test_what_is_only_sent_back_later_is_neither_listed_nor_counted() -> None:
    """Everybody buys the last coat on the first day and sends it back on the last: examples know it, lists do not."""
    kinds = FRAME.assign(kind="purchase")
    bought = kinds.drop_duplicates("customer_id").assign(article_id="coat9")
    sent_back = bought.assign(occurred_at=DAYS[-1], kind="return")
    model = recommenders.build("two_stage", **SMALL).fit(pd.concat([kinds, bought, sent_back]), None)
    assert not model.can_rank(["coat9"]).any()
    assert "coat9" not in set(model.recommend(k=12, exclude_seen=False)["article_id"])


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


def test_undated_interactions_are_labelled_by_the_last_of_each_customer() -> None:
    frame = FRAME[FRAME["article_id"].str.startswith("sock")][["customer_id", "article_id"]]
    model = recommenders.build("two_stage", **SMALL).fit(frame, CATALOGUE)
    assert model.training_figures()["lists"] == 60
    recs = model.recommend(k=1, exclude_seen=False)
    assert (recs["article_id"].str[-1].astype(int) == recs["customer_id"].str[1:].astype(int) % 6).all()


def test_reasons_name_the_source_and_the_features_that_raised_the_score(model: TwoStage) -> None:
    recs = model.recommend(["c01", "c02"], k=12, exclude_seen=False)
    reasons = model.explain(recs, attributes=3).to_pylist()
    first = reasons[0]
    assert (first[0]["kind"], first[0]["value"]) == ("source", "own")
    assert [reason["kind"] for reason in first[1:]] == ["feature"] * (len(first) - 1)
    assert 1 <= len(first[1:]) <= 3
    weights = [reason["weight"] for reason in first[1:]]
    assert weights == sorted(weights, reverse=True)
    assert min(weights) > 0
    # ten candidates; what stands behind them is there because it sells
    assert [r[0]["value"] for r in reasons[10:12]] == ["popular"] * 2
    unknown = pd.DataFrame({"customer_id": ["nobody"], "article_id": ["sock1"]})
    assert model.explain(unknown).to_pylist() == [None]


def reasons_one_by_one(parts: ListParts, customer: int, article: int, most: int) -> list[dict[str, Any]]:
    """The reasons of one candidate, by its definition."""
    rows = np.array([customer])
    candidates = parts.moment.candidates(rows)
    own = candidates.where(candidates.codes == article)
    if not len(own):
        return [{"kind": "source", "value": "popular", "weight": 0.0}]
    assert parts.ranker is not None
    features = parts.moment.features(rows, own)
    added = dict(zip(parts.names, parts.ranker.contributions(features)[0], strict=True))
    said = dict(zip(parts.names, tells(parts.names, features)[0], strict=True))
    source = own.names[int(np.nanargmin(own.ranks[0]))]
    weight = max(added[f"rank_{source}"] + added[f"score_{source}"], 0.0)
    of_sources = {f"{what}_{name}" for what in ("rank", "score") for name in own.names}
    raised = [(name, added[name]) for name in parts.names if said[name] and added[name] > 0 and name not in of_sources]
    first = sorted(raised, key=lambda each: -each[1])[:most]
    return [
        {"kind": "source", "value": source, "weight": weight},
        *({"kind": "feature", "value": name, "weight": value} for name, value in first),
    ]


@pytest.mark.parametrize("most", [0, 2, 100])
def test_reasons_of_many_rows_are_those_of_each(model: TwoStage, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atelier.recommenders.two_stage.explanation.CUSTOMERS", 3)
    monkeypatch.setattr("atelier.recommenders.two_stage.explanation.ROWS", 5)
    recs = model.recommend([f"c{n:02d}" for n in range(8)], k=12, exclude_seen=False).sample(frac=1, random_state=0)
    strangers = pd.DataFrame({"customer_id": ["nobody"], "article_id": ["sock1"]})
    recs = pd.concat([recs, strangers, recs.head(3)])
    parts = ListParts(model.moment(), model.trained_ranker, model._feature_names, model.article_ids)
    found = explain(parts, model.customer_profiles, recs, most).to_pylist()
    articles = model.article_ids.encode(recs["article_id"])
    for customer, article, reasons in zip(recs["customer_id"], articles, found, strict=True):
        if customer == "nobody":
            assert reasons is None
            continue
        expected = reasons_one_by_one(parts, int(customer[1:]), int(article), most)
        assert [(each["kind"], each["value"]) for each in reasons] == [(e["kind"], e["value"]) for e in expected]
        np.testing.assert_allclose([e["weight"] for e in reasons], [e["weight"] for e in expected], rtol=1e-12)


class EveryFeature:
    """A ranker to which every feature adds as much, except those of sources, which lower the score."""

    def __init__(self, names: tuple[str, ...], matrix: Any = None) -> None:
        self.names, self.matrix = names, matrix

    def contributions(self, features: Any) -> Any:
        self.matrix = features
        return np.where([name.startswith(("rank_", "score_")) for name in self.names], -1.0, np.ones_like(features))


def test_a_reason_is_what_raised_the_score_and_happened(model: TwoStage) -> None:
    """Neither what is unknown or never happened is a reason, nor has a source weight that lowered the score."""
    names = model._feature_names
    ranker: Any = EveryFeature(names)
    parts = ListParts(model.moment(), ranker, names, model.article_ids)
    recs = pd.DataFrame({"customer_id": "c01", "article_id": ["sock1", "sock2"]})
    bought, never = explain(parts, model.customer_profiles, recs, len(names)).to_pylist()
    for reasons in (bought, never):
        assert (reasons[0]["kind"], reasons[0]["weight"]) == ("source", 0.0)
    told = [{reason["value"] for reason in reasons[1:]} for reasons in (bought, never)]
    own = {"own_days", "own_times", "own_distinct_days", "own_share", "own_last_day"}
    assert told[0] & {name for name in names if name.startswith("own_")} == own
    assert not {name for name in told[1] if name.startswith("own_")}
    assert {"type_times", "type_days", "sold_7"} <= told[1], "they chose other socks, and this one sells"
    assert "price" not in told[0] | told[1], "the frame has no prices"


def test_contributions_add_up_to_the_score(model: TwoStage) -> None:
    moment, rows = model.moment(), np.arange(5)
    matrix = moment.features(rows, moment.candidates(rows))
    assert model.trained_ranker is not None
    rest = model.trained_ranker.scores(matrix) - model.trained_ranker.contributions(matrix).sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-6)


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


def test_of_many_channels_the_most_frequent_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """200 channels; by what sold before the judged day, so that features see no label through the choice either."""
    numbers = np.arange(len(FRAME)) % 200
    frame = FRAME.assign(channel=[f"till {number:03d}" for number in numbers])
    model = recommenders.build("two_stage", **SMALL).fit(frame, CATALOGUE)
    assert model.weights["snapshot.sold_by_channel"].shape == (MOST_CHANNELS, len(ARTICLES))
    assert model.weights["snapshot.sold_by_channel"].any(axis=1).all()
    new = frame[frame["customer_id"] == "c03"].assign(customer_id="new")
    assert len(model.recommend(histories=new, k=12, exclude_seen=False)) == 12
    last = frame["occurred_at"] >= DAYS[-1]
    other = frame.assign(channel=frame["channel"].where(~last, "till 199"))
    one, two = recorded(frame, monkeypatch), recorded(other, monkeypatch)
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[key], two[key], equal_nan=True) for key in one)


def test_the_places_of_many_channels_are_told_apart() -> None:
    names = tuple(f"till {number:03d}" for number in range(200))
    data = Interactions.from_frame(FRAME.head(200).assign(channel=names))
    assert sorted(channels_of(data, names).tolist()) == list(range(200))


def test_labels_that_cannot_occur_are_refused() -> None:
    for kinds in (("purchas",), ("view",), ("purchase", "view")):
        with pytest.raises(ValidationError, match=f"label_kinds holds {kinds[-1]}, which is not among train_kinds"):
            TwoStageConfig(label_kinds=kinds)
    assert TwoStageConfig(train_kinds=("view",), label_kinds=("view",)).label_kinds == ("view",)


def test_a_group_of_features_is_named_once() -> None:
    with pytest.raises(ValidationError, match="a group of features is named twice"):
        TwoStageConfig(features=("own", "own"))


def test_a_newest_day_without_regulars_has_no_recall() -> None:
    """On the last day only new customers buy; the days before have regulars, but are not the newest."""
    new = FRAME.assign(
        customer_id=np.where(FRAME["occurred_at"] >= DAYS[-1], "new" + FRAME["customer_id"], FRAME["customer_id"])
    )
    figures = recommenders.build("two_stage", **SMALL).fit(new, CATALOGUE).training_figures()
    assert figures["lists"] > 60
    assert not any(name.startswith("recall_") for name in figures)
