"""The reasons of two_stage: the source of a candidate and the features that raised its score."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from atelier import recommenders
from atelier.recommenders.two_stage.explanation import ListParts, explain
from atelier.recommenders.two_stage.ranking_features import tells
from atelier.recommenders.two_stage.two_stage import TwoStage
from tests.recommenders.two_stage.socks_and_coats import CATALOGUE, FRAME, SMALL, fitted


@pytest.fixture
def model() -> TwoStage:
    return fitted()


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
