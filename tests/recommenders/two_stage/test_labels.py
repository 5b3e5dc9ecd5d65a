"""What two_stage learns from: the days of labels, returns, channels; and that no feature sees the truth."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.interactions import Interactions, InteractionsError
from atelier.recommenders.two_stage.examples import held_out
from atelier.recommenders.two_stage.histories import MOST_CHANNELS, channels_of
from atelier.recommenders.two_stage.moment import Moment
from atelier.recommenders.two_stage.training_days import TrainingDay, TrainingRows
from atelier.recommenders.two_stage.two_stage_config import TwoStageConfig
from tests.recommenders.two_stage.socks_and_coats import ARTICLES, CATALOGUE, DAYS, FRAME, SMALL


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


def test_undated_interactions_are_labelled_by_the_last_of_each_customer() -> None:
    frame = FRAME[FRAME["article_id"].str.startswith("sock")][["customer_id", "article_id"]]
    model = recommenders.build("two_stage", **SMALL).fit(frame, CATALOGUE)
    assert model.training_figures()["lists"] == 60
    recs = model.recommend(k=1, exclude_seen=False)
    assert (recs["article_id"].str[-1].astype(int) == recs["customer_id"].str[1:].astype(int) % 6).all()


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


def test_a_newest_day_without_regulars_has_no_recall() -> None:
    """On the last day only new customers buy; the days before have regulars, but are not the newest."""
    new = FRAME.assign(
        customer_id=np.where(FRAME["occurred_at"] >= DAYS[-1], "new" + FRAME["customer_id"], FRAME["customer_id"])
    )
    figures = recommenders.build("two_stage", **SMALL).fit(new, CATALOGUE).training_figures()
    assert figures["lists"] > 60
    assert not any(name.startswith("recall_") for name in figures)
