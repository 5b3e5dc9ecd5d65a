"""The gates of tonight's models, which have no truth yet: each figure, its threshold, and what it means.

What belongs here: what a figure has to satisfy, and the sentence about it. What does not: computing the figures from
the store (:mod:`assets.gates`), the thresholds (:mod:`atelier.monitoring.limits`), what follows from a failure
(:mod:`assets.champions`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atelier.monitoring.limits import GateLimits

if TYPE_CHECKING:
    import pandas as pd

#: With fewer held-out labels an attribute's calibration error is not judged: it is biased upwards in small samples.
ENOUGH_LABELS = 200
#: What the names of arrays begin with that are data and not learned.
DATA = ("profile.", "weight.snapshot.")
MADE, FINITE, ON_SALE, COVERAGE, MOVED = "made", "finite", "on_sale", "coverage", "moved"
INDEX_RECALL, ONE_SERVES, SETS, CALIBRATION = "index_recall", "one_serves", "prediction_sets", "calibration"


@dataclass(frozen=True)
class Gate:
    """One measurement of a model.

    Attributes:
        model: the model, as the table ``gates`` names it.
        gate: what was measured.
        value: what was found; None where it could not be measured.
        threshold: what it was compared with; None where it could not be measured.
        passed: whether it passed; what could not be measured for want of data passes.
        said: the same in a sentence for people.
    """

    model: str
    gate: str
    value: float | None
    threshold: float | None
    passed: bool
    said: str


@dataclass(frozen=True)
class ListFigures:
    """What is counted in the lists of a model.

    Attributes:
        rows: places of all lists.
        not_on_sale: those that hold an article which cannot be bought.
        articles: distinct articles of the lists that are the model's own.
        on_sale: articles that can be bought.
        moved: how far the lists moved since the champion's, from 0 to 1; None where there is nothing to compare.
        owners: over how many lists ``moved`` is a mean.
    """

    rows: int
    not_on_sale: int
    articles: int
    on_sale: int
    moved: float | None = None
    owners: int = 0


def finite_gate(model: str, bundle: Path) -> Gate:
    """Whether every weight of a bundle's ``weights.safetensors`` is finite; codes and bytes in it are no weights.

    In what a bundle keeps of the data NaN says that something is not known, a price or an age, and is no fault.

    Args:
        model: its name.
        bundle: its folder.
    """
    import numpy as np
    from safetensors import safe_open

    path, wrong, total = bundle / "weights.safetensors", 0, 0
    if path.is_file():
        with safe_open(path, framework="np") as arrays:
            for name in arrays.keys():  # noqa: SIM118 - safetensors' own object, which cannot be iterated
                array = arrays.get_tensor(name)
                if not np.issubdtype(array.dtype, np.floating):
                    continue
                total += array.size
                wrong += int((np.isinf(array) if name.startswith(DATA) else ~np.isfinite(array)).sum())
    said = f"{wrong:,} of {total:,} weights are not finite" if wrong else f"all {total:,} weights are finite"
    if not total:
        said = "the bundle keeps no weights as numbers: nothing of it was looked at"
    return Gate(model, FINITE, float(wrong), 0.0, wrong == 0, said)


def list_gates(model: str, found: ListFigures | None, limits: GateLimits, *, personal: bool) -> Iterator[Gate]:
    """The gates of a model's lists.

    Args:
        model: its name.
        found: what was counted; None: it has no lists.
        limits: the thresholds.
        personal: whether its lists are to differ between customers (or articles), so that their coverage counts.
    """
    rows = found.rows if found else 0
    yield Gate(model, MADE, float(rows), 1.0, rows > 0, f"its lists have {rows:,} places")
    if found is None or not rows:
        return
    bad = found.not_on_sale
    said = f"{bad:,} of {rows:,} places hold articles that are out of stock, not on sale yet or unknown"
    yield Gate(model, ON_SALE, float(bad), 0.0, bad == 0, said)
    if personal:
        share = found.articles / max(found.on_sale, 1)
        said = f"its lists hold {found.articles:,} of {found.on_sale:,} articles on sale, {share:.2%}; "
        yield Gate(
            model,
            COVERAGE,
            share,
            limits.coverage,
            share >= limits.coverage,
            said + f"the least is {limits.coverage:.2%}",
        )
    yield _moved(model, found, limits)


def _moved(model: str, found: ListFigures, limits: GateLimits) -> Gate:
    if found.moved is None or not found.owners:
        return Gate(model, MOVED, None, None, True, "there are no lists of a champion to compare with")
    return Gate(
        model,
        MOVED,
        found.moved,
        limits.moved,
        found.moved <= limits.moved,
        f"the first places of {found.owners:,} lists moved by {found.moved:.1%} since those of the champion (1 − "
        f"Jaccard index); the most is {limits.moved:.1%}",
    )


def index_gate(model: str, recall: float, limits: GateLimits) -> Gate:
    """Whether the index of a model's articles finds enough of what exact search finds."""
    return Gate(
        model,
        INDEX_RECALL,
        recall,
        limits.index_recall,
        recall >= limits.index_recall,
        f"the index finds {recall:.1%} of the nearest ten; the least is {limits.index_recall:.1%}",
    )


def one_serves_gate(serving: str, served: list[str]) -> Gate:
    """Whether customers are shown the lists of one model: after a promotion both models' lists are made again.

    Args:
        serving: the model that is to serve.
        served: the models with lists of the day that are marked as served.
    """
    passed = served == [serving]
    said = f"the lists of {', '.join(served) or 'nobody'} are marked as served, and {serving} is to serve"
    said += "" if passed else "; run recommendations of both models, gates and feature_store of this day again"
    return Gate(serving, ONE_SERVES, float(len(served)), 1.0, passed, said)


def attribute_gates(
    model: str, metrics: "pd.DataFrame", short_of_coverage: list[str], limits: GateLimits
) -> Iterator[Gate]:
    """The gates of the attribute network, by styles that were held out.

    Args:
        model: its name.
        metrics: attribute, metric, value.
        short_of_coverage: attributes whose prediction sets hold the true value less often than promised, by more than
            chance.
        limits: the thresholds.
    """
    import numpy as np

    wide = metrics.pivot(index="attribute", columns="metric", values="value").drop(index="mean", errors="ignore")
    said = f"prediction sets of {', '.join(short_of_coverage)} hold the true value less often than promised"
    fine = "no attribute's prediction sets fall short of what they promise by more than chance"
    short = len(short_of_coverage)
    yield Gate(model, SETS, float(short), 0.0, not short, said if short else fine)
    name = "expected_calibration_error"
    measured = wide[(wide["samples"] >= ENOUGH_LABELS)][name].dropna() if name in wide else wide.iloc[:0, 0]
    if measured.empty:
        few = f"no attribute has {ENOUGH_LABELS} held-out labels, with fewer of which calibration is not measured"
        yield Gate(model, CALIBRATION, None, None, True, few)
        return
    error = float(np.mean(measured.to_numpy(np.float64)))
    yield Gate(
        model,
        CALIBRATION,
        error,
        limits.calibration,
        error <= limits.calibration,
        f"the expected calibration error is {error:.3f}, the mean of {len(measured):,} attributes with "
        f"{ENOUGH_LABELS} held-out labels or more; the most is {limits.calibration:.3f}",
    )
