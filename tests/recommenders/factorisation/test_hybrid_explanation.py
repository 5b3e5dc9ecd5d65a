"""hybrid's reasons: they add up to the score, and the planted taste is among them."""

import numpy as np
import pandas as pd
import pytest
import torch

from atelier.recommenders.content_explanation import labels_of
from atelier.recommenders.factorisation.hybrid import Hybrid
from tests.recommenders.factorisation.planted import CATALOGUE, TASTES, TRAIN, fitted, learned


@pytest.fixture(scope="module", params=["content", "collaborative", "hybrid"])
def model(request: pytest.FixtureRequest) -> Hybrid:
    return learned(mode=request.param)


def test_reasons_add_up_to_the_score(model: Hybrid) -> None:
    recs = model.recommend(k=4).sample(60, random_state=0)
    vectors = model.weights["articles"].astype(np.float64)
    network = model.content_network()
    reasons = model.explain(recs, CATALOGUE, articles=99, attributes=99).to_pylist()
    assert len(reasons) == len(recs)
    for (customer, article, score), found in zip(
        recs[["customer_id", "article_id", "score"]].values, reasons, strict=True
    ):
        own = TRAIN.articles[TRAIN.customers == TRAIN.customer_ids.encode([customer])[0]]
        terms: dict[str, float] = {}
        y = vectors[model.article_ids.encode([article])[0]]
        for bought in TRAIN.article_ids.take(own).to_pylist():
            h = vectors[model.article_ids.encode([bought])[0]]
            terms[bought] = terms.get(bought, 0) + float(h @ y) / len(own)
        assert sum(terms.values()) == pytest.approx(score, rel=1e-4)
        articles = {r["value"]: r["weight"] for r in found if r["kind"] == "article"}
        assert articles == pytest.approx({a: w for a, w in terms.items() if w > 0}, rel=1e-3)
        attributes = {r["value"]: r["weight"] for r in found if r["kind"] == "attribute"}
        assert bool(attributes) == (network is not None)
        if network is not None:
            x = torch.tensor(
                model.customer_vectors(
                    model.customer_profiles.profiles, model.customer_profiles.ids.encode([customer])
                )[0]
            )
            z = torch.tensor(CATALOGUE.vectors[CATALOGUE.ids.encode([article])[0]])
            hidden = z @ network.first + network.first_bias  # one hidden layer: its open units decide
            slope = network.first @ ((hidden > 0) * (network.layers[0].weight.T @ x))
            slow = (slope * z).detach().numpy()
            grouped = dict(zip([f"kind={t}" for t in range(TASTES)], slow[:TASTES], strict=True))
            grouped |= {"image": slow[6] + slow[7], "price": slow[8]}
            expected = {name: weight for name, weight in grouped.items() if weight > 0}
            assert attributes == pytest.approx(expected, rel=1e-3, abs=1e-5)
        kinds = [r["kind"] for r in found]
        assert kinds == sorted(kinds)
        for kind in set(kinds):
            weights = [r["weight"] for r in found if r["kind"] == kind]
            assert weights == sorted(weights, reverse=True)


def test_the_kind_is_the_reason() -> None:
    model = fitted(mode="hybrid")
    recs = model.recommend(k=3)
    reasons = model.explain(recs, CATALOGUE, articles=1, attributes=1)
    frame = pd.DataFrame([r for found in reasons.to_pylist() for r in found])
    assert frame.groupby("kind").size().max() <= len(recs)
    attributes = frame[frame.kind == "attribute"]
    assert len(attributes) > 0.9 * len(recs)
    assert attributes.value.str.startswith("kind=").mean() > 0.9


def test_reasons_of_whom_and_of_what() -> None:
    model = fitted(mode="hybrid", max_epochs=1)
    frame = pd.DataFrame({"customer_id": ["nobody", "c001", "c002"], "article_id": ["a001", "a001", "n3"]})
    reasons = model.explain(frame, CATALOGUE)
    assert reasons.is_null().to_pylist() == [True, False, False]
    assert all(r["kind"] == "article" for found in model.explain(frame).to_pylist() if found for r in found)
    histories = pd.DataFrame({"customer_id": ["nobody"], "article_id": ["a002"]})
    new = model.explain(frame.iloc[:1], histories=histories).to_pylist()[0]
    assert {r["value"] for r in new} <= {"a002"}
    assert model.explain(frame.iloc[:0], CATALOGUE).to_pylist() == []
    assert model.explain(frame.iloc[:1], CATALOGUE).to_pylist() == [None]
    assert str(reasons.type).count("struct<kind: string, value: string, weight: double>") == 1


def test_many_reasons_are_those_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted(mode="hybrid", max_epochs=2)
    recs = model.recommend(k=3)
    whole = model.explain(recs, CATALOGUE).to_pylist()
    monkeypatch.setattr("atelier.recommenders.content_explanation.ROWS", 50)
    monkeypatch.setattr("atelier.recommenders.factorisation.hybrid_explanation.PAIRS", 33)
    parts = model.explain(recs, CATALOGUE).to_pylist()
    for one, other in zip(whole, parts, strict=True):
        assert [(r["kind"], r["value"]) for r in one] == [(r["kind"], r["value"]) for r in other]


def test_labels() -> None:
    names = {
        "attributes: colour=blue": "colour=blue",
        "text: floral": "text=floral",
        "text: 501": "text=501",
        "image: 17": "image",
        "image: 18": "image",
        "price: price": "price",
        "product_type: Dress": "product_type=Dress",
        "x": "x",
    }
    assert labels_of(list(names)) == list(names.values())
