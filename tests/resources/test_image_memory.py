"""The memory of image files: it saves reading, changes no result, and names what cannot be used."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from atelier.sources.landed import REJECTED_SCHEMA
from resources.feature_store import FeatureStore
from resources.image_memory import ImageMemory, concatenate
from resources.tables.raw import REJECTED


def photograph(path: Path, seed: int = 0) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def listing(*rows: tuple[str, int, str]) -> pa.Table:
    articles, shots, paths = zip(*rows, strict=True)
    return pa.table({"article_id": list(articles), "shot": pa.array(shots, pa.int32()), "path": list(paths)})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    photograph(folder / "good.png", seed=1)
    photograph(folder / "other.png", seed=2)
    (folder / "corrupt.png").write_bytes((folder / "good.png").read_bytes()[:60])
    return folder


def inspect(listed: pa.Table, root: Path, home: Path) -> tuple[pa.Table, pa.Table, ImageMemory]:
    with ImageMemory(home) as memory:
        accepted, rejected = memory.inspect(listed, root)
    return accepted, rejected, memory


def test_a_corrupt_file_listed_twice_is_rejected_twice_and_keeps_the_key(root: Path, tmp_path: Path) -> None:
    listed = listing(("a", 0, "corrupt.png"), ("b", 0, "good.png"), ("c", 1, "corrupt.png"))
    accepted, rejected, _ = inspect(listed, root, tmp_path)

    assert accepted["article_id"].to_pylist() == ["b"]
    assert rejected.schema.names == REJECTED_SCHEMA.names
    rows = rejected.to_pylist()
    assert [row["row"] for row in rows] == [1, 3]
    assert {row["source_file"] for row in rows} == {"photographs/corrupt.png"}
    assert {(row["source_table"], row["column_name"]) for row in rows} == {("images", "path")}
    assert [json.loads(row["record"]) for row in rows] == [
        {"article_id": "a", "shot": 0, "path": "corrupt.png"},
        {"article_id": "c", "shot": 1, "path": "corrupt.png"},
    ]
    assert len({tuple(row[column] for column in REJECTED.key) for row in rows}) == 2


def test_the_contract_of_rejected_holds(root: Path, tmp_path: Path) -> None:
    from datetime import date

    from resources.contracts import audit

    listed = listing(*[(article, 0, "corrupt.png") for article in ("a", "b", "a", "a")])
    _, rejected, _ = inspect(listed, root, tmp_path)
    store = FeatureStore(tmp_path / "store", threads=1, audit=audit)
    written = store.write("rejected", date(2026, 3, 1), rejected, part="images")
    assert written.pointer.rows == 4


def test_of_equal_rows_the_places_are_those_that_were_not_taken(root: Path, tmp_path: Path) -> None:
    listed = listing(
        ("a", 0, "good.png"),
        ("x", 0, "corrupt.png"),
        ("a", 0, "good.png"),
        ("a", 0, "other.png"),
        ("a", 0, "good.png"),
        ("x", 0, "corrupt.png"),
        ("y", 0, "absent.png"),
    )
    accepted, rejected, _ = inspect(listed, root, tmp_path)
    assert accepted["path"].to_pylist() == ["good.png"]
    assert rejected["row"].to_pylist() == [2, 3, 4, 5, 6, 7]
    paths = listed["path"].to_pylist()
    assert rejected["source_file"].to_pylist() == [f"photographs/{paths[n - 1]}" for n in rejected["row"].to_pylist()]


def test_files_are_read_once_and_results_do_not_depend_on_memory(root: Path, tmp_path: Path) -> None:
    listed = listing(("a", 0, "good.png"), ("b", 0, "other.png"), ("c", 0, "corrupt.png"))
    first, refused, memory = inspect(listed, root, tmp_path)
    assert memory.files_read == 3
    again, refused_again, memory = inspect(listed, root, tmp_path)
    assert memory.files_read == 1  # what cannot be used is looked at each time: it may have been repaired
    assert again.equals(first)
    assert refused_again.equals(refused)
    (tmp_path / "image_memory.parquet").unlink()
    forgotten, _, memory = inspect(listed, root, tmp_path)
    assert memory.files_read == 3
    assert forgotten.equals(first)


def test_a_file_that_changes_is_read_again(root: Path, tmp_path: Path) -> None:
    listed = listing(("a", 0, "good.png"))
    before, _, _ = inspect(listed, root, tmp_path)
    photograph(root / "good.png", seed=9)
    os.utime(root / "good.png", ns=(1, 1))
    after, _, memory = inspect(listed, root, tmp_path)
    assert memory.files_read == 1
    assert after["digest"].to_pylist() != before["digest"].to_pylist()


def test_a_listing_that_stays_is_looked_at_once_in_a_range(root: Path, tmp_path: Path) -> None:
    listed = listing(("a", 0, "good.png"), ("c", 0, "corrupt.png"))
    with ImageMemory(tmp_path) as memory:
        first = memory.inspect(listed, root)
        second = memory.inspect(listing(("a", 0, "good.png"), ("c", 0, "corrupt.png")), root)
    assert memory.files_read == 2
    assert all(one.equals(other) for one, other in zip(first, second, strict=True))


def test_what_was_learned_survives_an_error(root: Path, tmp_path: Path) -> None:
    listed = listing(("a", 0, "good.png"))

    def fails() -> None:
        with ImageMemory(tmp_path) as memory:
            memory.inspect(listed, root)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fails()
    assert inspect(listed, root, tmp_path)[2].files_read == 0


def test_without_a_fault_nothing_is_rejected(root: Path, tmp_path: Path) -> None:
    _, rejected, _ = inspect(listing(("a", 0, "good.png")), root, tmp_path)
    assert rejected.equals(REJECTED_SCHEMA.empty_table())


def test_rejected_rows_of_source_and_files_are_put_together(root: Path, tmp_path: Path) -> None:
    _, refused, _ = inspect(listing(("c", 0, "corrupt.png")), root, tmp_path)
    known = REJECTED_SCHEMA.empty_table()
    both = concatenate(refused.cast(REJECTED_SCHEMA), refused)
    assert both.schema.equals(REJECTED_SCHEMA)
    assert both.num_rows == 2
    assert concatenate(known, known) is known
