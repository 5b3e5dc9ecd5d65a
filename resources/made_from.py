"""What every day was made from, and which days were made from data that have been replaced since.

What belongs here: the record of the inputs of each stage and day, the versions that these inputs have now, and the
comparison of the two. What does not: the landing zone (:mod:`resources.landing_zone`), asking for runs
(:mod:`dagster_project.late_days`), the pointers themselves (:mod:`resources.pointers`).

A record is ``<store>/_made_from/<stage>/ds=<day>.json``. It holds digests of data and neither a clock nor a run, so
that equal days have equal records. The inputs are looked up before the stage reads them and are written down after it
has published: a stage that is killed in between keeps its old record, or none, and its day is listed, not passed over.
"""

import json
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from atelier.errors import AtelierError, BundleError, PartitionMissing
from resources.model_store import ModelStore, job_of
from resources.pointers import Pointer, PointerError, Pointers, shown_version
from resources.schema import Column, Table
from resources.storage import Root, open_storage
from resources.tables import REGISTRY

FOLDER = "_made_from"
#: The version of an input that a day does not have, and of one whose pointer cannot be read; `atelier doctor` names it.
ABSENT, UNREADABLE = "absent", "unreadable"
CHANGED, FOLLOWS, UNKNOWN = "input changed", "follows another", "not recorded"

SUPERSEDED = Table(
    "superseded",
    "derived",
    "What was made from data that have been replaced since; empty where every day is up to date.",
    key=("ds", "asset", "input"),
    columns=(
        Column("ds", "DATE", "The day of what was made."),
        Column("asset", "VARCHAR", "What was made: a table, a part of one, or a model."),
        Column(
            "reason",
            "VARCHAR",
            "An input has changed, the asset follows another one of this list, or nobody recorded its inputs.",
            values=(CHANGED, FOLLOWS, UNKNOWN),
        ),
        Column("input", "VARCHAR", "The input and its day; empty where the inputs were not recorded."),
        Column("made_from", "VARCHAR", "The version of the input that was read.", nullable=True),
        Column("now", "VARCHAR", "The version that the input has now.", nullable=True),
        Column("job", "VARCHAR", "The job that makes it again."),
    ),
)


class RecordError(AtelierError):
    """A record of inputs cannot be read; the message names the file and the remedy."""


@dataclass(frozen=True)
class Reads:
    """What a stage makes and reads.

    Attributes:
        stage: its name.
        produces: the assets it makes.
        deps: the assets that it reads of the same day; of events all days up to it.
        judged_deps: the assets that it reads of the day that is a horizon earlier.
    """

    stage: str
    produces: tuple[str, ...]
    deps: tuple[str, ...]
    judged_deps: tuple[str, ...] = ()

    def inputs(self, ds: date, horizon: int) -> list[tuple[str, date]]:
        """The assets and days that the stage reads for a day, without those that it makes itself.

        Args:
            ds: the day.
            horizon: how many days later lists are judged.
        """
        same_day = [(asset, ds) for asset in self.deps if asset not in self.produces]
        return same_day + [(asset, ds - timedelta(days=horizon)) for asset in self.judged_deps]


@dataclass(frozen=True)
class Record:
    """What one stage read for one day.

    Attributes:
        stage: the stage.
        ds: the day.
        assets: what it made of that day.
        inputs: the version of each input, by asset and day, written ``asset@day``.
    """

    stage: str
    ds: date
    assets: tuple[str, ...]
    inputs: Mapping[str, str]

    @property
    def name(self) -> str:
        """The file, relative to the store's root."""
        return record_name(self.stage, self.ds)

    def to_json(self) -> str:
        """One line of JSON, the same bytes for the same record."""
        return json.dumps(asdict(self) | {"ds": self.ds.isoformat()}, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str) -> "Record":
        """The record in ``text``; ``name`` is its file.

        Raises:
            RecordError: the text is no record, or another one's.
        """
        try:
            raw = json.loads(text)
            inputs = {str(asset): str(version) for asset, version in raw["inputs"].items()}
            found = cls(str(raw["stage"]), date.fromisoformat(raw["ds"]), tuple(map(str, raw["assets"])), inputs)
            for asset in inputs:
                _parsed(asset)
            if found.name != name:
                raise ValueError(f"it is that of {found.stage}, ds={found.ds}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordError(
                f"{name} in the store is no record of inputs ({error}); delete it: its day is listed by "
                "`atelier superseded` until it has been made again"
            ) from error
        return found


def record_name(stage: str, ds: date) -> str:
    """Where the record of a stage and day lies, relative to the store's root."""
    return f"{FOLDER}/{stage}/ds={ds}.json"


def _key(asset: str, day: date) -> str:
    return f"{asset}@{day}"


def _parsed(key: str) -> tuple[str, date]:
    asset, _, day = key.rpartition("@")
    return asset, date.fromisoformat(day)


class InputVersions:
    """The versions that assets have now. Each pointer is read once in the life of this object.

    Args:
        root: the store's.
    """

    def __init__(self, root: Root) -> None:
        storage = open_storage(root)
        self._pointers, self._models = Pointers(storage), ModelStore(storage)
        self._read: dict[str, list[Pointer] | None] = {}
        self._of_day: dict[str, dict[date, list[Pointer]]] = {}
        self._known: dict[tuple[str, date], str] = {}

    def of(self, asset: str, day: date) -> str:
        """The version of an asset on a day: a digest of the data, the model's id, :data:`ABSENT` or :data:`UNREADABLE`.

        Args:
            asset: a table, a part of one (``recommendations/als``), or a model.
            day: of events all days up to it count.
        """
        if (asset, day) not in self._known:
            name, _, part = asset.partition("/")
            self._known[asset, day] = (
                self._of_table(REGISTRY[name], day, part or None) if name in REGISTRY else self._of_model(asset, day)
            )
        return self._known[asset, day]

    def _of_table(self, table: Table, day: date, part: str | None) -> str:
        try:
            shown = self._shown(table, day)
        except PointerError:
            return UNREADABLE
        shown = [each for each in shown if part is None or each.part == part]
        return shown_version(shown) if shown else ABSENT

    def _shown(self, table: Table, day: date) -> list[Pointer]:
        if table.kind != "event":
            return self._pointers.of_day(table, day)
        if table.name not in self._read:
            self._read[table.name] = self._pointers.of_table(table)
        return [each for each in self._read[table.name] or () if each.ds <= day]

    def _of_model(self, name: str, day: date) -> str:
        try:
            return self._models.pointer(name, day)
        except PartitionMissing:
            return ABSENT
        except BundleError:
            return UNREADABLE


def versions_read(versions: InputVersions, inputs: Iterable[tuple[str, date]]) -> dict[str, str]:
    """The version that each input has now, by asset and day, as a :class:`Record` holds them."""
    return {_key(asset, day): versions.of(asset, day) for asset, day in inputs}


def put_record(root: Root, record: Record) -> None:
    """Write down what a stage made of a day from which inputs; a stage that made nothing has no record."""
    storage = open_storage(root)
    if record.assets:
        storage.put_text(record.to_json(), record.name)
    else:
        storage.remove(record.name)


def records(root: Root, days: Collection[date] | None = None) -> list[Record]:
    """All records of a store, or those of some days, by day and stage.

    Raises:
        RecordError: one of them cannot be read.
    """
    storage = open_storage(root)
    patterns = [f"{FOLDER}/*/ds=*.json"] if days is None else [f"{FOLDER}/*/ds={day}.json" for day in days]
    names = [name for pattern in patterns for name in storage.glob(pattern)]
    found = [Record.from_json(text, name) for name, text in storage.read_texts(names).items()]
    return sorted(found, key=lambda record: (record.ds, record.stage))


@dataclass(frozen=True)
class Superseded:
    """One asset of one day that was made from data which have been replaced since; see the table ``superseded``."""

    ds: date
    asset: str
    reason: str
    input: str
    made_from: str | None
    now: str | None

    @property
    def job(self) -> str:
        """The job that makes it again."""
        table = self.asset.partition("/")[0]
        return REGISTRY[table].job if table in REGISTRY else job_of(self.asset)


def superseded(root: Root, days: Collection[date] | None = None) -> list[Superseded]:
    """What was made from data that have been replaced since, and what follows from that, by day and asset.

    Args:
        root: the store's.
        days: only what was made of these days; None: of all. What follows from another day's is then found only if
            that day is among them.

    Raises:
        RecordError: a record of inputs cannot be read.
    """
    known, versions = records(root, days), InputVersions(root)
    found = [each for record in known for each in _changed(record, versions)]
    found += _following(known, {(each.asset, each.ds) for each in found})
    if days is None:
        found += _unrecorded(root, known)
    return sorted(found, key=lambda each: (each.ds, each.asset, each.input))


def _changed(record: Record, versions: InputVersions) -> list[Superseded]:
    now = {key: versions.of(*_parsed(key)) for key in record.inputs}
    changed = [key for key in sorted(now) if now[key] != record.inputs[key]]
    return [
        Superseded(record.ds, asset, CHANGED, key, record.inputs[key], now[key])
        for asset in record.assets
        for key in changed
    ]


def _following(known: Sequence[Record], begun: Collection[tuple[str, date]]) -> list[Superseded]:
    """What was made from what is superseded, at any depth, unless an input of its own has changed."""
    readers: dict[str, list[Record]] = defaultdict(list)
    for record in known:
        for key in record.inputs:
            readers[key].append(record)
    seen, waiting, found = set(begun), deque(sorted(begun)), list[Superseded]()
    while waiting:
        key = _key(*waiting.popleft())
        for record in readers[key]:
            for asset in record.assets:
                if (asset, record.ds) not in seen:
                    seen.add((asset, record.ds))
                    waiting.append((asset, record.ds))
                    version = record.inputs[key]
                    found.append(Superseded(record.ds, asset, FOLLOWS, key, version, version))
    return found


def _unrecorded(root: Root, known: Sequence[Record]) -> list[Superseded]:
    """What was made by an older version, or by a run that was killed before it wrote down what it had read."""
    covered = {(asset, record.ds) for record in known for asset in record.assets}
    storage = open_storage(root)
    models = ModelStore(storage)
    there = {(name, day) for name in models.names() for day in models.days(name)}
    for table in REGISTRY.values():
        if table.kind == "derived" and table.job != "ingest":
            for name in Pointers(storage).names(table):
                day, _, part = name.removeprefix(f"{table.name}/ds=").removesuffix(".json").partition("/")
                whole = (table.name, date.fromisoformat(day))
                there.add(whole if whole in covered or not part else (f"{table.name}/{part}", whole[1]))
    return [Superseded(day, asset, UNKNOWN, "", None, None) for asset, day in sorted(there - covered)]


def rows(found: Iterable[Superseded]) -> list[dict[str, Any]]:
    """The rows of the table ``superseded``."""
    return [asdict(each) | {"job": each.job} for each in found]
