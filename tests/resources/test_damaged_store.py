"""Files of a store that broke later: a plain run of their day mends them, or an error names the file and the command.

Each damage is done to a small store of three days that was written by hand. Whoever reads it is told which file is
damaged and which command makes it again; what that command writes is written here in its place, and the store is then
the one it was, byte for byte.
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from PIL import Image

from atelier.errors import AtelierError, DamagedFile
from dagster_project.cli import cli
from dagster_project.commands.init import write_dagster_yaml
from resources.champions import PASSED, Champion
from resources.doctor import examine
from resources.embedding_cache import EmbeddingCache
from resources.encoders import record_backbone
from resources.feature_store import FeatureStore
from resources.image_memory import ImageMemory
from resources.made_from import Record, put_record
from resources.model_store import ModelStore
from resources.promotions import Promotions
from resources.publishing import publish
from resources.recipes import Recipe
from resources.retailer import Home, Settings
from resources.settings_file import promote_encoder, write_settings
from resources.suppression import add_requests

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
        self.home = Home(root)
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
        encoded = pd.DataFrame({"digest": DIGESTS, "encoder_id": ENCODER, "dimension": 4, "norm": 1.0})
        self.store.write("image_embeddings", ds, encoded)
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
    write_settings(made.home, Settings(source="sample", path="retailer", first_day=FIRST, last_day=THIRD))
    write_dagster_yaml(made.home)
    Image.new("RGB", (40, 30), (200, 30, 60)).save(made.photographs / "one.png")
    for ds in DAYS:
        made.ingest(ds)
        made.retrain(ds)
    publish(made.store, made.database, threads=1)
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
def test_a_plain_run_of_the_day_mends_what_readers_were_told(
    shop: Shop, damage: Damage, request: pytest.FixtureRequest
) -> None:
    before = shop.contents()
    path = damage_of(shop, damage)
    (found, *lacking) = examine(shop.home).broken
    assert path.relative_to(shop.root).as_posix().startswith(found.file)
    if "cache of vectors" in request.node.name:
        assert found.command == "atelier publish"
        (found,) = lacking
        assert found.problem.startswith("6 of its photographs have no vector")
    else:
        assert lacking == []
    assert found.command.startswith(f"dg launch --job {damage.job} --partition 2025-03-0")
    if damage.told:
        with pytest.raises(AtelierError) as told:
            shop.read()
        assert path.name in str(told.value)
        assert f"dg launch --job {damage.job} --partition " in str(told.value)
    {"ingest": shop.ingest, "daily_retrain": shop.retrain}[damage.job](damage.day)
    shop.read()
    assert shop.contents() == before
    assert examine(shop.home).findings == []


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


def test_the_doctor_tells_what_is_left_over_from_what_is_broken(shop: Shop) -> None:
    shop.store.write("similar_articles", THIRD, neighbours(SECOND, "als"), part="als")
    (shop.root / "store" / "_staging" / "left").mkdir()
    publish(shop.store, shop.database, threads=1)
    found = examine(shop.home)
    assert found.broken == []
    assert [(each.file, each.command) for each in found.findings] == [
        ("store/similar_articles", "atelier vacuum"),
        ("store/_staging", "atelier vacuum"),
    ]
    assert found.findings[0].problem.startswith("1 file that no pointer names, ")
    assert (found.partitions, found.bundles, found.vector_files) == (15, 3, 1)


def test_the_doctor_finds_what_stands_beside_the_store(shop: Shop) -> None:
    empty(shop.database)
    (shop.home.dagster / "dagster.yaml").unlink()
    shop.home.reports.mkdir()
    (shop.home.reports / "ds=2025-03-04.json").write_bytes(b"\xff")
    assert [(each.file, each.command) for each in examine(shop.home).broken] == [
        ("dagster/dagster.yaml", "atelier init --if-absent"),
        ("reports/ds=2025-03-04.json", "dg launch --assets report --partition 2025-03-04"),
        ("atelier.duckdb", "atelier publish"),
    ]
    (shop.root / "atelier.duckdb.wal").touch()
    assert examine(shop.home).broken[-1].file == "atelier.duckdb.wal"
    publish(shop.store, shop.database, threads=1)
    assert "atelier.duckdb" not in {each.file.partition(".wal")[0] for each in examine(shop.home).broken}
    shop.store.write("interactions", THIRD, interactions(FIRST))
    shop.store.vacuum(timedelta(0))
    assert "shows 1 file that is gone" in examine(shop.home).broken[-1].problem


def test_the_doctor_finds_a_bundle_that_is_gone_and_one_that_nobody_names(shop: Shop) -> None:
    identity = shop.models.pointer("als_model", SECOND)
    shutil.rmtree(shop.models.path("als_model", identity))
    other = shop.models.publish("als_model", THIRD, save, {"interactions": "another"})
    flip(other.path / "weights.safetensors")
    shop.models.publish("als_model", THIRD, save, {"interactions": "a third"})
    gone, unnamed = (
        next(each for each in examine(shop.home).findings if name in each.file) for name in (identity, other.model_id)
    )
    assert (gone.state, gone.command) == ("broken", "dg launch --job daily_retrain --partition 2025-03-04")
    assert (unnamed.state, unnamed.command) == ("left over", f"rm -r {other.path}")
    promote_encoder(shop.home, "0" * 32)
    assert "atelier promote image_backbone --undo" in {each.command for each in examine(shop.home).broken}


def test_the_doctor_counts_sound_bundles_that_nothing_names(shop: Shop) -> None:
    def told() -> list[tuple[str, str, str]]:
        left = [each for each in examine(shop.home).findings if each.state == "left over"]
        return [(each.file, each.problem, each.command.partition(":")[0]) for each in left]

    assert told() == []
    was = shop.models.bundle("als_model", shop.models.pointer("als_model", THIRD))
    shop.models.publish("als_model", THIRD, save, {"interactions": "corrected"})
    assert told() == [("store/models/als_model", "1 sound bundle that nothing names, 0.0 MiB", "none")]
    upstreams = {"articles": "1", "als_model": was.model_id}
    other = shop.models.publish("als_index", THIRD, save, upstreams)
    assert told() == [], "another model was made from it"
    shop.models.publish("als_index", THIRD, save, {"articles": "2"})
    assert [place for place, _, _ in told()] == ["store/models/als_index", "store/models/als_model"]
    for bundle in (was, other):
        champion = Champion("als", bundle is was, bundle.model_id, THIRD, "r", PASSED, None, "gates", "")
        rows = pd.DataFrame([asdict(champion)])
        shop.store.write("champions", FIRST if bundle is was else SECOND, rows)
    assert told() == [], "customers are shown what they made"


def test_the_doctor_names_champions_that_are_damaged_or_gone(shop: Shop) -> None:
    """No day's pointer names them any more; customers are shown what they made."""
    kept = shop.models.bundle("als_model", shop.models.pointer("als_model", THIRD))
    shop.models.publish("als_model", THIRD, save, {"interactions": "corrected"})
    champion = Champion("als", True, kept.model_id, THIRD, "r", PASSED, None, "gates", "")
    shop.store.write("champions", THIRD, pd.DataFrame([asdict(champion)]))
    flip(next(path for path in kept.path.iterdir() if path.name != "manifest.json"))
    again = f"dg launch --job daily_retrain --partition {THIRD}"
    assert [(each.file, each.command) for each in examine(shop.home).broken] == [
        (f"store/models/als_model/{kept.model_id}", again)
    ]
    shutil.rmtree(kept.path)
    (gone,) = examine(shop.home).broken
    assert (gone.problem, gone.command) == ("is gone, and it is a champion", again)


def test_the_doctor_says_that_nothing_is_ingested_without_the_list_of_the_forgotten(shop: Shop) -> None:
    add_requests(shop.home, ["c1"], {}, THIRD)
    assert examine(shop.home).broken == []
    (shop.root / "forgotten.key").chmod(0o644)
    (open_to_others,) = examine(shop.home).broken
    assert open_to_others.command == "chmod 600 forgotten.key"
    (shop.root / "forgotten.key").unlink()
    (gone,) = examine(shop.home).broken
    assert (gone.file, gone.problem) == ("forgotten.json", "forgotten.key is gone; nothing is ingested")
    assert gone.command == "put it back from a backup"


def test_the_doctor_reads_nothing_where_only_sizes_are_asked_for(shop: Shop) -> None:
    flip(shop.one(EVENTS))
    flip(shop.one(VECTOR_FILE))
    assert examine(shop.home, sizes_only=True).broken == []
    truncate(path := shop.one(EVENTS))
    assert [each.file for each in examine(shop.home, sizes_only=True).broken] == [
        f"store/{path.relative_to(shop.root / 'store')}"
    ]


def test_the_command_prints_a_table_and_its_exit_status_says_whether_anything_is_broken(shop: Shop) -> None:
    environment = {"ATELIER_HOME": str(shop.root)}
    sound = CliRunner().invoke(cli, ["doctor"], env=environment)
    assert (sound.exit_code, sound.output) == (
        0,
        f"{shop.root}: 15 partitions, 3 model bundles, 1 file of image vectors read: 0 broken, 0 left over\n",
    )
    truncate(path := shop.one(EVENTS))
    told = CliRunner().invoke(cli, ["doctor", "--sizes-only"], env=environment)
    assert told.exit_code == 1
    headings, row, summary = told.output.splitlines()
    assert headings.split("  ")[0] == "state"
    assert row.startswith(f"broken  store/{path.relative_to(shop.root / 'store')}  is damaged: it has ")
    assert row.endswith("  dg launch --job ingest --partition 2025-03-04")
    assert row.index("is damaged") == headings.index("what is wrong")
    assert summary.endswith("looked at: 1 broken, 0 left over")


def test_sections_that_dagsters_settings_lack_are_named_and_break_nothing(shop: Shop) -> None:
    file = shop.home.dagster / "dagster.yaml"
    file.write_text("run_queue:\n  max_concurrent_runs: 2\n# freshness:\n  run_monitoring: of something else\n")
    found = examine(shop.home)
    (finding,) = found.findings
    assert (finding.state, finding.file) == ("incomplete", "dagster/dagster.yaml")
    assert finding.problem.startswith("has no run_launcher, no run_monitoring, no freshness: ")
    assert found.broken == []
    told = CliRunner().invoke(cli, ["doctor"], env={"ATELIER_HOME": str(shop.root)})
    assert told.exit_code == 0
    assert told.output.endswith("0 broken, 1 incomplete, 0 left over\n")


def test_a_damaged_record_of_an_encoder_is_named(shop: Shop) -> None:
    record_backbone(shop.root / "store", ENCODER, "a" * 32)
    assert examine(shop.home).findings == []
    file = shop.one("models/image_backbone/encoders/*.json")
    file.write_text("{")
    (finding,) = examine(shop.home).broken
    assert finding.file == f"store/models/image_backbone/encoders/{ENCODER}.json"
    assert finding.problem.startswith("does not name a backbone")
    assert finding.command.startswith(f"rm {file} && dg launch ")
    assert finding.command.endswith(f"--partition {THIRD}")


def test_a_damaged_promotion_and_a_damaged_record_of_inputs_are_named(shop: Shop) -> None:
    Promotions(shop.root / "store").promote(Recipe("als", {}, "code"), THIRD, who="ann", why="better")
    put_record(shop.root / "store", Record("articles", THIRD, ("articles",), {}))
    assert examine(shop.home).findings == []
    promotion, inputs = shop.one("promotions/*.json"), shop.one("_made_from/articles/*.json")
    promotion.write_text("{")
    inputs.write_text("{}")
    promoted, recorded = examine(shop.home).broken
    assert promoted.file == "store/promotions"
    assert str(promotion) in promoted.problem
    assert promoted.command == "restore that record from a backup"
    assert recorded.file == f"store/_made_from/articles/ds={THIRD}.json"
    assert recorded.problem.startswith("in the store is no record of inputs")
    assert recorded.command == f"rm {inputs}"
