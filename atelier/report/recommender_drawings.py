"""The plots of the recommender study, and how its tables are shaped for them.

What belongs here: drawings, by name, for the page and for files of their own. What does not: the section's words and
tables (:mod:`atelier.report.recommender_study`), the picture with photographs
(:mod:`atelier.report.neighbours_picture`), the study (:mod:`atelier.studies.recommender_study`).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from atelier.metrics.encoding import Floats
from atelier.metrics.segments import ACTIVITY_SEGMENTS, ALL, ARTICLE_SEGMENTS
from atelier.report.drawing import Drawing
from atelier.report.figures import interval_plot
from atelier.report.measured import DAILY_K, grid, nearest_k
from atelier.report.parts import Z_95

Booleans = npt.NDArray[np.bool_]

CEILING = "ceiling"
#: What the published comparison is about: the model whose gain is shown, and over whom.
STUDIED = "hybrid"
RIVALS = ("collaborative", "content", "als")
JUDGED = ("precision", "recall")
#: What is shown of each kind of segment. Few relevant articles are cold: of them, how many were found says more.
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
    chosen = at_length(study)
    return [*accuracy_drawings(chosen), *gain_drawings(chosen, tests), *segment_drawings(chosen)]


def length(study: pd.DataFrame) -> int:
    """The length of the lists at which models are compared."""
    return nearest_k(study, DAILY_K)


def at_length(study: pd.DataFrame) -> pd.DataFrame:
    """The rows of that length."""
    return study[study["k"] == length(study)]


def largest(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with the largest share of the interactions kept: all of them, unless the study was of less.

    The ceiling learned from none: its rows remain, whatever their share.
    """
    ceiling = frame["model"] == CEILING
    most: pd.DataFrame = frame[ceiling | (frame["share"] == frame.loc[~ceiling, "share"].max())]
    return most


def ranked(study: pd.DataFrame) -> list[str]:
    """The models but the ceiling, the best first by precision over everyone, with the largest share kept."""
    rows = largest(study)
    rows = rows[(rows["metric"] == "precision") & (rows["segment"] == ALL) & (rows["model"] != CEILING)]
    placed = rows.assign(number=rows["value"].astype("float64"))
    ordered = placed.sort_values(["number", "model"], ascending=[False, True], kind="stable", na_position="last")
    return ordered["model"].astype(str).tolist()


def of_segments(
    rows: pd.DataFrame, metric: str, segments: Sequence[str], models: Sequence[str], value: str = "value"
) -> Floats:
    """A column of one share's rows as float64 [segments, models], nan where there is none."""
    return grid(rows[rows["metric"] == metric], "segment", segments, "model", models, value)


def accuracy_drawings(study: pd.DataFrame) -> list[Drawing]:
    """Precision and recall by model, with both uncertainties, and the ceiling where there is one."""
    rows, models, k = largest(study), ranked(study), length(study)
    if not models:
        return []
    everyone = rows[rows["segment"] == ALL]
    values, errors, spread = (
        grid(everyone, "metric", JUDGED, "model", models, name) for name in ("value", "standard_error", "deviation")
    )
    series = {"95% interval over customers": (values, Z_95 * errors)}
    if not np.isnan(spread).all():
        series["standard deviation over seeds"] = (values, spread)
    levels = grid(everyone, "metric", JUDGED, "model", [CEILING], "value")[:, 0]
    known = [] if np.isnan(levels).all() else levels.tolist()
    drawn = interval_plot([f"{name}@{k}" for name in JUDGED], models, series, "mean over customers", known)
    above = " The dashed line is the ceiling: what the sample retailer's own probabilities reach." if known else ""
    caption = f"Means over customers and seeds; the whiskers are what they differ by.{above}"
    alt = f"Precision and recall at {k} of {', '.join(models)}; the table below gives the values."
    return [Drawing("accuracy", drawn, alt, caption)]


def gain_drawings(study: pd.DataFrame, tests: pd.DataFrame) -> list[Drawing]:
    """How much more precise the hybrid is than its rivals, by the share of the interactions that was kept."""
    ours = turned(tests, (tests["against"] == STUDIED).to_numpy(bool))
    rows = ours[(ours["unit"] == "customers") & (ours["model"] == STUDIED) & ours["against"].isin(RIVALS)]
    if rows.empty:
        return []
    shares = sorted(set(rows["share"].astype(float)), reverse=True)
    rivals = [name for name in RIVALS if name in set(rows["against"])]
    gain = grid(rows, "against", rivals, "share", shares, "relative")
    difference, error = (grid(rows, "against", rivals, "share", shares, n) for n in ("difference", "standard_error"))
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
    """The tests with the marked pairs the other way round: the model of each is the one that it was held against."""
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
    rows, models, k = largest(study), ranked(study), length(study)
    drawings = []
    for kind, (metric, segments) in SEGMENTED.items():
        values, errors = (of_segments(rows, metric, segments, models, name) for name in ("value", "standard_error"))
        judged = (~np.isnan(values)).any(axis=1)
        if not judged.any():
            continue
        titles = [TITLES[segments[place]] for place in np.flatnonzero(judged)]
        ceiling = of_segments(rows, metric, segments, [CEILING])[judged, 0]
        levels = [] if np.isnan(ceiling).all() else ceiling.tolist()
        xlabel = f"{metric}@{k}"
        drawn = interval_plot(titles, models, {"95% interval": (values[judged], Z_95 * errors[judged])}, xlabel, levels)
        what = "customers" if kind == "customers" else "what was chosen of articles"
        caption = (
            f"{xlabel.capitalize()} of {what} by the number of training interactions, all of them counted; 95% "
            "intervals over customers. The panels have scales of their own."
        )
        alt = f"{metric} at {k} of {', '.join(models)} by {kind}: {', '.join(titles)}."
        drawings.append(Drawing(f"by_{kind}", drawn, alt, caption))
    return drawings
