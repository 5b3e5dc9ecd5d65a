"""``make demo``: which homes it leaves alone, what it makes of the first day. It is run by hand: it takes minutes."""

import os
from datetime import date
from pathlib import Path

import pytest

from atelier.errors import AtelierError
from atelier.recommenders import DAILY
from dagster_project import demo
from resources.retailer import Home, Settings
from resources.settings_file import write_settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in [name for name in os.environ if name.startswith("ATELIER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    return Home.from_environment()


def test_another_retailers_home_is_refused_and_left_alone(home: Home) -> None:
    write_settings(home, Settings(source="parquet", path="landing", first_day=date(2025, 3, 4)))
    before = home.toml.read_bytes()
    with pytest.raises(AtelierError, match=r"for 'parquet'; set ATELIER_HOME to another folder"):
        demo.main()
    assert home.toml.read_bytes() == before
    assert [file.name for file in home.root.iterdir()] == ["atelier.toml"]


def test_a_fresh_home_for_another_retailer_is_refused_before_it_is_made(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_SOURCE", "hm")
    with pytest.raises(AtelierError, match="for 'hm'"):
        demo.main()
    assert not home.root.exists()


def test_the_sample_retailers_homes_are_taken(home: Home) -> None:
    demo.check_sample(home)
    write_settings(home, Settings(source="sample", path="retailer", first_day=date(2025, 3, 3)))
    demo.check_sample(home)


def test_of_the_first_day_all_is_made_that_the_judge_reads_and_no_page(home: Home) -> None:
    made = {key.to_user_string() for key in demo.read_by_judge(home)}
    assert {f"{name}_model" for name in DAILY} | {f"recommendations/{name}" for name in DAILY} <= made
    assert {"image_embeddings", "attribute_model", "article_vectors", "vector_space"} <= made
    assert not made & {"feature_store", "report", "completeness", "articles", "interactions", "similar_articles/als"}
