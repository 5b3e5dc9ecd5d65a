"""The plots of the recommender study, and how its tables are shaped for them.

What belongs here: drawings, by name, for the page and for files of their own. What does not: the section's words and
tables (:mod:`atelier.report.recommender_study`), the picture with photographs
(:mod:`atelier.report.neighbours_picture`), the study (:mod:`atelier.studies.recommender_study`).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from atelier.metrics.segments import ACTIVITY_SEGMENTS, ALL, ARTICLE_SEGMENTS
from atelier.report.drawing import Drawing
from atelier.report.figures import interval_plot
from atelier.report.measured import DAILY_K, chosen, grid, nearest_k, values_and_errors
from atelier.report.parts import Z_95

Booleans = npt.NDArray[np.bool_]

CEILING = "ceiling"
#: What the published comparison is about: the model whose gain is shown, and the models over which it gains.
STUDIED = "hybrid"
RIVALS = ("collaborative", "content", "als")
METRICS = ("precision", "recall")
#: The metric and the segments that are drawn of customers and of articles. Few relevant articles are cold: of them
#: recall says more.
SEGMENTED = {"customers": ("precision", ACTIVITY_SEGMENTS), "articles": ("recall", ARTICLE_SEGMENTS[::-1])}
TITLES = {
    "customer:activity_1-5": "1 to 5 interactions",
    "customer:activity_6-20": "6 to 20 interactions",
    "customer:activity_21+": "21 or more",
    "article:warm": "warm (5 or more)",
    "article:cold": "cold (1 to 4)",
    "article:new": "new (none)",
}


def recommender_drawings(study: pd.DataFrame, tests: pd.DataFrame) -> list[Drawing]:
    """Every plot of the study but the photographs, for files and metadata.

    Args:
        study: the table recommender_study of one day.
        tests: the table recommender_study_tests of that day.
    """
    rows = at_length(study)
    return [*accuracy_drawings(rows), *gain_drawings(rows, tests), *segment_drawings(rows)]


def length(study: pd.DataFrame) -> int:
    """The length of the lists at which models are compared."""
    return nearest_k(study, DAILY_K)


def at_length(study: pd.DataFrame) -> pd.DataFrame:
    """The rows of that length."""
    return chosen(study, k=length(study))


def largest(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the largest share of the interactions: all interactions, unless the study was of fewer.

    The ceiling learned from none: its rows remain, whatever their share.
    """
    ceiling = frame["model"] == CEILING
    most: pd.DataFrame = frame[ceiling | (frame["share"] == frame.loc[~ceiling, "share"].max())]
    return most


def ranked(study: pd.DataFrame) -> list[str]:
    """The models but the ceiling, the best first by precision over everyone, with the largest share of interactions."""
    rows = chosen(largest(study), metric="precision", segment=ALL)
    rows = rows[rows["model"] != CEILING].astype({"value": "float64"})
    ordered = rows.sort_values(["value", "model"], ascending=[False, True], kind="stable", na_position="last")
    return ordered["model"].astype(str).tolist()


def accuracy_drawings(study: pd.DataFrame) -> list[Drawing]:
    """Precision and recall by model, with both uncertainties, and the ceiling where there is one."""
    everyone, models, k = chosen(largest(study), segment=ALL), ranked(study), length(study)
    if not models:
        return []
    values, errors = values_and_errors(everyone, "metric", METRICS, "model", models)
    spread = grid(everyone, "metric", METRICS, "model", models, "deviation")
    series = {"95% interval over customers": (values, Z_95 * errors)}
    if not np.isnan(spread).all():
        series["standard deviation over seeds"] = (values, spread)
    levels = _ceiling(everyone, "metric", METRICS)
    drawn = interval_plot([f"{name}@{k}" for name in METRICS], models, series, "mean over customers", levels)
    above = " The dashed line is the ceiling: what the sample retailer's own probabilities reach." if levels else ""
    caption = f"Means over customers and seeds; the whiskers are what they differ by.{above}"
    alt = f"Precision and recall at {k} of {', '.join(models)}; the table below gives the values."
    return [Drawing("accuracy", drawn, alt, caption)]


def _ceiling(rows: pd.DataFrame, column: str, panels: Sequence[str]) -> list[float]:
    """The ceiling of each panel, nan where a panel has none; empty where no panel has one."""
    levels = grid(rows, column, panels, "model", [CEILING], "value")[:, 0]
    return [] if np.isnan(levels).all() else levels.tolist()


def gain_drawings(study: pd.DataFrame, tests: pd.DataFrame) -> list[Drawing]:
    """How much more precise the hybrid is than its rivals, by the share of the interactions that was learned from."""
    ours = turned(tests, (tests["against"] == STUDIED).to_numpy(bool))
    rows = chosen(ours, unit="customers", model=STUDIED)
    rivals = [name for name in RIVALS if name in set(rows["against"])]
    if not rivals:
        return []
    rows = rows[rows["against"].isin(rivals)]
    shares = sorted(set(rows["share"].astype(float)), reverse=True)
    gain, difference, error = (
        grid(rows, "against", rivals, "share", shares, name) for name in ("relative", "difference", "standard_error")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        half = np.where(difference != 0, Z_95 * np.abs(error * gain / difference), np.nan)
    drawn = interval_plot(
        [f"over {name}" for name in rivals],
        [percent(share) for share in shares],
        {f"gain of the {STUDIED}": (100 * gain, 100 * half)},
        "per cent",
        [0.0] * len(rivals),
        "no difference",
        from_zero=False,
    )
    caption = (
        f"Relative gain of the {STUDIED} in precision@{length(study)}, by the share of the interactions that was kept: "
        "less is sparser. The whiskers are 95% intervals over customers of the difference, over the rival's mean."
    )
    alt = f"Relative gain of the {STUDIED} over {', '.join(rivals)} by share of the interactions kept."
    return [Drawing("gain_by_share", drawn, alt, caption)]


def turned(tests: pd.DataFrame, which: Booleans) -> pd.DataFrame:
    """The tests with the marked pairs the other way round: model and against change places.

    Args:
        tests: rows of recommender_study_tests.
        which: the rows to turn. bool [rows]
    """
    frame = tests.astype(dict.fromkeys(("difference", "relative", "standard_error"), "float64")).copy()
    frame.loc[which, ["model", "against"]] = frame.loc[which, ["against", "model"]].to_numpy()
    frame.loc[which, "difference"] *= -1
    gain = frame["relative"].to_numpy(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):  # model = against × (1 + gain)
        frame["relative"] = np.where(which, -gain / (1 + gain), gain)
    return frame


def percent(share: float) -> str:
    """A share of the interactions in words."""
    return f"{100 * share:g}% kept"


def segment_drawings(study: pd.DataFrame) -> list[Drawing]:
    """Customers with few and many interactions, warm, cold and new articles: a panel each, a row for each model."""
    models, drawings = ranked(study), []
    for kind, (metric, segments) in SEGMENTED.items():
        rows = chosen(largest(study), metric=metric)
        values, errors = values_and_errors(rows, "segment", segments, "model", models)
        known = (~np.isnan(values)).any(axis=1)
        if not known.any():
            continue
        panels = [segments[number] for number in np.flatnonzero(known)]
        titles, xlabel = [TITLES[name] for name in panels], f"{metric}@{length(study)}"
        series = {"95% interval": (values[known], Z_95 * errors[known])}
        drawn = interval_plot(titles, models, series, xlabel, _ceiling(rows, "segment", panels))
        what = "customers" if kind == "customers" else "what was chosen of articles"
        caption = (
            f"{xlabel.capitalize()} of {what} by the number of training interactions, all of them counted; 95% "
            "intervals over customers. The panels have scales of their own."
        )
        alt = f"{metric} at {length(study)} of {', '.join(models)} by {kind}: {', '.join(titles)}."
        drawings.append(Drawing(f"by_{kind}", drawn, alt, caption))
    return drawings
