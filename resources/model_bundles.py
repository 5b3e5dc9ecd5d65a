"""Model bundles as a table: what the manifests say, for people who ask with SQL.

What belongs here: the table ``model_bundles`` of ``atelier.duckdb``, read from the manifests as ``materialisations`` is
read from the pointers. What does not: writing and opening bundles (:mod:`resources.model_store`).
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from typing import Any

from resources.bundle_manifest import BundleManifest
from resources.schema import Column, Table

MODEL_BUNDLES = Table(
    "model_bundles",
    "derived",
    "Where every model comes from: read from the manifests of the bundles on disk.",
    key=("name", "model_id"),
    columns=(
        Column("name", "VARCHAR", "The model's name."),
        Column("model_id", "VARCHAR", "The bundle: a digest of its files and of what it was trained on."),
        Column("training_day", "DATE", "The last day it has seen."),
        Column("upstreams", "MAP(VARCHAR, VARCHAR)", "What it read: data version of each table, id of each model."),
        Column("code_version", "VARCHAR", "Of the code that trained it."),
        Column("seed", "BIGINT", "Of its training.", nullable=True),
        Column("libraries", "MAP(VARCHAR, VARCHAR)", "Versions of the libraries that were installed."),
    ),
)


def rows(bundles: Iterable[BundleManifest]) -> list[dict[str, Any]]:
    """The rows of the table ``model_bundles``, each with further keys that it has no columns for."""
    return [
        asdict(bundle)
        | {"training_day": date.fromisoformat(bundle.training_day)}
        | {name: sorted(getattr(bundle, name).items()) for name in ("upstreams", "libraries")}
        for bundle in bundles
    ]
