"""Model bundles as a table: what the manifests say, for people who ask with SQL.

What belongs here: the table ``model_bundles`` of ``atelier.duckdb``, read from the manifests as ``materialisations`` is
read from the pointers. What does not: writing and opening bundles (:mod:`resources.model_store`).
"""

import warnings
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from atelier.errors import BundleError
from resources.model_store import MANIFEST, BundleManifest, read_manifest
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


def readable_manifest(bundle: Path) -> BundleManifest | None:
    """The manifest in a bundle's folder; None where there is none. An unreadable one is a warning, and None."""
    try:
        return read_manifest(bundle)
    except BundleError as error:
        warnings.warn(str(error), stacklevel=2)
        return None


def manifests(root: str | Path) -> list[BundleManifest]:
    """The manifests of all bundles under a model store's root, by name and id; unreadable ones are left out."""
    found = (readable_manifest(path.parent) for path in sorted(Path(root).glob(f"models/*/*/{MANIFEST}")))
    return [manifest for manifest in found if manifest is not None]


def rows(bundles: Iterable[BundleManifest]) -> list[dict[str, Any]]:
    """The rows of the table ``model_bundles``, each with further keys that it has no columns for."""
    return [
        asdict(bundle)
        | {"training_day": date.fromisoformat(bundle.training_day)}
        | {name: sorted(getattr(bundle, name).items()) for name in ("upstreams", "libraries")}
        for bundle in bundles
    ]
