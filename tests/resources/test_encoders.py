"""Which backbone an encoder was made from: recorded once, found again, and loud where the record is damaged."""

from pathlib import Path

import pytest

from atelier.errors import BundleError
from resources.encoders import backbone_of, record_backbone, records
from resources.model_store import ModelStore

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
