"""The section on settings that were tried, and its plots.

What belongs here: showing tuning_trials and tuning_parameters. What does not: the search
(:mod:`atelier.studies.tuning`), where presets are kept.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.report import parts
from atelier.report.drawing import Drawing, figures
from atelier.report.figures import bar_plot, line_plot

#: Trials that the table shows; the others are folded away.
SHOWN = 10


@parts.section("Tuning", "tuning", "No settings have been tried yet.", "tune")
def tuning_section(
    trials: pd.DataFrame,
    parameters: pd.DataFrame | None = None,
    *,
    day: date | None = None,
    presets: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """For each model the trials over time, the best of them, and which settings mattered.

    Args:
        trials: the table tuning_trials of one day.
        parameters: the table tuning_parameters of that day.
        day: the last of the validation days.
        presets: by study, the name of the preset that was written from it.
    """
    yield parts.paragraph(
        f"Settings tried on validation days up to {day}: fitted on the days before, judged by the purchases of these "
        "days. A model of these days or earlier ones with such settings looks better than it could have been."
    )
    if parameters is None:
        parameters = pd.DataFrame(columns=["model", "parameter", "importance"])
    for model in sorted(set(trials["model"].astype(str))):
        own, searched = (frame[frame["model"] == model] for frame in (trials, parameters))
        yield parts.heading(model)
        yield parts.paragraph(summary(own, presets or {}))
        yield from figures(tuning_drawings(own, searched))
        yield from _trials(own)
        if len(searched):
            yield parameters_table(searched)


def summary(trials: pd.DataFrame, presets: Mapping[str, str]) -> str:
    """The search of one model in a few sentences."""
    first = trials.iloc[0]
    states = trials["state"].astype(str).value_counts()
    metric, best = _metric(trials), trials[trials["best"].astype(bool)].iloc[0]
    default = trials.loc[trials["trial"] == 0, "value"].astype("float64").iloc[0]
    ended = "".join(f", {states[name]:,} {name}" for name in ("pruned", "diverged", "lost") if name in states)
    found = f"the best is trial {best['trial']}: {metric} {parts.interval_text(best['value'], best['standard_error'])}"
    if best["trial"] == 0:
        found = f"none was better than the default settings: {metric} {parts.figure_text(default)}"
    elif not np.isnan(default):
        found += f", where the default settings give {parts.figure_text(default)}"
    study = str(first["study"])
    written = f" Its settings are the preset {presets[study]}." if study in presets else ""
    return f"Study {study}: {len(trials):,} trials{ended}; {found}, over {int(best['customers']):,} customers.{written}"


def _metric(trials: pd.DataFrame) -> str:
    return f"{trials['metric'].iloc[0]}@{trials['k'].iloc[0]}"


def tuning_drawings(trials: pd.DataFrame, parameters: pd.DataFrame) -> list[Drawing]:
    """The trials over time, and the importance of the parameters where it is known.

    Args:
        trials: rows of tuning_trials of one model.
        parameters: rows of tuning_parameters of that model.
    """
    drawn = [_over_time(trials.sort_values("trial"))]
    known = parameters.dropna(subset=["importance"])
    return [*drawn, _importance(known)] if len(known) else drawn


def _over_time(trials: pd.DataFrame) -> Drawing:
    model, metric = trials["model"].iloc[0], _metric(trials)
    complete = trials.dropna(subset=["value"])
    number, value = complete["trial"].to_numpy(np.float64), complete["value"].astype("float64").to_numpy()
    default = trials.loc[trials["trial"] == 0, "value"].astype("float64").to_list()
    lines = {"complete trial": (number, value), "best so far": (number, np.maximum.accumulate(value))}
    plot = line_plot([metric], [lines], "trial", default, "default settings")
    without = len(trials) - len(complete)
    rest = f" {without:,} trials without a point were pruned, diverged or lost." if without else ""
    caption = f"{metric} of each trial of {model} on the validation days, and of the best so far.{rest}"
    return Drawing("trials", plot, f"{metric} of the trials of {model} over time.", caption)


def _importance(parameters: pd.DataFrame) -> Drawing:
    ordered = parameters.assign(importance=parameters["importance"].astype("float64")).sort_values(
        ["importance", "parameter"], ascending=[False, True], kind="stable"
    )
    names, model = ordered["parameter"].astype(str).tolist(), ordered["model"].iloc[0]
    plot = bar_plot(names, {"importance": ordered["importance"].to_numpy(np.float64)}, "share of the variance")
    caption = (
        f"How much of what the metric varies by between complete trials of {model} goes back to each setting, alone or "
        "with others (fANOVA). It says what mattered within what was tried, not what would matter outside it."
    )
    return Drawing("importance", plot, f"Importance of {', '.join(names)}.", caption)


def _trials(trials: pd.DataFrame) -> Iterator[Markup]:
    """The best trials, and all of them folded away."""
    ordered = trials.assign(number=trials["value"].astype("float64")).sort_values(
        ["number", "trial"], ascending=[False, True], kind="stable", na_position="last"
    )
    yield trials_table(f"The best {min(SHOWN, len(ordered))} trials.", ordered.head(SHOWN))
    if len(ordered) > SHOWN:
        yield parts.details("All trials", trials_table("All trials, in order.", ordered.sort_values("trial")))


def trials_table(caption: str, trials: pd.DataFrame) -> Markup:
    """Trials with their settings; the best is marked."""
    columns = ["Trial", _metric(trials), "State", "Settings from", "Epochs", "Settings that are told"]
    cells = [
        [
            parts.count_text(row["trial"]),
            parts.interval_cell(row["value"], row["standard_error"], best=bool(row["best"])),
            row["state"],
            row["origin"],
            parts.count_text(row["epochs"]),
            settings_text(json.loads(row["settings"])),
        ]
        for row in trials.to_dict("records")
    ]
    return parts.table(
        f"{caption} ± is half a 95% interval over customers.", columns, cells, (columns[2], *columns[3:6:2])
    )


def settings_text(settings: Mapping[str, object]) -> str:
    """Settings as a line of text."""
    return ", ".join(f"{name} {_value(value)}" for name, value in settings.items()) or "none"


def _value(value: object) -> str:
    if value is None:
        return "empty"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def parameters_table(parameters: pd.DataFrame) -> Markup:
    """What was searched, and what was best."""
    columns = ["Setting", "Searched", "Default", "Best", "Importance"]
    cells = [
        [
            row["parameter"],
            row["searched"],
            _value(json.loads(row["default_value"])),
            _value(json.loads(row["best_value"])),
            parts.percent_text(row["importance"]),
        ]
        for row in parameters.to_dict("records")
    ]
    return parts.table("The settings that were searched; empty: the model chooses.", columns, cells, columns[:4])
