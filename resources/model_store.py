"""Model bundles: immutable folders, found by the id that a consumer recorded.

What belongs here: publishing a folder of model files under the digest of its content, a pointer per day and its
withdrawal, opening and verifying a bundle. What does not: what the files mean, which each model's own ``save`` and
``load`` know; the manifest (:mod:`resources.bundle_manifest`).

A bundle is ``<root>/models/<name>/<model_id>/``; ``<root>/models/<name>/ds=<day>.json`` names the bundle of a day, and
``<root>/models/<name>/recipe=<digest>.json`` the one that came of a recipe: of all that the training depends on.

Models are loaded from a folder: of a bundle on object storage, opening it makes a copy on this machine.
"""

import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from atelier.errors import BundleError, PartitionMissing
from resources.bundle_manifest import MANIFEST, BundleManifest, file_digests, identity_of, library_versions
from resources.integrity import Recorded
from resources.storage import Root, Storage, open_storage

OWN_JOBS = frozenset({"image_backbone"})  # models that a job of the same name makes; all others are made every day
NAME = re.compile(r"[A-Za-z0-9_-]+")
MODELS = "models"
MODEL_ID = re.compile(r"[0-9a-f]{32}")
RECIPE = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Bundle:
    """A bundle: its id, its folder on this machine, and where it comes from."""

    model_id: str
    path: Path
    manifest: BundleManifest


def job_of(name: str) -> str:
    """The job that makes a model."""
    return name if name in OWN_JOBS else "daily_retrain"


def launch_command(name: str, ds: date | str) -> str:
    """The command that makes a missing bundle."""
    return f"dg launch --job {job_of(name)} --partition {ds}"


class ModelStore:
    """The bundles of every model under one root.

    Args:
        root: the feature store's.
        remedy: names the command that makes a missing bundle, from model name and day.
    """

    def __init__(self, root: Root, *, remedy: Callable[[str, date | str], str] = launch_command) -> None:
        self._storage = open_storage(root)
        self._remedy = remedy

    @property
    def storage(self) -> Storage:
        """The store's storage, which holds the bundles below ``models``."""
        return self._storage

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
        recipe: str | None = None,
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
            recipe: a digest of all that the training depends on, by which :meth:`made_by` finds the bundle again.

        Raises:
            BundleError: ``save`` wrote nothing, a link, ``manifest.json``, or a type of file that is not safe to load.
        """
        _folder(name)
        with self._storage.staging() as staging:
            folder = staging / "bundle"
            folder.mkdir()
            save(folder)
            files = file_digests(folder, name)
            identity, read = identity_of(files, upstreams), dict(sorted(upstreams.items()))
            manifest = BundleManifest(
                name, identity, ds.isoformat(), read, code_version, seed, library_versions(), files
            )
            (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
            self._place(folder, name, manifest.model_id)
        if recipe is not None:
            text = json.dumps({"model_id": manifest.model_id}) + "\n"
            self._storage.put_text(text, self._recipe_file(name, recipe))
        self._point(name, ds, manifest.model_id, run_id)
        return self.bundle(name, manifest.model_id, verify=False)

    def made_by(self, name: str, recipe: str) -> Bundle | None:
        """The sound bundle that came of a recipe; None where there is none, so that it has to be trained.

        A bundle that was removed since, for example because a customer was forgotten, is none. Of a damaged one, or a
        damaged record of the recipe, a warning is given; the training that follows replaces it.

        Args:
            name: the model's name.
            recipe: as :meth:`publish` was given it.
        """
        file = self._recipe_file(name, recipe)
        text = self._text(file)
        if text is None:
            return None
        try:
            identity = str(json.loads(text)["model_id"])
            return self.bundle(name, identity) if self.exists(name, identity) else None
        except (ValueError, KeyError, TypeError) as error:
            where = self._storage.location(file)
            warnings.warn(f"{where} is not the record of a recipe ({error}); it is written again now.", stacklevel=2)
        except BundleError as error:
            warnings.warn(f"{error}; it is trained again now.", stacklevel=2)
        return None

    def reuse(self, bundle: Bundle, ds: date, run_id: str = "") -> None:
        """Make a bundle that exists the model of ``ds`` as well.

        Args:
            bundle: from :meth:`made_by`.
            ds: the day.
            run_id: the run, for the pointer.
        """
        self._point(bundle.manifest.name, ds, bundle.model_id, run_id)

    def _recipe_file(self, name: str, recipe: str) -> str:
        if not RECIPE.fullmatch(recipe):
            raise ValueError(f"{recipe!r} is not the digest of a recipe: 64 hexadecimal digits")
        return f"{_folder(name)}/recipe={recipe}.json"

    def _place(self, folder: Path, name: str, identity: str) -> None:
        with self._storage.lock(f"models-{name}"):
            if self.exists(name, identity):  # the same content was published before
                try:
                    self.bundle(name, identity)
                    return
                except BundleError as error:
                    warnings.warn(f"{error} It is replaced now.", stacklevel=2)
            self._storage.put_folder(folder, _place(name, identity), MANIFEST)

    def _point(self, name: str, ds: date, identity: str, run_id: str) -> None:
        record = {"model_id": identity, "run_id": run_id, "written_at": datetime.now(UTC).isoformat()}
        self._storage.put_text(json.dumps(record) + "\n", _pointer_file(name, ds))

    def _text(self, file: str) -> str | None:
        """The text of a small file; None where there is none."""
        return self._storage.read_texts([file]).get(file)

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
        with self._storage.staging() as staging:
            folder = staging / "bundle"
            folder.mkdir()
            save(folder)
            files = file_digests(folder, name)
            identity = identity_of(files, upstreams)
            manifest = replace(bundle.manifest, model_id=identity, files=files, upstreams=upstreams)
            (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
            self._place(folder, name, identity)
        for ds in self.days(name):
            if self.pointer(name, ds) == bundle.model_id:
                file = _pointer_file(name, ds)
                record = json.loads(self._text(file) or "") | {"model_id": identity}
                self._storage.put_text(json.dumps(record) + "\n", file)
        return self.bundle(name, identity, verify=False)

    def remove(self, bundle: Bundle) -> None:
        """Remove a bundle that nothing names any more: as a whole, whenever the process is killed."""
        self._storage.remove_folder(_place(bundle.manifest.name, bundle.model_id), MANIFEST)

    def withdraw(self, name: str, ds: date) -> bool:
        """Make ``ds`` a day without a model; bundles stay, for those who recorded their ids.

        Returns:
            Whether the day had one.
        """
        file = _pointer_file(name, ds)
        had = self._storage.exists(file)
        self._storage.remove(file)
        return had

    def pointer(self, name: str, ds: date) -> str:
        """The id of the bundle that was trained on ``ds``.

        Raises:
            PartitionMissing: there is none; the message names the command that makes it.
            BundleError: it cannot be read; the message names the command that writes it again.
        """
        file = _pointer_file(name, ds)
        text = self._text(file)
        if text is None:
            command = self._remedy(name, ds)
            raise PartitionMissing(f"no model {name} of ds={ds} was ever trained; make it with: {command}")
        try:
            found = str(json.loads(text)["model_id"])
            _place(name, found)
        except (ValueError, KeyError, TypeError) as error:
            where = self._storage.location(file)
            raise BundleError(f"{where} is not a pointer ({error}); {self._again(name, ds)}") from error
        return found

    def days(self, name: str) -> list[date]:
        """The days on which ``name`` was trained, in order."""
        files = self._storage.glob(f"{_folder(name)}/ds=*.json")
        return sorted(date.fromisoformat(Path(file).stem.removeprefix("ds=")) for file in files)

    def last_day(self, name: str) -> date:
        """The newest day on which ``name`` was trained.

        Raises:
            PartitionMissing: there is none; the message names the job that makes it.
        """
        days = self.days(name)
        if not days:
            where, command = self._storage.location(""), self._remedy(name, "DAY")
            raise PartitionMissing(f"there is no model {name} yet in {where}; make it with: {command}")
        return days[-1]

    def names(self) -> list[str]:
        """The models that were ever published."""
        return [name for name in self._storage.folders(MODELS) if NAME.fullmatch(name)]

    def ids(self, name: str) -> list[str]:
        """The ids of all bundles of ``name``, whether or not a day's pointer names them."""
        return [identity for identity in self._storage.folders(_folder(name)) if MODEL_ID.fullmatch(identity)]

    def exists(self, name: str, model_id: str) -> bool:
        """Whether there is anything of a bundle, sound or not.

        Raises:
            ValueError: name or id is not well formed.
        """
        return self._storage.exists(_place(name, model_id))

    def location(self, name: str, model_id: str) -> str:
        """Where a bundle lies, whether or not it exists: a folder, or a URL.

        Raises:
            ValueError: as :meth:`exists`.
        """
        return self._storage.location(_place(name, model_id))

    def path(self, name: str, model_id: str) -> Path:
        """The bundle's folder on this machine, whether or not it exists; :meth:`bundle` fills it.

        Raises:
            ValueError: as :meth:`exists`.
        """
        return self._storage.local_path(_place(name, model_id))

    def manifest(self, name: str, model_id: str) -> BundleManifest | None:
        """A bundle's manifest; None where there is none. Nothing else of the bundle is looked at.

        Raises:
            BundleError: there is one that cannot be read.
            ValueError: as :meth:`exists`.
        """
        file = f"{_place(name, model_id)}/{MANIFEST}"
        try:
            text = self._text(file)
            return None if text is None else BundleManifest(**json.loads(text))
        except (IsADirectoryError, ValueError, TypeError) as error:
            raise BundleError(f"{self._storage.location(file)} is not a manifest ({error})") from error

    def readable_manifest(self, name: str, model_id: str) -> BundleManifest | None:
        """As :meth:`manifest`; an unreadable one is a warning, and None."""
        try:
            return self.manifest(name, model_id)
        except BundleError as error:
            warnings.warn(str(error), stacklevel=2)
            return None

    def manifests(self) -> Iterator[BundleManifest]:
        """The manifests of all bundles, by name and id; of an unreadable one there is a warning."""
        for name in self.names():
            for identity in self.ids(name):
                found = self.readable_manifest(name, identity)
                if found is not None:
                    yield found

    def bundle(self, name: str, model_id: str, *, verify: bool = True) -> Bundle:
        """Open the bundle that a consumer recorded.

        Args:
            name: the model's name.
            model_id: its id.
            verify: compare every file's digest with the manifest, once per process and file; a bundle on object
                storage is copied to this machine for it. Without, it is only looked whether the files are there, and
                nothing is copied.

        Raises:
            BundleError: it is missing, incomplete, or its files are not those that were published; the message names
                the command that trains it again.
        """
        place = _place(name, model_id)
        where = self._storage.location(place)
        try:
            manifest = self.manifest(name, model_id)
        except BundleError as error:
            raise BundleError(f"{error}; {self._again(name, self._day(name, model_id))}") from error
        if manifest is None:
            again = self._again(name, self._day(name, model_id))
            raise BundleError(f"no bundle {model_id} of model {name} under {where.rpartition('/')[0]}; {again}")
        again = self._again(name, manifest.training_day)
        if (manifest.name, identity_of(manifest.files, manifest.upstreams)) != (name, model_id):
            raise BundleError(f"{where}/{MANIFEST} is not what was published; {again}")
        look = self._storage.fetch if verify else self._storage.fault
        for file, digest in manifest.files.items():
            wrong = look(f"{place}/{file}", Recorded(digest if verify else None))
            if wrong == "is gone":
                raise BundleError(f"bundle {where} lacks {file}; {again}")
            if wrong:
                raise BundleError(f"bundle {where}: {file} is not what was published; {again}")
        return Bundle(model_id, self._storage.local_path(place), manifest)

    def file(self, name: str, model_id: str, file: str) -> Path:
        """One file of a bundle on this machine, without looking at the others.

        Args:
            name: the model's name.
            model_id: its id.
            file: the file, relative to the bundle.

        Raises:
            BundleError: the bundle is missing, or the file is not what was published.
        """
        place, manifest = _place(name, model_id), self.manifest(name, model_id)
        digest = None if manifest is None else manifest.files.get(file)
        wrong = "is gone" if digest is None else self._storage.fetch(f"{place}/{file}", Recorded(digest))
        if wrong is not None:
            again = self._again(name, self._day(name, model_id) if manifest is None else manifest.training_day)
            raise BundleError(f"bundle {self._storage.location(place)}: {file} {wrong}; {again}")
        return self._storage.local_path(f"{place}/{file}")

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


def _folder(name: str) -> str:
    """The folder of a model, relative to the store's root."""
    if not NAME.fullmatch(name):
        raise ValueError(f"model name {name!r} may hold only letters, digits, - and _")
    return f"{MODELS}/{name}"


def _place(name: str, model_id: str) -> str:
    """The folder of a bundle, relative to the store's root."""
    if not MODEL_ID.fullmatch(model_id):
        raise ValueError(f"{model_id!r} is not a model id: 32 hexadecimal digits")
    return f"{_folder(name)}/{model_id}"


def _pointer_file(name: str, ds: date) -> str:
    return f"{_folder(name)}/ds={ds}.json"
