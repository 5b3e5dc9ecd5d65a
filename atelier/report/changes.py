"""The section on what changed since the day before: articles, customers, labels, predicted values, models' figures.

What belongs here: showing changes, and which figures moved beyond their standard errors. What does not: finding what
differs between two days' tables (SQL, :mod:`assets.day_changes`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.attributes.scores import MEAN
from atelier.metrics.segments import ALL
from atelier.report import measured, parts

#: What is compared: of recommenders at the daily length over everyone, of attributes on the held-out articles.
RECOMMENDER_METRICS = ("precision", "recall", "ndcg", "hit_rate")
ATTRIBUTE_METRIC = "accuracy"
#: How each kind of change is named, in the order of the table.
NAMES = {
    "article_new": "New articles",
    "article_gone": "Articles that are gone",
    "article_price": "Articles with another price",
    "article_sold_out": "Articles that are out of stock now",
    "article_back": "Articles that are in stock again",
    "customer_new": "New customers",
    "customer_gone": "Customers who are gone",
    "label_new": "Labels added",
    "label_gone": "Labels removed",
    "label_changed": "Labels that say something else",
    "value_changed": "Values that are predicted otherwise",
    "value_abstained": "Values that are abstained now",
    "value_single": "Values that are no longer abstained",
}
FIGURES = ["what", "before", "before_error", "after", "after_error"]


@dataclass(frozen=True)
class Changes:
    """What differs between a day and the day before it.

    Attributes:
        ds: the day.
        since: of each table that was compared the day that it was compared with.
        listed: what (a key of :data:`NAMES`), total, id, attribute, before, after: of each kind of change the first
            few, ``total`` counts all. Texts may be null.
        figures: what, before, before_error, after, after_error: figures of models that both days have, with their
            standard errors.
    """

    ds: date
    since: Mapping[str, date]
    listed: pd.DataFrame
    figures: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=FIGURES))

    def __len__(self) -> int:
        """How many tables were compared."""
        return len(self.since)


@parts.section("What changed", "changes", "No day before this one is in the store, so nothing can be compared.", "")
def changes_section(changes: Changes) -> Iterator[str]:
    """How many articles, customers, labels and values are new, gone or different, and which figures moved.

    Args:
        changes: as found; None or without a table that was compared: there is no earlier day.
    """
    yield parts.paragraph(_since(changes))
    totals = changes.listed.groupby("what")["total"].first().to_dict() if len(changes.listed) else {}
    if totals:
        rows = [
            [NAMES[what], parts.count_text(totals[what]), _examples(changes.listed, what, totals[what])]
            for what in NAMES
            if what in totals
        ]
        yield parts.table("What differs; zeros are left out.", ["What", "How many", "For example"], rows, _TEXT)
    else:
        yield parts.paragraph("No article, customer, label or value differs.")
    yield from _moved(changes.figures)


_TEXT = ("What", "For example")


def _since(changes: Changes) -> str:
    """With which days the day was compared, in words."""
    yesterday = changes.ds - timedelta(days=1)
    others = {table: day for table, day in sorted(changes.since.items()) if day != yesterday}
    if not others:
        return f"Since {yesterday}."
    named = ", ".join(f"{table} with {day}" for table, day in others.items())
    compared = "Compared" if len(others) == len(changes.since) else f"Since {yesterday}, but"
    return f"{compared} {named}: the newest earlier day that has the table."


def _examples(listed: pd.DataFrame, what: str, total: int) -> Markup:
    rows = listed.loc[listed["what"] == what, ["id", "attribute", "before", "after"]].to_numpy(object)
    shown = Markup("; ").join(_example(*map(parts.plain, row)) for row in rows)
    return shown + (Markup(" …") if total > len(rows) else Markup(""))


def _example(subject: str, attribute: str, before: str, after: str) -> Markup:
    """One change; of texts that it lacks :data:`~atelier.report.parts.NONE` is given."""
    named = subject if attribute == parts.NONE else f"{subject} {attribute}"
    values = " → ".join(dict.fromkeys(value for value in (before, after) if value != parts.NONE))
    return Markup("{}: {}").format(named, values) if values else Markup("{}").format(named)


# Figures -----------------------------------------------------------------------------------------------------------


def recommender_figures(before: pd.DataFrame | None, after: pd.DataFrame | None) -> pd.DataFrame:
    """The figures of recommenders that two days have in common: ``what`` and the columns of :data:`FIGURES`.

    Args:
        before: the table offline_metrics of the earlier day; None: it has none.
        after: of the later day.
    """
    if before is None or after is None or before.empty or after.empty:
        return pd.DataFrame(columns=FIGURES)
    keys, k = ["model", "seen", "metric"], measured.nearest_k(after, measured.DAILY_K)
    days = [
        measured.chosen(frame[frame["metric"].isin(RECOMMENDER_METRICS)], k=k, segment=ALL)[
            [*keys, "value", "standard_error"]
        ]
        for frame in (before, after)
    ]
    both = days[0].merge(days[1], on=keys, suffixes=("_before", "_after")).sort_values(keys, kind="stable")
    what = both["model"] + ": " + both["metric"] + f"@{k}, seen " + both["seen"]
    numbers = both[["value_before", "standard_error_before", "value_after", "standard_error_after"]].astype("float64")
    return numbers.set_axis(FIGURES[1:], axis=1).assign(what=what.astype(str))[FIGURES].reset_index(drop=True)


def attribute_figures(before: pd.DataFrame | None, after: pd.DataFrame | None) -> pd.DataFrame:
    """The accuracy of attributes that two days have in common: ``what`` and the columns of :data:`FIGURES`.

    The standard error of a share p of n articles is √(p (1 − p) / n).

    Args:
        before: the table attribute_metrics of the earlier day; None: it has none.
        after: of the later day.
    """
    if before is None or after is None or before.empty or after.empty:
        return pd.DataFrame(columns=FIGURES)
    days = [_accuracies(frame) for frame in (before, after)]
    both = days[0].join(days[1], how="inner", lsuffix="_before", rsuffix="_after").sort_index()
    numbers = both[["value_before", "error_before", "value_after", "error_after"]].set_axis(FIGURES[1:], axis=1)
    what = [f"{name}: {ATTRIBUTE_METRIC} of the attribute model" for name in both.index]
    return numbers.assign(what=what)[FIGURES].reset_index(drop=True)


def _accuracies(metrics: pd.DataFrame) -> pd.DataFrame:
    """The accuracy of each attribute and its standard error."""
    single = metrics[metrics["attribute"] != MEAN]
    wide = single.pivot_table(index="attribute", columns="metric", values="value", aggfunc="first")
    wide = wide.reindex(columns=[ATTRIBUTE_METRIC, "samples"]).astype("float64")
    value, samples = wide[ATTRIBUTE_METRIC], wide["samples"].where(wide["samples"] > 0)
    return pd.DataFrame({"value": value, "error": np.sqrt(value * (1 - value) / samples)})


def moved(figures: pd.DataFrame) -> pd.DataFrame:
    """The figures whose difference is larger than a 95% interval, the largest first.

    The two days are taken as independent, as if no customer were judged on both: where some are, the interval is wider
    than it need be.

    Args:
        figures: as in :class:`Changes`.

    Returns:
        The rows that moved, with ``difference`` and ``error`` (its standard error).
    """
    numbers = figures[FIGURES[1:]].astype("float64")
    difference = numbers["after"] - numbers["before"]
    error = (numbers["before_error"] ** 2 + numbers["after_error"] ** 2) ** 0.5
    rows = figures.assign(difference=difference, error=error, size=difference.abs() / error.where(error > 0))
    rows = rows[difference.abs() > parts.Z_95 * error]
    return rows.sort_values(["size", "what"], ascending=[False, True], kind="stable").drop(columns="size")


_HIGHER, _LOWER = parts.Badge("higher", "good"), parts.Badge("lower", "warn")


def _moved(figures: pd.DataFrame) -> Iterator[Markup]:
    known = figures.dropna(subset=FIGURES[1:])
    if known.empty:
        yield parts.paragraph("No figure of a model stands on both days.")
        return
    far = moved(known)
    yield parts.paragraph(
        f"{len(far)} of {len(known)} figures moved beyond the 95% interval of their difference; of many figures that "
        "do not move about one in twenty does by chance."
    )
    if len(far):
        rows = [
            [
                row["what"],
                *[parts.figure_text(row[name]) for name in ("before", "after")],
                parts.interval_cell(row["difference"], row["error"]),
                _HIGHER if row["difference"] > 0 else _LOWER,
            ]
            for row in far.to_dict("records")
        ]
        heads = ["Figure", "Before", "Now", "Difference", "Moved"]
        yield parts.table("Every figure is better the higher it is.", heads, rows, ("Figure", "Moved"))
