"""Object storage: copies on this machine, one home for a store, pages and studies; what is damaged is noticed.

What holds for folders too is asked of both in the tests of the model store, the cache of image vectors and others.
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pytest
from botocore.exceptions import NoCredentialsError
from click.testing import CliRunner
from pydantic import ValidationError

from dagster_project import cli
from resources.doctor import examine
from resources.embedding_cache import EmbeddingCache
from resources.encoders import backbone_of, record_backbone, records
from resources.forgetting.forgetting import forget
from resources.histories import histories_path, make_histories
from resources.image_memory import FILE, read_memory
from resources.integrity import Recorded
from resources.kept_files import KEPT, kept_files
from resources.made_from import Record, put_record
from resources.made_from import records as input_records
from resources.model_store import Bundle, ModelStore
from resources.object_storage import COPIES, ObjectStorage
from resources.promotions import PromotionError, Promotions
from resources.published import PublishedDatabase
from resources.publishing import COPY
from resources.recipes import Recipe
from resources.retailer import Home, Settings
from resources.settings_file import write_settings
from resources.storage import Storage, open_storage
from resources.store_owner import MARK, StoreTaken
from resources.usage_lock import alone, in_use
from tests.resources.forgetting.small_home import DAYS, GONE, THIRD, decoded, make

DAY = date(2025, 3, 5)
ENCODER = "tiny-0"
UPSTREAMS = {"interactions": "1"}


def save(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    (folder / "weights.safetensors").write_text("weights")


def publish(storage: Storage) -> Bundle:
    return ModelStore(storage).publish("als", DAY, save, UPSTREAMS)


@pytest.fixture
def storage(store_url: str, tmp_path: Path) -> ObjectStorage:
    found = open_storage(store_url, tmp_path / "here")
    assert isinstance(found, ObjectStorage)
    return found


@pytest.fixture
def elsewhere(store_url: str, tmp_path: Path) -> Storage:
    """The same store on a machine that has nothing of it."""
    return open_storage(store_url, tmp_path / "elsewhere")


@pytest.fixture
def make_home(store_url: str, tmp_path: Path) -> Callable[[str], Home]:
    def made(name: str) -> Home:
        home = Home(tmp_path / name)
        write_settings(home, Settings(source="parquet", path="landed", first_day=DAY, store=store_url))
        return home

    return made


# The same for a folder and for object storage ---------------------------------------------------------------------


def test_small_files_are_put_listed_and_removed(any_storage: Storage) -> None:
    any_storage.put_text("ä", "a/ds=2020-01-01.json")
    any_storage.put_text("2", "a/b/c.json")
    assert any_storage.read_texts(["a/b/c.json", "a/none.json", "a/ds=2020-01-01.json"]) == {
        "a/b/c.json": "2",
        "a/ds=2020-01-01.json": "ä",
    }
    assert any_storage.glob("a/ds=*.json") == ["a/ds=2020-01-01.json"]
    assert any_storage.folders("a") == ["b"]
    assert any_storage.folders("none") == []
    assert (any_storage.exists("a/b"), any_storage.exists("a/b/c.json"), any_storage.exists("a/c")) == (
        True,
        True,
        False,
    )
    assert (any_storage.size("a/b/c.json"), any_storage.size("a/none")) == (1, None)
    any_storage.remove("a/b/c.json")
    any_storage.remove("a/b/c.json")
    assert any_storage.glob("a/b/*") == []


def test_of_many_who_create_a_file_at_once_one_succeeds(any_storage: Storage) -> None:
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda n: any_storage.create_text(str(n), "number.json"), range(8)))
    assert sum(created) == 1
    assert any_storage.read_texts(["number.json"]) == {"number.json": str(created.index(True))}


def test_promotions_and_records_are_found_again(any_storage: Storage) -> None:
    promotions = Promotions(any_storage)
    promotions.promote(Recipe("als", {"factors": 8}, "1"), DAY, who="ann", why="better")
    promotions.promote(Recipe("popular", {}, "1"), DAY, who="ann", why="much better")
    assert promotions.undo(who="ann", why="no") is not None
    assert [each.action for each in Promotions(any_storage).history()] == ["promote", "promote", "undo"]
    record_backbone(any_storage, ENCODER, "a" * 32)
    assert backbone_of(any_storage, [ENCODER]) == "a" * 32
    assert list(records(any_storage)) == [ENCODER]
    put_record(any_storage, Record("als_model", DAY, ("als_model",), {"articles@2025-03-05": "1"}))
    assert [each.stage for each in input_records(any_storage)] == ["als_model"]


def test_a_store_that_was_opened_can_be_used_in_a_forked_process(storage: ObjectStorage) -> None:
    context = multiprocessing.get_context("fork")
    storage.put_text("1", "number.json")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(storage.read_texts, ["number.json"]).result(timeout=60) == {"number.json": "1"}


def test_a_file_that_cannot_be_read_is_not_taken_for_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = open_storage("memory://unreachable")
    assert isinstance(storage, ObjectStorage)
    storage.put_text("there", "file.json")

    def refuse(*_: object, **__: object) -> bytes:
        raise PermissionError("forbidden")

    assert storage.read_texts(["file.json", "none.json"]) == {"file.json": "there"}
    monkeypatch.setattr(storage.fs, "cat_file", refuse)
    with pytest.raises(PermissionError, match="forbidden"):
        storage.read_texts(["file.json"])


# Copies -----------------------------------------------------------------------------------------------------------


def test_another_machine_opens_a_bundle_and_copies_it_once(storage: ObjectStorage, elsewhere: Storage) -> None:
    bundle = publish(storage)
    models = ModelStore(elsewhere)
    assert not models.path("als", bundle.model_id).exists()
    models.bundle("als", bundle.model_id, verify=False)
    assert not models.path("als", bundle.model_id).exists(), "looking at a bundle copies nothing"
    opened = models.bundle("als", bundle.model_id)
    assert (opened.path / "weights.safetensors").read_text() == "weights"
    assert opened.path != bundle.path
    stamp = (opened.path / "weights.safetensors").stat().st_mtime_ns
    assert models.bundle("als", bundle.model_id).path == opened.path
    assert (opened.path / "weights.safetensors").stat().st_mtime_ns == stamp
    assert models.file("als", bundle.model_id, "config.json").read_text() == "{}"


def test_a_damaged_copy_is_fetched_again(storage: ObjectStorage) -> None:
    weights = publish(storage).path / "weights.safetensors"
    weights.write_text("WEIGHTS")
    assert storage.fetch(f"models/als/{publish(storage).model_id}/weights.safetensors", Recorded("0" * 64)) is not None
    again = ModelStore(storage).bundle("als", ModelStore(storage).pointer("als", DAY))
    assert (again.path / "weights.safetensors").read_text() == "weights"


@pytest.mark.parametrize(
    ("content", "said"), [(None, "lacks"), ("w", "is not what was published"), ("WEIGHTS", "is not what was published")]
)
def test_a_damaged_bundle_is_not_opened_and_training_replaces_it(
    storage: ObjectStorage, elsewhere: Storage, content: str | None, said: str
) -> None:
    identity = publish(storage).model_id
    name = f"models/als/{identity}/weights.safetensors"
    if content is None:
        elsewhere.remove(name)
    else:
        elsewhere.put_text(content, name)
    with pytest.raises(Exception, match=said):
        ModelStore(elsewhere).bundle("als", identity)
    with pytest.warns(UserWarning, match="is replaced now"):
        publish(elsewhere)
    assert (ModelStore(elsewhere).bundle("als", identity).path / "weights.safetensors").read_text() == "weights"


def test_a_removed_bundle_is_gone_with_its_copy(storage: ObjectStorage) -> None:
    bundle = publish(storage)
    ModelStore(storage).remove(bundle)
    assert not bundle.path.exists()
    assert ModelStore(storage).ids("als") == []
    assert storage.fs.find(f"{storage.base}/models/als/{bundle.model_id}") == []


def test_vectors_are_copied_and_damaged_ones_count_as_absent(storage: ObjectStorage, elsewhere: Storage) -> None:
    first, second = "1" * 64, "2" * 64
    EmbeddingCache(storage).append(ENCODER, [first], np.ones((1, 4), np.float32))
    EmbeddingCache(storage).append(ENCODER, [second], np.zeros((1, 4), np.float32))
    cache = EmbeddingCache(elsewhere)
    assert cache.read([second, first], ENCODER).tolist() == [[0.0] * 4, [1.0] * 4]
    third = open_storage(storage.url, elsewhere.temporary.with_name("third"))
    third.put_text("damaged", cache.files(ENCODER)[0])
    assert len(EmbeddingCache(third).damaged(ENCODER)) == 1
    with pytest.warns(UserWarning, match="s3://.* is damaged and was removed"):
        assert len(EmbeddingCache(third).mend(ENCODER)) == 1
    assert len(EmbeddingCache(third).missing([first, second], ENCODER)) == 1


def test_copies_that_nobody_used_are_swept(storage: ObjectStorage) -> None:
    bundle = publish(storage)
    now = datetime.now(UTC)
    assert storage.sweep(now - timedelta(days=1)) == []
    assert f"{COPIES}/models/als/{bundle.model_id}/config.json" in storage.sweep(now + timedelta(minutes=1))
    assert ModelStore(storage).bundle("als", bundle.model_id).path == bundle.path, "it is fetched again"


# One home ---------------------------------------------------------------------------------------------------------


def test_one_home_writes_into_a_store(make_home: Callable[[str], Home]) -> None:
    first, second = make_home("first"), make_home("second")
    with in_use(first), in_use(first):
        pass
    for use in (in_use, alone):
        with pytest.raises(StoreTaken, match=r"another home writes into s3://.*_home\.json"), use(second):
            pytest.fail("it was let in")
    second.storage.remove(MARK)  # as the message advises where the first home is gone
    with alone(second):
        pass
    with pytest.raises(StoreTaken), in_use(first):
        pytest.fail("it was let in")


def test_only_the_home_that_writes_into_a_store_removes_what_no_pointer_names(
    make_home: Callable[[str], Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_home("first"), make_home("second")
    unnamed = "articles/ds=2025-03-05/of a run that has not ended.parquet"
    monkeypatch.setenv("ATELIER_HOME", str(second.root))
    assert CliRunner().invoke(cli.cli, ["vacuum"]).exit_code == 0
    assert not second.storage.exists(MARK), "whoever cleans up has not claimed a store that is nobody's yet"
    with in_use(first):
        first.storage.put_text("rows", unnamed)
    monkeypatch.setattr(ObjectStorage, "modified", lambda *_: datetime.now(UTC) - timedelta(days=30))
    monkeypatch.setenv("ATELIER_HOME", str(second.root))
    done = CliRunner().invoke(cli.cli, ["vacuum"])
    assert done.exit_code == 0
    assert "this home does not write into the store" in done.output
    assert "removed 0 copies on this machine" in done.output
    assert first.storage.exists(unnamed)
    monkeypatch.setenv("ATELIER_HOME", str(first.root))
    assert unnamed in CliRunner().invoke(cli.cli, ["vacuum"]).output
    assert not first.storage.exists(unnamed)


def test_two_machines_that_promote_at_once_do_not_overwrite_each_other(storage: ObjectStorage) -> None:
    promotions = Promotions(storage)
    promotions.promote(Recipe("als", {}, "1"), DAY, who="ann", why="-")
    (record,) = promotions.history()
    with pytest.raises(PromotionError, match="another machine recorded a promotion at the same moment"):
        promotions._write(record)


@pytest.mark.parametrize("store", ["s3://", "store", "file:///store", "s3://key:secret@bucket", "s3://bucket/a*"])
def test_what_is_no_url_of_object_storage_is_refused(store: str) -> None:
    with pytest.raises(ValidationError, match="is no URL of object storage: write s3://bucket/prefix"):
        Settings(source="parquet", path="landed", first_day=DAY, store=store)


def test_init_tries_the_bucket_first(
    object_server: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    begin = ["init", "--articles", "60", "--customers", "20", "--days", "2", "--store"]
    refused = CliRunner().invoke(cli.cli, [*begin, "s3://no-such-bucket/store"])
    assert isinstance(refused.exception, OSError)
    assert not (tmp_path / "home" / "atelier.toml").exists()
    assert CliRunner().invoke(cli.cli, [*begin, store_url]).exit_code == 0
    assert Home(tmp_path / "home").settings.store == store_url
    assert Home(tmp_path / "home").storage.location("x") == f"{store_url}/x"


def test_missing_credentials_are_two_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def without_credentials() -> None:
        raise NoCredentialsError

    monkeypatch.setattr(cli, "cli", without_credentials)
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "atelier: NoCredentialsError: Unable to locate credentials"
    assert "AWS_ACCESS_KEY_ID" in said[1]


# Pages and studies ------------------------------------------------------------------------------------------------


def test_pages_and_studies_are_there_on_another_machine(make_home: Callable[[str], Home]) -> None:
    first, second = make_home("first"), make_home("second")
    pages = [home.reports / "tune" / "ds=2025-03-05" / "plot.svg" for home in (first, second)]
    with kept_files(first):
        pages[0].parent.mkdir(parents=True)
        pages[0].write_text("plot")
        (first.root / "studies").mkdir()
        (first.root / "studies" / "trials.db").write_bytes(b"trials")
    assert set(KEPT) <= set(first.storage.folders(""))
    with kept_files(second):
        assert pages[1].read_text() == "plot"
        assert (second.root / "studies" / "trials.db").read_bytes() == b"trials"
        pages[1].unlink()
        (second.reports / "index.html").write_text("all days")
    assert first.storage.glob("reports/*.html") == ["reports/index.html"]
    assert not first.storage.exists("reports/tune")


def test_what_failed_is_kept_and_what_did_not_change_is_not_sent_again(
    make_home: Callable[[str], Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_home("first"), make_home("second")
    first.reports.mkdir()
    (first.reports / "ds=2025-03-04.html").write_text("page")
    with pytest.raises(ZeroDivisionError), kept_files(first):
        raise ZeroDivisionError
    with kept_files(second):
        pass
    sent = list[str]()
    monkeypatch.setattr(ObjectStorage, "keep_file", lambda _, path, name: sent.append(name))
    with kept_files(second):
        (second.reports / "ds=2025-03-05.html").write_text("page")
    assert sent == ["reports/ds=2025-03-05.html"]


# A whole home -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(object_server: str, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home by hand, with tables, models, pages and a database. The last test takes customers out of it."""
    home = make(tmp_path_factory.mktemp("shop") / "home", "s3://atelier-tests/shop/store")
    with kept_files(home):
        pass
    Promotions(home.storage).promote(Recipe("als", {}, "1"), DAY, who="ann", why=f"customer {GONE[0]} asked for it")
    return home


def objects(home: Home) -> dict[str, bytes]:
    storage = home.storage
    assert isinstance(storage, ObjectStorage)
    found: dict[str, bytes] = storage.fs.cat(storage.fs.find(storage.base))
    return {name.removeprefix(f"{storage.base}/"): content for name, content in found.items()}


def test_the_database_is_published_and_its_pages_are_served(shop: Home) -> None:
    assert objects(shop)[COPY] == shop.database.read_bytes()
    histories = histories_path(shop.root)
    rows = make_histories(shop.database, histories, threads=1, memory_limit="1GB", storage=shop.storage)
    assert rows > 0
    database = PublishedDatabase(shop.database, shop.storage, histories, threads=1)
    with database.reading() as reader:
        assert reader.newest("interactions") == THIRD
        seen = reader._run("SELECT ds, count(*) FROM interactions GROUP BY ds ORDER BY ds", {}).fetchall()
        assert [day for day, _ in seen] == DAYS, "a view of files on object storage"
        with pytest.raises(duckdb.PermissionException):
            reader._run("SELECT * FROM read_text('s3://atelier-tests/other/file')", {})
    database.close()


def test_the_doctor_names_what_is_broken_by_its_url(shop: Home) -> None:
    assert examine(shop).findings == []
    known = set(ModelStore(shop.storage).ids("als_model"))
    with in_use(shop):
        ModelStore(shop.storage).publish("als_model", DAYS[0], save, UPSTREAMS)
    (name,) = shop.storage.glob(f"recommendations/ds={THIRD}/part=als/*.parquet")
    broken = {
        name: f"dg launch --job daily_retrain --partition {THIRD}",
        f"models/als_model/ds={DAYS[0]}.json": f"dg launch --job daily_retrain --partition {DAYS[0]}",
        FILE: f"dg launch --job ingest --partition {shop.settings.first_day}",
    }
    before = objects(shop)
    for each in broken:
        shop.storage.put_text("damaged", each)
    found = {finding.file: finding.command for finding in examine(shop).findings if finding.state == "broken"}
    assert found == {shop.storage.location(each): command for each, command in broken.items()}
    with pytest.raises(Exception, match=r"image_memory\.parquet is damaged"):
        read_memory(shop.storage)
    storage = shop.storage
    assert isinstance(storage, ObjectStorage)
    storage.fs.pipe_file(f"{storage.base}/{name}", before[name])
    storage.remove(FILE)
    ModelStore(storage).withdraw("als_model", DAYS[0])
    (left,) = examine(shop).findings
    assert (left.state, left.file) == ("left over", storage.location("models/als_model"))
    assert left.problem.startswith("1 sound bundle that nothing names")
    for unnamed in set(ModelStore(storage).ids("als_model")) - known:
        storage.remove_folder(f"models/als_model/{unnamed}", "manifest.json")
    assert examine(shop).findings == []


def test_a_forgotten_customer_is_in_no_object(shop: Home) -> None:
    def naming() -> set[str]:
        return {
            name
            for name, content in objects(shop).items()
            if name != COPY
            for text in decoded(Path(name).suffix if Path(name).suffix == ".parquet" else "", content, Path(name))
            if any(customer in text.replace("c000001234", "") for customer in GONE)
        }

    assert {"promotions/000001.json", f"reports/ds={THIRD}.html"} <= naming()
    with dg.DagsterInstance.ephemeral() as instance:
        done = forget(shop, instance, GONE, today=date(2025, 4, 1))
    assert done.left == []
    assert naming() == set()
    assert objects(shop)[COPY] == shop.database.read_bytes()
    assert not list((shop.store / COPIES).rglob("*.safetensors"))
    assert examine(shop).findings == []
