"""Outfit models on disk: what was saved comes back, and what is damaged is refused by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from atelier.errors import BundleError
from atelier.outfits import OutfitModel
from atelier.outfits.bundle import FILES
from atelier.outfits.compatibility import NotFittedError
from atelier.outfits.completion import complete
from tests.outfits.test_compatibility import articles, fitted, outfits


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    fitted().save(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.mark.parametrize(
    "config", [{}, {"head": "pair"}, {"modalities": ("text",), "statistics": False}, {"members": 2}]
)
def test_loaded_model_gives_the_same_scores(tmp_path: Path, config: dict[str, Any]) -> None:
    model = fitted(**config)
    model.save(tmp_path)
    before = torch.random.get_rng_state()
    loaded = OutfitModel.load(tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())
    assert loaded.config == model.config
    pd.testing.assert_frame_equal(loaded.score(outfits()), model.score(outfits()))
    new = ["shoes-1-new"]
    pd.testing.assert_frame_equal(complete(loaded, new, k=9), complete(model, new, k=9))


def test_same_model_gives_the_same_bytes_also_after_it_was_loaded(tmp_path: Path, saved: Path) -> None:
    again = OutfitModel(fitted().config).fit(outfits(), articles())
    again.save(tmp_path / "again")
    OutfitModel.load(saved).save(tmp_path / "loaded")
    assert files(saved) == files(tmp_path / "again") == files(tmp_path / "loaded")
    assert set(files(saved)) == {"config.json", *FILES}


def test_model_that_was_not_fitted_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        OutfitModel().save(tmp_path)


@pytest.mark.parametrize("name", ["config.json", *FILES])
def test_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}.*train the model again"):
        OutfitModel.load(saved)


@pytest.mark.parametrize("name", FILES)
def test_damaged_file_is_named(saved: Path, name: str) -> None:
    whole = bytearray((saved / name).read_bytes())
    whole[len(whole) // 2] ^= 1
    (saved / name).write_bytes(whole)
    with pytest.raises(BundleError, match=rf"{name} is damaged"):
        OutfitModel.load(saved)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"format": 3', '"format": 9', "has format 9, this version reads 3"),
        ('"factors": 16', '"factors": 20', "weights.safetensors cannot be read"),
        ('"outfits": ', '"outfit": ', "lacks outfit"),
        ("{", "", "config.json is missing or broken"),
    ],
)
def test_config_that_does_not_fit_is_refused(saved: Path, old: str, new: str, message: str) -> None:
    config = saved / "config.json"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))
    with pytest.raises(BundleError, match=message):
        OutfitModel.load(saved)


def test_model_of_two_articles_without_text_or_photograph_comes_back(tmp_path: Path) -> None:
    bare = pd.DataFrame({"article_id": ["b", "a"], "product_family": ["x", "y"]}, dtype="str")
    worn = pd.DataFrame({"outfit_id": ["o", "o"], "article_id": ["b", "a"]}, dtype="str")
    model = OutfitModel(fitted().config).fit(worn, bare)
    model.save(tmp_path)
    loaded = OutfitModel.load(tmp_path)
    assert loaded.fitted.articles.names.tolist() == ["b", "a"]
    assert np.isclose(loaded.score(worn)["score"], model.score(worn)["score"]).all()
