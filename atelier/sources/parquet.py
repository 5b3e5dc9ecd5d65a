"""The Parquet landing zone: what a retailer's export puts down every night, and what the sample retailer generates.

What belongs here: the folders and file names of the landing zone (see docs/sources.md) and which file holds on which
day. What does not: what is right in a row (:mod:`atelier.sources.columns`, :mod:`atelier.sources.validation`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel, ConfigDict, ValidationError

from atelier.sources.base import check_request, source_error
from atelier.sources.columns import LAYOUTS
from atelier.sources.day_files import file_on, files_by_day
from atelier.sources.landed import Landed
from atelier.sources.reading import ROW, EngineOptions, engine, load
from atelier.sources.validation import CHECK_COLUMNS, Checked, check, empty, land, remember

_REQUIRED = ("articles", "interactions")
_ALWAYS = ("articles", "customers")  # without a snapshot of these a day cannot be read at all

# A snapshot is valid until the next one; its dates decide what is in stock on the days between. A date that cannot be
# read might have ended the sale, so that article is not in stock.
_UNREADABLE = """len(list_filter(coalesce(value_faults, []),
    lambda fault: fault.column_name IN ('available_from', 'available_until'))) > 0"""
_IN_STOCK = f"""in_stock AND coalesce(available_from <= $day, true) AND coalesce(available_until >= $day, true)
    AND NOT {_UNREADABLE} AS in_stock"""
_ARTICLES = f"* EXCLUDE ({CHECK_COLUMNS}) REPLACE ({_IN_STOCK})"
_INTERACTIONS = f"{ROW} - 1 AS ordinal, * EXCLUDE ({CHECK_COLUMNS})"


_Files = tuple[Path | None, ...]


class Retailer(BaseModel):
    """What ``retailer.json`` says. Every part may be left out.

    Attributes:
        first_day: the first day the files hold.
        last_day: the last; None for a landing zone that goes on growing.
        time_zone: in which days begin and end.
        currency: of every price.
        description: for people; what generated the files, for example.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    first_day: date | None = None
    last_day: date | None = None
    time_zone: str | None = None
    currency: str | None = None
    description: Any = None


class ParquetOptions(EngineOptions):
    """Options of a landing zone.

    Attributes:
        first_day: the first day the files hold; None takes it from retailer.json, else from the file names.
        last_day: the last; None takes it from retailer.json, else the landing zone goes on growing.
    """

    first_day: date | None = None
    last_day: date | None = None


class ParquetSource:
    """A folder of Parquet files, one folder for each table and one file for each day (see docs/sources.md).

    Attributes:
        root: the folder.
        image_root: the folder ``photographs`` in it.
        options: how it is read.
        files: for each table its files by day.

    Raises:
        SourceError: the folder, or its articles or interactions, are missing, or a file's name is not a day.
    """

    def __init__(self, root: Path, options: ParquetOptions | None = None) -> None:
        self.root = root
        self.image_root = root / "photographs"
        self.options = options or ParquetOptions()
        if not root.is_dir():
            raise source_error(root, "there is no such folder", "Correct the source's path.")
        self.files = {table: files_by_day(root, table) for table in LAYOUTS}
        for table in _REQUIRED:
            if not self.files[table]:
                raise source_error(root / table, "there are no files", f"Put {table}/ds=YYYY-MM-DD.parquet there.")

    @property
    def tables(self) -> frozenset[str]:
        """The tables that have at least one file."""
        return frozenset(table for table, files in self.files.items() if files)

    @cached_property
    def retailer(self) -> Retailer:
        """What retailer.json says; nothing where there is none.

        Raises:
            SourceError: the file is not what it should be.
        """
        file = self.root / "retailer.json"
        if not file.exists():
            return Retailer()
        try:
            return Retailer.model_validate_json(file.read_bytes())
        except (ValidationError, OSError) as error:
            reason = "; ".join(str(error).splitlines()[:3])
            raise source_error(
                file, f"it cannot be read ({reason})", "Correct it; docs/sources.md says how."
            ) from error

    @property
    def first_day(self) -> date:
        """The first day the files hold."""
        return self.options.first_day or self.retailer.first_day or min(self.files["interactions"])

    @property
    def last_day(self) -> date | None:
        """The last day the files hold; None where they go on growing."""
        return self.options.last_day or self.retailer.last_day

    def files_of(self, table: str, day: date) -> Sequence[Path]:
        """The files that a table of one day is read from: see :meth:`atelier.sources.base.Source.files_of`."""
        own = self.files[table].get(day) if table == "interactions" else file_on(self.files[table], day)
        referred = sorted({other for _, other in LAYOUTS[table].references} & self.tables)
        found = [own, *(file_on(self.files[other], day) for other in referred)]
        return [file for file in found if file is not None]

    def land(self, table: str, days: Sequence[date]) -> Iterator[tuple[date, Landed]]:
        """Read one table for a range of days: see :meth:`atelier.sources.base.Source.land`.

        Yields:
            Every day, in order. A snapshot that did not change comes as the same object.
        """
        check_request(self, table, days)
        with engine(self.options) as (connection, _):
            reader = _Reader(self, connection)
            for day in days:
                yield day, reader.interactions(day) if table == "interactions" else reader.snapshot(table, day)


class _Reader:
    """Reads days in order, and remembers the snapshots that are still valid."""

    def __init__(self, source: ParquetSource, connection: duckdb.DuckDBPyConnection) -> None:
        self.source = source
        self.connection = connection
        self.checked: dict[str, tuple[_Files, Checked]] = {}
        self.landed: tuple[_Files, Landed] | None = None

    def interactions(self, day: date) -> Landed:
        """What happened on one day. A row's ordinal is its position in that day's file, rejected rows included."""
        layout, known = LAYOUTS["interactions"], self._known("interactions", day)
        file = self.source.files["interactions"].get(day)
        if file is None:
            return Landed(
                empty(layout, ordinal=True), notes=(f"no file interactions/ds={day}.parquet: a day without rows",)
            )
        raw = load(self.connection, file, self.source.root, "interactions_raw")
        checked = check(self.connection, raw, layout, self.source.root, known, day)
        return land(self.connection, checked, _INTERACTIONS)

    def snapshot(self, table: str, day: date) -> Landed:
        """The state on one day; the very same object as before where nothing changed."""
        files = self._files(table, day)
        if files[0] is None:
            return Landed(empty(LAYOUTS[table]), notes=(f"no file of {table} on or before {day}",))
        same = self.landed is not None and self.landed[0] == files
        if self.landed is not None and same and table != "articles":
            return self.landed[1]
        checked = self._check(table, day)
        if table != "articles":
            landed = land(self.connection, checked)
        elif self.landed is not None and same:
            landed = self._restocked(self.landed[1], checked, day)
        else:
            landed = land(self.connection, checked, _ARTICLES, {"day": day})
        self.landed = (files, landed)
        return landed

    def _restocked(self, landed: Landed, checked: Checked, day: date) -> Landed:
        """Articles that were landed for another day, with what is in stock on this one; the same object if it is equal.

        Nothing else of articles depends on the day.
        """
        rows = f"FROM {checked.relation} WHERE reason IS NULL ORDER BY {ROW}"
        in_stock = self.connection.sql(f"SELECT {_IN_STOCK} {rows}", params={"day": day}).to_arrow_table().column(0)
        place = landed.accepted.schema.get_field_index("in_stock")
        if in_stock.equals(landed.accepted.column(place)):
            return landed
        field = landed.accepted.schema.field(place)
        return replace(landed, accepted=landed.accepted.set_column(place, field, in_stock))

    def _files(self, table: str, day: date) -> _Files:
        """The files that a snapshot of that day is read from: its own, then those of the tables it refers to."""
        referred = sorted({other for _, other in LAYOUTS[table].references} & self.source.tables)
        return tuple(self._file(name, day) for name in (table, *referred))

    def _file(self, table: str, day: date) -> Path | None:
        """The newest file of that day or before.

        Raises:
            SourceError: there is none, of a table that no day can do without.
        """
        files = self.source.files[table]
        found = file_on(files, day)
        if found is None and table in _ALWAYS:
            remedy = f"Put {table}/ds={day}.parquet there, or begin on {min(files)}."
            raise source_error(self.source.root / table, f"there is no file of {day} or before", remedy)
        return found

    def _known(self, table: str, day: date) -> dict[str, str]:
        """Tables of the values that rows of this table may refer to on that day."""
        known = {}
        for column, other in LAYOUTS[table].references:
            if other in self.source.tables:
                self._check(other, day)
                known[other] = f"{other}_{column}"
        return known

    def _check(self, table: str, day: date) -> Checked:
        """The checked rows of the snapshot that is valid on that day; each file is checked once."""
        files = self._files(table, day)
        if table in self.checked and self.checked[table][0] == files:
            return self.checked[table][1]
        known = self._known(table, day)
        file, layout = files[0], LAYOUTS[table]
        assert file is not None  # noqa: S101 — the caller has looked; for the type checker
        raw = load(self.connection, file, self.source.root, f"{table}_raw")
        image_root = self.source.image_root if table == "images" else None
        checked = check(self.connection, raw, layout, self.source.root, known, image_root=image_root)
        if table in _ALWAYS:
            remember(self.connection, checked, layout.key[0])
        self.checked[table] = (files, checked)
        return checked


class SampleSource(ParquetSource):
    """The generated retailer: a landing zone whose retailer.json says what generated it.

    Raises:
        SourceError: as a landing zone, and where retailer.json is absent.
    """

    def __init__(self, root: Path, options: ParquetOptions | None = None) -> None:
        if not (root / "retailer.json").is_file():
            remedy = "Generate it with `atelier init`, or atelier.sources.sample.generate."
            raise source_error(root, "no sample retailer was generated there (no retailer.json)", remedy)
        super().__init__(root, options)
