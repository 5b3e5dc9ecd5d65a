"""One function that puts the code location together, so that tests can put it together otherwise.

What belongs here: :func:`build_defs`. What does not: anything at import time that touches a disk.
"""

import warnings
from collections.abc import Sequence

import dagster as dg

from assets.checks import build_checks
from assets.on_demand import STAGES
from assets.partitions import partitioning
from assets.recommenders import fitted_daily
from assets.stage import Stage, without_other_recommenders
from assets.step import RunResources
from dagster_project.alerts import alert_sensor
from dagster_project.executors import steps_in_processes
from dagster_project.jobs import build_jobs
from dagster_project.late_days import late_days_sensor
from dagster_project.schedules import NIGHTLY, nightly
from resources.compute import Compute
from resources.compute_settings import compute_of
from resources.contracts import audit
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.retailer import Home, SettingsError

# daily_retrain has ranged raw assets and daily others: Dagster takes one day a run for all, which is what is wanted.
warnings.filterwarnings("ignore", message=r"Asset job \w+ materializes assets with varying BackfillPolicies")


def build_defs(
    home: Home,
    *,
    stages: Sequence[Stage] = STAGES,
    store: FeatureStore | None = None,
    models: ModelStore | None = None,
    compute: Compute | None = None,
) -> dg.Definitions:
    """Fresh definitions for ``home``.

    Args:
        home: where Atelier keeps its files; its settings say which days there are.
        stages: the stages of the code location; a test may swap one.
        store: the feature store; by default the one of ``home``, with its contracts.
        models: the model store; by default the one of ``home``.
        compute: the device and the threads; by default as the settings say.

    Raises:
        SettingsError: atelier.toml cannot be read, or the recommenders that it names cannot be the daily ones.
    """
    settings = home.settings
    try:
        chosen = fitted_daily(settings)
    except SettingsError as error:
        raise SettingsError(f"{home.toml}: {error}") from error
    stages = without_other_recommenders(stages, chosen)
    allowed = settings.compute
    partitions = partitioning(home)
    jobs = build_jobs(stages, partitions.days)
    assets = [stage.asset(partitions) for stage in stages]
    checks = build_checks(partitions.days)
    store = store or home.open_store(audit)
    resources = RunResources(
        home,
        store,
        models or ModelStore(home.storage),
        compute or compute_of(allowed),
        tuple(key for each in (*assets, *checks) for key in each.check_keys),
    )
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=jobs,
        schedules=[nightly(job, home, store) for job in jobs if job.name in NIGHTLY],
        sensors=[alert_sensor(), late_days_sensor(jobs, home, store)],
        resources={"run_resources": resources},
        executor=steps_in_processes("models"),
    )
