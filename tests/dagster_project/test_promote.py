"""``atelier promote``: what it writes, what it leaves alone, and what it refuses."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from atelier.images import FineTuned, FineTuningConfig, Preprocessing, finetune
from atelier.images.backbones import build_backbone
from dagster_project.cli import cli
from dagster_project.commands.promote import NotBetter
from resources.model_store import ModelStore
from resources.retailer import Home, Settings, SettingsError
from resources.settings_file import check_settings, write_settings

Run = Callable[..., Result]
FIRST, SECOND = date(2025, 3, 4), date(2025, 3, 9)


@pytest.fixture(scope="module")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> tuple[FineTuned, FineTuned]:
    """Two backbones, fine-tuned for a moment."""
    root = tmp_path_factory.mktemp("photographs")
    for number in range(12):
        Image.fromarray(np.full((8, 8, 3), 20 * number, np.uint8)).save(root / f"{number}.png")
    names = [str(number) for number in range(12)]
    photographs = pd.DataFrame({"article_id": names, "path": [f"{name}.png" for name in names]}).astype("str")
    labels = photographs[["article_id"]].assign(attribute="shade", value=["dark"] * 6 + ["light"] * 6)
    start = build_backbone("compact", None, preprocessing=Preprocessing(resize=8, crop=8, fit="stretch"))
    made = [
        finetune(start, photographs, labels, root=root, config=FineTuningConfig(epochs=1, views=1, seed=seed))
        for seed in (0, 1)
    ]
    return with_gain(made[0], 0.1), with_gain(made[1], 0.1)


def with_gain(tuned: FineTuned, gain: float) -> FineTuned:
    """The same backbone, whose figures say that fine-tuning added so much to the mean weighted F1."""
    metrics = tuned.metrics.copy()
    for metric, value in (("weighted_f1_before", 0.5), ("weighted_f1_after", 0.5 + gain)):
        metrics.loc[(metrics["attribute"] == "mean") & (metrics["metric"] == metric), "value"] = value
    return replace(tuned, metrics=metrics)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in [name for name in os.environ if name.startswith("ATELIER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    made = Home.from_environment()
    write_settings(made, Settings(source="parquet", path="landing", first_day=FIRST))
    return made


@pytest.fixture
def trained(home: Home, backbones: tuple[FineTuned, FineTuned]) -> dict[date, str]:
    models = ModelStore(home.store)
    days = zip((FIRST, SECOND), backbones, strict=True)
    return {day: models.publish("image_backbone", day, tuned.save, {}).model_id for day, tuned in days}


@pytest.fixture
def run() -> Run:
    return lambda *arguments: CliRunner().invoke(cli, ["promote", "image_backbone", *arguments])


def test_the_newest_is_promoted_and_its_figures_are_shown(home: Home, trained: dict[date, str], run: Run) -> None:
    done = run()
    assert done.exit_code == 0, done.output
    assert home.settings.encoder.promoted == trained[SECOND]
    for said in ("weighted F1 before", "shade", trained[SECOND], "labels of 2025-03-09", "now encoded"):
        assert said in done.output
    again = home.toml.read_bytes()
    assert "already encoded" in run().output
    assert home.toml.read_bytes() == again


@pytest.mark.parametrize("gain", [0.0, -0.02, float("nan")])
def test_a_backbone_that_is_no_better_is_promoted_only_on_demand(
    home: Home, backbones: tuple[FineTuned, FineTuned], run: Run, gain: float
) -> None:
    before = home.toml.read_bytes()
    model_id = ModelStore(home.store).publish("image_backbone", FIRST, with_gain(backbones[0], gain).save, {}).model_id
    refused = run()
    assert isinstance(refused.exception, NotBetter)
    assert f"not promoted: fine-tuning changed the mean weighted F1 on styles it had not seen by {gain:+.3f}" in str(
        refused.exception
    )
    assert home.toml.read_bytes() == before
    assert run("--anyway").exit_code == 0
    assert home.settings.encoder.promoted == model_id


def test_a_day_can_be_chosen_and_undone(home: Home, trained: dict[date, str], run: Run) -> None:
    before = home.toml.read_bytes()
    assert run("--day", "2025-03-04").exit_code == 0
    assert home.settings.encoder.promoted == trained[FIRST]
    assert run("--undo").exit_code == 0
    assert home.toml.read_bytes() == before
    assert "already small" in run("--undo").output


def test_it_is_another_setting_than_those_that_init_writes(home: Home, trained: dict[date, str], run: Run) -> None:
    """Comments survive; to ask init for the same once more is still the same, and for another backbone still is not."""
    home.toml.write_text("# ours\n" + home.toml.read_text().replace("[encoder]", "[encoder]  # eyes"))
    asked = home.settings
    run()
    text = home.toml.read_text()
    assert text.startswith("# ours\n")
    assert "[encoder]  # eyes" in text
    assert check_settings(home, asked)
    write_settings(home, asked)
    assert home.toml.read_text() == text
    other = asked.model_copy(update={"encoder": asked.encoder.model_copy(update={"backbone": "vgg16"})})
    with pytest.raises(SettingsError, match=r"encoder\.backbone is 'small', asked for 'vgg16'"):
        check_settings(home, other)


def test_a_file_without_an_encoder_gets_one(home: Home, trained: dict[date, str], run: Run) -> None:
    home.toml.write_text('source = "parquet"\npath = "landing"\nfirst_day = 2025-03-04\n')
    assert run().exit_code == 0
    assert home.settings.encoder.promoted == trained[SECOND]


def test_what_cannot_be_promoted_is_refused_and_nothing_is_written(
    home: Home, trained: dict[date, str], run: Run
) -> None:
    before = home.toml.read_bytes()
    missing = run("--day", "2025-03-05")
    assert "dg launch --job image_backbone --partition 2025-03-05" in str(missing.exception)
    assert run("--undo", "--day", "2025-03-04").exit_code == 2
    weights = home.store / "models" / "image_backbone" / trained[SECOND] / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    assert "weights.safetensors is not what was published" in str(run().exception)
    assert home.toml.read_bytes() == before


def test_where_none_was_trained_the_job_is_named(home: Home, run: Run) -> None:
    assert "dg launch --job image_backbone" in str(run().exception)
    home.toml.unlink()
    assert run("--undo").exit_code == 1
