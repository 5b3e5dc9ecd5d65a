"""The retailer: where Atelier keeps its files, and which source of data it serves.

What belongs here: :class:`Home` (the folder ``$ATELIER_HOME`` and the places in it) and :class:`Settings` (its
``atelier.toml``), with the rules that one key of it must obey. What does not: writing that file
(:mod:`resources.settings_file`), how a source is read (:mod:`atelier.sources`), rules that need torch or the stages
(:mod:`dagster_project.commands.init`), and anything that may be changed from run to run, which is Dagster config.
"""

import os
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from atelier.errors import AtelierError
from atelier.monitoring.limits import GateLimits
from resources.compute_settings import ComputeSettings

if TYPE_CHECKING:
    from atelier.sources import Source
    from resources.feature_store import Auditor, FeatureStore
    from resources.storage import Storage

SourceKind = Literal["sample", "hm", "parquet"]
PRESET_NAME = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
#: A bucket or container and perhaps a prefix; the folders of the home are no store of this kind.
STORE_URL = re.compile(r"(?!file:)[a-z][a-z0-9+]*://[^@/*?\[\]\s]+(/[^@*?\[\]]*)?")


class SettingsError(AtelierError):
    """``atelier.toml`` is missing, unreadable, or says something else than what is asked for."""


class EncoderSettings(BaseModel):
    """The encoder of photographs: part of the settings, because changing it is a decision and never a nightly event.

    Attributes:
        backbone: any torchvision backbone by name, or ``small``.
        weights: ``DEFAULT``, the path of a .safetensors file, or ``none`` for seeded ones.
        preprocessing: what the weights expect, where it is not what their file or torchvision says.
        promoted: the model id of an ``image_backbone`` that photographs are encoded with instead; ``atelier promote``
            writes it. What is above stays: the next fine-tuning starts from there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str = "small"
    weights: str = "none"
    preprocessing: dict[str, Any] | None = None
    promoted: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")


class Preset(BaseModel):
    """Settings of a recommender under a name, as the job ``tune`` writes them into ``[presets.NAME]``.

    Attributes:
        model: the recommender.
        study: the id of the study that found them, under which its trials are kept.
        last_day_seen: the last day whose purchases they were chosen by: figures of models of this day and of earlier
            ones are better than they could have been.
        metric: what the study maximised, for example ``ndcg@12``.
        value: that figure on the validation days.
        default: the same with the model's default settings; absent where they gave none.
        config: the fields of the model's config that are not its defaults.
        empty: further fields, which are left empty; TOML has no other way to say so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    study: str
    last_day_seen: date
    metric: str
    value: float
    default: float | None = None
    config: dict[str, Any] = {}
    empty: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the model's config that the preset sets, with their values."""
        return self.config | dict.fromkeys(self.empty)


class Settings(BaseModel):
    """What ``atelier.toml`` says. Written once; everything else is Dagster config.

    Attributes:
        source: which kind of source is read.
        path: the source's folder.
        first_day: the first day of its history.
        last_day: the last one; absent for a live source.
        time_zone: the retailer's, which defines what a day is.
        horizon: the days of behaviour by which the recommendations of a day are evaluated.
        serving_model: whose lists every customer gets.
        recommenders: the models that the daily job fits; empty: those that are declared as daily. Their
            names are checked where the code location is put together.
        encoder: which encoder turns photographs into vectors.
        compute: how much of the machine a step may use.
        options: further options of the source, by name.
        presets: settings of recommenders that the job ``tune`` found, by name.
        store: the URL of object storage, such as ``s3://bucket/atelier``, in which everything that is made is kept;
            None: the home's own folder ``store``. Credentials come from the environment, never from here.
        gates: what a model has to satisfy before its results are shown, and a recipe before it is promoted; it may be
            edited at any time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: SourceKind
    path: str
    first_day: date
    last_day: date | None = None
    time_zone: str = "Europe/London"
    horizon: int = Field(default=7, ge=1)
    serving_model: str = "als"
    recommenders: tuple[str, ...] | None = None
    store: str | None = None
    encoder: EncoderSettings = EncoderSettings()
    compute: ComputeSettings = ComputeSettings()
    options: dict[str, Any] = Field(default_factory=dict)
    presets: dict[str, Preset] = Field(default_factory=dict)
    gates: GateLimits = GateLimits()

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, value: str) -> str:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: a region alone is a folder
            raise ValueError(f"unknown time zone {value!r}; use a name such as Europe/London") from error
        return value

    @field_validator("store")
    @classmethod
    def _object_storage(cls, value: str | None) -> str | None:
        if value is not None and not STORE_URL.fullmatch(value):
            raise ValueError(
                f"{value!r} is no URL of object storage: write s3://bucket/prefix, without a user, a password and any "
                "of * ? [ ]; leave the key out to keep everything in the home's own folder"
            )
        return value

    @field_validator("options")
    @classmethod
    def _options_of_their_own(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in ("first_day", "last_day"):
            if name in value:
                raise ValueError(f"{name} is a setting of its own, not an option of the source")
        if _holds_none(value):
            raise ValueError("null cannot be written; leave the option out")
        return value

    @model_validator(mode="after")
    def _days_in_order(self) -> "Settings":
        if self.last_day is not None and self.last_day < self.first_day:
            raise ValueError(f"last_day {self.last_day} is before first_day {self.first_day}")
        return self


#: The settings of a home without atelier.toml: the demo's retailer, so that the code location of a fresh clone loads.
UNINITIALISED = Settings(source="sample", path="retailer", first_day=date(2025, 3, 3), last_day=date(2025, 5, 1))


@dataclass(frozen=True)
class Home:
    """The folder ``$ATELIER_HOME`` and the places in it."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """The home that ``$ATELIER_HOME`` names.

        Where it is not set: the home whose Dagster ``$DAGSTER_HOME`` names, and ``./var`` where that is none either.

        Raises:
            SettingsError: ``$ATELIER_HOME`` is a URL.
        """
        named, dagster = os.environ.get("ATELIER_HOME"), os.environ.get("DAGSTER_HOME")
        if named and "://" in named:
            raise SettingsError(
                f"ATELIER_HOME is {named!r}, and a home is a folder of this machine, for Dagster's files and what is "
                f"unfinished; keep what is made in object storage: ATELIER_HOME=FOLDER atelier init --store {named} …"
            )
        if not named and dagster:
            home = cls(Path(dagster).resolve().parent)
            if home.toml.exists() and home.dagster == Path(dagster).resolve():
                return home
        return cls(Path(named or "var").resolve())

    @classmethod
    def served_by_dagster(cls) -> "Home":
        """As :meth:`from_environment`, for the code that Dagster loads: its runs must appear in the home's own Dagster.

        With ``$ATELIER_HOME`` set, ``$DAGSTER_HOME`` may be any folder but the Dagster of another home: a deployment
        has Dagster's settings elsewhere.

        Raises:
            SettingsError: ``$DAGSTER_HOME`` is not set, names the Dagster of another home, or names the Dagster of
                something else while ``$ATELIER_HOME`` is not set.
        """
        home, dagster = cls.from_environment(), os.environ.get("DAGSTER_HOME")
        wanted = f"set ATELIER_HOME={home.root} and DAGSTER_HOME={home.dagster}"
        if not dagster:
            raise SettingsError(
                f"DAGSTER_HOME is not set: runs would write into {home.root}, without its limits and unknown to its "
                f"Dagster; {wanted}"
            )
        other = cls(Path(dagster).resolve().parent)
        if other != home and other.toml.exists() and other.dagster == Path(dagster).resolve():
            raise SettingsError(
                f"DAGSTER_HOME is {dagster}, the Dagster of the home {other.root}, and ATELIER_HOME is {home.root}: "
                f"runs would be recorded in the wrong home; {wanted}"
            )
        if not os.environ.get("ATELIER_HOME") and home.dagster != Path(dagster).resolve():
            raise SettingsError(
                f"DAGSTER_HOME is {dagster}, which belongs to no home of Atelier, and ATELIER_HOME is not set; "
                f"{wanted}, or name the home that you mean"
            )
        return home

    @classmethod
    def initialised(cls) -> "Home":
        """As :meth:`from_environment`, for a command that reads what is there: a mistyped name makes no new home.

        Raises:
            SettingsError: the folder has no atelier.toml.
        """
        home = cls.from_environment()
        if not home.toml.exists():
            raise SettingsError(
                f"{home.root} is no home of Atelier: it has no atelier.toml; correct ATELIER_HOME, or run "
                "`atelier init`"
            )
        return home

    @property
    def toml(self) -> Path:
        """The settings' file."""
        return self.root / "atelier.toml"

    @property
    def store(self) -> Path:
        """The folder of the feature store: tables, models, the cache of image vectors.

        Where the settings name object storage, it holds only what this machine needs for it: locks, unfinished files
        and copies (:attr:`storage`).
        """
        return self.root / "store"

    @property
    def storage(self) -> "Storage":
        """Where the feature store lies: :attr:`store`, or the object storage that the settings name.

        Raises:
            SettingsError: the settings cannot be read.
        """
        from resources.storage import open_storage

        return open_storage(self.settings.store or self.store, self.store)

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

    def open_store(self, audit: "Auditor | None" = None) -> "FeatureStore":
        """The feature store, with the threads and the memory that the settings allow.

        Args:
            audit: audits what is written; a store that is only read needs none.
        """
        from resources.feature_store import FeatureStore

        allowed = self.settings.compute
        return FeatureStore(self.storage, threads=allowed.threads, memory_limit=allowed.memory_limit, audit=audit)

    def open_source(self) -> "Source":
        """The retailer's source, opened.

        Raises:
            SourceError: its files are not there or not readable, or an option is wrong.
        """
        from atelier.sources import open_source

        settings = self.settings
        days = {"first_day": settings.first_day, "last_day": settings.last_day}
        engine = {"threads": settings.compute.threads, "memory_limit": settings.compute.memory_limit}
        return open_source(settings.source, self.root / settings.path, **(days | engine | settings.options))


def read_settings(path: Path) -> Settings:
    """The settings in the file ``path``.

    Raises:
        SettingsError: it is not TOML, or a key is missing, unknown or has a value that is not allowed.
    """
    try:
        return Settings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML ({error}); mend it, or delete it and run `atelier init`") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); set ATELIER_HOME to another folder") from error
    except ValidationError as error:
        raise SettingsError(f"{path}: {faults(error)}; mend it, or delete it and run `atelier init`") from error


def faults(error: ValidationError, name: Callable[[str], str] = str) -> str:
    """What pydantic found wrong, on one line, each fault after its key.

    Args:
        error: what pydantic found.
        name: what to call a key; by default as it is, with dots.
    """
    each = [(".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, ")) for e in error.errors()]
    return "; ".join(f"{name(key)}: {message}" if key else message for key, message in each)


def _holds_none(value: Any) -> bool:
    """Whether there is a None anywhere in what came from JSON: TOML has no such thing."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(map(_holds_none, inner))


def day_range(first: date, last: date) -> Sequence[date]:
    """Every day from ``first`` to ``last``, both counted."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
