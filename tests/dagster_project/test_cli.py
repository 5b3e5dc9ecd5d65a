"""The command ``atelier``: what it does, what it refuses, and that a refusal touches nothing."""

import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import click
import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from atelier import recommenders
from atelier.errors import AtelierError
from atelier.interactions import Interactions
from atelier.report.reasons import WITHOUT_REASONS
from dagster_project import cli
from dagster_project.build import build_defs
from dagster_project.commands.init import check_names, init_home
from resources.compute import Compute
from resources.compute_settings import ComputeSettings
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.retailer import Home, SettingsError
from resources.tables import REGISTRY

SIZES = ("--articles", "20", "--customers", "10", "--days", "3")
DAY = date(2025, 3, 4)

Run = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in [name for name in os.environ if name.startswith("ATELIER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    return Home.from_environment()


@pytest.fixture
def run(home: Home) -> Run:
    return lambda *arguments: CliRunner().invoke(cli.cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a small sample retailer, to be copied."""
    root = tmp_path_factory.mktemp("initialised") / "home"
    done = CliRunner().invoke(cli.cli, ["init", *SIZES, "--device", "cpu"], env={"ATELIER_HOME": str(root)})
    assert done.exit_code == 0, done.output
    return root


@pytest.fixture
def old(home: Home, initialised: Path) -> Home:
    """A home of its own that was initialised before."""
    shutil.copytree(initialised, home.root)
    return home


def contents(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder, with its time of change."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def refusal(result: Result) -> str:
    """The one message of a command that failed on purpose."""
    assert result.exit_code != 0, result.output
    if isinstance(result.exception, AtelierError):
        return str(result.exception)
    assert isinstance(result.exception, SystemExit), result.exception
    return result.output


def test_init_writes_the_settings_and_the_retailer(old: Home) -> None:
    settings = old.settings
    assert (settings.source, settings.path) == ("sample", "retailer")
    assert (settings.first_day, settings.last_day) == (date(2025, 3, 3), date(2025, 3, 5))
    assert settings.compute == ComputeSettings(device="cpu", threads=2, memory_limit="4GB")
    assert (old.dagster / "dagster.yaml").is_file()
    assert old.open_source().first_day == settings.first_day


def test_the_same_again_changes_nothing(old: Home, run: Run) -> None:
    before = contents(old.root)
    done = run("init", *SIZES, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert contents(old.root) == before


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--articles", "21", *SIZES[2:]), "articles is 20, asked for 21"),
        ((*SIZES[:2], "--customers", "11", *SIZES[4:]), "customers is 10, asked for 11"),
        ((*SIZES[:4], "--days", "4"), r"last_day is .*2025, 3, 5.*asked for .*2025, 3, 6"),
        ((), "last_day is .*ATELIER_HOME"),
        ((*SIZES, "--horizon", "3"), "horizon is 7, asked for 3"),
        ((*SIZES, "--threads", "1"), r"compute.threads is 2, asked for 1; edit its section \[compute\]"),
    ],
)
def test_other_settings_are_refused_and_nothing_is_touched(
    old: Home, run: Run, asked: tuple[str, ...], said: str
) -> None:
    before = contents(old.root)
    done = run("init", *asked, "--device", "cpu")
    assert isinstance(done.exception, SettingsError)
    assert pd.Series([str(done.exception)]).str.contains(said).item(), done.exception
    assert contents(old.root) == before


def test_a_source_of_files_is_refused_where_the_sample_is_served(old: Home, run: Run, tmp_path: Path) -> None:
    shutil.copytree(old.root / "retailer", tmp_path / "zone")
    before = contents(old.root)
    assert "one home serves one source" in refusal(run("init", "--source", "parquet", "--path", tmp_path / "zone"))
    assert contents(old.root) == before


def test_if_absent_asks_nothing(old: Home, run: Run) -> None:
    before = contents(old.root)
    assert run("init", "--if-absent", "--articles", "999", "--time-zone", "Foo").exit_code == 0
    assert contents(old.root) == before


def test_a_deleted_or_half_generated_retailer_is_generated_again(old: Home, run: Run) -> None:
    before = {name: content for name, (_, content) in contents(old.root).items()}
    (old.root / "retailer" / "retailer.json").unlink()
    shutil.rmtree(old.root / "retailer" / "articles")
    assert run("init", *SIZES, "--device", "cpu").exit_code == 0
    assert {name: content for name, (_, content) in contents(old.root).items()} == before


def test_another_homes_retailer_is_left_alone(initialised: Path, home: Home, run: Run) -> None:
    before = contents(initialised)
    said = refusal(run("init", "--path", initialised / "retailer", "--articles", "30", *SIZES[2:]))
    assert "another sample retailer (articles is 20, asked for 30)" in said
    assert contents(initialised) == before
    assert not home.root.exists()


@pytest.mark.parametrize("name", ["notes.txt", "retailer.json", "articles"])
def test_a_folder_with_other_files_is_left_alone(home: Home, run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("{}")
    assert "--source parquet" in refusal(run("init", *SIZES, "--path", tmp_path / "mine"))
    assert [file.name for file in (tmp_path / "mine").iterdir()] == [name]
    assert not home.root.exists()


def test_a_file_in_the_folders_place_is_refused(home: Home, run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written there" in refusal(run("init", *SIZES, "--path", tmp_path / "file"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--time-zone", "Foo"), ("--time-zone: unknown time zone 'Foo'", "Europe/London")),
        (("--articles", "-5"), ("--articles: ", "greater than or equal to 20")),
        (("--days", "99999"), ("--days: ", "3660")),
        (("--first-day", "2026-01-01"), ("before first_day 2026-01-01",)),
        (("--option", "last_day=2020-01-01"), ("--option last_day=2020-01-01", "--last-day 2020-01-01")),
        (("--option", "colour=red"), ("--option: colour", "docs/sources.md")),
        (("--option", "temp_dir=null"), ("--option: null", "leave the option out")),
        (("--option", "colour"), ("NAME=VALUE",)),
        (
            ("--serving-model", "oracle"),
            ("--serving-model: 'oracle' is not fitted daily", "popular, repeat, als, hybrid"),
        ),
        (("--backbone", "vgg17"), ("--backbone: no backbone 'vgg17'", "small", "vgg16")),
        (("--backbone", "vgg16", "--weights", "/nowhere/w.safetensors"), ("--weights: ", "/nowhere/w.safetensors")),
        (("--backbone", "vgg16", "--weights", "default"), ("--weights: ", "DEFAULT")),
        (("--weights", "w.safetensors"), ("--weights: ", "seed")),
        (("--device", "tpu"), ("--device", "'auto', 'cpu', 'cuda'")),
        (("--threads", "0"), ("--threads",)),
        (("--memory-limit", "lots"), ("--memory-limit: 'lots'", "4GB")),
        (("--source", "hm"), ("--path",)),
        (("--source", "hm", "--path", "x", "--days", "3"), ("--days belongs to --source sample",)),
        (("--source", "hm", "--path", "/nowhere"), ("/nowhere",)),
    ],
)
def test_nonsense_is_refused_in_words(home: Home, run: Run, asked: tuple[str, ...], said: tuple[str, ...]) -> None:
    message = refusal(run("init", *asked))
    assert not [part for part in said if part not in message], message
    assert "Traceback" not in message
    assert not home.root.exists()


def test_real_names_pass_without_a_download(home: Home, tmp_path: Path, old: Home) -> None:
    (tmp_path / "w.safetensors").touch()
    for backbone, weights in (("vgg16", "DEFAULT"), ("resnet50", "none"), ("vgg16", str(tmp_path / "w.safetensors"))):
        encoder = old.settings.encoder.model_copy(update={"backbone": backbone, "weights": weights})
        check_names(old.settings.model_copy(update={"encoder": encoder}))


def test_a_landing_zone_is_served_with_its_own_days(initialised: Path, home: Home, run: Run) -> None:
    done = run(
        "init",
        "--source",
        "parquet",
        "--path",
        initialised / "retailer",
        "--last-day",
        "2025-03-04",
        "--option",
        "threads=1",
        "--threads",
        "3",
        "--memory-limit",
        "1GiB",
    )
    assert done.exit_code == 0, done.output
    assert (home.settings.first_day, home.settings.last_day) == (date(2025, 3, 3), date(2025, 3, 4))
    assert home.settings.options == {"threads": 1}
    assert home.settings.compute == ComputeSettings(threads=3, memory_limit="1GiB")
    assert home.open_source().last_day == date(2025, 3, 4)


def test_the_environment_configures_too(initialised: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {
        "SOURCE": "parquet",
        "PATH": str(initialised / "retailer"),
        "DEVICE": "cpu",
        "THREADS": "1",
        "MEMORY_LIMIT": "600MB",
        "SERVING_MODEL": "popular",
    }
    for name, value in asked.items():
        monkeypatch.setenv(f"ATELIER_{name}", value)
    init_home(home)
    assert home.settings.compute == ComputeSettings(device="cpu", threads=1, memory_limit="600MB")
    assert home.settings.serving_model == "popular"
    monkeypatch.setenv("ATELIER_THREADS", "2")
    init_home(home)  # has been initialised: nothing is asked
    assert home.settings.compute.threads == 1


def test_a_wrong_environment_is_an_error_on_purpose(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_TIME_ZONE", "Foo")
    with pytest.raises(SettingsError, match="--time-zone: unknown time zone 'Foo'"):
        init_home(home)


def test_the_definitions_compute_as_the_settings_say(old: Home) -> None:
    old.toml.write_text(old.toml.read_text().replace("threads = 2", "threads = 1").replace("4GB", "700MiB"))
    resources = build_defs(old).resources
    assert resources is not None
    assert resources["run_resources"].compute == Compute("cpu", threads=1)
    with resources["run_resources"].store.connect(as_of=DAY) as con:
        [allowed] = con.execute("SELECT current_setting('threads'), current_setting('memory_limit')").fetchall()
    assert allowed == (1, "700.0 MiB")


@pytest.mark.parametrize(
    "again", [lambda old: init_home(old), lambda old: CliRunner().invoke(cli.cli, ["init", "--if-absent"])]
)
def test_lost_settings_of_dagster_are_written_again(old: Home, again: Callable[[Home], Any]) -> None:
    shipped = (old.dagster / "dagster.yaml").read_text(encoding="utf-8")
    shutil.rmtree(old.dagster)
    again(old)
    assert (old.dagster / "dagster.yaml").read_text(encoding="utf-8") == shipped


def fill(store: FeatureStore, ds: date = DAY, similarity: float = 0.5) -> None:
    """Two articles and what is similar to the first."""
    articles = pd.DataFrame({"article_id": ["a", "b", "c"], "name": ["Coat", "Cape", None], "in_stock": True})
    store.write("articles", ds, articles.reindex(columns=list(REGISTRY["articles"].by_name)))
    near = pd.DataFrame({"article_id": "a", "rank": [1, 2], "similar_article_id": ["b", "c"]})
    near = near.assign(model="als", similarity=[similarity, 0.25], model_id="0" * 32)
    store.write("similar_articles", ds, near.reindex(columns=list(REGISTRY["similar_articles"].by_name)), part="als")


def test_publish_shows_an_almost_empty_store(old: Home, run: Run) -> None:
    assert run("publish").exit_code == 0
    with duckdb.connect(str(old.database), read_only=True) as con:
        assert con.execute("SELECT count(*) FROM materialisations").fetchall() == [(0,)]
    fill(old.open_store())
    done = run("publish")
    assert done.exit_code == 0, done.output
    assert str(old.database) in done.output
    with duckdb.connect(str(old.database), read_only=True) as con:
        assert con.execute('SELECT "table" FROM materialisations ORDER BY 1').fetchall() == [
            ("articles",),
            ("similar_articles",),
        ]
        assert con.execute("SELECT name FROM latest_articles WHERE article_id = 'b'").fetchall() == [("Cape",)]


def test_similar_shows_the_newest_day_or_the_one_asked_for(old: Home, run: Run) -> None:
    fill(old.open_store(), DAY, 0.5)
    fill(old.open_store(), date(2025, 3, 5), 0.75)
    lines = run("similar", "a", "-k", 2).output.splitlines()
    assert lines[0] == "similar to a by als, as of 2025-03-05"
    assert [line.split() for line in lines[1:]] == [["1", "b", "0.750", "Cape"], ["2", "c", "0.250"]]
    assert run("similar", "a", "--day", DAY, "-k", 1).output.split()[-4:] == ["1", "b", "0.500", "Cape"]


def test_similar_says_what_is_missing(old: Home, run: Run) -> None:
    assert "daily_retrain" in refusal(run("similar", "a"))
    fill(old.open_store())
    assert "there is no article 'nobody' on 2025-03-04" in refusal(run("similar", "nobody"))
    assert "als knows no neighbours of 'b'" in refusal(run("similar", "b"))
    unknown = refusal(run("similar", "a", "--model", "oracle"))
    assert "no model 'oracle' has neighbours on 2025-03-04; there are als" in unknown
    assert "dg launch --job daily_retrain --partition 2025-03-01" in refusal(run("similar", "a", "--day", "2025-03-01"))


def test_similar_computes_more_than_is_stored(old: Home, run: Run) -> None:
    """Four articles: the model has three neighbours of each, of which the table holds two."""
    frame = pd.DataFrame({"customer_id": list("uuuvvvww"), "article_id": list("abcabdcd")})
    frame["occurred_at"] = pd.Timestamp(DAY)
    model = recommenders.build("als", factors=2).fit(Interactions.from_frame(frame))
    store = old.open_store()
    articles = pd.DataFrame({"article_id": list("abcd"), "in_stock": True})
    store.write("articles", DAY, articles.reindex(columns=list(REGISTRY["articles"].by_name)))
    model_id = ModelStore(old.store).publish("als_model", DAY, model.save, upstreams={}, seed=0).model_id
    near = model.similar(["a"], k=2).assign(model="als", model_id=model_id)
    store.write("similar_articles", DAY, near[list(REGISTRY["similar_articles"].by_name)], part="als")
    listed = [line.split()[1] for line in run("similar", "a", "-k", 3).output.splitlines()[1:]]
    assert listed == model.similar(["a"], k=3)["similar_article_id"].tolist()
    assert len(listed) == 3


def reason(kind: str, value: str) -> dict[str, object]:
    return {"kind": kind, "value": value, "weight": 0.5}


@pytest.fixture
def listed(old: Home) -> Home:
    """Lists of two customers: u's served one with a reason and one of popular, v has none."""
    fill(old.open_store())
    store = old.open_store()
    customers = pd.DataFrame({"customer_id": ["u", "v"]})
    store.write("customers", DAY, customers.reindex(columns=list(REGISTRY["customers"].by_name)))
    for model, served, reasons in (("als", True, [reason("article", "b")]), ("popular", False, None)):
        rows = pd.DataFrame({"customer_id": "u", "rank": [1, 2], "article_id": ["a", "c"], "score": [2.0, 1.0]})
        rows = rows.assign(model=model, seen="excluded", served=served, fallback=False, model_id="0" * 32)
        rows["reasons"] = [reasons, None]
        store.write("recommendations", DAY, rows[list(REGISTRY["recommendations"].by_name)], part=model)
    return old


def test_recommend_shows_the_served_list_first_with_its_reasons(listed: Home, run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page" / "u.html"
    done = run("recommend", "u", "--page", page)
    assert done.exit_code == 0, done.exception
    lines = done.output.splitlines()
    assert lines[0] == "als (served): u, 2025-03-04, purchased articles excluded"
    assert lines[1].split() == ["1", "a", "2.0000", "Coat"]
    assert lines[2].strip() == "because you chose Cape (b) (+0.5000)"
    assert lines[4] == "popular: u, 2025-03-04, purchased articles excluded"
    assert "Recommendations for u" in page.read_text(encoding="utf-8")
    assert lines[7:] == [WITHOUT_REASONS, f"{page}"], "of the list that is not served alone"
    popular = run("recommend", "u", "--model", "popular", "-k", 1)
    assert popular.output.splitlines() == [lines[4], lines[5], WITHOUT_REASONS]


def test_recommend_says_what_is_missing(listed: Home, run: Run) -> None:
    assert "there is no customer 'nobody' on 2025-03-04" in refusal(run("recommend", "nobody"))
    assert "no model 'oracle' made lists on 2025-03-04; there are als, popular" in refusal(
        run("recommend", "u", "--model", "oracle")
    )
    assert "there is no list of 'v' on 2025-03-04" in refusal(run("recommend", "v"))


@pytest.mark.parametrize("command", [("publish",), ("similar", "a"), ("recommend", "u")])
def test_a_mistyped_home_is_an_error(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "mistyped"))
    assert "mistyped is no home of Atelier: it has no atelier.toml; correct ATELIER_HOME" in refusal(run(*command))
    assert not (tmp_path / "mistyped").exists()


def test_vacuum_removes_what_lay_unnamed_for_long(old: Home, run: Run) -> None:
    store = old.open_store()
    fill(store, similarity=0.5)
    fill(store, similarity=0.75)
    now = {store.location(pointer) for pointer in store.pointers()}
    unnamed = [path for path in old.store.glob("similar_articles/**/*.parquet") if str(path) not in now]
    assert len(unnamed) == 1
    assert run("vacuum", "--older-than", 1).output.startswith("removed 0")
    ten_days_ago = unnamed[0].stat().st_mtime - 10 * 86400
    for path in old.store.rglob("*.parquet"):
        os.utime(path, (ten_days_ago, ten_days_ago))
    assert run("vacuum", "--older-than", 11).output.startswith("removed 0")
    done = run("vacuum")
    assert done.output.splitlines() == [
        unnamed[0].relative_to(old.store).as_posix(),
        "removed 1 that no pointer names, older than 7 days",
    ]
    assert {str(path) for path in old.store.rglob("*.parquet")} == now
    assert "--older-than" in refusal(run("vacuum", "--older-than", 0))


def test_an_error_on_purpose_is_one_line(
    old: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["atelier", "similar", "a"])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("atelier: there is no similar_articles yet")
    assert error.count("\n") == 1


def test_a_damaged_file_of_the_store_is_one_line_with_the_command_that_mends_it(
    old: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(old.open_store())
    (file,) = old.store.glob("similar_articles/**/*.parquet")
    file.chmod(0o644)
    file.write_bytes(b"PAR1 not really PAR1")
    monkeypatch.setattr("sys.argv", ["atelier", "similar", "a"])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert str(file) in line
    assert "dg launch --job daily_retrain --partition " in line


def test_a_disk_that_refuses_is_two_lines(
    old: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old.database.mkdir()
    monkeypatch.setattr("sys.argv", ["atelier", "publish"])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 1
    first, second = capsys.readouterr().err.splitlines()
    assert str(old.database) in first
    assert "atelier doctor" in second


def test_every_command_says_what_it_is_for(run: Run) -> None:
    assert isinstance(cli.cli, click.Group)
    for name, command in cli.cli.commands.items():
        assert command.help, name
        assert run(name, "--help").exit_code == 0


def test_what_an_error_says_cannot_command_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error, said in (
        (AtelierError("\x1b[2Jfirst\nsecond\x07"), "atelier: ?[2Jfirst\nsecond?\n"),
        (OSError("\x1b]0;title"), "atelier: OSError: ?]0;title\n"),
    ):
        monkeypatch.setattr(cli, "cli", mock.Mock(side_effect=error))
        with pytest.raises(SystemExit):
            cli.main()
        assert capsys.readouterr().err.startswith(said)
