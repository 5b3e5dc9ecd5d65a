"""How many injected faults drift detection finds, and how many false alarms it raises on days without a fault.

    python -m benchmarks.drift_faults --folder FOLDER [--clean 100] [--lists 20] [--fault-days 3] [--articles 600]
        [--customers 3000] [--sessions 0.046] [--seed 0]

A sample retailer is generated under FOLDER, unless it is there, and its days are stored, measured and judged as the
stage ``drift`` does. Whatever is done stays there, and a run that was stopped goes on where it was.

- Clean days: the last ``--clean`` days but that of the change of taxonomy; raw tables, vectors of photographs and
  features on all, lists of two models on the last ``--lists`` of them and on the days that these are held against.
  ``--sessions`` is how many a customer has on a day: what a test can see depends on how much happens.
- The change of taxonomy, in the middle of the history, judged on its own day.
- Faults (:mod:`benchmarks.injected_faults`), each on ``--fault-days`` of the last days. Its files are read by the
  landing zone's own validation. A file that it refuses is *stopped*; where it rejects more than the share at which the
  check ``few_rows_rejected`` warns, the fault is known without drift. What would be stored is measured and judged.

What belongs here: the retailer, its days, and the table. What does not: faults, figures, verdicts.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from assets.raw import FEW
from atelier import recommenders
from atelier.errors import SourceError
from atelier.monitoring.drift.verdicts import FLAGGED, LAGS, UNKNOWN, DriftConfig, drift_of
from atelier.progress import progress
from atelier.sources import open_source
from atelier.sources.day_files import files_by_day
from atelier.sources.sample import SampleConfig, generate
from atelier.sources.sample.labels import taxonomy_change_day
from benchmarks.injected_faults import FAULTS, Day, Fault
from resources.compute import Compute
from resources.day_figures import LISTS, VECTORS, DayTables, measured
from resources.embedding_cache import EmbeddingCache
from resources.feature_store import FeatureStore
from sql import query

SOURCE_TABLES = ("articles", "customers", "annotated_attributes", "images", "interactions")
FEATURES = {"article_features": "articles", "customer_features": "customers"}
MODELS: dict[str, dict[str, Any]] = {"als": {"factors": 32, "iterations": 5, "seed": 0}, "popular": {}}
K = 12
#: The width of the small pictures that stand in for the vectors of a backbone, and what they are called.
THUMBNAIL = 8
ENCODER = f"thumbnail-{THUMBNAIL}"
CONFIG = DriftConfig()
#: Days before the first clean one; later ones have more, up to those that the config names.
BEFORE = 3 * LAGS[1]


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--clean", type=int, default=100)
    parser.add_argument("--lists", type=int, default=20)
    parser.add_argument("--fault-days", type=int, default=3)
    parser.add_argument("--articles", type=int, default=600)
    parser.add_argument("--customers", type=int, default=3000)
    parser.add_argument("--sessions", type=float, default=SampleConfig().sessions_per_customer)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(given)


class Retailer:
    """The generated retailer, its store, and which of its days are judged."""

    def __init__(self, options: argparse.Namespace) -> None:
        days = options.clean + BEFORE + 1
        self.config = SampleConfig(
            seed=options.seed,
            articles=options.articles,
            customers=options.customers,
            days=days,
            image_size=48,
            sessions_per_customer=options.sessions,
        )
        self.folder: Path = options.folder
        self.root = self.folder / "retailer"
        generate(self.root, self.config)
        self.store = FeatureStore(self.folder / "store", threads=1)
        self.cache = EmbeddingCache(self.folder / "store")
        self.tables = DayTables(self.store, self.cache)
        self.last = self.config.last_day
        self.taxonomy = self.config.first_day + timedelta(days=taxonomy_change_day(self.config))
        self.days = [self.config.first_day + timedelta(days=n) for n in range(days)]
        self.clean = [day for day in self.days[BEFORE:] if day != self.taxonomy]
        # Lists need a week and the fewest comparisons before the first judged day.
        listed = options.lists + LAGS[1] + CONFIG.least_history if options.lists else 0
        self.listed = self.days[len(self.days) - listed :]
        self.faulty = [self.last - timedelta(days=3 * n + 1) for n in range(options.fault_days)]

    @cached_property
    def digests(self) -> dict[str, str]:
        """The digest of each photograph, by file name."""
        files = sorted((self.root / "photographs").glob("*.jpg"))
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    def missing(self, table: str, days: Sequence[date]) -> list[date]:
        """The days that lack a table."""
        there = self.store.days(table)
        return [day for day in days if day not in there]


def store_raw(retailer: Retailer) -> None:
    """Store the source's tables, and a vector of each photograph."""
    for table in SOURCE_TABLES:
        wanted = retailer.missing(table, retailer.days)
        retailer.store.write_range(table, progress(_generated(retailer, table, wanted), f"storing {table}", unit="day"))
    _store_vectors(retailer)


def _generated(retailer: Retailer, table: str, days: Sequence[date]) -> Iterator[tuple[date, pd.DataFrame | pa.Table]]:
    """The generator's files as they are: nothing in them is invalid. The same object where a day has no new file."""
    files = files_by_day(retailer.root, table)
    last: tuple[Path, pd.DataFrame | pa.Table] | None = None
    for day in days:
        file = files[max(each for each in files if each <= day)]
        if last is None or last[0] != file:
            last = file, _shaped(retailer, table, pq.read_table(file))
        yield day, last[1]


def _shaped(retailer: Retailer, table: str, rows: pa.Table) -> pd.DataFrame | pa.Table:
    """The rows with what the store adds: the place in the day, and the digest of a photograph."""
    if table == "interactions":
        return rows.append_column("ordinal", pa.array(range(rows.num_rows), pa.int64()))
    if table != "images":
        return rows
    frame: pd.DataFrame = rows.to_pandas()
    return frame.assign(digest=frame["path"].map(retailer.digests), width=48, height=48)


def _store_vectors(retailer: Retailer) -> None:
    """Store a vector of each photograph, and which photographs each day shows.

    The vector is the photograph itself, shrunk to :data:`THUMBNAIL`² colours: a backbone would take most of the time.
    """
    new = set(retailer.cache.missing(list(retailer.digests.values()), ENCODER))
    chosen = {digest: name for name, digest in retailer.digests.items() if digest in new}
    if chosen:
        photographs = [retailer.root / "photographs" / name for name in chosen.values()]
        retailer.cache.append(ENCODER, list(chosen), np.stack([_thumbnail(each) for each in photographs]))
    wanted = retailer.missing("image_embeddings", retailer.days)
    days = progress(_shown(retailer, wanted), "storing image_embeddings", unit="day")
    retailer.store.write_range("image_embeddings", days)


def _shown(retailer: Retailer, days: Sequence[date]) -> Iterator[tuple[date, pd.DataFrame]]:
    """The rows of ``image_embeddings``; the same object where a day shows the photographs of the day before."""
    versions = {each.ds: each.data_version for each in retailer.store.pointers("images")}
    held = ("", pd.DataFrame())
    for day in days:
        if held[0] != versions[day]:
            digests = retailer.store.read("images", day).column("digest").unique().to_pandas()
            vectors = retailer.cache.read(digests.tolist(), ENCODER)
            rows = {"digest": digests, "encoder_id": ENCODER, "dimension": vectors.shape[1]}
            held = versions[day], pd.DataFrame({**rows, "norm": np.linalg.norm(vectors, axis=1)})
        yield day, held[1]


def _thumbnail(file: Path) -> NDArray[np.float32]:
    """The colours of a photograph, from −1 to 1."""
    from PIL import Image

    with Image.open(file) as photograph:
        small = photograph.convert("RGB").resize((THUMBNAIL, THUMBNAIL))
    return np.asarray(small, dtype=np.float32).ravel() / 127.5 - 1


def store_computed(retailer: Retailer) -> None:
    """Store the features of all days, and the lists of both models on the last ones."""
    for table, entity in FEATURES.items():
        for day in progress(retailer.missing(table, retailer.days), f"storing {table}", unit="day"):
            with retailer.store.connect(as_of=day, tables=[entity, "interactions"]) as con:
                rows = con.sql(query(table), params={"as_of": day, "window": 30}).to_arrow_table()
            retailer.store.write(table, day, rows)
    for model, options in MODELS.items():
        there = retailer.store.days(LISTS, model)
        wanted = [day for day in retailer.listed if day not in there]
        for day in progress(wanted, f"fitting {model}", unit="day"):
            retailer.store.write(LISTS, day, _lists(retailer, model, options, day), part=model)


def _lists(retailer: Retailer, model: str, options: Mapping[str, Any], day: date) -> pd.DataFrame:
    """A model's lists of a day, for all customers whom it can serve, of what is in stock."""
    from atelier.catalogue import Catalogue

    with retailer.store.connect(as_of=day, tables=["interactions", "articles", "customers"]) as con:
        events = con.sql(
            "SELECT customer_id, article_id, occurred_at, kind, price, channel FROM interactions "
            "WHERE kind = 'purchase'"
        ).to_arrow_table()
        sold = Catalogue.from_frames(con.table("articles").order("article_id").df())
        customers = con.sql("SELECT customer_id FROM customers ORDER BY 1").df()
    lists = recommenders.build(model, **options).fit(events, sold, customers).recommend(k=K)
    return lists.assign(model=model, seen="excluded", served=False, fallback=False, model_id="", reasons=None)


# Judging -------------------------------------------------------------------------------------------------------------


def figures_of_days(retailer: Retailer, days: Sequence[date]) -> dict[date, pd.DataFrame]:
    """The figures of each day, measured once."""
    folder = retailer.folder / "figures"
    folder.mkdir(exist_ok=True)
    found = {}
    for day in progress(days, "measuring", unit="day"):
        file = folder / f"ds={day}.parquet"
        if not file.exists():
            measured(retailer.tables, day).to_parquet(file)
        found[day] = pd.read_parquet(file)
    return found


def flagged(verdicts: pd.DataFrame) -> list[str]:
    """The names of flagged figures, the most unusual first."""
    return verdicts.loc[verdicts["verdict"] == FLAGGED, "name"].tolist()


class Faulty(DayTables):
    """The tables of a retailer, some of which arrive with a fault on one day."""

    def __init__(self, retailer: Retailer, ds: date, changed: Mapping[str, pd.DataFrame]) -> None:
        super().__init__(retailer.store, retailer.cache)
        self._clean, self._ds, self._changed = retailer.tables, ds, changed

    def read(self, table: str, ds: date) -> pd.DataFrame | None:
        """The changed table of the day, else the clean one."""
        return self._changed[table] if ds == self._ds and table in self._changed else self._clean.read(table, ds)

    def version(self, table: str, ds: date) -> str:
        """Another one where the table is changed."""
        return "changed" if ds == self._ds and table in self._changed else self._clean.version(table, ds)


def judge_fault(retailer: Retailer, figures: Mapping[date, pd.DataFrame], fault: Fault, ds: date) -> dict[str, Any]:
    """What becomes of a fault: ``stopped`` (why), ``rejected`` (share of the worst table), ``flagged`` (figures)."""
    rng = np.random.default_rng([FAULTS.index(fault), ds.toordinal()])
    names = (*SOURCE_TABLES, VECTORS, LISTS)
    today, yesterday = (
        {name: frame for name in names if (frame := retailer.tables.read(name, day)) is not None}
        for day in (ds, ds - timedelta(days=1))
    )
    changed = fault.inject(Day(ds, today, yesterday, rng))
    try:
        arrived, rejected = _validated(retailer, ds, changed)
    except SourceError as error:
        return {"stopped": str(error), "rejected": 1.0, "flagged": []}
    stored = Faulty(retailer, ds, {**changed, **arrived})
    found = measured(stored, ds, kept=figures[ds])
    verdicts = drift_of({**figures, ds: found}, ds, CONFIG)
    return {"stopped": "", "rejected": rejected, "flagged": flagged(verdicts)}


def _validated(
    retailer: Retailer, ds: date, changed: Mapping[str, pd.DataFrame]
) -> tuple[dict[str, pd.DataFrame], float]:
    """What the landing zone's validation lets through of the changed files, and the largest share that it rejects.

    Tables that refer to a changed one are read again too: a row without its article is rejected.
    """
    source = [name for name in SOURCE_TABLES if name in changed]
    if not source:
        return {}, 0.0
    overlay = retailer.folder / "overlay"
    for table in SOURCE_TABLES:
        (overlay / table).mkdir(parents=True, exist_ok=True)
        for file in (overlay / table).iterdir():
            file.unlink()
        newest = max(file for file in (retailer.root / table).glob("ds=*.parquet") if file.stem <= f"ds={ds}")
        base = pq.read_table(newest)
        if table in changed:
            frame = _completed(retailer, table, changed[table], ds)
            arrow = pa.Table.from_pandas(frame, schema=base.schema, preserve_index=False)
            pq.write_table(arrow, overlay / table / f"ds={ds}.parquet")
        else:
            (overlay / table / f"ds={ds}.parquet").symlink_to(newest.resolve())
    photographs = overlay / "photographs"
    if not photographs.exists():
        photographs.symlink_to((retailer.root / "photographs").resolve())
    read_again = SOURCE_TABLES if {"articles", "customers"} & set(source) else source
    landing, arrived, worst = open_source("parquet", overlay), {}, 0.0
    for table in read_again:
        ((_, landed),) = landing.land(table, [ds])
        worst = max(worst, landed.rejected_rows / max(landed.rows_in, 1))
        arrived[table] = _as_stored(retailer, table, landed.accepted)
    return arrived, worst


def _completed(retailer: Retailer, table: str, frame: pd.DataFrame, ds: date) -> pd.DataFrame:
    """The frame with the columns that figures do not read, which no fault touches.

    Args:
        retailer: where the rows come from.
        table: the table.
        frame: the changed rows; where columns are lacking, the index says which stored row each of them was.
        ds: the day.
    """
    if table == "images":
        names = {digest: name for name, digest in retailer.digests.items()}
        return frame.assign(path=frame["digest"].map(names))
    rows = retailer.store.read(table, ds)
    lacking = [name for name in rows.column_names if name not in frame.columns and name != "ordinal"]
    return pd.concat([frame, rows.select(lacking).to_pandas().loc[frame.index]], axis=1) if lacking else frame


def _as_stored(retailer: Retailer, table: str, accepted: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = accepted.to_pandas()
    if table == "images":
        return frame.assign(digest=frame["path"].map(retailer.digests))
    return frame


def fault_table(retailer: Retailer, figures: Mapping[date, pd.DataFrame]) -> pd.DataFrame:
    """One row for each fault and day."""
    folder = retailer.folder / "faults"
    folder.mkdir(exist_ok=True)
    rows = []
    pairs = [(fault, ds) for fault in FAULTS for ds in retailer.faulty]
    for fault, ds in progress(pairs, "injecting faults", unit="fault"):
        file = folder / f"{fault.name}-{ds}.json"
        if not file.exists():
            file.write_text(json.dumps(judge_fault(retailer, figures, fault, ds)))
        rows.append({"fault": fault.name, "ds": ds} | json.loads(file.read_text()))
    return pd.DataFrame(rows)


def as_text(faults: pd.DataFrame) -> str:
    """The table of faults in Markdown."""
    lines = [
        "| fault | days | stopped | rejected rows warn | drift flags | the most unusual figure |",
        "|---|" + "---:|" * 4 + "---|",
    ]
    for name, rows in faults.groupby("fault", sort=False):
        worst = rows["flagged"].map(lambda names: names[0] if names else "").replace("", np.nan).dropna()
        shown = worst.mode().iloc[0] if len(worst) else "–"
        lines.append(
            f"| {name} | {len(rows)} | {int((rows['stopped'] != '').sum())} | {int((rows['rejected'] > FEW).sum())} "
            f"| {int((rows['flagged'].map(len) > 0).sum())} | {shown} |"
        )
    caught = (faults["stopped"] != "") | (faults["rejected"] > FEW) | (faults["flagged"].map(len) > 0)
    every = caught.groupby(faults["fault"]).all()
    return "\n".join([*lines, "", f"{int(every.sum())} of {len(every)} faults were stopped or flagged on every day."])


def main(given: Sequence[str] | None = None) -> None:
    """Make the retailer, judge, print."""
    options = arguments(given)
    Compute("cpu", 1).apply()
    options.folder.mkdir(parents=True, exist_ok=True)
    retailer = Retailer(options)
    store_raw(retailer)
    store_computed(retailer)
    figures = figures_of_days(retailer, retailer.days)
    changed = flagged(drift_of(figures, retailer.taxonomy, CONFIG))
    print("change of taxonomy:", retailer.taxonomy, changed, flush=True)
    if retailer.faulty:
        print(as_text(fault_table(retailer, figures)), flush=True)
    clean_days(retailer, figures)


def clean_days(retailer: Retailer, figures: Mapping[date, pd.DataFrame]) -> None:
    """Judge the days without a fault, and print the false alarms."""
    alarms, judged, unknown = {}, [], 0
    for day in progress(retailer.clean, "judging clean days", unit="day"):
        verdicts = drift_of(figures, day, CONFIG)
        judged.append(int((verdicts["verdict"] != UNKNOWN).sum()))
        unknown += int((verdicts["verdict"] == UNKNOWN).sum())
        if names := flagged(verdicts):
            alarms[str(day)] = names
    print(f"{len(alarms)} of {len(retailer.clean)} clean days have a false alarm: {alarms}", flush=True)
    print(f"figures with a verdict a day: {min(judged)} to {max(judged)}; without: {unknown} in all", flush=True)


if __name__ == "__main__":
    main()
