"""``atelier init``: write the settings of a home, once; with the sample retailer, generate it.

What belongs here: the command, its validation, and functions for code that needs an initialised home. What does not:
the settings' own rules (:mod:`resources.retailer`).
"""

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from resources.compute_settings import ComputeSettings
from resources.retailer import EncoderSettings, Home, Settings, SettingsError, faults
from resources.settings_file import check_settings, write_settings

if TYPE_CHECKING:
    from atelier.sources.sample import SampleConfig

SAMPLE_FOLDER = "retailer"
SAMPLE_SIZES = ("articles", "customers", "days")


@click.command()
@click.option(
    "--source",
    type=click.Choice(["sample", "hm", "parquet"]),
    default="sample",
    envvar="ATELIER_SOURCE",
    show_default=True,
    help="The kind of source.",
)
@click.option("--path", type=click.Path(path_type=Path), envvar="ATELIER_PATH", help="The source's folder.")
@click.option(
    "--first-day",
    type=click.DateTime(["%Y-%m-%d"]),
    envvar="ATELIER_FIRST_DAY",
    help="First day; default: the source's.",
)
@click.option(
    "--last-day", type=click.DateTime(["%Y-%m-%d"]), envvar="ATELIER_LAST_DAY", help="Last day; default: the source's."
)
@click.option("--time-zone", default="Europe/London", envvar="ATELIER_TIME_ZONE", show_default=True)
@click.option(
    "--horizon",
    type=click.IntRange(min=1),
    default=7,
    envvar="ATELIER_HORIZON",
    show_default=True,
    help="Days of later interactions on which a day's recommendations are evaluated.",
)
@click.option(
    "--serving-model",
    default="als",
    envvar="ATELIER_SERVING_MODEL",
    show_default=True,
    help="The model whose lists every customer gets.",
)
@click.option(
    "--backbone", default="small", envvar="ATELIER_BACKBONE", show_default=True, help="The encoder of photographs."
)
@click.option(
    "--weights",
    default="none",
    envvar="ATELIER_WEIGHTS",
    show_default=True,
    help="DEFAULT, a .safetensors file, or none (seeded).",
)
@click.option(
    "--preprocessing",
    envvar="ATELIER_PREPROCESSING",
    metavar="JSON",
    help='What the weights expect, where their file does not say, for example {"mean": [0.5, 0.5, 0.5]}.',
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    envvar="ATELIER_DEVICE",
    show_default=True,
    help="The device that embeds and trains; auto: CUDA if there is one.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=2,
    envvar="ATELIER_THREADS",
    show_default=True,
    help="Threads of torch, ALS and each DuckDB.",
)
@click.option(
    "--memory-limit",
    default="4GB",
    envvar="ATELIER_MEMORY_LIMIT",
    show_default=True,
    help="Memory of one DuckDB; up to four run at once.",
)
@click.option(
    "--store",
    envvar="ATELIER_STORE",
    metavar="URL",
    help="Object storage for all that is made, for example s3://bucket/atelier; default: the home's folder store.",
)
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="A further option of the source; JSON or text."
)
@click.option("--articles", type=int, help="Sample retailer: how many articles.")
@click.option("--customers", type=int, help="Sample retailer: how many customers.")
@click.option("--days", type=int, help="Sample retailer: how many days.")
@click.option("--if-absent", is_flag=True, help="Do nothing where the home has been initialised.")
def init(if_absent: bool, **arguments: Any) -> None:
    """Write atelier.toml, once; with the sample retailer, generate it."""
    home = Home.from_environment()
    if if_absent and home.toml.exists():
        write_dagster_yaml(home)  # whoever lost Dagster's storage would otherwise run without its limits
        return
    sizes = {name: arguments[name] for name in SAMPLE_SIZES if arguments[name] is not None}
    if arguments["source"] == "sample":
        settings, sample = _of_sample(home, arguments, sizes)
    elif sizes:
        raise click.UsageError(f"--{next(iter(sizes))} belongs to --source sample")
    elif arguments["source"] == "parquet" and arguments["path"] is None:
        from dagster_project.commands.landing_template import landing_template

        click.echo(landing_template())
        raise click.UsageError(
            "--path: where are the files of the source 'parquet'? Above stands what they have to hold"
        )
    else:
        settings, sample = _of_files(home, arguments), None
    if not check_settings(home, settings):
        check_names(settings)
        check_store(settings)
    if sample is not None:
        _generate(home.root / settings.path, sample)
    write_settings(home, settings)
    write_dagster_yaml(home)
    click.echo(
        f"{home.toml}: {settings.source} at {settings.path}, {settings.first_day} … {settings.last_day or 'live'}"
    )


def init_home(home: Home, *options: str) -> None:
    """Initialise the home as ``atelier init`` does with ``options``, unless it has run; the environment gives others.

    Raises:
        SettingsError: an option in the environment is not allowed.
    """
    if home.toml.exists():
        write_dagster_yaml(home)
        return
    try:
        init.main(args=list(options), standalone_mode=False)
    except click.UsageError as error:
        raise SettingsError(f"atelier init: {error.format_message()}") from error


def write_dagster_yaml(home: Home) -> None:
    """Copy the default dagster.yaml (no telemetry, one run at a time) into the home, unless there is one."""
    from importlib.resources import files

    target = home.dagster / "dagster.yaml"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((files("dagster_project") / "dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8")


def check_names(settings: Settings) -> None:
    """Reject a serving model or an encoder that a nightly run could not build. Nothing is downloaded.

    Raises:
        UsageError: the model or backbone is unknown, or the weights are not there; the message names the option.
    """
    from assets.recommenders import fitted_daily

    try:
        fitted_daily(settings)
    except SettingsError as error:
        raise click.UsageError(str(error).replace("serving_model", "--serving-model")) from error
    backbone, weights = settings.encoder.backbone, settings.encoder.weights
    if backbone != EncoderSettings().backbone:  # the default needs no torchvision, which takes seconds to import
        from torchvision import models

        if backbone not in (names := models.list_models(module=models)):
            raise click.UsageError(f"--backbone: no backbone {backbone!r}; there are small, {', '.join(names)}")
    elif weights not in ("none", "DEFAULT"):
        raise click.UsageError("--weights: the backbone small is made from a seed; say none, or name a --backbone")
    if weights not in ("none", "DEFAULT") and not (weights.endswith(".safetensors") and Path(weights).is_file()):
        raise click.UsageError(f"--weights: no .safetensors file {weights}; give one that exists, DEFAULT, or none")


def check_store(settings: Settings) -> None:
    """Make sure that object storage can be written to before a home is begun that needs it.

    Raises:
        OSError: it cannot; credentials that are missing are an error of the storage's own client.
    """
    from resources.storage import open_storage

    if settings.store is not None:
        storage, name = open_storage(settings.store), "_written_by_init"
        storage.put_text("", name)
        storage.remove(name)


def _of_sample(home: Home, arguments: dict[str, Any], sizes: dict[str, int]) -> "tuple[Settings, SampleConfig]":
    """The settings of a sample retailer, and the config of its generator; nothing is read from disk."""
    from atelier.sources.parquet import ParquetOptions
    from atelier.sources.sample import SampleConfig

    folder = (arguments["path"] or home.root / SAMPLE_FOLDER).resolve()
    options = parse_options(arguments["options"])
    try:
        sample = SampleConfig.model_validate(sizes)
    except ValidationError as error:
        raise click.UsageError(faults(error, _option)) from error
    try:
        ParquetOptions.model_validate(options)
    except ValidationError as error:
        raise click.UsageError(f"--option: {faults(error)}; docs/sources.md lists them") from error
    return _settings(home, folder, arguments, options, (sample.first_day, sample.last_day)), sample


def _of_files(home: Home, arguments: dict[str, Any]) -> Settings:
    """The settings of a source of files, which are read to find the first and last day."""
    if arguments["path"] is None:
        raise click.UsageError(f"--path: where are the files of the source {arguments['source']!r}?")
    folder, options = arguments["path"].resolve(), parse_options(arguments["options"])
    return _settings(home, folder, arguments, options, _days(arguments["source"], folder, options))


def _settings(
    home: Home, folder: Path, arguments: dict[str, Any], options: dict[str, Any], held: tuple[date, date | None]
) -> Settings:
    """The settings of the given options, validated."""
    first, last = arguments["first_day"], arguments["last_day"]
    try:
        return Settings(
            source=arguments["source"],
            path=os.path.relpath(folder, home.root) if folder.is_relative_to(home.root) else str(folder),
            first_day=first.date() if first else held[0],
            last_day=last.date() if last else held[1],
            time_zone=arguments["time_zone"],
            horizon=arguments["horizon"],
            store=arguments["store"],
            serving_model=arguments["serving_model"],
            encoder=EncoderSettings(
                backbone=arguments["backbone"],
                weights=_weights(arguments["weights"]),
                preprocessing=_preprocessing(arguments["preprocessing"]),
            ),
            compute=ComputeSettings(
                device=arguments["device"], threads=arguments["threads"], memory_limit=arguments["memory_limit"]
            ),
            options=options,
        )
    except ValidationError as error:
        raise click.UsageError(faults(error, _option)) from error


def _generate(folder: Path, config: "SampleConfig") -> None:
    """Generate the sample retailer, unless the folder holds other files, which may be in use.

    Raises:
        SettingsError: the folder holds other files, or cannot be written to.
    """
    from atelier.sources.sample import generate, is_complete

    if is_complete(folder, config):
        return
    if is_complete(folder):
        raise SettingsError(
            f"{folder} holds another sample retailer ({_other_sizes(folder, config)}); ask for that one, set"
            " ATELIER_HOME to another folder, or delete it if nothing uses it"
        )
    if folder.is_dir() and any(folder.iterdir()) and not _half_generated(folder):
        raise SettingsError(
            f"--path {folder} holds files that the sample retailer did not write; give it an empty folder, or read"
            " them with --source parquet"
        )
    try:
        generate(folder, config)
    except OSError as error:
        raise SettingsError(f"--path {folder}: the sample retailer cannot be written there: {error}") from error


def _half_generated(folder: Path) -> bool:
    """Whether the folder is left from an interrupted generation, which writes the truth first and the manifest last."""
    return (folder / "truth").is_dir() and not (folder / "retailer.json").exists()


def _other_sizes(folder: Path, config: "SampleConfig") -> str:
    """The fields in which a generated retailer differs from ``config``, as text."""
    import json

    found = json.loads((folder / "retailer.json").read_text(encoding="utf-8"))["generator"].get("config", {})
    wanted = config.model_dump(mode="json")
    other = [f"{name} is {found.get(name)}, asked for {n}" for name, n in wanted.items() if found.get(name) != n]
    return ", ".join(other) or "made by another version of the generator"


def _option(key: str) -> str:
    """The option that sets a key of the settings or of the sample retailer."""
    return "--option" if key.startswith("options") else f"--{key.rpartition('.')[2].replace('_', '-')}"


def parse_options(options: tuple[str, ...]) -> dict[str, Any]:
    """The values of ``--option NAME=VALUE``, each JSON or else text.

    Raises:
        UsageError: one is not of that form, or has an option of its own.
    """
    import json

    parsed: dict[str, Any] = {}
    for option in options:
        name, separator, value = option.partition("=")
        if not separator:
            raise click.UsageError(f"--option {option}: write NAME=VALUE")
        if name in ("first_day", "last_day"):
            raise click.UsageError(f"--option {option}: that is --{name.replace('_', '-')} {value}")
        try:
            parsed[name] = json.loads(value)
        except json.JSONDecodeError:
            parsed[name] = value
    return parsed


def _days(source: str, folder: Path, options: dict[str, Any]) -> tuple[date, date | None]:
    from atelier.sources import open_source

    opened = open_source(source, folder, **options)
    return opened.first_day, opened.last_day


def _preprocessing(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    from atelier.images import Preprocessing

    try:
        return Preprocessing.model_validate_json(text).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        raise click.UsageError(f"--preprocessing: {faults(error)}; docs/images.md lists its fields") from error


def _weights(weights: str) -> str:
    return str(Path(weights).resolve()) if weights.endswith(".safetensors") else weights
