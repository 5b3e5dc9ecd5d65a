"""A small home by hand, in which a customer stands everywhere, and a reader of every kind of file.

What belongs here: making the home, and decoding whatever lies in a folder. What does not: tests.
"""

import gzip
import io
import json
import sqlite3
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import safe_open

from atelier import recommenders
from atelier.recommenders.base import Recommender
from atelier.report.page import render_page
from atelier.report.parts import Section
from atelier.report.recommendations import recommendations_section
from atelier.sources.landed import REJECTED_SCHEMA
from dagster_project.commands.init import write_dagster_yaml
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.publishing import publish
from resources.retailer import Home, Settings
from resources.settings_file import write_settings

DAYS = [date(2025, 3, 3) + timedelta(days=n) for n in range(3)]
FIRST, SECOND, THIRD = DAYS
GONE = ["c00000123", "0090210417"]
OTHERS = ["c000001234", "c00000124", "0090210418", *(f"c000010{n:02d}" for n in range(20))]
CUSTOMERS = [*GONE, *OTHERS]
ARTICLES = [f"a{n:02d}" for n in range(12)]


def interactions(ds: date) -> pa.Table:
    """Five rows of each customer."""
    n = 5 * len(CUSTOMERS)
    random = np.random.default_rng(ds.toordinal())
    return pa.table(
        {
            "ordinal": pa.array(range(n), pa.int64()),
            "customer_id": np.repeat(CUSTOMERS, 5).tolist(),
            "article_id": random.choice(ARTICLES, n).tolist(),
            "occurred_at": pa.array([pd.Timestamp(ds)] * n, pa.timestamp("us")),
            "kind": ["purchase"] * n,
            **{name: pa.nulls(n) for name in ("price", "channel", "session_id")},
        }
    )


def rejected() -> pa.Table:
    """A row of a forgotten customer, one of another, one without a record."""
    records = [json.dumps({"customer_id": f" {GONE[0]} ", "age": "old"}), json.dumps({"customer_id": OTHERS[0]}), None]
    return pa.Table.from_pylist(
        [
            {"source_table": "customers", "source_file": "customers.csv", "row": n, "column_name": "age"}
            | {"reason": "is not a number", "row_kept": False, "record": record}
            for n, record in enumerate(records)
        ],
        REJECTED_SCHEMA,
    )


def lists(model: Recommender[Any], model_id: str) -> pd.DataFrame:
    """The lists of a model, as the table has them."""
    found = model.recommend(CUSTOMERS, k=3)
    found = found.assign(model=model.name, seen="excluded", served=True, fallback=False, model_id=model_id)
    reasons = [[{"kind": "article", "value": "a00", "weight": 1.0}]] * len(found)
    return found.assign(reasons=reasons)


def make(root: Path, store: str | None = None) -> Home:
    """Make the home; with the URL of object storage, its store lies there."""
    home = Home(root)
    write_settings(home, Settings(source="sample", path="retailer", first_day=FIRST, last_day=THIRD, store=store))
    write_dagster_yaml(home)
    tables, models = FeatureStore(home.storage, threads=1), ModelStore(home.storage)
    people = pd.DataFrame({"customer_id": CUSTOMERS, "age": 30, "profile": None})
    later = people.assign(age=31)
    tables.write_range("customers", [(FIRST, people), (SECOND, people), (THIRD, later)])
    tables.write_range("interactions", [(ds, interactions(ds)) for ds in DAYS])
    tables.write("rejected", FIRST, rejected(), part="customers")
    for ds in (SECOND, THIRD):
        _train(tables, models, ds)
    tables.write("interactions", THIRD, interactions(THIRD))
    _others(home)
    publish(tables, home.database, threads=1)
    return home


def _train(store: FeatureStore, models: ModelStore, ds: date) -> None:
    with store.connect(as_of=ds, tables=["interactions"]) as connection:
        frame = connection.sql("SELECT customer_id, article_id, occurred_at, kind FROM interactions").df()
    versions = {name: store.data_version(name, ds) for name in ("customers", "interactions")}
    model = recommenders.build("als", factors=4, iterations=2, threads=1).fit(frame)
    bundle = models.publish("als_model", ds, model.save, versions, seed=0)
    models.publish("article_index", ds, _index, {"als_model": bundle.model_id})
    models.publish("attribute_model", ds, _index, {"annotated_attributes": "1"})
    store.write("recommendations", ds, lists(model, bundle.model_id), part="als")
    pairs = pd.DataFrame({"article_id": ["a00"], "similar_article_id": ["a01"], "rank": 1, "similarity": 0.5})
    store.write("similar_articles", ds, pairs.assign(model="als", model_id=bundle.model_id), part="als")
    scores = pd.DataFrame({"customer_id": CUSTOMERS, "model": "als", "seen": "excluded", "metric": "ndcg", "k": 12})
    store.write("customer_metrics", ds, scores.assign(value=0.5), part="als")


def _index(folder: Path) -> None:
    (folder / "index.json").write_text("{}\n")


def _others(home: Home) -> None:
    """Pages, logs, results of studies, and a database as Dagster keeps it."""
    shown = FeatureStore(home.storage).read("recommendations", THIRD).to_pandas()
    who = {"both": [GONE[0], OTHERS[0]], "others": OTHERS[:2]}
    home.reports.mkdir()
    for name, customers in who.items():
        sections = [
            Section("Summary", "today", "<p>All is well.</p>"),  # type: ignore[arg-type]
            recommendations_section(shown[shown["customer_id"].isin(customers)]),
        ]
        ds = THIRD if name == "both" else SECOND
        (home.reports / f"ds={ds}.html").write_text(render_page("Atelier", ds, sections))
    results = home.root / "studies" / "recommender_study" / f"ds={THIRD}"
    results.mkdir(parents=True)
    (results / "abc.json").write_text(json.dumps({"packed": {"all": {"ndcg@12": "x"}}}))
    logs = home.dagster / "storage" / "run" / "compute_logs"
    logs.mkdir(parents=True)
    (logs / "step.err").write_text(f"ValueError: customer {GONE[0]!r} is unknown\nnot {OTHERS[0]}, nor 90210417\n")
    (logs / "step.out").write_text(json.dumps({"customer": GONE[1], "rows": 90210417, "other": OTHERS[2]}) + "\n")
    database = home.dagster / "history" / "runs.db"
    database.parent.mkdir()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE event_logs (id INTEGER PRIMARY KEY, event TEXT, moment FLOAT)")
        events = [
            json.dumps({"message": f"unknown customers: '{GONE[0]}', '{OTHERS[0]}'", "at": 90210417}),
            json.dumps({"nested": json.dumps({"customer_id": GONE[1], "n": 7})}) + " " * 9_000,
            "plain text",
        ]
        connection.executemany("INSERT INTO event_logs (event, moment) VALUES (?, 1.5)", [(each,) for each in events])
        connection.commit()


# Reading whatever there is ----------------------------------------------------------------------------------------


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Every text of every file below a folder, decoded by its kind and as raw bytes, with the file's name."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        yield name, name
        if path.is_file() and not path.is_symlink():
            yield from ((name, text) for text in decoded(path.suffix, path.read_bytes(), path))


def decoded(suffix: str, content: bytes, path: Path) -> Iterator[str]:
    """The texts in a file's bytes."""
    yield content.decode("utf-8", errors="replace")
    if suffix == ".gz":
        yield from decoded(Path(path.stem).suffix, gzip.decompress(content), path)
    if suffix in (".npz", ".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from decoded(Path(member).suffix, archive.read(member), path)
    if suffix == ".npy":
        yield "\n".join(map(str, np.load(io.BytesIO(content), allow_pickle=False).ravel().tolist()))
    if suffix == ".parquet":
        table = pq.read_table(io.BytesIO(content))
        yield json.dumps(table.to_pylist(), default=str, ensure_ascii=False)
        yield str(table.schema.metadata)
    if suffix == ".safetensors":
        yield from _arrays(path)
    if suffix == ".duckdb":
        yield from _duckdb(path)
    if content.startswith(b"SQLite format 3"):
        yield from _sqlite(path)


def _arrays(path: Path) -> Iterator[str]:
    """The bytes of arrays of small numbers as text, which is how texts are kept in them."""
    with safe_open(path, "numpy") as opened:
        for name in opened.keys():  # noqa: SIM118 - it is no mapping
            array = opened.get_tensor(name)
            if array.dtype == np.uint8:
                yield array.tobytes().decode("utf-8", errors="replace")


def _duckdb(path: Path) -> Iterator[str]:
    with duckdb.connect(path, read_only=True) as connection:
        for (name,) in connection.execute("SELECT table_name FROM information_schema.tables").fetchall():
            yield json.dumps(connection.sql(f'SELECT * FROM "{name}"').to_arrow_table().to_pylist(), default=str)  # noqa: S608


def _sqlite(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(path)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in connection.execute(f'SELECT * FROM "{name}"'):  # noqa: S608
                yield "\n".join(_shown(value) for value in row)


def _shown(value: object) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return zlib.decompress(value).decode("utf-8", errors="replace")
    except zlib.error:
        return value.decode("utf-8", errors="replace")
