"""Fine-tuning: it learns, repeats, keeps its hands off what is frozen, and says what cannot be done."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from atelier.errors import BundleError
from atelier.images import Encoder, FineTuned, FineTuningConfig, FineTuningError, Preprocessing, finetune
from atelier.images.activations import Activations, Viewing, compute_activations
from atelier.images.backbones import Backbone, build_backbone
from atelier.images.finetuning import _validation
from atelier.images.finetuning_config import Augmentation
from atelier.images.parts import cut_backbone
from atelier.images.tuning import Classifier
from atelier.nn.training_state import TrainingStateError
from tests.devices import DEVICES
from tests.nn.toy import Killed, kill_after_look

TINY = Preprocessing(resize=16, crop=16, fit="stretch", mean=(0, 0, 0), std=(1, 1, 1))
QUICK = FineTuningConfig(epochs=6, views=2, batch_size=16, dropout=0.0, learning_rate=1e-2)
STYLES, SHOTS = 30, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stripes, upright or lying, in red or blue; two photographs of each of 60 articles in 30 styles."""
    root = tmp_path_factory.mktemp("photographs")
    draws = np.random.default_rng(0)
    for style in range(STYLES):
        for shot in range(2 * SHOTS):
            stripes = np.zeros((16, 16, 3))
            phase = draws.integers(0, 4)
            bright = (np.arange(16) + phase) // 2 % 2
            stripes[:, :, 0 if style % 4 < 2 else 2] = 230 * (bright[:, None] if style % 2 else bright[None, :])
            noisy = np.clip(stripes + draws.normal(12, 8, stripes.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(root / f"{style}_{shot}.png")
    return root


@pytest.fixture(scope="module")
def photographs(folder: Path) -> pd.DataFrame:
    rows = [
        (f"a{style}{shot // SHOTS}", f"s{style}", f"{style}_{shot}.png") for style in range(STYLES) for shot in range(4)
    ]
    frame = pd.DataFrame(rows, columns=["article_id", "product_code", "path"]).astype("str")
    return frame.assign(digest=[hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in frame["path"]])


@pytest.fixture(scope="module")
def labels(photographs: pd.DataFrame) -> pd.DataFrame:
    """The direction of every article, the colour of two in three."""
    articles = photographs.drop_duplicates("article_id")
    style = articles["product_code"].str[1:].astype(int)
    direction = articles[["article_id"]].assign(attribute="direction", value=np.where(style % 2, "lying", "upright"))
    colour = articles[["article_id"]].assign(attribute="colour", value=np.where(style % 4 < 2, "red", "blue"))
    return pd.concat([direction, colour[style.to_numpy() % 3 > 0]], ignore_index=True).astype("str")


@pytest.fixture(scope="module")
def compact() -> Backbone:
    return build_backbone("compact", None, preprocessing=TINY)


@pytest.fixture(scope="module")
def tuned(compact: Backbone, photographs: pd.DataFrame, labels: pd.DataFrame, folder: Path) -> FineTuned:
    return finetune(compact, photographs, labels, root=folder, config=QUICK)


def mean_of(tuned: FineTuned, metric: str) -> float:
    rows = tuned.metrics[(tuned.metrics["attribute"] == "mean") & (tuned.metrics["metric"] == metric)]
    return float(rows["value"].iloc[0])


def losses_of(tuned: FineTuned) -> list[float]:
    return [each.loss for each in tuned.history if each.loss is not None]


def test_it_learns(tuned: FineTuned) -> None:
    assert mean_of(tuned, "weighted_f1_after") > 0.9
    assert losses_of(tuned)[-1] < losses_of(tuned)[0]
    assert tuned.summary["photographs"] == 4 * STYLES
    assert tuned.summary["views"] == 2
    assert tuned.summary["training"] + tuned.summary["validation"] == 4 * STYLES
    assert tuned.summary["attributes"] == 2


@pytest.mark.parametrize("device", DEVICES[1:])
def test_it_learns_on_another_device(
    compact: Backbone, photographs: pd.DataFrame, labels: pd.DataFrame, folder: Path, device: str
) -> None:
    there = finetune(compact, photographs, labels, root=folder, config=QUICK, device=device)
    assert mean_of(there, "weighted_f1_after") > 0.9
    assert all(value.device.type == "cpu" for value in there.backbone.module.state_dict().values())


def test_the_metrics_hold_before_and_after_of_every_attribute(tuned: FineTuned) -> None:
    wide = tuned.metrics.pivot(index="attribute", columns="metric", values="value")
    assert list(wide.index) == ["colour", "direction", "mean"]
    assert wide.loc["direction", "samples"] == tuned.summary["validation"]
    for metric in ("accuracy_before", "accuracy_after", "weighted_f1_before", "weighted_f1_after"):
        assert wide.loc["mean", metric] == pytest.approx(wide.loc[["colour", "direction"], metric].mean())
    assert wide.loc["mean", "classes"] == 4


def test_the_same_gives_the_same_and_another_seed_another(
    tuned: FineTuned, compact: Backbone, photographs: pd.DataFrame, labels: pd.DataFrame, folder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(99)  # somebody else's random state is neither read nor changed
    state = torch.random.get_rng_state()
    again = finetune(compact, photographs, labels.sample(frac=1, random_state=1), root=folder, config=QUICK)
    assert torch.equal(torch.random.get_rng_state(), state)
    tuned.save(tmp_path / "one")
    again.save(tmp_path / "two")
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name
    other = finetune(
        compact, photographs, labels, root=folder, config=QUICK.model_copy(update={"seed": 1, "epochs": 1})
    )
    assert other.backbone.weights_digest != tuned.backbone.weights_digest


def test_a_fine_tuning_that_was_killed_resumes_to_the_same_bytes(
    tuned: FineTuned, compact: Backbone, photographs: pd.DataFrame, labels: pd.DataFrame, folder: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    with pytest.MonkeyPatch.context() as patch:
        kill_after_look(patch, 3)
        with pytest.raises(Killed):
            finetune(compact, photographs, labels, root=folder, config=QUICK, training_state=state)
    with pytest.raises(TrainingStateError, match="made_from"):
        finetune(compact, photographs, labels.iloc[1:], root=folder, config=QUICK, training_state=state)
    again = finetune(compact, photographs, labels, root=folder, config=QUICK, training_state=state)
    tuned.save(tmp_path / "one")
    again.save(tmp_path / "two")
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_a_saved_backbone_encodes_as_it_did(tuned: FineTuned, folder: Path, tmp_path: Path) -> None:
    tuned.save(tmp_path)
    loaded = FineTuned.load(tmp_path)
    assert loaded.backbone.weights_digest == tuned.backbone.weights_digest
    assert loaded.backbone.preprocessing == TINY
    for name in ("cut", "config", "articles", "summary"):
        assert getattr(loaded, name) == getattr(tuned, name)
    assert loaded.history == [replace(epoch, step=0) for epoch in tuned.history]  # a bundle holds epochs, no steps
    pd.testing.assert_frame_equal(loaded.metrics, tuned.metrics)
    paths = sorted(folder.iterdir())[:5]
    by_path = Encoder.build("compact", tmp_path / "weights.safetensors", device="cpu")
    assert by_path.encoder_id == Encoder(tuned.backbone, device="cpu").encoder_id
    vectors = Encoder(tuned.backbone, device="cpu").encode(paths).vectors
    assert by_path.encode(paths).vectors.tobytes() == vectors.tobytes()


@pytest.mark.parametrize("missing", ["config.json", "weights.safetensors", "metrics.parquet", "articles.parquet"])
def test_a_damaged_bundle_is_named(tuned: FineTuned, tmp_path: Path, missing: str) -> None:
    tuned.save(tmp_path)
    (tmp_path / missing).write_bytes(b"{")
    with pytest.raises(BundleError, match="fine-tune again"):
        FineTuned.load(tmp_path)


def test_dense_layers_stand_below_the_heads_and_are_not_kept(
    compact: Backbone, tuned: FineTuned, photographs: pd.DataFrame, labels: pd.DataFrame, folder: Path, tmp_path: Path
) -> None:
    config = QUICK.model_copy(update={"dense": (64, 32), "epochs": 16, "patience": 16})
    dense = finetune(compact, photographs, labels, root=folder, config=config)
    assert mean_of(dense, "weighted_f1_after") > 0.9
    assert dense.backbone.weights_digest != tuned.backbone.weights_digest
    assert dense.backbone.module.state_dict().keys() == tuned.backbone.module.state_dict().keys()
    dense.save(tmp_path)
    assert FineTuned.load(tmp_path).config.dense == (64, 32)


def test_dense_layers_are_shared_and_their_widths_follow_each_other() -> None:
    classifier = Classifier(6, 5, 0.0, dense=(4, 3))
    assert [tuple(value.shape) for value in classifier.parameters()] == [(4, 6), (4,), (3, 4), (3,), (5, 3), (5,)]
    vectors = torch.randn(7, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(classifier(vectors), torch.zeros(7, 5)), "before a step, no value is more probable"
    assert [tuple(value.shape) for value in Classifier(6, 5, 0.0).parameters()] == [(5, 6), (5,)]
    with pytest.raises(ValidationError, match="greater than 0"):
        FineTuningConfig(dense=(0,))


def test_frozen_layers_keep_their_weights_and_their_statistics(
    compact: Backbone, photographs: pd.DataFrame, labels: pd.DataFrame, folder: Path
) -> None:
    """Nothing validates, so that the weights of the one epoch are kept whether or not they are better."""
    config = QUICK.model_copy(update={"share": 0.5, "epochs": 1, "validation_share": 1e-9})
    tuned = finetune(compact, photographs, labels, root=folder, config=config)
    assert (tuned.summary["validation"], tuned.summary["best_epoch"]) == (0, 1)
    assert tuned.cut == "features.3"
    before, after = compact.module.state_dict(), tuned.backbone.module.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[1] for name in changed} == {"3", "4", "5"}
    assert any("running_mean" in name for name in changed)


def test_learned_weights_start_from_heads_that_are_fitted_and_are_never_made_worse(
    tuned: FineTuned, photographs: pd.DataFrame, labels: pd.DataFrame, folder: Path
) -> None:
    """With steps that only destroy, the best epoch is the one before the first, and the weights stay what they were."""
    learned = tuned.backbone
    assert not learned.seeded
    harmful = QUICK.model_copy(update={"epochs": 2, "learning_rate": 30.0, "backbone_rate": 1.0, "share": None})
    again = finetune(learned, photographs, labels, root=folder, config=harmful)
    assert again.summary["best_epoch"] == 0
    assert again.backbone.weights_digest == learned.weights_digest
    assert mean_of(again, "weighted_f1_after") == mean_of(again, "weighted_f1_before") > 0.9


def test_what_is_learned_depends_on_the_given_photographs_labels_alone(
    tuned: FineTuned, compact: Backbone, photographs: pd.DataFrame, labels: pd.DataFrame, folder: Path
) -> None:
    strangers = pd.DataFrame({"article_id": ["x1", "x2"] * 5, "attribute": [f"b{i}" for i in range(10)], "value": "v"})
    again = finetune(compact, photographs, pd.concat([strangers, labels]), root=folder, config=QUICK)
    assert again.backbone.weights_digest == tuned.backbone.weights_digest
    assert not set(strangers["article_id"]) & set(again.articles)


def test_no_style_is_both_in_training_and_validation(photographs: pd.DataFrame) -> None:
    held = _validation(photographs, QUICK)
    styles = photographs["product_code"]
    assert held.any()
    assert not set(styles[held]) & set(styles[~held])


def test_an_unreadable_photograph_is_left_out_and_counted(
    compact: Backbone, photographs: pd.DataFrame, labels: pd.DataFrame, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changed = photographs.copy()
    changed.loc[3, "digest"] = "0" * 64
    changed.loc[5, "path"] = "none.png"
    tuned = finetune(compact, changed, labels, root=folder, config=QUICK.model_copy(update={"epochs": 1}))
    assert (tuned.summary["unreadable"], tuned.summary["photographs"]) == (2, 4 * STYLES - 2)
    assert "none.png: no such file" in caplog.text


def test_what_cannot_be_read_takes_no_second_copy_of_the_rest(
    compact: Backbone, photographs: pd.DataFrame, folder: Path
) -> None:
    """``memory_gib`` is what is kept: gaps stay where they are, and each photograph knows its row."""
    frozen = cut_backbone(compact, 0.25).frozen

    def kept(given: pd.DataFrame) -> Activations:
        viewing = Viewing(views=2, augmentation=Augmentation(), seed=0, memory_bytes=2**30, root=folder)
        return compute_activations(frozen, TINY, given, viewing, torch.device("cpu"))

    some = photographs.head(40)
    whole, gaps = kept(some), kept(some.assign(path=some["path"].where(some.index % 3 > 0, "none.png")))
    readable = torch.from_numpy(np.flatnonzero(some.index % 3 > 0))
    assert gaps.values.shape == whole.values.shape
    assert gaps.photographs["path"].tolist() == some["path"].iloc[readable.numpy()].tolist()
    places, views = torch.arange(len(readable)), torch.arange(len(readable)) % 2
    torch.testing.assert_close(gaps.take(places, views), whole.take(readable, views), rtol=0, atol=0)


def test_a_batch_that_could_leave_one_photograph_over_is_refused() -> None:
    with pytest.raises(ValidationError, match="batch_size"):
        FineTuningConfig(batch_size=2)


def test_memory_takes_views_first_and_photographs_then(
    compact: Backbone, photographs: pd.DataFrame, labels: pd.DataFrame, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one_view = 2 * 3 * 16 * 16 / 2**30

    def summary(room: float) -> dict[str, int]:
        config = QUICK.model_copy(update={"epochs": 1, "memory_gib": room * one_view, "views": 3})
        return finetune(compact, photographs, labels, root=folder, config=config).summary

    assert summary(2.5 * len(photographs))["views"] == 2
    assert "left out" not in caplog.text
    small = summary(0.5 * len(photographs))
    assert (small["views"], small["photographs"]) == (1, len(photographs) // 2)
    assert "raise memory_gib" in caplog.text


def test_what_cannot_be_done_is_said(
    compact: Backbone, photographs: pd.DataFrame, labels: pd.DataFrame, folder: Path
) -> None:
    with pytest.raises(FineTuningError, match="no value has 5 labelled articles"):
        finetune(compact, photographs, labels.head(4), root=folder, config=QUICK)
    gone = photographs.assign(path="none.png")
    with pytest.raises(FineTuningError, match="120 cannot be read"):
        finetune(compact, gone, labels, root=folder, config=QUICK)


def test_one_style_is_enough_to_train_on_without_validation(
    compact: Backbone, photographs: pd.DataFrame, labels: pd.DataFrame, folder: Path
) -> None:
    few = photographs[photographs["product_code"].isin(["s0", "s1"])]
    config = QUICK.model_copy(update={"epochs": 2, "min_samples": 1})
    tuned = finetune(compact, few, labels, root=folder, config=config)
    assert tuned.summary["validation"] == 0
    assert tuned.summary["best_epoch"] == 2
    assert np.isnan(mean_of(tuned, "weighted_f1_after"))


@pytest.mark.real_data
def test_mobilenet_learns_real_photographs(real_data: Path) -> None:
    files = sorted((real_data / "hm" / "images").rglob("*.jpg"))[::200]
    if not files:
        pytest.skip(f"no photographs in {real_data / 'hm'}")
    articles = pd.read_csv(real_data / "hm" / "articles.csv", dtype="str", usecols=["article_id", "index_group_name"])
    photographs = pd.DataFrame({"article_id": [f.stem for f in files], "path": [str(f) for f in files]}).astype("str")
    labels = articles.rename(columns={"index_group_name": "value"}).assign(attribute="index_group_name")
    start = build_backbone(
        "mobilenet_v2",
        real_data / "weights" / "mobilenet_v2-imagenet1k.safetensors",
        preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    )
    config = FineTuningConfig(epochs=2, views=1, validation_share=0.2)
    tuned = finetune(start, photographs, labels, config=config)
    assert tuned.cut == "features.15"
    assert tuned.backbone.preprocessing == start.preprocessing
    assert losses_of(tuned)[-1] < losses_of(tuned)[0]
