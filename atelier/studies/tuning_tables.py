"""The tables of a search among settings.

What belongs here: turning a :class:`~atelier.studies.tuning_plan.Tuning` into frames. What does not: the search
(:mod:`atelier.studies.tuning`), how tables look on the page (:mod:`atelier.report.tuning`).
"""

import json

import pandas as pd

from atelier.recommenders import declared
from atelier.studies.tuning_plan import Tuning


def trials_of(found: Tuning) -> pd.DataFrame:
    """One row for each trial, by number: the table tuning_trials.

    Returns:
        model, study, trial, state, origin, metric, k, value, standard_error, customers, epochs, settings (JSON), best.
    """
    plan = found.plan
    return pd.DataFrame(
        {
            "model": plan.model,
            "study": found.study,
            "trial": [each.number for each in found.trials],
            "state": [each.state for each in found.trials],
            "origin": [each.origin for each in found.trials],
            "metric": plan.metric,
            "k": plan.k,
            "value": pd.array([each.value for each in found.trials], dtype="Float64"),
            "standard_error": pd.array([each.standard_error for each in found.trials], dtype="Float64"),
            "customers": [each.customers for each in found.trials],
            "epochs": pd.array([each.epochs for each in found.trials], dtype="Int64"),
            "settings": [json.dumps(each.settings, sort_keys=True) for each in found.trials],
            "best": [each.number == found.best.number for each in found.trials],
        }
    )


def parameters_of(found: Tuning) -> pd.DataFrame:
    """One row for each parameter, the most important first: the table tuning_parameters.

    Returns:
        model, study, parameter, searched, default_value and best_value (JSON), importance (null where unknown).
    """
    plan = found.plan
    config = declared(plan.model).config
    default, best = (
        json.loads(config.model_validate(trial.settings).model_dump_json()) for trial in (found.default, found.best)
    )
    frame = pd.DataFrame(
        {
            "model": plan.model,
            "study": found.study,
            "parameter": [each.name for each in found.space],
            "searched": [each.text() for each in found.space],
            "default_value": [json.dumps(default[each.name]) for each in found.space],
            "best_value": [json.dumps(best[each.name]) for each in found.space],
            "importance": pd.array([found.importances.get(each.name) for each in found.space], dtype="Float64"),
        }
    )
    return frame.sort_values("importance", ascending=False, kind="stable", na_position="last", ignore_index=True)
