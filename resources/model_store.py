"""Model bundles: immutable folders, found by the id that a consumer recorded.

What belongs here: publishing a folder of model files under the digest of its content, a pointer per day and its
withdrawal, opening and verifying a bundle. What does not: what the files mean, which each model's own ``save`` and
``load`` know.

A bundle is ``<root>/models/<name>/<model_id>/``; ``<root>/models/<name>/ds=<day>.json`` names the bundle of a day.
"""

import hashlib
import json
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path

from atelier.errors import BundleError, PartitionMissing
from resources.integrity import Recorded, fault
from resources.staging import digest_of
from resources.storage import as_text, exclusive, local_folder, replace_text, staging_folder, sync

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
OWN_JOBS = frozenset({"image_backbone"})  # models that a job of the same name makes; all others are made every day
NAME = re.compile(r"[A-Za-z0-9_-]+")
MODEL_ID = re.compile(r"[0-9a-f]{32}")


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


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk: its id, its folder, and where it comes from."""

    model_id: str
    path: Path
    manifest: BundleManifest


def launch_command(name: str, ds: date | str) -> str:
    """The command that makes a missing bundle."""
    return f"dg launch --job {name if name in OWN_JOBS else 'daily_retrain'} --partition {ds}"


class ModelStore:
    """The bundles of every model under one root.

    Args:
        root: a local folder, ordinarily the feature store's.
        remedy: names the command that makes a missing bundle, from model name and day.
    """

    def __init__(self, root: str | Path, *, remedy: Callable[[str, date | str], str] = launch_command) -> None:
        self._root = local_folder(root, "model bundles")
        self._remedy = remedy

    @property
    def root(self) -> Path:
        """The store's folder, which holds the bundles below ``models``."""
        return self._root

    def publish(
        self,
        name: str,
        ds: date,
        save: Callable[[Path], None],
        upstreams: Mapping[str, str],
        *,
        seed: int | None = None,
        code_version: str = "",
        run_id: str = "",
    ) -> Bundle:
        """Store what ``save`` writes, and make it the model of ``ds``. The same content again leaves the same folder.

        A folder of that content whose files are no longer what was published is replaced.

        Args:
            name: the model's name: letters, digits, - and _.
            ds: the training day.
            save: writes the model's files into the empty folder that it is given.
            upstreams: by name, the data version of each table and the id of each model.
            seed: the training's.
            code_version: the training code's.
            run_id: the run, for the pointer; it never enters the bundle.

        Raises:
            BundleError: ``save`` wrote nothing, a link, ``manifest.json``, or a type of file that is not safe to load.
        """
        self._folder(name)
        with staging_folder(self._root) as staging:
            folder = staging / "bundle"
            folder.mkdir()
            save(folder)
            files = _digests(folder, name)
            identity, read = identity_of(files, upstreams), dict(sorted(upstreams.items()))
            manifest = BundleManifest(name, identity, ds.isoformat(), read, code_version, seed, _libraries(), files)
            (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
            self._place(folder, name, manifest.model_id)
        self._point(name, ds, manifest.model_id, run_id)
        return self.bundle(name, manifest.model_id, verify=False)

    def _place(self, folder: Path, name: str, identity: str) -> None:
        target = self.path(name, identity)
        target.parent.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.rglob("*")):
            sync(path)
        sync(folder)
        with exclusive(self._root, f"models-{name}"):
            if target.exists():  # the same content was published before
                try:
                    self.bundle(name, identity)
                    return
                except BundleError as error:
                    warnings.warn(f"{error} It is replaced now.", stacklevel=2)
                target.replace(folder.with_name("damaged"))  # in staging, and removed with it
            folder.replace(target)
            sync(target.parent)

    def _point(self, name: str, ds: date, identity: str, run_id: str) -> None:
        record = {"model_id": identity, "run_id": run_id, "written_at": datetime.now(UTC).isoformat()}
        replace_text(self._root, json.dumps(record) + "\n", self._folder(name) / f"ds={ds}.json")

    def replace(self, bundle: Bundle, save: Callable[[Path], None], models: Mapping[str, str] | None = None) -> Bundle:
        """Publish other files in the place of a bundle's, under the id that follows from them, for all of its days.

        The old folder stays, so that the same call ends the work of a process that was killed; :meth:`remove` it when
        no other bundle was made from it any more.

        Args:
            bundle: the old one.
            save: writes the files into the empty folder that it is given.
            models: by name, the new id of models that it was made from.

        Raises:
            BundleError: as :meth:`publish`.
        """
        name, upstreams = bundle.manifest.name, bundle.manifest.upstreams | dict(models or {})
        with staging_folder(self._root) as staging:
            folder = staging / "bundle"
            folder.mkdir()
            save(folder)
            files = _digests(folder, name)
            identity = identity_of(files, upstreams)
            manifest = replace(bundle.manifest, model_id=identity, files=files, upstreams=upstreams)
            (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
            self._place(folder, name, identity)
        for ds in self.days(name):
            if self.pointer(name, ds) == bundle.model_id:
                path = self._folder(name) / f"ds={ds}.json"
                record = json.loads(path.read_text(encoding="utf-8")) | {"model_id": identity}
                replace_text(self._root, json.dumps(record) + "\n", path)
        return self.bundle(name, identity, verify=False)

    def remove(self, bundle: Bundle) -> None:
        """Remove a bundle that nothing names any more: as a whole, whenever the process is killed."""
        with staging_folder(self._root) as staging:
            bundle.path.replace(staging / "removed")

    def withdraw(self, name: str, ds: date) -> bool:
        """Make ``ds`` a day without a model; bundles stay, for those who recorded their ids.

        Returns:
            Whether the day had one.
        """
        path = self._folder(name) / f"ds={ds}.json"
        had = path.exists()
        path.unlink(missing_ok=True)
        if had:
            sync(path.parent)
        return had

    def pointer(self, name: str, ds: date) -> str:
        """The id of the bundle that was trained on ``ds``.

        Raises:
            PartitionMissing: there is none; the message names the command that makes it.
            BundleError: it cannot be read; the message names the command that writes it again.
        """
        path = self._folder(name) / f"ds={ds}.json"
        try:
            found = str(json.loads(as_text(path.read_bytes()))["model_id"])
            self.path(name, found)
        except FileNotFoundError:
            command = self._remedy(name, ds)
            raise PartitionMissing(f"no model {name} of ds={ds} was ever trained; make it with: {command}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{path} is not a pointer ({error}); {self._again(name, ds)}") from error
        return found

    def days(self, name: str) -> list[date]:
        """The days on which ``name`` was trained, in order."""
        found = sorted(path.stem.removeprefix("ds=") for path in self._folder(name).glob("ds=*.json"))
        return [date.fromisoformat(day) for day in found]

    def last_day(self, name: str) -> date:
        """The newest day on which ``name`` was trained.

        Raises:
            PartitionMissing: there is none; the message names the job that makes it.
        """
        days = self.days(name)
        if not days:
            raise PartitionMissing(
                f"there is no model {name} yet in {self._root}; make it with: {self._remedy(name, 'DAY')}"
            )
        return days[-1]

    def names(self) -> list[str]:
        """The models that were ever published."""
        return sorted(path.name for path in (self._root / "models").glob("*/") if NAME.fullmatch(path.name))

    def ids(self, name: str) -> list[str]:
        """The ids of all bundles of ``name``, whether or not a day's pointer names them."""
        return sorted(path.name for path in self._folder(name).glob("*/") if MODEL_ID.fullmatch(path.name))

    def path(self, name: str, model_id: str) -> Path:
        """The bundle's folder, whether or not it exists.

        Raises:
            ValueError: name or id is not well formed.
        """
        if not MODEL_ID.fullmatch(model_id):
            raise ValueError(f"{model_id!r} is not a model id: 32 hexadecimal digits")
        return self._folder(name) / model_id

    def bundle(self, name: str, model_id: str, *, verify: bool = True) -> Bundle:
        """Open the bundle that a consumer recorded.

        Args:
            name: the model's name.
            model_id: its id.
            verify: compare every file's digest with the manifest, once per process and file.

        Raises:
            BundleError: it is missing, incomplete, or its files are not those that were published; the message names
                the command that trains it again.
        """
        path = self.path(name, model_id)
        try:
            manifest = read_manifest(path)
        except BundleError as error:
            raise BundleError(f"{error}; {self._again(name, self._day(name, model_id))}") from error
        if manifest is None:
            again = self._again(name, self._day(name, model_id))
            raise BundleError(f"no bundle {model_id} of model {name} under {self._folder(name)}; {again}")
        again = self._again(name, manifest.training_day)
        if (manifest.name, identity_of(manifest.files, manifest.upstreams)) != (name, model_id):
            raise BundleError(f"{path / MANIFEST} is not what was published; {again}")
        for file, digest in manifest.files.items():
            if not (path / file).is_file():
                raise BundleError(f"bundle {path} lacks {file}; {again}")
            if verify and fault(path / file, Recorded(digest)):
                raise BundleError(f"bundle {path}: {file} is not what was published; {again}")
        return Bundle(model_id, path, manifest)

    def _day(self, name: str, model_id: str) -> date | str:
        """The first day whose pointer names a bundle that cannot say its day itself; DAY where none does."""
        for ds in self.days(name):
            try:
                if self.pointer(name, ds) == model_id:
                    return ds
            except BundleError:  # that day's own pointer is damaged, and whoever reads it is told so
                continue
        return "DAY"

    def _again(self, name: str, ds: date | str) -> str:
        return f"train it again with: {self._remedy(name, ds)}"

    def _folder(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise ValueError(f"model name {name!r} may hold only letters, digits, - and _")
        return self._root / "models" / name


def read_manifest(bundle: Path) -> BundleManifest | None:
    """The manifest in a bundle's folder; None where there is none.

    Raises:
        BundleError: there is one that cannot be read.
    """
    path = bundle / MANIFEST
    try:
        return BundleManifest(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise BundleError(f"{path} is not a manifest ({error})") from error


def identity_of(files: Mapping[str, str], upstreams: Mapping[str, str]) -> str:
    """The id of a model: 32 hexadecimal digits of the SHA-256 of its files' digests and its upstreams' versions.

    Neither run id nor clock nor host enters, so the same training gives the same id.
    """
    content = json.dumps({"files": dict(files), "upstreams": dict(upstreams)}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _digests(folder: Path, name: str) -> dict[str, str]:
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


def _libraries() -> dict[str, str]:
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue  # not every library is installed everywhere
    return versions
