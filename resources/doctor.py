"""What is broken in a home, file by file, and the command that mends each.

What belongs here: looking at what a home holds: pointers and their files, bundles, vectors, promotions, records of
inputs, what is remembered of photographs and of days, the database, Dagster's settings, the list of who is forgotten.
What does not: mending (runs and the commands that are named do that), printing
(:mod:`dagster_project.commands.doctor`).

Nothing is written.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from atelier.errors import BundleError, DamagedFile
from atelier.recommenders import MODELS
from resources.bundle_manifest import MANIFEST
from resources.champions import TABLE as CHAMPIONS
from resources.champions import champions_of
from resources.embedding_cache import EmbeddingCache
from resources.encoders import BACKBONE, backbone_of
from resources.encoders import records as encoder_records
from resources.figure_memory import FILE as FIGURES
from resources.figure_memory import read_figures
from resources.image_memory import FILE as MEMORY
from resources.image_memory import read_memory
from resources.made_from import FOLDER as MADE_FROM
from resources.made_from import Record as InputRecord
from resources.made_from import RecordError
from resources.model_store import Bundle, ModelStore
from resources.model_store import launch_command as train_command
from resources.pointers import Pointer, PointerError, Pointers, launch_command
from resources.promotions import FOLDER as PROMOTIONS
from resources.promotions import PromotionError, Promotions
from resources.publishing import COPY
from resources.retailer import Home
from resources.storage import STAGING, Storage, as_text
from resources.suppression import LIST, SuppressionError, suppression_of
from resources.tables import REGISTRY, table

if TYPE_CHECKING:
    import pyarrow as pa

    from resources.feature_store import FeatureStore

#: The files of the store that a query to the published database opens.
READ_BY_VIEWS = """
    SELECT DISTINCT file FROM materialisations
    WHERE "table" IN (SELECT view_name FROM duckdb_views() WHERE NOT internal) ORDER BY file"""
#: The sections of Dagster's settings without which runs are not limited, or not looked after; with their older names.
DAGSTER_SECTIONS = (
    (b"concurrency", b"run_queue", b"run_coordinator"),
    (b"run_launcher",),
    (b"run_monitoring",),
    (b"freshness",),
)
PUBLISH, VACUUM = "atelier publish", "atelier vacuum"
#: What is said of bundles that nothing names: no command removes them.
KEEP = "none: a day that is made again from the inputs of then takes one, and is not trained"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        state: ``broken``: something cannot be read; ``incomplete``: something may have to be added to it; ``left
            over``: nothing needs it.
        file: the file or folder, relative to the home.
        problem: what is wrong with it.
        command: what mends or removes it.
    """

    state: Literal["broken", "incomplete", "left over"]
    file: str
    problem: str
    command: str


@dataclass
class Examination:
    """What was looked at, and what was found.

    Attributes:
        findings: in the order in which a home is looked through.
        partitions: how many partitions (of parts) were looked at.
        bundles: how many bundles.
        vector_files: how many files of the cache of image vectors.
    """

    findings: list[Finding] = field(default_factory=list)
    partitions: int = 0
    bundles: int = 0
    vector_files: int = 0

    @property
    def broken(self) -> list[Finding]:
        """The findings that something cannot be read."""
        return [finding for finding in self.findings if finding.state == "broken"]


def examine(home: Home, *, sizes_only: bool = False) -> Examination:
    """Look through a home.

    Args:
        home: an initialised one.
        sizes_only: whether files are only looked at: a changed byte is not found then, and nothing large is read.

    Raises:
        SettingsError: atelier.toml cannot be read; without it nothing else means anything.
    """
    store, found = home.open_store(), Examination()
    storage = store.storage
    found.findings += _dagster(home)
    pointers = _readable_pointers(storage, found)
    damaged = store.faults(pointers, sizes_only=sizes_only)
    found.findings += _damaged_files(storage, pointers, damaged)
    found.findings += _unnamed_files(storage, pointers, found)
    _models(home, storage, found, sizes_only)
    _vectors(store, [each for each in pointers if each.file not in damaged], found, sizes_only)
    found.findings += [*_remembered(home, storage, pointers), *_promotions(storage), *_inputs(storage)]
    found.findings += [*_records(home), *_database(home, storage, pointers), *_forgotten(home)]
    return found


def _forgotten(home: Home) -> Iterator[Finding]:
    """The list of who asked to be forgotten, without which nothing is ingested."""
    try:
        suppression_of(home)
    except (SuppressionError, OSError) as error:
        problem, _, remedy = str(error).replace(f"{home.root}{os.sep}", "").partition(": ")
        yield Finding("broken", LIST, f"{problem}; nothing is ingested", remedy.partition(", ")[0].partition(". ")[0])


def _dagster(home: Home) -> Iterator[Finding]:
    """Dagster's settings, and the sections of them that a home of an older version lacks.

    Without its settings Dagster runs any number of runs at once, with telemetry.
    """
    file = home.dagster / "dagster.yaml"
    if not file.is_file():
        yield Finding("broken", _named(home, file), "is gone: Dagster runs without limits", "atelier init --if-absent")
        return
    sections = set(re.findall(rb"^(\w+):", file.read_bytes(), re.MULTILINE))
    missing = [names[0].decode() for names in DAGSTER_SECTIONS if not sections.intersection(names)]
    if missing:
        problem = (
            f"has no {', no '.join(missing)}: it was written by an older version, or they were taken out on purpose"
        )
        remedy = "copy these sections from dagster_project/dagster.yaml, unless you left them out"
        yield Finding("incomplete", _named(home, file), problem, remedy)


def _readable_pointers(storage: Storage, found: Examination) -> list[Pointer]:
    """The pointers of every table; those that cannot be read become findings."""
    pointers, readable = Pointers(storage), []
    for declared in REGISTRY.values():
        for name in pointers.names(declared):
            found.partitions += 1
            try:
                readable.append(pointers.read(declared, name))
            except PointerError as error:
                problem = _without_command(error, name)
                again = launch_command(declared, name.partition("ds=")[2][:10])
                found.findings.append(Finding("broken", _place(storage, name), problem, again))
    return readable


def _damaged_files(storage: Storage, pointers: list[Pointer], damaged: dict[str, str]) -> Iterator[Finding]:
    """The files that are gone or damaged, each once, with the days that read it."""
    days: dict[str, list[Pointer]] = defaultdict(list)
    for pointer in pointers:
        if pointer.file in damaged:
            days[pointer.file].append(pointer)
    for file, readers in days.items():
        first = readers[0]
        shared = f"; {first.table} of {len(readers)} days reads it" if len(readers) > 1 else ""
        again = launch_command(table(first.table), first.ds)
        yield Finding("broken", _place(storage, file), f"{damaged[file]}{shared}", again)


def _unnamed_files(storage: Storage, pointers: list[Pointer], found: Examination) -> Iterator[Finding]:
    """What no pointer names, a line for each table; of a table with a broken pointer nobody can say it."""
    named = {pointer.file for pointer in pointers}
    broken = [finding.file for finding in found.findings if finding.file.endswith(".json")]
    unreadable = {file.removeprefix(_place(storage, "")).split("/")[0] for file in broken}
    for declared in REGISTRY.values():
        if declared.name in unreadable:
            continue
        files = storage.glob(f"{declared.name}/ds=*/{'part=*/' if declared.part else ''}*.parquet")
        sizes = [storage.size(name) or 0 for name in files if name not in named]
        if sizes:
            problem = f"{_files(len(sizes))} that no pointer names, {sum(sizes) / 2**20:.1f} MiB"
            yield Finding("left over", _place(storage, declared.name), problem, VACUUM)
    staged = list((storage.temporary / STAGING).glob("*"))
    if staged:
        yield Finding(
            "left over", f"store/{STAGING}", f"{_files(len(staged), 'unfinished ')}, unless a run is at work", VACUUM
        )


def _models(home: Home, storage: Storage, found: Examination, sizes_only: bool) -> None:
    """The pointers of models, the bundles that they name, and the bundles that none names."""
    models, sound, named = ModelStore(storage), list[Bundle](), set[str]()
    shown = _champion_days(home)
    there = {identity for name in models.names() for identity in models.ids(name)}
    for (name, identity), day in shown.items():
        if identity not in there:
            place, problem = _place(storage, f"models/{name}/{identity}"), "is gone, and it is a champion"
            found.findings.append(Finding("broken", place, problem, train_command(name, day)))
    champions = {identity: day for (_, identity), day in shown.items()}
    for name in models.names():
        folder, first_days = f"models/{name}", dict[str, date]()
        for day in models.days(name):
            try:
                first_days.setdefault(models.pointer(name, day), day)
            except BundleError as error:
                file = f"{folder}/ds={day}.json"
                problem = _without_command(error, storage.location(file))
                found.findings.append(Finding("broken", _place(storage, file), problem, train_command(name, day)))
        for identity in sorted({*models.ids(name), *first_days}):
            found.bundles += 1
            try:
                sound.append(models.bundle(name, identity, verify=not sizes_only))
            except BundleError as error:
                file = f"{folder}/{identity}"
                place, problem = _place(storage, file), _without_command(error, storage.location(file))
                if (day_of := first_days.get(identity, champions.get(identity))) is not None:
                    again = train_command(name, day_of)
                    found.findings.append(Finding("broken", place, problem, again))
                else:
                    unread = f"{problem}; no day's pointer names it"
                    left = Finding("left over", place, unread, _removal(storage, file, folder=True))
                    found.findings.append(left)
        named.update(first_days)
    found.findings += _unnamed_bundles(sound, named | set(champions), storage)
    found.findings += _encoder_records(home, storage)
    promoted = home.settings.encoder.promoted
    if promoted is not None and not models.exists("image_backbone", promoted):
        place = _place(storage, f"models/image_backbone/{promoted}")
        problem = "is gone, and atelier.toml says that it encodes photographs"
        found.findings.append(Finding("broken", place, problem, "atelier promote image_backbone --undo"))


def _champion_days(home: Home) -> dict[tuple[str, str], date]:
    """The bundles that champions name, by the model's asset and their id, each with the day that it was made for."""
    store, found = home.open_store(), dict[tuple[str, str], date]()
    for day in store.days(CHAMPIONS):
        with suppress(PointerError, DamagedFile):  # was named above
            for each in champions_of(store, day).values():
                name = each.model if each.model not in MODELS else f"{each.model}_model"
                found.setdefault((name, each.model_id), each.made_on)
    return found


def _unnamed_bundles(sound: list[Bundle], named: set[str], storage: Storage) -> Iterator[Finding]:
    """The sound bundles that nothing names any more, a line for each model; no command removes them.

    Beside the days' pointers, bundles are named by champions, encoders and the bundles that were made from them.

    Args:
        sound: all bundles that can be read.
        named: the ids that days' pointers and champions name.
        storage: the store.
    """
    kept = named | {bundle.model_id for bundle in sound if bundle.manifest.name == BACKBONE}
    kept |= {identity for bundle in sound if bundle.model_id in kept for identity in bundle.manifest.upstreams.values()}
    sizes: dict[str, list[int]] = defaultdict(list)
    for bundle in sound:
        if bundle.model_id not in kept:
            folder = f"models/{bundle.manifest.name}/{bundle.model_id}"
            files = (MANIFEST, *bundle.manifest.files)
            sizes[bundle.manifest.name].append(sum(storage.size(f"{folder}/{file}") or 0 for file in files))
    for name, each in sizes.items():
        count = f"{len(each)} sound bundle{'' if len(each) == 1 else 's'}"
        problem = f"{count} that nothing names, {sum(each) / 2**20:.1f} MiB"
        yield Finding("left over", _place(storage, f"models/{name}"), problem, KEEP)


def _encoder_records(home: Home, storage: Storage) -> Iterator[Finding]:
    """From which fine-tuned backbone each encoder was made."""
    for encoder, name in encoder_records(storage).items():
        try:
            backbone_of(storage, [encoder])
        except BundleError as error:
            newest = max(home.open_store().days("image_embeddings"), default=home.settings.first_day)
            again = f"{_removal(storage, name)} && {launch_command(table('image_embeddings'), newest)}"
            yield Finding("broken", _place(storage, name), _without_command(error, storage.location(name)), again)


def _vectors(store: "FeatureStore", sound: list[Pointer], found: Examination, sizes_only: bool) -> None:
    """The cache of image vectors, and the days that need one which it does not have."""
    storage = store.storage
    cache = EmbeddingCache(storage)
    for encoder in cache.encoders():
        found.vector_files += len(cache.files(encoder))
        for name in [] if sizes_only else cache.damaged(encoder):
            problem = "is damaged: its bytes are not those that were written; its vectors count as absent"
            found.findings.append(Finding("broken", _place(storage, name), problem, PUBLISH))
    if sizes_only:
        return
    known = {encoder: cache.digests(encoder) for encoder in cache.encoders()}
    days = {pointer.file: pointer for pointer in sound if pointer.table == "image_embeddings"}
    for pointer in days.values():  # days with the same photographs share a file
        absent = _without_vector(store.read("image_embeddings", pointer.ds), known)
        if absent:
            problem = f"{absent} of its photographs have no vector in {_place(storage, 'embedding_cache')}"
            again = launch_command(table("image_embeddings"), pointer.ds)
            found.findings.append(Finding("broken", _place(storage, pointer.file), problem, again))


def _without_vector(needed: "pa.Table", known: Mapping[str, "pa.Array"]) -> int:
    """How many rows of ``image_embeddings`` have no vector among the ``known`` digests of their encoder."""
    import pyarrow.compute as pc

    absent: int = needed.num_rows
    for encoder, digests in known.items():
        own = needed.filter(pc.equal(needed["encoder_id"], encoder))
        absent -= own.filter(pc.is_in(own["digest"], value_set=digests)).num_rows
    return absent


def _remembered(home: Home, storage: Storage, pointers: list[Pointer]) -> Iterator[Finding]:
    """What is remembered of photographs and of days without a night: it only saves work, and a run makes it anew."""
    for file, read, made_with in ((MEMORY, read_memory, "images"), (FIGURES, read_figures, "drift")):
        if not storage.exists(file):
            continue
        try:
            read(storage)
        except DamagedFile as error:
            newest = max((each.ds for each in pointers if each.table == made_with), default=home.settings.first_day)
            again = launch_command(table(made_with), newest)
            yield Finding("broken", _place(storage, file), _without_command(error, storage.location(file)), again)


def _promotions(storage: Storage) -> Iterator[Finding]:
    """What people promoted; it was typed once, and no run makes it again."""
    try:
        Promotions(storage).history()
    except PromotionError as error:
        yield Finding("broken", _place(storage, PROMOTIONS), str(error), "restore that record from a backup")


def _inputs(storage: Storage) -> Iterator[Finding]:
    """What each stage recorded of its inputs; without it a stage counts as made from superseded data."""
    for name, text in storage.read_texts(storage.glob(f"{MADE_FROM}/*/ds=*.json")).items():
        try:
            InputRecord.from_json(text, name)
        except RecordError as error:
            yield Finding("broken", _place(storage, name), _without_command(error, name), _removal(storage, name))


def _records(home: Home) -> Iterator[Finding]:
    """What the page of all days knows of each day."""
    from atelier.report.index import DayRecord, DayRecordError

    for file in sorted(home.reports.glob("ds=????-??-??.json")):
        try:
            DayRecord.from_json(as_text(file.read_bytes()), str(file))
        except DayRecordError as error:
            again = f"dg launch --assets report --partition {file.stem.removeprefix('ds=')}"
            yield Finding("broken", _named(home, file), _without_command(error, str(file)), again)


def _database(home: Home, storage: Storage, pointers: list[Pointer]) -> Iterator[Finding]:
    """The database that people open: whether it opens, and shows files that are there."""
    import duckdb

    file = home.database
    if file.with_name(f"{file.name}.wal").exists():
        problem = "is the log of a client that wrote into the database, and keeps everybody else from opening it"
        yield Finding("broken", f"{file.name}.wal", problem, PUBLISH)
        return
    if not file.exists():
        if pointers:
            yield Finding("broken", file.name, "is gone", PUBLISH)
        return
    if not storage.is_local and not storage.exists(COPY):
        yield Finding("incomplete", storage.location(COPY), "is gone, for those who cannot reach the home", PUBLISH)
    try:
        with duckdb.connect(file, read_only=True) as connection:
            shown = connection.execute(READ_BY_VIEWS).fetchall()
    except duckdb.Error as error:
        yield Finding("broken", file.name, f"cannot be opened ({str(error).splitlines()[0]})", PUBLISH)
        return
    named = {pointer.file for pointer in pointers}  # of these it was said already whether they are gone
    gone = [name for (name,) in shown if name not in named and not storage.exists(name)]
    if gone:
        yield Finding(
            "broken",
            file.name,
            f"shows {_files(len(gone))} that {'is' if len(gone) == 1 else 'are'} gone, the first {gone[0]}",
            PUBLISH,
        )


def _place(storage: Storage, name: str) -> str:
    """What a finding calls a file of the store: its path within the home, or its URL."""
    return f"store/{name}" if storage.is_local else storage.location(name)


def _removal(storage: Storage, name: str, *, folder: bool = False) -> str:
    """The command that removes a file or a folder of the store."""
    if storage.is_local:
        return f"rm {'-r ' if folder else ''}{storage.location(name)}"
    return f"aws s3 rm {'--recursive ' if folder else ''}{storage.location(name)}"


def _files(count: int, kind: str = "") -> str:
    return f"{count} {kind}file{'' if count == 1 else 's'}"


def _named(home: Home, path: Path) -> str:
    return path.relative_to(home.root).as_posix()


def _without_command(error: Exception, name: str) -> str:
    """What an error says, without the file and the command, which a finding has as fields of their own."""
    return str(error).removeprefix("bundle ").replace(f"{name} ", "", 1).replace(f"{name}: ", "", 1).partition("; ")[0]
