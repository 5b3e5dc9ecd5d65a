"""A home for the tests: its files, its Dagster storage, and ways to run jobs and to look at what they left."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from assets.daily import STAGES
from assets.results import table_of
from dagster_project.build import build_defs
from dagster_project.run import run_job
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.retailer import Home

HORIZON = 4
#: The tables that a day has when it is made and judged, what the judge writes, and the rest.
PRODUCED = sorted({table for stage in STAGES for asset in stage.produces if (table := table_of(asset))})
JUDGED = {"offline_metrics", "customer_metrics", "model_comparisons"}
DAILY_TABLES = sorted(set(PRODUCED) - JUDGED)
#: Small and quick: what is tested here is the plumbing.
CONFIG: dict[str, dict[str, Any]] = {
    "attribute_model": {"max_epochs": 2, "preset": "small"},
    "catalogue_errors": {"folds": 2},
    "als_model": {"factors": 8, "iterations": 3},
    "hybrid_model": {"factors": 8, "max_epochs": 5},
    "transformer_model": {"factors": 8, "max_epochs": 2},
    "two_tower_model": {"max_epochs": 2},
    "two_stage_model": {"trees": 20, "training_days": 2},
    "article_index": {"trees": 5, "queries": 50},
    "outfit_model": {"least": 10, "epochs": 2},
}


@dataclass
class House:
    """A home of the small retailer.

    Attributes:
        home: where its files are.
        instance: Dagster's storage.
        ds: the last day.
    """

    home: Home
    instance: dg.DagsterInstance
    ds: date

    @property
    def store(self) -> FeatureStore:
        """The feature store."""
        return FeatureStore(self.home.store)

    def run(self, job: str, first: date, last: date | None = None, **options: Any) -> dg.ExecuteInProcessResult:
        """Run a job of a day or a range of days in this process."""
        definitions = options.pop("definitions", None) or build_defs(self.home)
        config = options.pop("config", CONFIG if job == "daily_retrain" else {})
        return run_job(definitions, self.instance, job, first, last, config=config, **options)

    def files(self, ds: date, *tables: str) -> dict[str, str]:
        """The digest of the file of each partition of a day."""
        pointers = [p for p in self.store.pointers() if p.ds == ds and (not tables or p.table in tables)]
        return {f"{p.table}/{p.part}": p.data_version for p in pointers}

    def models(self, ds: date) -> dict[str, str]:
        """The id of each model of a day."""
        models = ModelStore(self.home.store)
        names = [path.parent.name for path in (self.home.store / "models").glob(f"*/ds={ds}.json")]
        return {name: models.pointer(name, ds) for name in sorted(names)}
