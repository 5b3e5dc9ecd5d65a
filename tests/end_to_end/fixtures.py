"""A small retailer, and a home through which the whole DAG has run once."""

import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing import forkserver
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from assets.isolation import PRELOADED
from atelier.sources.sample import SampleConfig, generate
from resources.retailer import Home, Settings
from resources.settings_file import write_settings
from tests.end_to_end.house import HORIZON, House


@pytest.fixture(scope="session")
def retailer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SampleConfig]:
    """The files of a small sample retailer."""
    config = SampleConfig(articles=120, customers=300, days=12, image_size=48, sessions_per_customer=0.3)
    folder = tmp_path_factory.mktemp("retailer")
    generate(folder, config)
    answer(folder, config)
    return folder, config


def answer(folder: Path, config: SampleConfig) -> None:
    """What people said, as a CSV file of the first day: they accept an outfit, and reject two of its articles."""
    outfits = pd.read_parquet(folder / "outfits" / f"ds={config.first_day}.parquet")
    first = outfits.loc[outfits["outfit_id"] == outfits["outfit_id"].min(), "article_id"]
    rows = [("whole", article, "accepted") for article in first] + [("pair", each, "rejected") for each in first[:2]]
    (folder / "outfit_feedback").mkdir()
    answers = pd.DataFrame(rows, columns=["outfit_id", "article_id", "answer"])
    answers.to_csv(folder / "outfit_feedback" / f"ds={config.first_day}.csv", index=False)


@pytest.fixture(scope="session")
def make_house(
    retailer: tuple[Path, SampleConfig], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., House]]:
    """Makes homes that serve the small retailer, or a copy of its files to spoil, and homes like another."""
    folder, config = retailer
    with dg.DagsterInstance.ephemeral() as instance:

        def make(copy: bool = False, like: House | None = None) -> House:
            home = Home(tmp_path_factory.mktemp("home"))
            if like:
                shutil.copytree(like.home.root, home.root, dirs_exist_ok=True)
                return House(home, instance, like.ds)
            files = folder
            if copy:
                files = home.root / "files"
                shutil.copytree(folder, files)
            settings = Settings(
                source="sample", path=str(files), first_day=config.first_day, last_day=config.last_day, horizon=HORIZON
            )
            write_settings(home, settings)
            return House(home, instance, config.last_day)

        yield make


@pytest.fixture(scope="session")
def ingested(make_house: Callable[..., House]) -> House:
    """A home in which history is ingested. Do not change it: make one like it."""
    # The processes of isolated stages come from a server, which imports its libraries while this process goes on.
    multiprocessing.set_forkserver_preload([PRELOADED])
    forkserver.ensure_running()
    made = make_house()
    made.run("ingest", made.home.settings.first_day, made.ds)
    return made


@pytest.fixture(scope="session")
def house(make_house: Callable[..., House], ingested: House) -> House:
    """A home in which history is ingested, two days are complete, and the first of them is judged. Do not change it."""
    made = make_house(like=ingested)
    made.run("daily_retrain", made.ds - timedelta(days=HORIZON))
    made.run("daily_retrain", made.ds)
    made.run("judge", made.ds)
    return made
