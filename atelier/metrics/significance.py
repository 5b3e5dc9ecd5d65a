"""Whether one model is better than another, on the same customers.

What belongs here: the paired test and its correction for many tests. What does not: the values that are compared.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from atelier.arrays import distinct_values
from atelier.metrics.encoding import Floats, Ints, MetricsError, Universe, coded, column, identifiers, universe

COLUMNS = ("metric", "k", "model", "baseline", "difference", "standard_error", "p_value", "p_holm", "customers")


def compare(values: Mapping[str, Any], customers: Iterable[Any] | None = None) -> pd.DataFrame:
    """Every pair of models by a two-sided paired t-test over customers, Holm-corrected within each metric and k.

    Args:
        values: per-customer values of each model, as :func:`atelier.metrics.per_customer` gives them (pandas or
            Arrow). Of two models, the one named later is held against the one named earlier.
        customers: restricts the test, a collection or a frame with customer_id; for example to
            :func:`atelier.metrics.customers_with_history`.

    Returns:
        metric, k, model, baseline, difference (mean of model − baseline), standard_error, p_value, p_holm, customers;
        sorted by metric, k and the order of the models. Both p are null where nobody differs or fewer than two
        customers have both values; pairs without a customer in common are left out. The test is of the t statistic
        with n − 1 degrees of freedom (Student 1908); the correction is Holm's step-down (1979).

    Raises:
        MetricsError: a column is missing, an identifier null, or ``values`` no mapping.
    """
    from scipy.special import stdtr

    tables, families = _matrices(values, customers)
    rows = []
    for baseline, model in combinations(values, 2):
        gap = tables[model] - tables[baseline]  # [customers, families]
        known = ~np.isnan(gap)
        count = known.sum(axis=0)
        mean, error = _mean_and_error(gap, known, count)
        differs = (np.where(known, gap, 0.0) != 0).any(axis=0) & (count > 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            p = np.where(differs, 2.0 * stdtr(np.maximum(count - 1.0, 1.0), -np.abs(mean / error)), np.nan)
        part = families.assign(
            model=model, baseline=baseline, difference=mean, standard_error=error, p_value=p, customers=count
        )
        rows.append(part[count > 0])
    return _finished(rows)


def holm(p_values: Floats) -> Floats:
    """Holm's adjusted p-values: the i-th smallest of m is times m − i + 1, never below a smaller one's, at most 1.

    Args:
        p_values: the p-values of one family; nan (no test) is left out of m and stays nan.
    """
    adjusted = np.full(len(p_values), np.nan)
    tests = np.flatnonzero(~np.isnan(p_values))
    order = tests[np.argsort(p_values[tests], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted


def _matrices(values: Mapping[str, Any], customers: Iterable[Any] | None) -> tuple[dict[str, Floats], pd.DataFrame]:
    """For each model float64 [customers, families], nan where it has no value; and the families (metric, k)."""
    if not isinstance(values, Mapping):
        raise MetricsError(f"compare takes a frame for each model by name, {{'als': …}}, not {type(values).__name__}")
    who = {model: coded(column(frame, "customer_id", model), "customer_id", model) for model, frame in values.items()}
    what = {model: coded(column(frame, "metric", model), "metric", model) for model, frame in values.items()}
    ids, metrics = universe(*who.values()), universe(*what.values())
    if customers is not None:
        chosen = identifiers(customers)
        chosen.warn_strangers(ids, "the customers of the models")
        wanted = chosen.within(ids)
        ids = Universe(ids.take(distinct_values(wanted[wanted >= 0])), ids.form, ids.what)
    keys = {model: np.asarray(column(frame, "k", model), np.int64) * len(metrics) for model, frame in values.items()}
    keys = {model: key + what[model].within(metrics) for model, key in keys.items()}
    distinct = distinct_values(np.concatenate(list(keys.values()))) if keys else np.empty(0, np.int64)
    tables = {}
    for model, frame in values.items():
        # The last row takes the customers who are not compared (code −1).
        table = np.full((len(ids) + 1, len(distinct)), np.nan)
        numbers = pd.Series(np.asarray(column(frame, "value", model))).to_numpy(np.float64)
        table[who[model].within(ids), np.searchsorted(distinct, keys[model])] = numbers
        tables[model] = table[:-1]
    k, metric = np.divmod(distinct, max(len(metrics), 1))
    return tables, pd.DataFrame({"metric": metrics.take(metric).to_pandas().astype("str"), "k": k})


def _mean_and_error(gap: Floats, known: Any, count: Ints) -> tuple[Floats, Floats]:
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, gap, 0.0).sum(axis=0) / count
        squares = (np.where(known, gap - mean, 0.0) ** 2).sum(axis=0)
        error = np.sqrt(squares / np.where(count > 1, count - 1.0, np.nan) / count)
    return mean, error


def _finished(rows: list[pd.DataFrame]) -> pd.DataFrame:
    if not rows:
        return pd.DataFrame(
            {name: pd.Series(dtype="str" if name in ("metric", "model", "baseline") else "Float64") for name in COLUMNS}
        )
    table = pd.concat(rows, ignore_index=True).sort_values(["metric", "k"], kind="stable", ignore_index=True)
    table["p_holm"] = table.groupby(["metric", "k"])["p_value"].transform(lambda p: holm(p.to_numpy(np.float64)))
    for name in ("difference", "standard_error", "p_value", "p_holm"):
        table[name] = pd.array(table[name].to_numpy(np.float64), dtype="Float64")
    return table[list(COLUMNS)]
