"""atelier.toml: what is written is what is read, it is written once, and a fault names the file and the key."""

from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from atelier.errors import SourceError
from atelier.sources.sample import SampleConfig, generate
from resources.compute_settings import ComputeSettings
from resources.retailer import UNINITIALISED, EncoderSettings, Home, Preset, Settings, SettingsError, read_settings
from resources.settings_file import check_settings, write_preset, write_settings

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
DAYS = st.dates(date(1990, 1, 1), date(2100, 1, 1))


@st.composite
def any_settings(draw: st.DrawFn) -> Settings:
    first = draw(DAYS)
    return Settings(
        source=draw(st.sampled_from(["sample", "hm", "parquet"])),
        path=draw(TEXT),
        first_day=first,
        last_day=draw(st.none() | st.integers(0, 900).map(lambda n: first + timedelta(days=n))),
        time_zone=draw(st.sampled_from(["Europe/London", "America/New_York", "UTC"])),
        horizon=draw(st.integers(1, 400)),
        serving_model=draw(TEXT),
        recommenders=draw(st.none() | st.sampled_from([("popular",), ("popular", "als", "sequencer")])),
        encoder=EncoderSettings(
            backbone=draw(TEXT), weights=draw(TEXT), preprocessing=draw(st.none() | st.dictionaries(TEXT, JSON))
        ),
        compute=ComputeSettings(
            device=draw(st.sampled_from(["auto", "cpu", "cuda"])),
            threads=draw(st.integers(1, 512)),
            memory_limit=draw(st.sampled_from(["4GB", "1.5 TB", "800MiB", "2gib"])),
        ),
        options=draw(st.dictionaries(TEXT.filter(lambda name: name not in ("first_day", "last_day")), JSON)),
    )


def some_settings(**changes: Any) -> Settings:
    return Settings.model_validate({"source": "hm", "path": "/data", "first_day": date(2020, 1, 1)} | changes)


@given(any_settings())
def test_what_is_written_is_what_is_read(settings: Settings) -> None:
    with TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        write_settings(home, settings)
        assert home.settings == settings
        assert [file.name for file in home.root.iterdir()] == ["atelier.toml"]


def test_a_home_without_a_file_is_the_demos(tmp_path: Path) -> None:
    assert Home(tmp_path).settings == UNINITIALISED
    config = SampleConfig()
    assert (UNINITIALISED.first_day, UNINITIALISED.last_day) == (config.first_day, config.last_day)


def test_a_file_from_before_compute_was_a_setting_is_read(tmp_path: Path) -> None:
    file = tmp_path / "atelier.toml"
    file.write_text('source = "hm"\npath = "/data"\nfirst_day = 2020-01-01\n')
    assert read_settings(file) == some_settings()
    assert read_settings(file).compute == ComputeSettings(device="auto", threads=2, memory_limit="4GB")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('time_zone = "Foo"', r"time_zone: unknown time zone 'Foo'.*Europe/London"),
        ('time_zone = "Europe"', r"time_zone: unknown time zone 'Europe'"),
        ("horizon = 0", "horizon: .*greater than or equal to 1"),
        ("last_day = 2019-12-31", "last_day 2019-12-31 is before first_day 2020-01-01"),
        ('colour = "red"', "colour: Extra inputs"),
        ('[compute]\ndevice = "tpu"', "compute.device: .*'auto', 'cpu' or 'cuda'"),
        ("[compute]\nthreads = 0", "compute.threads: .*greater than or equal to 1"),
        ('[compute]\nmemory_limit = "80%"', "compute.memory_limit: '80%' is not an amount of memory.*4GB"),
        ('[compute]\nmemory_limit = "4"', "compute.memory_limit: '4' is not"),
        ('[compute]\nexecutor = "spark"', "compute.executor: .*'local' or 'ray'"),
        ('[compute]\naddress = "ray://head:10001"', "compute.address: 'ray://head:10001' is no host and port.*joins"),
        ('[compute]\naddress = "head"', "compute.address: 'head' is no host and port"),
        ("[compute]\nworkers = 0", "compute.workers: .*greater than or equal to 1"),
        ('[compute]\nmemory_limit = "0GB"', "compute.memory_limit: '0GB' is not"),
        ("[options]\nlast_day = 2020-02-01", "options: last_day is a setting of its own"),
        ("[encoder]\nbackbone = 3", "encoder.backbone: "),
    ],
)
def test_a_fault_names_the_file_the_key_and_the_remedy(tmp_path: Path, line: str, fault: str) -> None:
    file = tmp_path / "atelier.toml"
    file.write_text(f'source = "hm"\npath = "/data"\nfirst_day = 2020-01-01\n{line}\n')
    with pytest.raises(SettingsError, match=rf"(?s)atelier\.toml: {fault}.*delete it and run `atelier init`") as raised:
        read_settings(file)
    assert "\n" not in str(raised.value)
    assert "Value error" not in str(raised.value)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "atelier.toml"
    file.write_text('source = "hm"\n')
    with pytest.raises(SettingsError, match="path: Field required; first_day: Field required"):
        read_settings(file)


@pytest.mark.parametrize("content", [b"source = ", b"\xff\xfe"])
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "atelier.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"atelier\.toml is not TOML"):
        read_settings(file)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "atelier.toml").mkdir()
    with pytest.raises(SettingsError, match=r"atelier\.toml cannot be read"):
        _ = Home(tmp_path).settings


@pytest.mark.parametrize("value", [None, [None], {"a": [{"b": None}]}])
def test_null_is_no_option(value: Any) -> None:
    with pytest.raises(ValidationError, match="null cannot be written"):
        some_settings(options={"name": value})


def test_it_is_written_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert not check_settings(home, some_settings())
    assert not home.toml.exists()
    write_settings(home, some_settings())
    before = (home.toml.read_bytes(), home.toml.stat().st_mtime_ns)
    assert check_settings(home, some_settings())
    write_settings(home, some_settings())
    other = some_settings(horizon=3, options={"a": 1}, encoder={"backbone": "vgg16"})
    with pytest.raises(SettingsError) as raised:
        write_settings(home, other)
    for said in ("horizon is 7, asked for 3", "options.a is None, asked for 1", "encoder.backbone is 'small', asked"):
        assert said in str(raised.value)
    assert "ATELIER_HOME" in str(raised.value)
    assert "time_zone" not in str(raised.value)
    assert (home.toml.read_bytes(), home.toml.stat().st_mtime_ns) == before


def test_other_compute_is_to_be_edited(tmp_path: Path) -> None:
    write_settings(Home(tmp_path), some_settings())
    with pytest.raises(SettingsError, match=r"compute.device is 'auto', asked for 'cpu'; edit its section \[compute\]"):
        write_settings(Home(tmp_path), some_settings(compute={"device": "cpu"}))


def test_a_cluster_that_was_written_by_hand_is_no_other_request(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_settings(home, some_settings())
    text = home.toml.read_text()
    by_hand = 'executor = "ray"\naddress = "10.0.0.7:6379"\nworkers = 3\ntraining_workers = 2'
    home.toml.write_text(text.replace('executor = "local"', by_hand))
    told = ComputeSettings(executor="ray", address="10.0.0.7:6379", workers=3, training_workers=2)
    assert home.settings.compute == told
    assert check_settings(home, some_settings())


def test_a_home_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"cannot be written.*ATELIER_HOME"):
        write_settings(Home(tmp_path / "file" / "home"), some_settings())


def test_the_store_gets_its_threads_and_memory(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_settings(home, some_settings(compute={"threads": 1, "memory_limit": "512MiB"}))
    with home.open_store().connect(as_of=date(2020, 1, 1)) as con:
        [allowed] = con.execute("SELECT current_setting('threads'), current_setting('memory_limit')").fetchall()
    assert allowed == (1, "512.0 MiB")


def test_the_source_gets_its_days_and_options(tmp_path: Path) -> None:
    config = SampleConfig(articles=20, customers=5, days=3, photographs=False)
    generate(tmp_path / "retailer", config)
    asked = {"source": "sample", "path": "retailer", "first_day": config.first_day, "last_day": config.first_day}
    home = Home(tmp_path)
    write_settings(home, Settings.model_validate(asked | {"options": {"threads": 1}}))
    source = home.open_source()
    assert (source.first_day, source.last_day) == (config.first_day, config.first_day)
    assert source.options.threads == 1  # type: ignore[attr-defined]
    assert source.options.memory_limit == "4GB"  # type: ignore[attr-defined]


def test_a_wrong_option_is_the_sources_error(tmp_path: Path) -> None:
    generate(tmp_path / "retailer", SampleConfig(articles=20, customers=5, days=1, photographs=False))
    home = Home(tmp_path)
    write_settings(home, some_settings(source="sample", path="retailer", options={"colour": "red"}))
    with pytest.raises(SourceError, match="colour"):
        home.open_source()


def test_the_environment_says_where_home_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)  # make sets it
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    assert Home.from_environment().toml == tmp_path / "atelier.toml"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATELIER_HOME", "s3://bucket/shop")
    with pytest.raises(SettingsError, match=r"a home is a folder .*--store s3://bucket/shop"):
        Home.from_environment()
    monkeypatch.setenv("ATELIER_HOME", "")
    assert Home.from_environment().root == tmp_path / "var"


def test_of_the_two_homes_one_says_the_other_or_it_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = Home(tmp_path / "home")
    write_settings(home, some_settings(source="sample", path="retailer"))
    monkeypatch.delenv("ATELIER_HOME", raising=False)
    monkeypatch.setenv("DAGSTER_HOME", str(home.dagster))
    assert Home.from_environment() == Home.served_by_dagster() == home

    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "of another project"))
    assert Home.from_environment().root == tmp_path / "var"
    with pytest.raises(SettingsError, match=r"of another project, which belongs to no home .* set ATELIER_HOME=.*/var"):
        Home.served_by_dagster()
    monkeypatch.setenv("ATELIER_HOME", str(home.root))  # as docker-compose.yml has it
    assert Home.served_by_dagster() == home

    other = Home(tmp_path / "other")
    write_settings(other, some_settings())
    monkeypatch.setenv("DAGSTER_HOME", str(other.dagster))
    with pytest.raises(
        SettingsError, match=rf"the Dagster of the home {other.root}, and .* set ATELIER_HOME={home.root}"
    ):
        Home.served_by_dagster()

    monkeypatch.delenv("DAGSTER_HOME")
    assert Home.from_environment() == home
    with pytest.raises(SettingsError, match=rf"DAGSTER_HOME is not set.* and DAGSTER_HOME={home.dagster}"):
        Home.served_by_dagster()


# ---- presets


@st.composite
def any_preset(draw: st.DrawFn) -> Preset:
    figures = st.floats(0, 1)
    return Preset(
        model=draw(TEXT),
        study=draw(TEXT),
        last_day_seen=draw(DAYS),
        metric=draw(TEXT),
        value=draw(figures),
        default=draw(st.none() | figures),
        config=draw(st.dictionaries(TEXT, JSON)),
        empty=tuple(draw(st.lists(TEXT, max_size=2))),
    )


@given(any_settings(), any_preset(), any_preset())
def test_a_preset_that_is_written_is_read_and_the_rest_stays(settings: Settings, first: Preset, second: Preset) -> None:
    with TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        write_settings(home, settings)
        with home.toml.open("a", encoding="utf-8") as file:
            file.write("# somebody's own remark\n")
        before = home.toml.read_text(encoding="utf-8")
        assert write_preset(home, "one", first)
        assert not write_preset(home, "one", first), "the same again changes nothing"
        assert home.toml.read_text(encoding="utf-8").startswith(before)
        assert write_preset(home, "two", second)
        assert home.settings.presets == {"one": first, "two": second}
        if first != second:
            assert write_preset(home, "one", second)
        assert home.settings.presets == {"one": second, "two": second}
        assert home.settings.model_copy(update={"presets": {}}) == settings
        assert home.toml.read_text(encoding="utf-8").startswith(before)
        assert check_settings(home, settings), "init with the same options still finds what it wrote"


SMALL = Preset(model="als", study="als-1", last_day_seen=date(2025, 1, 1), metric="ndcg@12", value=0.1)


def test_a_preset_says_what_is_left_empty() -> None:
    preset = SMALL.model_copy(update={"config": {"factors": 8}, "empty": ("half_life_days",)})
    assert preset.fields == {"factors": 8, "half_life_days": None}


@pytest.mark.parametrize("name", ["", "a b", "a.b", "ä"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path)
    write_settings(home, some_settings())
    with pytest.raises(SettingsError, match="is no name of a preset"):
        write_preset(home, name, SMALL)


def test_a_preset_needs_a_home(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="run `atelier init`"):
        write_preset(Home(tmp_path), "one", SMALL)


def test_a_preset_that_was_edited_wrongly_is_named(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_settings(home, some_settings())
    write_preset(home, "one", SMALL)
    home.toml.write_text(home.toml.read_text().replace('study = "als-1"', "studies = 3"))
    with pytest.raises(SettingsError, match=r"presets.one.study: Field required; presets.one.studies: Extra inputs"):
        _ = home.settings
