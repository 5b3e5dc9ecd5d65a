"""The retailer: where Atelier keeps its files, and which source of data it serves.

What belongs here: :class:`Home` (the folder ``$ATELIER_HOME`` and the places in it) and :class:`Settings` (its
``atelier.toml``, written once by ``atelier init``). What does not: how a source is read (:mod:`atelier.sources`), and
anything that may be changed from run to run, which is Dagster config.
"""

import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from atelier.errors import AtelierError

if TYPE_CHECKING:
    from atelier.sources import Source

SourceKind = Literal["sample", "hm", "parquet"]


class SettingsError(AtelierError):
    """``atelier.toml`` is missing, unreadable, or says something else than what is asked for."""


class EncoderSettings(BaseModel):
    """The encoder of photographs: part of the settings, because changing it is a decision and never a nightly event.

    Attributes:
        backbone: any torchvision backbone by name, or ``small``.
        weights: ``DEFAULT``, the path of a .safetensors file, or ``none`` for seeded ones.
        preprocessing: what the weights expect, where it is not what their file or torchvision says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str = "small"
    weights: str = "none"
    preprocessing: dict[str, Any] | None = None


class Settings(BaseModel):
    """What ``atelier.toml`` says. Written once; everything else is Dagster config.

    Attributes:
        source: which kind of source is read.
        path: the source's folder.
        first_day: the first day of its history.
        last_day: the last one; absent for a live source.
        time_zone: the retailer's, which defines what a day is.
        horizon: how many days of behaviour judge the recommendations of a day.
        serving_model: whose lists every customer gets.
        encoder: which encoder turns photographs into vectors.
        options: further options of the source, by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: SourceKind
    path: str
    first_day: date
    last_day: date | None = None
    time_zone: str = "Europe/London"
    horizon: int = Field(default=7, ge=1)
    serving_model: str = "als"
    encoder: EncoderSettings = EncoderSettings()
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, value: str) -> str:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"unknown time zone {value!r}; use a name such as Europe/London") from error
        return value

    @model_validator(mode="after")
    def _days_in_order(self) -> "Settings":
        if self.last_day is not None and self.last_day < self.first_day:
            raise ValueError(f"last_day {self.last_day} is before first_day {self.first_day}")
        return self


#: What a home without atelier.toml is taken to be, the demo's retailer, so that a fresh clone's code location loads.
UNINITIALISED = Settings(source="sample", path="retailer", first_day=date(2025, 3, 3), last_day=date(2025, 5, 1))


@dataclass(frozen=True)
class Home:
    """The folder ``$ATELIER_HOME`` and the places in it."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """The home that ``$ATELIER_HOME`` names; ``./var`` where it is not set."""
        return cls(Path(os.environ.get("ATELIER_HOME") or "var").resolve())

    @property
    def toml(self) -> Path:
        """The settings' file."""
        return self.root / "atelier.toml"

    @property
    def store(self) -> Path:
        """The feature store: tables, models, the cache of image vectors."""
        return self.root / "store"

    @property
    def dagster(self) -> Path:
        """Dagster's own storage (``$DAGSTER_HOME``)."""
        return self.root / "dagster"

    @property
    def database(self) -> Path:
        """The one DuckDB file that people open."""
        return self.root / "atelier.duckdb"

    @property
    def reports(self) -> Path:
        """The daily pages."""
        return self.root / "reports"

    @property
    def settings(self) -> Settings:
        """What atelier.toml says; :data:`UNINITIALISED` where ``atelier init`` has not run yet.

        Raises:
            SettingsError: the file cannot be read or breaks its rules.
        """
        return read_settings(self.toml) if self.toml.exists() else UNINITIALISED

    def open_source(self) -> "Source":
        """The retailer's source, opened.

        Raises:
            SourceError: its files are not there or not readable.
        """
        from atelier.sources import open_source

        settings = self.settings
        days = {"first_day": settings.first_day, "last_day": settings.last_day}
        return open_source(settings.source, self.root / settings.path, **days, **settings.options)


def read_settings(path: Path) -> Settings:
    """The settings in the file ``path``.

    Raises:
        SettingsError: it is not TOML, or a key is missing, unknown or has a value that is not allowed.
    """
    try:
        return Settings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML ({error}); mend it, or delete it and run `atelier init`") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"{path}: {faults}; mend it, or delete it and run `atelier init`") from error


def write_settings(home: Home, settings: Settings) -> None:
    """Write ``atelier.toml``, once.

    Raises:
        SettingsError: the home already serves other settings.
    """
    import tomlkit

    if home.toml.exists():
        existing = read_settings(home.toml)
        if existing != settings:
            raise SettingsError(
                f"{home.toml} already serves {existing.source} at {existing.path} ({_differences(existing, settings)});"
                " one home serves one source: set ATELIER_HOME to another folder"
            )
        return
    home.root.mkdir(parents=True, exist_ok=True)
    document = tomlkit.document()
    document.add(tomlkit.comment("Written once by `atelier init`. Everything else is Dagster config."))
    for name, value in settings.model_dump(exclude_none=True, exclude_defaults=False).items():
        document.add(name, value)
    staged = home.toml.with_suffix(".toml.new")
    staged.write_text(tomlkit.dumps(document), encoding="utf-8")
    staged.replace(home.toml)


def _differences(existing: Settings, asked: Settings) -> str:
    old, new = existing.model_dump(), asked.model_dump()
    return ", ".join(f"{name} is {old[name]!r}, asked for {new[name]!r}" for name in old if old[name] != new[name])


def day_range(first: date, last: date) -> Sequence[date]:
    """Every day from ``first`` to ``last``, both counted."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
