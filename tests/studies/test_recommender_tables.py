"""The study's tables: tests are honest, and results of different studies do not mix."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from atelier.metrics import holm
from atelier.studies.recommender_scores import RecommenderFitResult, StudyError
from atelier.studies.recommender_tables import paired_tests_of, scores_of


def result(model: str, values: Sequence[float], seed: int | None = None, **fields: Any) -> RecommenderFitResult:
    """A result with the given precision of each customer."""
    from atelier.studies.recommender_scores import _packed

    cube = np.repeat(np.array(values, dtype=np.float64)[:, None, None], 6, axis=1)
    scores = {"segment": ["all"], "metric": ["precision"], "k": [10], "value": [float(np.mean(values))]}
    scores |= {"standard_error": [None], "customers": [len(values)]}
    return RecommenderFitResult(
        model=model, seed=seed, k=10, scores=scores, packed={"all": _packed(cube, (10,))}, **fields
    )


def test_tests_are_those_of_scipy_holm_corrected() -> None:
    rng = np.random.default_rng(3)
    values = {name: rng.random((4, 30)) + add for name, add in (("a", 0), ("b", 0.1), ("c", 0.3))}
    fits = [result(name, each[seed], seed) for name, each in values.items() for seed in range(4)]
    table = paired_tests_of(fits)
    assert table[["model", "against"]].drop_duplicates().apply(tuple, axis=1).tolist() == [
        (model, against) for against, model in combinations("abc", 2)
    ]
    for unit, axis in (("customers", 0), ("seeds", 1)):
        rows = table[table["unit"] == unit].set_index(["model", "against"])
        for (model, against), row in rows.iterrows():
            one, other = values[model].mean(axis=axis), values[against].mean(axis=axis)
            assert row["difference"] == pytest.approx((one - other).mean())
            assert row["relative"] == pytest.approx((one - other).mean() / other.mean())
            assert row["p_value"] == pytest.approx(stats.ttest_rel(one, other).pvalue)
            assert row["standard_error"] == pytest.approx(stats.sem(one - other))
            assert row["pairs"] == len(one)
        assert rows["p_holm"].tolist() == pytest.approx(holm(rows["p_value"].to_numpy(float)).tolist())
        assert (rows["p_holm"] >= rows["p_value"]).all()


def test_what_has_no_seed_stands_for_every_seed() -> None:
    rng = np.random.default_rng(4)
    fixed, other, values = rng.random(20), rng.random(20), rng.random((3, 20))
    fits = [result("popular", fixed), result("repeat", other)]
    fits += [result("als", each, seed) for seed, each in enumerate(values)]
    table = paired_tests_of(fits).set_index(["unit", "model", "against"])
    row = table.loc[("seeds", "als", "popular")]
    assert row["p_value"] == pytest.approx(stats.ttest_rel(values.mean(axis=1), [fixed.mean()] * 3).pvalue)
    assert row["pairs"] == 3
    both_fixed = table.loc[("seeds", "repeat", "popular")]
    assert pd.isna(both_fixed["p_value"])
    assert pd.isna(both_fixed["p_holm"])
    assert both_fixed["difference"] == pytest.approx((other - fixed).mean())
    assert table.loc[("seeds", "als", "repeat"), "p_holm"] <= 2 * table.loc[("seeds", "als", "repeat"), "p_value"]
    assert table.loc[("customers", "repeat", "popular"), "p_value"] == pytest.approx(
        stats.ttest_rel(other, fixed).pvalue
    )


def test_where_nothing_can_be_told_p_is_null() -> None:
    few = [result(name, [0.1 * seed, 0.2, 0.0], seed) for name in "ab" for seed in range(2)]
    table = paired_tests_of([*few, result("zero", [0, 0, 0]), result("late", [0.1, 0.1, 0.3])])
    assert table[table["unit"] == "seeds"][["p_value", "p_holm"]].isna().all(axis=None)
    customers = table[table["unit"] == "customers"].set_index(["model", "against"])
    assert pd.isna(customers.loc[("b", "a"), "p_value"])
    assert customers.loc[("b", "a"), "difference"] == 0
    assert pd.isna(customers.loc[("late", "zero"), "relative"])
    assert pd.notna(customers.loc[("late", "zero"), "p_value"])
    alone = paired_tests_of([result("zero", [0, 0, 0]), result("late", [0.1, 0.1, 0.3])])
    assert alone.loc[alone["unit"] == "seeds", "p_value"].isna().all()


def test_shares_are_families_of_their_own_and_a_ceiling_is_not_tested() -> None:
    rng = np.random.default_rng(5)
    fits = [
        result(name, rng.random(9), seed, share=share) for share in (1.0, 0.5) for name in "ab" for seed in range(3)
    ]
    table = paired_tests_of([*fits, result("ceiling", rng.random(9), tested=False)])
    assert table.groupby(["share", "unit"]).size().tolist() == [1] * 4
    assert (table["p_holm"] == table["p_value"]).all()
    assert "ceiling" in set(scores_of([*fits, result("ceiling", rng.random(9), tested=False)])["model"])


def test_results_of_different_studies_do_not_mix() -> None:
    with pytest.raises(StudyError, match="2 and 3 customers"):
        paired_tests_of([result("a", [0, 1]), result("b", [0, 1, 1])])
    with pytest.raises(StudyError, match="2 and 3 customers"):
        scores_of([result("a", [0, 1], 0), result("a", [0, 1, 1], 1)])
    with pytest.raises(StudyError, match="no results"):
        scores_of([])
