"""The ``atelier`` command.

What belongs here: commands that people type; each is a few lines over the packages below. What does not: the work
itself. Heavy imports stand inside the commands, so that ``--help`` is quick.
"""

import os
import sys
from datetime import date
from pathlib import Path
from typing import Any

import click

from atelier.errors import AtelierError
from resources.retailer import EncoderSettings, Home, Settings, write_settings

SAMPLE_FOLDER = "retailer"


@click.group()
@click.version_option(package_name="atelier")
def cli() -> None:
    """Atelier: the daily machine-learning pipeline of a fashion retailer. ATELIER_HOME says where it lives."""


@cli.command()
@click.option(
    "--source",
    type=click.Choice(["sample", "hm", "parquet"]),
    default="sample",
    envvar="ATELIER_SOURCE",
    show_default=True,
    help="What kind of source is read.",
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
    help="Days of behaviour that judge a day's recommendations.",
)
@click.option(
    "--serving-model",
    default="als",
    envvar="ATELIER_SERVING_MODEL",
    show_default=True,
    help="Whose lists every customer gets.",
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
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="A further option of the source; JSON or text."
)
@click.option("--articles", type=int, help="Sample retailer: how many articles.")
@click.option("--customers", type=int, help="Sample retailer: how many customers.")
@click.option("--days", type=int, help="Sample retailer: how many days.")
@click.option("--if-absent", is_flag=True, help="Do nothing where the home has been initialised.")
def init(
    source: str, path: Path | None, first_day: Any, last_day: Any, time_zone: str, horizon: int, serving_model: str,
    backbone: str, weights: str, options: tuple[str, ...], articles: int | None, customers: int | None,
    days: int | None, if_absent: bool,
) -> None:  # fmt: skip
    """Write atelier.toml, once; with the sample retailer, generate it."""
    home = Home.from_environment()
    if if_absent and home.toml.exists():
        return
    sizes = {name: n for name, n in (("articles", articles), ("customers", customers), ("days", days)) if n is not None}
    folder = _folder(home, source, path, sizes)
    chosen = _parse_options(options)
    first, last = _days(source, folder, chosen)
    settings = Settings(
        source=source,  # type: ignore[arg-type]  # click admits only the three kinds
        path=os.path.relpath(folder, home.root) if folder.is_relative_to(home.root) else str(folder),
        first_day=first_day.date() if first_day else first,
        last_day=last_day.date() if last_day else last,
        time_zone=time_zone,
        horizon=horizon,
        serving_model=serving_model,
        encoder=EncoderSettings(backbone=backbone, weights=_weights(weights)),
        options=chosen,
    )
    write_settings(home, settings)
    write_dagster_yaml(home)
    click.echo(
        f"{home.toml}: {settings.source} at {settings.path}, {settings.first_day} … {settings.last_day or 'live'}"
    )


@cli.command()
def publish() -> None:
    """Rebuild atelier.duckdb from the store."""
    from resources.feature_store import FeatureStore
    from resources.publishing import publish as rebuild

    home = Home.from_environment()
    summary = rebuild(FeatureStore(home.store), home.database)
    click.echo(f"{home.database}: {summary}")


@cli.command()
@click.argument("article")
@click.option("--model", default="als", show_default=True, help="Whose notion of similar.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="As of which day; default: the newest.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="How many.")
def similar(article: str, model: str, day: Any, k: int) -> None:
    """The articles most similar to ARTICLE."""
    from resources.feature_store import FeatureStore

    store = FeatureStore(Home.from_environment().store)
    ds = day.date() if day else _newest_day(store, "similar_articles")
    with store.connect(as_of=ds, tables=["similar_articles", "articles"]) as con:
        rows = con.execute(
            "SELECT rank, similar_article_id, similarity, product_type, name FROM similar_articles"
            " JOIN articles ON articles.article_id = similar_article_id"
            " WHERE similar_articles.article_id = $article AND model = $model AND rank <= $k ORDER BY rank",
            {"article": article, "model": model, "k": k},
        ).fetchall()
    if not rows:
        raise AtelierError(f"no articles similar to {article!r} by {model!r} on {ds}; is it an article of that day?")
    click.echo(f"similar to {article} by {model}, as of {ds}")
    for rank, other, similarity, product_type, name in rows:
        click.echo(f"{rank:3d}  {other}  {similarity:6.3f}  {product_type or '':16}  {name or ''}")


def init_home(home: Home) -> None:
    """What ``atelier init`` does without options, unless it has run; options come from the environment."""
    if not home.toml.exists():
        init.main(args=[], standalone_mode=False)


def write_dagster_yaml(home: Home) -> None:
    """Put the shipped dagster.yaml into the home, unless there is one: no telemetry, one run at a time."""
    from importlib.resources import files

    target = home.dagster / "dagster.yaml"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((files("dagster_project") / "dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8")


def _folder(home: Home, source: str, path: Path | None, sizes: dict[str, int]) -> Path:
    if source == "sample":
        from atelier.sources.sample import SampleConfig, generate

        folder = (path or home.root / SAMPLE_FOLDER).resolve()
        generate(folder, SampleConfig.model_validate(sizes))
        return folder
    if path is None:
        raise click.UsageError(f"--path: where are the files of the source {source!r}?")
    if sizes:
        raise click.UsageError(f"--{next(iter(sizes))} belongs to --source sample")
    return path.resolve()


def _parse_options(options: tuple[str, ...]) -> dict[str, Any]:
    import json

    parsed: dict[str, Any] = {}
    for option in options:
        name, separator, value = option.partition("=")
        if not separator:
            raise click.UsageError(f"--option {option}: write NAME=VALUE")
        try:
            parsed[name] = json.loads(value)
        except json.JSONDecodeError:
            parsed[name] = value
    return parsed


def _days(source: str, folder: Path, options: dict[str, Any]) -> tuple[date, date | None]:
    from atelier.sources import open_source

    opened = open_source(source, folder, **options)
    return opened.first_day, opened.last_day


def _weights(weights: str) -> str:
    return str(Path(weights).resolve()) if weights.endswith(".safetensors") else weights


def _newest_day(store: Any, table: str) -> date:
    days: list[date] = [pointer.ds for pointer in store.pointers(table)]
    if not days:
        raise AtelierError(f"there is no {table} yet; run `make demo`, or daily_retrain for a day")
    return max(days)


def main() -> None:
    """Run the command; an error that Atelier raises on purpose is one line, not a traceback."""
    try:
        cli()
    except AtelierError as error:
        click.echo(f"atelier: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
