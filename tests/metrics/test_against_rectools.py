"""NDCG and MAP with other libraries' divisors: the values that RecTools gave (benchmarks/rectools_expected.py)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from atelier.metrics import MetricsError, evaluate, per_customer

EXPECTED: dict[str, Any] = json.loads(Path(__file__).with_name("rectools_expected.json").read_text(encoding="utf-8"))
RECS = pd.DataFrame(EXPECTED["recs"], columns=["customer_id", "article_id", "rank"])
TRUTH = pd.DataFrame(EXPECTED["truth"], columns=["customer_id", "article_id"])
OPTIONS = {"map": "map_by", "ndcg": "ndcg_ideal"}


def all_of(table: pd.DataFrame, metric: str, k: int) -> float:
    return float(table[(table["metric"] == metric) & (table["k"] == k) & (table["segment"] == "all")]["value"].item())


@pytest.mark.parametrize("name", EXPECTED["values"])
def test_values_equal_rectools(name: str) -> None:
    metric, divisor, k = *name.partition("@")[0].split(), int(name.partition("@")[2])
    given = {OPTIONS[metric]: divisor}
    assert all_of(evaluate(RECS, TRUTH, EXPECTED["k"], **given), metric, k) == pytest.approx(EXPECTED["values"][name])
    rows = per_customer(RECS, TRUTH, EXPECTED["k"], **given)
    mean = rows[(rows["metric"] == metric) & (rows["k"] == k)]["value"].mean()
    assert mean == pytest.approx(EXPECTED["values"][name])


def test_the_divisors_differ_where_lists_and_relevant_sets_do() -> None:
    values = {by: all_of(evaluate(RECS, TRUTH, 3, map_by=by), "map", 3) for by in ("reachable", "relevant", "k")}
    assert len({round(value, 9) for value in values.values()}) == 3
    assert values["reachable"] > max(values["relevant"], values["k"])
    default = evaluate(RECS, TRUTH, 3)
    pd.testing.assert_frame_equal(default, evaluate(RECS, TRUTH, 3, map_by="reachable", ndcg_ideal="reachable"))
    other = evaluate(RECS, TRUTH, 3, map_by="k", ndcg_ideal="k")
    changed = default["value"].ne(other["value"])
    assert set(default[changed]["metric"]) == {"map", "ndcg"}


def test_divisors_by_hand() -> None:
    recs = pd.DataFrame({"customer_id": "u", "article_id": ["a", "x", "b"], "rank": [1, 2, 3]})
    truth = pd.DataFrame({"customer_id": "u", "article_id": list("abcde")})  # hits at ranks 1 and 3, |R| is 5, k is 4
    sums = 1 + 2 / 3
    for by, parts in (("reachable", 4), ("relevant", 5), ("k", 4)):
        assert all_of(evaluate(recs, truth, 4, map_by=by), "map", 4) == pytest.approx(sums / parts)
    one = truth.head(1)  # |R| is 1
    for by, parts in (("reachable", 1), ("relevant", 1), ("k", 4)):
        assert all_of(evaluate(recs, one, 4, map_by=by), "map", 4) == pytest.approx(1 / parts)
    ideal = (1 / np.log2(np.arange(2, 6))).sum()
    assert all_of(evaluate(recs, one, 4, ndcg_ideal="k"), "ndcg", 4) == pytest.approx(1 / ideal)
    assert all_of(evaluate(recs, one, 4), "ndcg", 4) == pytest.approx(1)


def test_an_unknown_divisor_is_named() -> None:
    with pytest.raises(MetricsError, match="map_by is 'sum'; there are reachable, relevant, k"):
        evaluate(RECS, TRUTH, map_by="sum")  # type: ignore[arg-type]
    with pytest.raises(MetricsError, match="ndcg_ideal is 'relevant'; there are reachable, k"):
        per_customer(RECS, TRUTH, ndcg_ideal="relevant")  # type: ignore[arg-type]
