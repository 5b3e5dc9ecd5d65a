"""The section on drift: which figures of the day are unlike those of the days before.

What belongs here: showing verdicts. What does not: reaching them (:mod:`atelier.monitoring.drift.verdicts`).
"""

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import pandas as pd

from atelier.monitoring.drift.verdicts import FLAGGED, UNKNOWN
from atelier.report import parts
from atelier.report.figures import bar_plot, line_plot

#: How many figures the plot and the table have, the most unusual first.
SHOWN = 15
_KINDS = {FLAGGED: "bad", UNKNOWN: "none"}


@parts.section("Drift", "drift", "The day was not held against the days before it.")
def drift_section(verdicts: pd.DataFrame, history: Sequence[tuple[date, pd.DataFrame]] = ()) -> Iterator[str]:
    """The most unusual figures of the day, and how unusual the days before it were.

    Args:
        verdicts: the table ``drift`` of the day.
        history: the same of earlier days, and the days.
    """
    known = verdicts[verdicts["verdict"] != UNKNOWN]
    if known.empty:
        yield parts.note(
            f"{len(verdicts)} figures were measured, and none can be judged: that takes two weeks of earlier days. "
            "`dg launch --job ingest --partition-range FIRST...LAST` stores more of them.",
            "none",
        )
        return
    flagged = known[known["verdict"] == FLAGGED]
    yield parts.paragraph(
        f"{len(flagged)} of {len(known)} figures are unlike yesterday's and those of the same weekday one and two "
        "weeks ago, by more than such days ordinarily differ."
    )
    shown = _worst(known)
    yield _plot(shown)
    yield _table(shown)
    yield from _over_days(history, verdicts)


def _worst(known: pd.DataFrame) -> pd.DataFrame:
    """The most unusual figures; flagged ones come first."""
    ratio = known["statistic"] / known["threshold"]
    order = known.assign(ratio=ratio, usual=known["verdict"] != FLAGGED)
    return order.sort_values(["usual", "ratio", "name"], ascending=[True, False, True], kind="stable").head(SHOWN)


def _plot(shown: pd.DataFrame) -> str:
    # In orders of magnitude, because a fault can be a million times above the threshold.
    values = np.log10(np.maximum(shown["ratio"].to_numpy(np.float64), 1e-2))
    flagged = (shown["verdict"] == FLAGGED).to_numpy()
    series = {
        name: np.where(mask, values, np.nan) for name, mask in (("flagged", flagged), ("usual", ~flagged)) if mask.any()
    }
    drawn = bar_plot(shown["name"].tolist(), series, "statistic over its threshold, powers of ten")
    alt = f"How unusual the {len(shown)} most unusual figures are; {int(flagged.sum())} are flagged."
    return parts.figure(
        drawn, alt, "Above 0 a difference is more than chance; it is flagged where it is large enough to matter too."
    )


def _table(shown: pd.DataFrame) -> str:
    heads = ["Figure", "Verdict", "Now", "Before", "Compared with", "Difference", "Rows", "p, corrected"]
    rows = [
        [
            f"{row['name']}, {row['level']}" if row["level"] else row["name"],
            parts.Badge(row["verdict"], _KINDS.get(row["verdict"], "good")),
            parts.figure_text(row["today"]),
            parts.figure_text(row["earlier"]),
            parts.plain(row["compared_with"]),
            parts.figure_text(row["effect"]),
            parts.count_text(row["sample_size"]),
            parts.p_text(row["p_holm"]),
        ]
        for row in shown.to_dict("records")
    ]
    caption = (
        "The most unusual figures, each beside the earlier day that it is most like. A difference is relative for "
        "counts, a share for shares, in standard deviations for means."
    )
    return parts.table(caption, heads, rows, ("Figure", "Verdict", "Compared with"))


def _over_days(history: Sequence[tuple[date, pd.DataFrame]], today: pd.DataFrame) -> Iterator[str]:
    """How many figures were flagged on each stored day, and how unusual the most unusual one was."""
    days = [frame[frame["verdict"] != UNKNOWN] for _, frame in history] + [today[today["verdict"] != UNKNOWN]]
    kept = [day for day in days if len(day)]
    if len(kept) < 2:
        return
    x = np.arange(len(kept), dtype=np.float64) - len(kept) + 1
    flagged = np.array([(day["verdict"] == FLAGGED).sum() for day in kept], dtype=np.float64)
    worst = np.array([(day["statistic"] / day["threshold"]).max() for day in kept])
    drawn = line_plot(
        ["flagged figures", "the most unusual, powers of ten over the threshold"],
        [{"flagged": (x, flagged)}, {"most unusual": (x, np.log10(np.maximum(worst, 1e-2)))}],
        "judged days before this one",
        from_zero=False,
    )
    yield parts.figure(
        drawn,
        f"Flagged figures and the most unusual one on {len(kept)} judged days.",
        "The days before, as they were judged then.",
    )
