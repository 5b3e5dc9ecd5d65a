"""The tables of the recommender study: scores over seeds, and which differences are significant.

What belongs here: means, deviations and tests over the results of fits. What does not: the fits
(:mod:`atelier.studies.recommender_study`), the scores of one fit (:mod:`atelier.studies.recommender_scores`), the test
itself (:mod:`atelier.metrics`).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from atelier.metrics import compare, holm
from atelier.studies.recommender_scores import Floats, RecommenderFitResult, StudyError

#: A test over seeds needs at least this many.
FEWEST_SEEDS = 3
TESTS = ("share", "unit", "model", "against", "difference", "relative", "standard_error", "p_value", "p_holm", "pairs")
_SCORED = ["share", "model", "segment", "metric", "k"]


def scores_of(results: Sequence[RecommenderFitResult]) -> pd.DataFrame:
    """The scores of all models.

    Returns:
        share, model, segment, metric, k, value (mean over seeds), deviation (over seeds, with seeds − 1; null for one
        seed), standard_error (over customers, of their means over seeds; null for coverage, overlap,
        personalization and novelty, and where fewer than two customers are evaluated), customers, seeds (the number of
        fits in the mean); ordered by share, then as the results are.

    Raises:
        StudyError: there are no results, or those of different studies.
    """
    tables = []
    for (share, model), fits in _grouped(results).items():
        every = pd.concat([pd.DataFrame(fit.scores) for fit in fits]).astype({"value": "Float64"})
        groups = every.groupby(["segment", "metric", "k"], sort=False)
        table = groups.agg(value=("value", "mean"), deviation=("value", "std"), customers=("customers", "max"))
        errors = [_standard_error(_pooled(fits, metric, k, segment)) for segment, metric, k in table.index]
        table["standard_error"] = pd.array(errors, dtype="Float64")
        tables.append(table.reset_index().assign(share=share, model=model, seeds=len(fits)))
    columns = [*_SCORED, "value", "deviation", "standard_error", "customers", "seeds"]
    return pd.concat(tables, ignore_index=True)[columns].astype({"model": "str", "segment": "str", "metric": "str"})


def paired_tests_of(results: Sequence[RecommenderFitResult]) -> pd.DataFrame:
    """Every pair of models by a paired two-sided t-test on precision at ``k``, the later against the earlier.

    The unit ``customers`` pairs the values of customers, averaged over seeds; the unit ``seeds`` pairs the means over
    customers, and a deterministic model has the same mean for every seed. The p-values are corrected by Holm's
    step-down procedure (1979) within each share and unit.

    Returns:
        share, unit (customers, seeds), model, against, difference (mean of model − against), relative (difference over
        the mean of ``against``; null where that is 0), standard_error, p_value, p_holm, pairs. Both p are null where
        nothing differs, and over seeds where the difference never varies or there are fewer than three.

    Raises:
        StudyError: there are no results, or those of different studies.
    """
    shares: dict[float, dict[str, list[RecommenderFitResult]]] = {}
    for (share, model), fits in _grouped([result for result in results if result.tested]).items():
        shares.setdefault(share, {})[model] = fits
    parts = []
    for share, models in shares.items():
        for unit, values in (("customers", _by_customer(models)), ("seeds", _by_seed(models))):
            parts.append(_tests(values, unit).assign(share=share, unit=unit))
    return pd.concat(parts, ignore_index=True)[list(TESTS)].astype({"unit": "str"})


def _grouped(results: Sequence[RecommenderFitResult]) -> dict[tuple[float, str], list[RecommenderFitResult]]:
    """The fits of each share and model; shares and, within them, models in the order of the results."""
    if not results:
        raise StudyError("there are no results of a study to make a table of")
    shares = list(dict.fromkeys(result.share for result in results))
    groups: dict[tuple[float, str], list[RecommenderFitResult]] = {}
    for result in sorted(results, key=lambda result: shares.index(result.share)):
        groups.setdefault((result.share, result.model), []).append(result)
    return groups


def _pooled(fits: Sequence[RecommenderFitResult], metric: str, k: int, segment: str) -> Floats | None:
    """The value of each customer, averaged over fits: float64 [customers]; None for a metric without such values."""
    values = [found for fit in fits if (found := fit.values(metric, k, segment)) is not None]
    _check_alike(values)
    return np.asarray(np.mean(values, axis=0)) if values else None


def _check_alike(values: Sequence[Floats]) -> None:
    sizes = sorted({len(each) for each in values})
    if len(sizes) > 1:
        raise StudyError(f"results for {sizes[0]:,} and {sizes[-1]:,} customers are mixed: take those of one study")


def _standard_error(values: Floats | None) -> float | None:
    return None if values is None or len(values) < 2 else float(values.std(ddof=1) / np.sqrt(len(values)))


def _tests(values: Mapping[str, "pd.Series[float]"], unit: str) -> pd.DataFrame:
    """The pairs of models by their values of the same customers or seeds, whose names are the index."""
    # This is the paired test of the leaderboard, whose column customer_id holds seeds where the unit is seeds.
    frames = {
        name: pd.DataFrame({"customer_id": each.index, "metric": "precision", "k": 1, "value": each.to_numpy()})
        for name, each in values.items()
    }
    table = compare(frames).rename(columns={"baseline": "against", "customers": "pairs"})
    level = table["against"].map({name: float(each.mean()) for name, each in values.items()}).astype("Float64")
    table["relative"] = table["difference"] / level.where(level != 0)
    if unit == "seeds":
        pairs = zip(table["model"], table["against"], strict=True)
        varies = np.array([np.ptp((values[one] - values[other]).dropna()) > 0 for one, other in pairs], dtype=bool)
        table["p_value"] = table["p_value"].where(varies & (table["pairs"] >= FEWEST_SEEDS).to_numpy(bool))
        table["p_holm"] = pd.array(holm(table["p_value"].to_numpy(np.float64, na_value=np.nan)), dtype="Float64")
    return table


def _by_customer(models: Mapping[str, Sequence[RecommenderFitResult]]) -> dict[str, "pd.Series[float]"]:
    """Precision of each customer, averaged over seeds; the index is the customer's row number."""
    found = {name: _pooled(fits, "precision", fits[0].k, "all") for name, fits in models.items()}
    values = {name: each for name, each in found.items() if each is not None}
    _check_alike(list(values.values()))
    return {name: pd.Series(each, index=pd.RangeIndex(len(each)).astype("str")) for name, each in values.items()}


def _by_seed(models: Mapping[str, Sequence[RecommenderFitResult]]) -> dict[str, "pd.Series[float]"]:
    """Mean precision of each seed; a fit without a seed counts for all seeds."""
    means = {
        name: {fit.seed: float(values.mean()) for fit in fits if (values := fit.values()) is not None}
        for name, fits in models.items()
    }
    seeds = sorted({seed for each in means.values() for seed in each if seed is not None}) or [0]
    spread = {name: dict.fromkeys(seeds, each[None]) if None in each else each for name, each in means.items()}
    return {name: pd.Series({str(seed): value for seed, value in each.items()}) for name, each in spread.items()}
