"""Writing the sample retailer as a Parquet landing zone.

What belongs here: the order in which things are drawn, each from a stream of random numbers of its own, and the files.
What does not: what is drawn.

::

    <root>/retailer.json                  first_day, last_day, time_zone, currency, what generated it; written last
    <root>/articles|customers|annotated_attributes|images|outfits/ds=<day>.parquet   valid until the next file's day
    <root>/interactions/ds=<day>.parquet  the day's events
    <root>/photographs/<article_id>_<shot>.jpg
    <root>/truth/                         kept aside: no source reads it
"""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from atelier.progress import progress
from atelier.sources.sample import behaviour, catalogue, drawing, labels, outfits, population, text
from atelier.sources.sample.choice import Choice
from atelier.sources.sample.config import SampleConfig

VERSION = 1
TIME_ZONE = "Europe/London"
CURRENCY = "GBP"
MANIFEST = "retailer.json"
STREAMS = ("catalogue", "styles", "customers", "likings", "popularity", "text", "labels", "shots", "outfits", "days")


def stream(config: SampleConfig, name: str, *more: int) -> np.random.Generator:
    """The random numbers for one purpose: a change to one part of the retailer leaves the others as they are."""
    return np.random.default_rng([config.seed, STREAMS.index(name), *more])


def describe(config: SampleConfig) -> dict[str, Any]:
    """What retailer.json holds for that configuration."""
    return {
        "first_day": config.first_day.isoformat(),
        "last_day": config.last_day.isoformat(),
        "time_zone": TIME_ZONE,
        "currency": CURRENCY,
        "generator": {"name": "sample", "version": VERSION, "config": config.model_dump(mode="json")},
    }


def is_complete(path: str | Path, config: SampleConfig | None = None) -> bool:
    """Whether a folder holds a completely generated retailer, of that configuration where one is given."""
    manifest = Path(path) / MANIFEST
    if not manifest.is_file():
        return False
    try:
        found = json.loads(manifest.read_text())
    except json.JSONDecodeError:
        return False
    if config is not None:
        return bool(found == describe(config))
    generator = found.get("generator") if isinstance(found, dict) else None
    return isinstance(generator, dict) and generator.get("name") == "sample"


def generate(path: str | Path, config: SampleConfig | None = None) -> None:
    """Generate a retailer into a folder; nothing happens where exactly that retailer is there already.

    ``retailer.json`` is written last, so a folder without it is half generated and is generated again.

    Args:
        path: the folder; made where absent.
        config: size, time, seed and behaviour; None for the defaults.

    Raises:
        FileExistsError: the folder holds something that this function did not write.
    """
    root, config = Path(path), config or SampleConfig()
    if is_complete(root, config):
        return
    _clear(root)
    articles = catalogue.draw_articles(config, stream(config, "catalogue"))
    divisions = population.style_divisions(config, stream(config, "styles"))
    customers = population.draw_customers(config, divisions, stream(config, "customers"))
    likings = population.draw_affinities(config, articles, divisions, stream(config, "likings"))
    popularity = stream(config, "popularity").normal(0.0, config.popularity_sigma, size=len(articles))
    choice = Choice.of(config, articles, customers, likings, popularity)
    annotations = labels.draw_labels(config, articles, stream(config, "labels"))
    choice.save(root / "truth")
    _write(labels.truth_table(articles), root / "truth" / "attributes.parquet")
    _write(labels.planted_errors(articles, annotations, config.first_day), root / "truth" / "labels.parquet")
    _write_catalogue(root, config, articles, annotations, choice)
    for day in range(0, config.days, 7):
        _write_day(root, config, "customers", day, population.snapshot(customers, day))
    memory = behaviour.Memory.empty(len(customers))
    for day in progress(range(config.days), "sample retailer: days", unit="day"):
        events = behaviour.draw_day(choice, articles, memory, day, stream(config, "days", day))
        _write_day(root, config, "interactions", day, events)
    _write_manifest(root, config)


def _write_catalogue(
    root: Path, config: SampleConfig, articles: catalogue.Articles, annotations: labels.Labels, choice: Choice
) -> None:
    """Write the snapshots that depend on articles, and the photographs."""
    texts = text.write_texts(articles, stream(config, "text"))
    shots = drawing.plan_shots(articles, stream(config, "shots")) if config.photographs else None
    if shots is not None:
        drawing.draw_photographs(root / "photographs", config, articles, shots)
    groups = outfits.draw_outfits(config, articles, choice.likings, stream(config, "outfits"))
    days = [day for day in range(config.days) if catalogue.is_snapshot_day(day)]
    for day in progress(days, "sample retailer: catalogue", unit="day"):
        _write_day(root, config, "articles", day, catalogue.snapshot(articles, texts, day, config.first_day))
        _write_day(root, config, "annotated_attributes", day, labels.snapshot(config, articles, annotations, day))
        _write_day(root, config, "outfits", day, outfits.snapshot(articles, groups, day))
        _write_day(root, config, "images", day, drawing.snapshot(articles, shots, day))


def _write_day(root: Path, config: SampleConfig, table: str, day: int, data: pa.Table) -> None:
    """Write a table's file of a day."""
    ds = config.first_day + timedelta(days=day)
    _write(data, root / table / f"ds={ds.isoformat()}.parquet")


def _write(data: pa.Table, path: Path) -> None:
    """Write a Parquet file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(data, path, compression="zstd")


def _write_manifest(root: Path, config: SampleConfig) -> None:
    """Write retailer.json in one step."""
    beside = root / f".{MANIFEST}"
    beside.write_text(json.dumps(describe(config), indent=2) + "\n")
    beside.replace(root / MANIFEST)


_TABLES = ("articles", "customers", "annotated_attributes", "images", "outfits", "interactions")
_OWN = frozenset((*_TABLES, "photographs", "truth", MANIFEST, f".{MANIFEST}"))


def _clear(root: Path) -> None:
    """Remove what an earlier, other or interrupted generation left; refuse to touch anything else."""
    root.mkdir(parents=True, exist_ok=True)
    strangers = sorted(entry.name for entry in root.iterdir() if entry.name not in _OWN)
    if strangers:
        raise FileExistsError(
            f"{root} holds {', '.join(strangers[:3])}, which the sample retailer did not write; give it an empty folder"
        )
    (root / MANIFEST).unlink(missing_ok=True)  # first: from here on the folder counts as half generated
    for entry in root.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
