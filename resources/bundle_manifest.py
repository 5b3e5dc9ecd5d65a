"""What a bundle says of itself: its manifest, and the id that follows from its files.

What belongs here: the manifest's fields, which files a bundle may hold, how its id is made of them. What does not:
where bundles lie, and opening them (:mod:`resources.model_store`).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from atelier.errors import BundleError
from resources.staging import digest_of

MANIFEST = "manifest.json"
SAFE_SUFFIXES = frozenset({".json", ".safetensors", ".parquet", ".ann"})  # none of them can run code when loaded
LIBRARIES = (
    "atelier",
    "annoy",
    "implicit",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "torch",
    "torchvision",
)


@dataclass(frozen=True)
class BundleManifest:
    """Where a bundle comes from.

    Attributes:
        name: the model's name.
        model_id: digest of the files and of ``upstreams``.
        training_day: the last day it has seen, ISO.
        upstreams: by name, the data version of each table and the id of each model that it was made from.
        code_version: of the code that trained it.
        seed: of its training; None where nothing is random.
        libraries: versions of the libraries that were installed.
        files: SHA-256 of each file, by path relative to the bundle.
    """

    name: str
    model_id: str
    training_day: str
    upstreams: dict[str, str]
    code_version: str
    seed: int | None
    libraries: dict[str, str]
    files: dict[str, str]


def identity_of(files: Mapping[str, str], upstreams: Mapping[str, str]) -> str:
    """The id of a model: 32 hexadecimal digits of the SHA-256 of its files' digests and its upstreams' versions.

    Neither run id nor clock nor host enters, so the same training gives the same id.
    """
    content = json.dumps({"files": dict(files), "upstreams": dict(upstreams)}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def file_digests(folder: Path, name: str) -> dict[str, str]:
    """SHA-256 of every file that a model saved, by path relative to its folder.

    Args:
        folder: what it saved.
        name: of the model, for messages.

    Raises:
        BundleError: it saved nothing, a link, ``manifest.json``, or a type of file that is not safe to load.
    """
    digests = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if path.is_symlink() or (path.is_file() and path.suffix not in SAFE_SUFFIXES) or relative == MANIFEST:
            allowed = ", ".join(sorted(SAFE_SUFFIXES))
            raise BundleError(f"model {name} may not save {relative}: real files of {allowed}, and no {MANIFEST}")
        if path.is_file():
            digests[relative] = digest_of(path)
    if not digests:
        raise BundleError(f"model {name} saved no file")
    return digests


def library_versions() -> dict[str, str]:
    """The versions of the libraries on which a training depends, of those that are installed."""
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue  # not every library is installed everywhere
    return versions
