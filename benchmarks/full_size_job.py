"""One job of the full-size retailer's home, or the making of that home, in a process of its own.

    python -m benchmarks.full_size_job FOLDER make --share 0.01
    python -m benchmarks.full_size_job FOLDER daily_retrain --first 2020-09-22

:mod:`benchmarks.full_size` starts it and watches its processes. What a day has already is not made again, so that a job
that was interrupted goes on.

What belongs here: what is done within that process. What does not: watching it, its figures
(:mod:`benchmarks.full_size_figures`), what is generated (:mod:`benchmarks.full_size_retailer`).
"""

import argparse
import hashlib
import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import dagster as dg

from assets.completeness import AFTERWARDS
from assets.images import EncoderConfig
from benchmarks.full_size_retailer import FIRST_DAY, LATER, Size, draw_articles, generate, photograph, vectors_of
from dagster_project.build import build_defs
from dagster_project.commands.init import write_dagster_yaml
from dagster_project.executors import step_server
from dagster_project.run import run_job_in_processes
from resources.compute import Compute
from resources.embedding_cache import EmbeddingCache
from resources.encoders import chosen_backbone
from resources.retailer import EncoderSettings, Home, Settings
from resources.settings_file import write_settings

MAKE = "make"
#: What the daily job fits: one of each kind, and the popular articles for those whom no other can serve.
RECOMMENDERS = ("popular", "als", "hybrid", "transformer", "two_stage")
#: Its vectors have 2,048 numbers, as those of a catalogue that is read by it.
BACKBONE = "resnet50"
APPENDED = 4096
#: The steps that train networks in epochs until their lists get no better.
TRAINED = ("hybrid_model", "transformer_model")


def home_in(folder: Path) -> Home:
    """The home in the folder of a share."""
    return Home((folder / "home").resolve())


def make(folder: Path, size: Size) -> None:
    """Generate the landing zone, initialise the home, and fill the cache of vectors for the history's photographs."""
    generate(folder / "landing", size)
    home = home_in(folder)
    encoder = EncoderSettings(backbone=BACKBONE, weights="none")
    settings = Settings(
        source="parquet",
        path="../landing",
        first_day=FIRST_DAY,
        horizon=LATER,
        recommenders=RECOMMENDERS,
        encoder=encoder,
    )
    write_settings(home, settings)
    write_dagster_yaml(home)
    fill_vectors(home, size)


def fill_vectors(home: Home, size: Size) -> None:
    """Generated vectors for the first photograph of each article, under the encoder that the home's settings name."""
    from atelier.images import Encoder

    config, allowed = EncoderConfig(), home.settings.compute
    name, weights, preprocessing = chosen_backbone(home.settings.encoder)
    device = str(Compute(allowed.device, allowed.threads).apply())
    encoder = Encoder.build(name, weights, preprocessing, device=device, precision=config.precision)
    cache, articles = EmbeddingCache(home.store), draw_articles(size)
    for start in range(0, size.articles, APPENDED):
        rows = range(start, min(start + APPENDED, size.articles))
        digests = [hashlib.sha256(photograph(article, 0)).hexdigest() for article in rows]
        cache.append(encoder.encoder_id, digests, vectors_of(articles, rows, encoder.dimension))


def run(
    home: Home, job: str, first: date, last: date | None, epochs: int | None = None, *, again: bool = False
) -> None:
    """Run what is not made yet of a job; nothing where all is.

    Args:
        home: whose job.
        job: its name.
        first: the day, or the first of a range.
        last: the last of a range.
        epochs: of :data:`TRAINED`, at most; None: as by default.
        again: all of the job is run, and no model is reused.

    Raises:
        AtelierError: steps have failed.
    """
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    if again:
        for recipe in (home.store / "models").glob("*/recipe=*.json"):
            recipe.unlink()
    with dg.DagsterInstance.get() as instance:
        assets = not_made(home, instance, job, last or first, again=again)
        if assets:
            made = {key.to_user_string() for key in assets}
            config = {step: {"max_epochs": epochs} for step in TRAINED if epochs and step in made}
            with step_server("models"):
                run_job_in_processes(
                    home, instance, job, first, last, assets=assets, config=config, log_level="WARNING"
                )


def not_made(
    home: Home, instance: dg.DagsterInstance, job: str, day: date, *, again: bool = False
) -> list[dg.AssetKey]:
    """The assets of a job that a day does not have; where it has some, what judges and shows it is made again too.

    With ``again`` all assets of the job.
    """
    repository = build_defs(home).get_repository_def()
    wanted = set(repository.get_job(job).asset_layer.executable_asset_keys)
    absent = {key for key in wanted if again or f"{day}" not in instance.get_materialized_partitions(key)}
    if absent and absent != wanted:
        absent |= {dg.AssetKey([name]) for name in AFTERWARDS} & wanted
    selection = dg.AssetSelection.assets(*absent).required_multi_asset_neighbors()
    return sorted(set(selection.resolve(repository.asset_graph)) & wanted) if absent else []


def main(given: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("job")
    parser.add_argument("--share", type=float)
    parser.add_argument("--first", type=date.fromisoformat)
    parser.add_argument("--last", type=date.fromisoformat)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args(given)
    if options.job == MAKE:
        make(options.folder, Size.of_share(options.share))
    else:
        home = home_in(options.folder)
        run(home, options.job, options.first, options.last, options.epochs, again=options.again)


if __name__ == "__main__":
    main()
