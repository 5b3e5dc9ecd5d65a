"""Files of a store that broke later: a plain run of their day mends them, or an error names the file and the command.

Each damage is done to a small store of three days that was written by hand. Whoever reads it is told which file is
damaged and which command makes it again; what that command writes is written here in its place, and the store is then
the one it was, byte for byte.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from atelier.errors import AtelierError, DamagedFile
from resources.embedding_cache import EmbeddingCache
from resources.feature_store import FeatureStore
from resources.image_memory import ImageMemory
from resources.model_store import ModelStore
from resources.publishing import publish

DAYS = [date(2025, 3, 3) + timedelta(days=n) for n in range(3)]
FIRST, SECOND, THIRD = DAYS
ENCODER = "tiny-0"
DIGESTS = [f"{n:064x}" for n in range(6)]
VECTORS = np.arange(24, dtype=np.float32).reshape(6, 4)


def articles() -> pd.DataFrame:
    frame = pd.DataFrame({"article_id": [f"a{n}" for n in range(50)], "price": 10.0, "in_stock": True})
    for column in ("product_code", "name", "description", "product_type", "brand", "division"):
        frame[column] = None
    return frame.assign(available_from=None, available_until=None)


def interactions(ds: date) -> pa.Table:
    return pa.table(
        {
            "ordinal": pa.array(range(40), pa.int64()),
            "customer_id": [f"c{n % 7}" for n in range(40)],
            "article_id": [f"a{n % 5}" for n in range(40)],
            "occurred_at": pa.array([pd.Timestamp(ds)] * 40, pa.timestamp("us")),
            "kind": ["purchase"] * 40,
            **{name: pa.nulls(40) for name in ("price", "channel", "session_id")},
        }
    )


def neighbours(ds: date, model: str) -> pd.DataFrame:
    pairs = pd.DataFrame({"article_id": ["a0", "a1"], "similar_article_id": ["a1", "a0"], "rank": 1, "similarity": 0.5})
    return pairs.assign(model=model, model_id=f"{ds:%d}" * 16)


def save(folder: Path) -> None:
    (folder / "config.json").write_text('{"factors": 8}')
    (folder / "weights.safetensors").write_bytes(bytes(range(256)) * 8)


class Shop:
    """A small store, and what the runs of its days do to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = FeatureStore(root / "store", threads=1)
        self.models = ModelStore(root / "store")
        self.cache = EmbeddingCache(root / "store")
        self.database = root / "atelier.duckdb"
        self.photographs = root / "photographs"

    def ingest(self, ds: date) -> None:
        """What the job ``ingest`` of a day writes; the articles are the same every day."""
        self.store.write("articles", ds, articles())
        self.store.write("interactions", ds, interactions(ds))
        listing = pa.table({"article_id": ["a0"], "shot": [0], "path": ["one.png"]})
        with ImageMemory(self.root / "store") as memory:
            manifest, refused = memory.inspect(listing, self.photographs)
        assert (manifest.num_rows, refused.num_rows) == (1, 0)

    def retrain(self, ds: date) -> None:
        """What the job ``daily_retrain`` of a day writes, without ``ingest``."""
        self.cache.mend(ENCODER)
        missing = [DIGESTS.index(digest) for digest in self.cache.missing(DIGESTS, ENCODER)]
        self.cache.append(ENCODER, [DIGESTS[n] for n in missing], VECTORS[missing])
        self.models.publish("als_model", ds, save, {"interactions": self.store.data_version("interactions", ds)})
        for model in ("als", "hybrid"):
            self.store.write("similar_articles", ds, neighbours(ds, model), part=model)

    def read(self) -> None:
        """What the steps of the last day, and people, read."""
        with self.store.connect(as_of=THIRD, tables=["articles", "interactions", "similar_articles"]) as connection:
            for name in ("articles", "interactions", "similar_articles"):
                connection.execute(f"SELECT count(*), min(ds) FROM {name}").fetchone()  # noqa: S608
        for ds in DAYS:
            self.store.read("articles", ds)
            self.models.bundle("als_model", self.models.pointer("als_model", ds))
        assert np.array_equal(self.cache.read(DIGESTS, ENCODER), VECTORS)
        publish(self.store, self.database, threads=1)
        with duckdb.connect(self.database, read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM interactions").fetchone() == (120,)

    def contents(self) -> dict[str, bytes]:
        """The data of the store: tables, vectors and bundles, without pointers (which tell the time) and locks."""
        files = [*(self.root / "store").rglob("*.parquet"), *(self.root / "store" / "models").glob("*/*/*")]
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in files}

    def one(self, pattern: str) -> Path:
        """The one file that matches."""
        (path,) = (self.root / "store").glob(pattern)
        return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop, to be copied."""
    made = Shop(tmp_path_factory.mktemp("sound"))
    made.photographs.mkdir()
    Image.new("RGB", (40, 30), (200, 30, 60)).save(made.photographs / "one.png")
    for ds in DAYS:
        made.ingest(ds)
        made.retrain(ds)
    return made.root


@pytest.fixture
def shop(sound: Path, tmp_path: Path) -> Shop:
    """A shop of its own, which nobody has read."""
    return Shop(shutil.copytree(sound, tmp_path / "shop"))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scramble(path: Path) -> None:
    path.write_bytes(b"\xff\xfe{}")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


@dataclass(frozen=True)
class Damage:
    """A damage, and what it takes to mend it.

    Attributes:
        file: a pattern that one file of the store matches.
        how: what happens to that file.
        job: the job whose run mends it.
        day: the day of that run.
        told: whether readers are told; otherwise the damage stops nobody.
    """

    file: str
    how: Callable[[Path], None]
    job: str
    day: date
    told: bool = True


SHARED = "articles/ds=2025-03-03/*.parquet"  # the articles of all three days
EVENTS = "interactions/ds=2025-03-04/*.parquet"
PART = "similar_articles/ds=2025-03-05/part=als/*.parquet"
VECTOR_FILE = f"embedding_cache/{ENCODER}/*.parquet"
MODEL = "models/als_model/ds=2025-03-04.json"

DAMAGES = {
    "a snapshot that days share, truncated": Damage(SHARED, truncate, "ingest", FIRST),
    "a snapshot that days share, deleted": Damage(SHARED, Path.unlink, "ingest", THIRD),
    "a snapshot that days share, a bit flipped": Damage(SHARED, flip, "ingest", SECOND),
    "an event's file, truncated": Damage(EVENTS, truncate, "ingest", SECOND),
    "an event's file, deleted": Damage(EVENTS, Path.unlink, "ingest", SECOND),
    "an event's pointer, truncated": Damage("interactions/ds=2025-03-04.json", truncate, "ingest", SECOND),
    "an event's pointer, empty": Damage("interactions/ds=2025-03-03.json", empty, "ingest", FIRST),
    "the pointer of a part, truncated": Damage(
        "similar_articles/ds=2025-03-05/als.json", truncate, "daily_retrain", THIRD
    ),
    "a model's lists, a bit flipped": Damage(PART, flip, "daily_retrain", THIRD),
    "the cache of vectors, truncated": Damage(VECTOR_FILE, truncate, "daily_retrain", THIRD),
    "the cache of vectors, a bit flipped": Damage(VECTOR_FILE, flip, "daily_retrain", SECOND),
    "the memory of photographs, truncated": Damage("image_memory.parquet", truncate, "ingest", THIRD, told=False),
    "a bundle's weights, a bit flipped": Damage(
        "models/als_model/*/weights.safetensors", flip, "daily_retrain", SECOND
    ),
    "a bundle's manifest, truncated": Damage("models/als_model/*/manifest.json", truncate, "daily_retrain", SECOND),
    "a model's pointer, empty": Damage(MODEL, empty, "daily_retrain", SECOND),
    "a model's pointer, of no text": Damage(MODEL, scramble, "daily_retrain", SECOND),
}


def damage_of(shop: Shop, damage: Damage) -> Path:
    """Do it, to the bundle of the second day where several match."""
    identity = shop.models.pointer("als_model", SECOND)
    path = shop.one(damage.file.replace("als_model/*", f"als_model/{identity}"))
    damage.how(path)
    return path


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.filterwarnings("ignore:.*(damaged|is not a pointer|was published|a manifest)")
def test_a_plain_run_of_the_day_mends_what_readers_were_told(shop: Shop, damage: Damage) -> None:
    before = shop.contents()
    path = damage_of(shop, damage)
    if damage.told:
        with pytest.raises(AtelierError) as told:
            shop.read()
        assert path.name in str(told.value)
        assert f"dg launch --job {damage.job} --partition " in str(told.value)
    {"ingest": shop.ingest, "daily_retrain": shop.retrain}[damage.job](damage.day)
    shop.read()
    assert shop.contents() == before


@pytest.mark.parametrize("how", [truncate, flip, Path.unlink], ids=["truncated", "a bit flipped", "deleted"])
def test_publishing_names_a_damaged_file_and_keeps_the_old_database(shop: Shop, how: Callable[[Path], None]) -> None:
    publish(shop.store, shop.database, threads=1)
    before = shop.database.read_bytes()
    how(path := shop.one(PART))
    with pytest.raises(DamagedFile, match=rf"{path.name} .*dg launch --job daily_retrain --partition 2025-03-05"):
        publish(shop.store, shop.database, threads=1)
    assert shop.database.read_bytes() == before


def test_publishing_compares_the_sizes_of_what_it_does_not_read(shop: Shop) -> None:
    truncate(path := shop.one(EVENTS))  # interactions are shown by a view
    with pytest.raises(DamagedFile, match=rf"{path.name} .*dg launch --job ingest --partition 2025-03-04"):
        publish(shop.store, shop.database, threads=1)


def test_a_write_does_not_stop_at_the_damaged_pointer_of_the_day_before(shop: Shop) -> None:
    empty(shop.root / "store" / "articles" / "ds=2025-03-04.json")
    with pytest.warns(UserWarning, match="ds=2025-03-04.json is not a pointer"):
        shop.store.write("articles", THIRD, articles())
    assert shop.store.read("articles", THIRD).num_rows == 50
    shop.ingest(SECOND)
    assert shop.store.read("articles", SECOND).num_rows == 50


def test_how_many_files_are_damaged_is_said(shop: Shop) -> None:
    for path in (shop.root / "store").glob("interactions/*/*.parquet"):
        truncate(path)
    with pytest.raises(DamagedFile, match="2 more files are damaged, and `atelier doctor` names them"):
        shop.store.connect(as_of=THIRD, tables=["interactions"])
