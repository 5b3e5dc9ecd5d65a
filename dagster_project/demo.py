"""``make demo``: the sample retailer through the daily DAG, against the home's own Dagster storage.

What belongs here: which days are run, how large the demo's retailer is and how long its models train, what is printed,
and the two results that have to make sense. What does not: the work itself.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.on_demand import STAGES
from assets.recommenders import fitted_daily
from assets.report import report_path
from assets.stage import without_other_recommenders
from atelier.errors import AtelierError
from dagster_project.build import build_defs
from dagster_project.commands.init import init_home
from dagster_project.commands.promote import BACKBONE, NotBetter, promote_backbone
from dagster_project.executors import step_server
from dagster_project.jobs import INGESTED, assets_of
from dagster_project.run import run_job_in_processes
from dagster_project.terminal import end_process
from resources.model_store import ModelStore
from resources.retailer import Home
from sql import query

if TYPE_CHECKING:
    from resources.feature_store import FeatureStore

#: How `atelier init` is asked for the demo's retailer.
OPTIONS: tuple[str, ...] = ("--articles=800", "--days=45", "--threads=1")
#: What the demo trains less than the defaults would, by job and stage.
TRAINING: dict[str, dict[str, dict[str, Any]]] = {
    BACKBONE: {"fine_tune_backbone": {"epochs": 4, "views": 1}},
    "daily_retrain": {"hybrid_model": {"max_epochs": 20}},
}


def main() -> int:
    """Run the demo; the exit status is 1 where a result makes no sense.

    Raises:
        AtelierError: the home is another retailer's; nothing was written.
    """
    started = time.perf_counter()
    home = Home.from_environment()
    check_sample(home)
    with step_server("models"):
        ds = run_days(home)
    return tell(home, ds, time.perf_counter() - started)


def run_days(home: Home) -> date:
    """History, a backbone that has learned from it, and two days of the daily job: the second judges the first.

    Nothing is made twice: history ends a day before the last one, which ``daily_retrain`` ingests, and of the first day
    only that is made which the judge reads.

    Returns:
        The last day.
    """
    init_home(home, *OPTIONS)
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    settings = home.settings
    ds = settings.last_day or date.today() - timedelta(days=1)
    with dg.DagsterInstance.get() as instance:
        run, origin = runner(home, instance), ds - timedelta(days=settings.horizon)
        run("ingest", settings.first_day, ds - timedelta(days=1))
        run(BACKBONE, origin)
        say(promoted_if_better(home, origin))
        run("daily_retrain", origin, assets=read_by_judge(home))
        run("daily_retrain", ds)
        run("judge", ds)
    return ds


def promoted_if_better(home: Home, day: date) -> str:
    """Promote a day's backbone if it reads the labels better than the one it was made from; says why or why not."""
    try:
        return promote_backbone(home, day)
    except NotBetter as refusal:
        return str(refusal)


def check_sample(home: Home) -> None:
    """Refuse another retailer's home: the demo fine-tunes a backbone and promotes it, which every later run would use.

    Raises:
        AtelierError: the home serves, or would be initialised for, another source.
    """
    source = home.settings.source if home.toml.exists() else os.environ.get("ATELIER_SOURCE") or "sample"
    if source != "sample":
        raise AtelierError(
            f"make demo is for the sample retailer, and {home.root} is for {source!r}; set ATELIER_HOME to another "
            "folder, without ATELIER_SOURCE"
        )


def read_by_judge(home: Home) -> list[dg.AssetKey]:
    """What the judge reads of the day whose lists it judges, and what that is made from, without what is ingested."""
    stages = without_other_recommenders(STAGES, fitted_daily(home.settings))
    judged = dg.AssetSelection.assets(*(name for stage in stages for name in stage.judged_deps))
    selection = judged.upstream().required_multi_asset_neighbors() - assets_of(INGESTED)
    repository = build_defs(home).get_repository_def()
    daily = set(repository.get_job("daily_retrain").asset_layer.executable_asset_keys)
    return sorted(selection.resolve(repository.asset_graph) & daily)


def runner(home: Home, instance: dg.DagsterInstance) -> Callable[..., None]:
    """A function that runs a job of a day, or of a range of days, and says how long it took."""

    def run(job: str, first: date, last: date | None = None, **options: Any) -> None:
        started = time.perf_counter()
        days = f"{first}" if last is None else f"{first} … {last}"
        say(f"▶ {job} {days}")
        config = TRAINING.get(job)
        run_job_in_processes(home, instance, job, first, last, config=config, log_level="WARNING", **options)
        say(f"✓ {job} {days}: {time.perf_counter() - started:.0f} s")

    return run


def say(text: str) -> None:
    """A line of the demo's own, apart from Dagster's log."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tell(home: Home, ds: date, seconds: float) -> int:
    """Print the leaderboard, the attribute table and where everything is; 1 where a result makes no sense."""
    from atelier.report.text import attribute_text, leaderboard_text, values_text

    store = home.open_store()
    origin = ds - timedelta(days=home.settings.horizon)
    say(f"\nRecommenders: lists made on {origin}, judged by purchases of {origin + timedelta(days=1)} … {ds}\n")
    say(leaderboard_text(store.read("offline_metrics", ds).to_pandas()))
    say(f"\nAttributes on {ds}: styles held out of training\n")
    say(attribute_text(store.read("attribute_metrics", ds).to_pandas()))
    with store.connect(as_of=ds, tables=["predicted_attributes"]) as con:
        say(f"\n{values_text(con.sql(query('values_by_source')).df())}")
    say(f"\n{photographs_text(home)}")
    say(f"\nReport    {_shown(report_path(home.reports, ds))}")
    say(f"Database  {_shown(home.database)}   (duckdb -readonly, or any DuckDB client)")
    say("UI        make ui")
    say(f"\n{seconds:.0f} s after set-up, {processor_seconds():.0f} s of processor time")
    faults = nonsense(store, ds)
    for fault in faults:
        say(f"✗ {fault}")
    return 1 if faults else 0


def processor_seconds() -> float:
    """User and system time of this process and of all that it has waited for."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def photographs_text(home: Home) -> str:
    """What photographs are read by, and what it learned from."""
    encoder = home.settings.encoder
    if encoder.promoted is None:
        trained = "with seeded weights: it was not trained" if encoder.weights == "none" else f"({encoder.weights})"
        return f"Photographs are read by the backbone {encoder.backbone!r} {trained}."
    bundle = ModelStore(home.storage).bundle(BACKBONE, encoder.promoted)
    name = json.loads((bundle.path / "config.json").read_text(encoding="utf-8"))["backbone"]
    return (
        f"Photographs are read by the backbone {name!r}. The job {BACKBONE} trained it on this retailer's own labels of"
        f" {bundle.manifest.training_day}, without those of the styles by which the attributes are judged here."
    )


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def nonsense(store: "FeatureStore", ds: date) -> list[str]:
    """What cannot be if everything works: attributes below the majority baseline, als not above popular."""
    from assets.attributes import below_majority

    metrics = store.read("attribute_metrics", ds).to_pandas()
    labels = store.read("annotated_attributes", ds).to_pandas()
    faults = [
        f"{attribute}: the attribute model is not above the majority baseline"
        for attribute in below_majority(metrics, labels)
    ]
    comparisons = store.read("model_comparisons", ds).to_pandas()
    rows = comparisons[
        (comparisons["model"] == "als")
        & (comparisons["baseline"] == "popular")
        & (comparisons["seen"] == "excluded")
        & (comparisons["metric"] == "precision")
        & (comparisons["k"] == 10)
    ]
    ahead = rows["difference"] > 2 * rows["standard_error"]
    if not ahead.any():
        gap = rows[["difference", "standard_error"]].round(5).to_dict("records")
        faults.append(f"als is not above popular by two standard errors in precision@10: {gap}")
    return faults


if __name__ == "__main__":
    try:
        status = main()
    except AtelierError as error:
        sys.exit(f"demo: {error}")
    end_process(status)
