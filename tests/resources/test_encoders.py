"""Which backbone an encoder was made from: recorded once, found again, and loud where the record is damaged."""

from pathlib import Path
from types import SimpleNamespace
from typing import Literal, cast

import pytest
from PIL import Image

from atelier.errors import BundleError
from atelier.images import Encoder
from atelier.images.backbones import build_backbone
from resources.encoders import EncoderGone, backbone_of, encoder_of, record_backbone, records
from resources.model_store import ModelStore
from resources.retailer import EncoderSettings, Home
from resources.storage import open_storage

FIRST, SECOND = "a" * 32, "b" * 32


def test_what_is_recorded_is_found_and_nothing_else(tmp_path: Path) -> None:
    record_backbone(tmp_path, "vgg16-1", FIRST)
    assert backbone_of(tmp_path, ["vgg16-1"]) == FIRST
    assert backbone_of(tmp_path, ["vgg16-2"]) is None
    assert backbone_of(tmp_path, []) is None
    assert backbone_of(tmp_path, ["vgg16-1", "vgg16-2"]) is None, "two encoders: none of them has read everything"
    assert ModelStore(tmp_path).days("image_backbone") == [], "a record is no bundle of a day"


def test_the_same_record_again_writes_nothing_and_another_one_replaces_it(tmp_path: Path) -> None:
    record_backbone(tmp_path, "vgg16-1", FIRST)
    (record,) = tmp_path.glob("models/*/encoders/*.json")
    before = record.stat().st_mtime_ns
    record_backbone(tmp_path, "vgg16-1", FIRST)
    assert record.stat().st_mtime_ns == before
    record_backbone(tmp_path, "vgg16-1", SECOND)
    assert backbone_of(tmp_path, ["vgg16-1"]) == SECOND


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_a_damaged_record_names_its_file_and_the_remedy(tmp_path: Path, text: str) -> None:
    record_backbone(tmp_path, "vgg16-1", FIRST)
    (record,) = tmp_path.glob("models/*/encoders/*.json")
    record.write_text(text)
    with pytest.raises(BundleError, match=rf"{record.name} .*delete it, and run image_embeddings again"):
        backbone_of(tmp_path, ["vgg16-1"])


@pytest.mark.parametrize("text", ["", "{", "{}", "null", '{"model_id": null}'])
def test_a_damaged_record_is_written_again(tmp_path: Path, text: str) -> None:
    record_backbone(tmp_path, "vgg16-1", FIRST)
    assert list(records(tmp_path)) == ["vgg16-1"]
    (tmp_path / records(tmp_path)["vgg16-1"]).write_text(text)
    record_backbone(tmp_path, "vgg16-1", SECOND)
    assert backbone_of(tmp_path, ["vgg16-1"]) == SECOND


def home_of(root: Path) -> Home:
    """A home whose settings name the small backbone."""
    settings = SimpleNamespace(encoder=EncoderSettings(backbone="small", weights="none"))
    return cast("Home", SimpleNamespace(storage=open_storage(root), settings=settings))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("decoding", ["host", "device"])
def test_the_encoder_of_a_card_is_built_on_a_processor_and_reads_a_photograph(
    tmp_path: Path, precision: Literal["float32", "bf16"], decoding: Literal["host", "device"]
) -> None:
    made = Encoder(build_backbone("small", None), "cpu", precision, decoding=decoding)
    found = encoder_of(home_of(tmp_path), ModelStore(tmp_path), made.encoder_id)
    assert (found.encoder_id, found.precision, found.decoding) == (made.encoder_id, precision, decoding)
    Image.new("RGB", (300, 200), "red").save(tmp_path / "x.jpg")
    there, here = (encoder.encode([tmp_path / "x.jpg"]).vectors for encoder in (made, found))
    assert there.shape == (1, made.dimension)
    assert there.tobytes() == here.tobytes()


def test_an_encoder_that_the_settings_do_not_make_says_so(tmp_path: Path) -> None:
    with pytest.raises(EncoderGone, match=r"small-0, .*no image_backbone is recorded for it, and .* atelier.toml make"):
        encoder_of(home_of(tmp_path), ModelStore(tmp_path), "small-0")
