"""Manifests: every photograph is accepted or rejected with a reason, and unchanged files are not read again."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from atelier.errors import SourceError
from atelier.images import build_manifest, decode, manifest

pytestmark = pytest.mark.hostile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four sound photographs, one truncated, one text, one link that leads outside."""
    root = tmp_path / "images"
    root.mkdir()
    generator = np.random.default_rng(0)
    for number in range(4):
        pixels = generator.integers(0, 256, (30, 20 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{number}.jpg")
    whole = (root / "0.jpg").read_bytes()
    (root / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "text.jpg").write_text("no image")
    (tmp_path / "secret.jpg").write_bytes(whole)
    (root / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    return root


@pytest.fixture
def listing() -> pd.DataFrame:
    rows = [
        ("a", 1, "1.jpg"),
        ("a", 0, "0.jpg"),
        ("b", 0, "text.jpg"),
        ("b", 1, "2.jpg"),
        ("c", 0, "truncated.jpg"),
        ("c", 1, "gone.jpg"),
        ("d", 0, "link.jpg"),
        ("d", 1, "../secret.jpg"),
        ("e", 0, "2.jpg"),  # the same file under another article
        ("b", 1, "3.jpg"),  # the same shot again
    ]
    return pd.DataFrame(rows, columns=["article_id", "shot", "path"])


def test_every_row_is_accepted_or_rejected_with_its_reason(folder: Path, listing: pd.DataFrame) -> None:
    found = build_manifest(listing, folder)
    assert len(found.accepted) + len(found.rejected) == len(listing)
    assert list(found.accepted.columns) == ["article_id", "shot", "path", "digest", "width", "height"]
    assert list(found.accepted["path"]) == ["1.jpg", "0.jpg", "2.jpg", "2.jpg"]
    first = found.accepted.iloc[0]
    assert first["digest"] == hashlib.sha256((folder / "1.jpg").read_bytes()).hexdigest()
    assert (first["width"], first["height"]) == (21, 30)
    reasons = dict(zip(found.rejected["path"], found.rejected["reason"], strict=True))
    assert "not an image" in reasons["text.jpg"]
    assert "truncated or damaged" in reasons["truncated.jpg"]
    assert "no such file" in reasons["gone.jpg"]
    assert "outside" in reasons["link.jpg"]
    assert "outside" in reasons["../secret.jpg"]
    assert "already" in reasons["3.jpg"]


def test_unchanged_files_are_not_read_again(
    folder: Path, listing: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = listing[listing["path"].isin(["0.jpg", "1.jpg", "2.jpg"])]
    first = build_manifest(sound, folder)
    assert first.files_read == 3
    monkeypatch.setattr(manifest, "read", lambda *_: pytest.fail("a file was read again"))
    second = build_manifest(sound, folder, first.known)
    assert second.files_read == 0
    pd.testing.assert_frame_equal(second.accepted, first.accepted)
    pd.testing.assert_frame_equal(second.known, first.known)


def test_a_changed_file_is_read_again(folder: Path, listing: pd.DataFrame) -> None:
    first = build_manifest(listing, folder)
    Image.new("RGB", (50, 60), "red").save(folder / "1.jpg")
    second = build_manifest(listing, folder, first.known)
    assert second.accepted.iloc[0][["width", "height"]].tolist() == [50, 60]
    assert second.accepted.iloc[0]["digest"] != first.accepted.iloc[0]["digest"]
    pd.testing.assert_frame_equal(second.accepted, build_manifest(listing, folder).accepted)


def test_same_size_but_touched_later_is_read_again(folder: Path, listing: pd.DataFrame) -> None:
    first = build_manifest(listing, folder)
    os.utime(folder / "0.jpg", ns=(1, 1))
    assert build_manifest(listing, folder, first.known).files_read == first.files_read - 3  # 1, 2 and 3


def test_known_survives_parquet(folder: Path, listing: pd.DataFrame, tmp_path: Path) -> None:
    first = build_manifest(listing, folder)
    first.known.to_parquet(tmp_path / "known.parquet")
    again = build_manifest(listing, folder, pd.read_parquet(tmp_path / "known.parquet"))
    pd.testing.assert_frame_equal(again.accepted, first.accepted)


def test_a_known_file_replaced_by_a_link_to_outside_is_rejected(folder: Path, listing: pd.DataFrame) -> None:
    first = build_manifest(listing, folder)
    (folder / "1.jpg").rename(folder.parent / "moved.jpg")
    (folder / "1.jpg").symlink_to(folder.parent / "moved.jpg")  # same size, same time of modification
    assert "1.jpg" in set(build_manifest(listing, folder, first.known).rejected["path"])


def test_no_images_at_all(folder: Path, listing: pd.DataFrame) -> None:
    empty = build_manifest(listing.iloc[:0], folder)
    assert len(empty.accepted) == len(empty.rejected) == len(empty.known) == 0
    all_bad = build_manifest(listing[listing["path"] == "gone.jpg"], folder)
    assert len(all_bad.accepted) == 0
    assert str(all_bad.accepted["width"].dtype) == "int32"


def test_what_makes_no_sense_stops(folder: Path, listing: pd.DataFrame) -> None:
    with pytest.raises(SourceError, match="no column shot"):
        build_manifest(listing.drop(columns="shot"), folder)
    with pytest.raises(SourceError, match="does not exist"):
        build_manifest(listing, folder / "nowhere")


def test_threads_do_not_change_the_outcome(folder: Path, listing: pd.DataFrame) -> None:
    one, many = build_manifest(listing, folder, threads=1), build_manifest(listing, folder, threads=8)
    pd.testing.assert_frame_equal(one.accepted, many.accepted)
    pd.testing.assert_frame_equal(one.rejected, many.rejected)
    assert decode.MAX_PIXELS == 50_000_000
