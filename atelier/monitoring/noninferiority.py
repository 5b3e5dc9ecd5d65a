"""Whether a candidate is surely not much worse than the champion, on the same customers.

What belongs here: the lower bound of a paired difference, and the verdict by a margin. What does not: the values of
customers (:func:`atelier.metrics.per_customer`), the paired difference itself (:func:`atelier.metrics.compare`).
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from atelier.metrics import compare
from atelier.metrics.encoding import MetricsError
from atelier.monitoring.limits import GateLimits

CHAMPION, CANDIDATE = "champion", "candidate"
#: Of the two-sided interval whose lower end is the bound.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Verdict:
    """What became of a candidate.

    Attributes:
        champion: the champion's mean over the customers.
        candidate: the candidate's.
        difference: candidate − champion.
        standard_error: of the difference; nan for fewer than two customers.
        lower: the lower end of its 95% interval; −∞ for fewer than two customers.
        least: what ``lower`` has to lie above: −margin times the champion's value.
        customers: on whom both were judged.
        passed: whether the candidate passed.
        reason: why, in a sentence.
    """

    champion: float
    candidate: float
    difference: float
    standard_error: float
    lower: float
    least: float
    customers: int
    passed: bool
    reason: str


def lower_bound(difference: float, standard_error: float, customers: int) -> float:
    """The lower end of the 95% interval of a mean paired difference of values between 0 and 1.

    Two customers are added to those that were seen: one on whom nothing differs, and one who is half a customer with
    the difference −1 and half one with +1 (Agresti & Min 2005, Statistics in Medicine 24, 729-740, who add ½ to each
    cell of the table of matched pairs). Without them a sample in which by chance nobody differs would have an interval
    of no width, and would pass however few it holds. Student's t with n + 1 degrees of freedom.

    Args:
        difference: the mean over customers, in [−1, 1].
        standard_error: of that mean, from the sample's standard deviation; any number for a single customer.
        customers: n.

    Returns:
        The bound; −∞ for fewer than two customers.
    """
    from scipy.special import stdtrit

    if customers < 2:
        return -math.inf
    squares = standard_error**2 * customers * (customers - 1) + customers * difference**2 + 1.0
    n = customers + 2
    mean = difference * customers / n
    variance = max(squares - n * mean**2, 0.0) / (n - 1)
    return float(mean - stdtrit(n - 1, (1 + CONFIDENCE) / 2) * math.sqrt(variance / n))


def judge(champion: pd.DataFrame, candidate: pd.DataFrame, customers: Collection[str], limits: GateLimits) -> Verdict:
    """Judge a candidate by the champion's values of the same customers.

    Args:
        champion: values per customer, as :func:`atelier.metrics.per_customer` gives them.
        candidate: the same of the candidate.
        customers: who counts, for example :func:`atelier.metrics.customers_with_history`.
        limits: the metric, k, margin and least number of customers.

    Raises:
        MetricsError: a frame lacks the metric of ``limits`` at its k.
    """
    values = {name: _of(frame, name, limits) for name, frame in ((CHAMPION, champion), (CANDIDATE, candidate))}
    paired = compare(values, customers)
    means = {name: _mean(frame, values, customers) for name, frame in values.items()}
    if paired.empty:
        return _verdict(means, 0.0, math.nan, 0, limits)
    (row,) = paired.to_dict("records")
    error = math.nan if pd.isna(row["standard_error"]) else float(row["standard_error"])
    return _verdict(means, float(row["difference"]), error, int(row["customers"]), limits)


def _of(frame: pd.DataFrame, name: str, limits: GateLimits) -> pd.DataFrame:
    chosen = frame[(frame["metric"] == limits.metric) & (frame["k"] == limits.k)]
    if chosen.empty and len(frame):
        raise MetricsError(f"the values of the {name} lack {limits.metric}@{limits.k}, by which recipes are judged")
    return chosen


def _mean(frame: pd.DataFrame, values: dict[str, pd.DataFrame], customers: Collection[str]) -> float:
    """The mean over the customers of whom both have a value."""
    shared = frame["customer_id"].isin(list(customers))
    for other in values.values():
        shared &= frame["customer_id"].isin(other["customer_id"])
    return float(frame.loc[shared, "value"].mean()) if shared.any() else math.nan


def _verdict(means: dict[str, float], difference: float, error: float, customers: int, limits: GateLimits) -> Verdict:
    champion, candidate = means[CHAMPION], means[CANDIDATE]
    lower = lower_bound(difference, error, customers)
    least = -limits.margin * champion
    what = f"{limits.metric}@{limits.k}"
    interval = (
        f"the difference of {what} on {customers:,} customers is {difference:+.5f}, its 95% interval begins at "
        f"{lower:+.5f}, and −{limits.margin:.1%} of the champion's {champion:.5f} is {least:+.5f}"
    )
    if customers < limits.customers:
        passed, reason = (
            False,
            f"{customers:,} customers can be judged, and {limits.customers:,} are the least: a longer ",
        )
        reason += "horizon or a busier day has more"
    elif not champion > 0:
        passed, reason = False, f"the champion's {what} is {champion:g}, of which no margin can be taken"
    else:
        passed = lower > least
        reason = interval if passed else f"{interval}: that it is not worse by more is not shown"
    return Verdict(champion, candidate, difference, error, lower, least, customers, passed, reason)
