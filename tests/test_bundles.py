"""Files of bundles: the same content, the same bytes; and every fault named with the file and the remedy."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pydantic import BaseModel, ConfigDict

from atelier.bundles import (
    read_arrays,
    read_config,
    read_table,
    reading,
    shapes_of,
    under,
    write_arrays,
    write_config,
    write_table,
)
from atelier.errors import BundleError

pytestmark = pytest.mark.hostile

ARRAYS = {"b.x": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([True, False]), "b.y": np.array(3)}


class Described(BaseModel):
    """What a bundle of these tests says of itself."""

    model_config = ConfigDict(extra="forbid")

    model: Literal["odd"] = "odd"
    format: Literal[3] = 3
    sizes: dict[str, int]


def test_what_was_written_is_read_and_written_again_with_the_same_bytes(tmp_path: Path) -> None:
    table = pd.DataFrame({"name": ["x", None], "value": [1.5, 2.5]}).astype({"name": "str"})
    for folder in (tmp_path / "one", tmp_path / "two"):
        write_config(folder, Described(sizes={"z": 1, "a": 2}))
        write_arrays(folder, ARRAYS)
        write_table(folder / "table.parquet", table)
        assert read_config(folder, Described).sizes == {"z": 1, "a": 2}
        arrays = read_arrays(folder, shapes_of(ARRAYS))
        assert {name: array.dtype for name, array in arrays.items()} == {n: a.dtype for n, a in ARRAYS.items()}
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(arrays[name], array)
        table = read_table(folder / "table.parquet", ("name", "value")).to_pandas().astype({"name": "str"})
    for file in ("config.json", "weights.safetensors", "table.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert (tmp_path / "one" / "config.json").read_text().startswith('{\n  "format": 3,\n  "model": "odd",')


def test_keys_can_keep_the_order_of_the_fields(tmp_path: Path) -> None:
    write_config(tmp_path, Described(sizes={}), "index.json", sort_keys=False)
    assert list(json.loads((tmp_path / "index.json").read_text())) == ["model", "format", "sizes"]


def test_arrays_under_a_prefix() -> None:
    assert {name: array.shape for name, array in under(ARRAYS, "b.").items()} == {"x": (2, 3), "y": ()}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is no model bundle: config.json is missing or broken .* train it anew"),
        ("{", "is no model bundle: config.json is missing or broken"),
        ("[]", "is no model bundle: config.json is missing or broken"),
        ("{}", "is no model bundle: config.json is missing or broken .*'format'"),
        ('{"format": 2, "sizes": {}}', "has format 2, this version reads 3: train it anew"),
        ('{"format": 3, "model": "even"}', "lacks model and sizes as .*sizes: Field required.*: train it anew"),
        ('{"format": 3, "sizes": {"a": "many"}}', "lacks sizes as .*sizes.a: Input should be"),
        ('{"format": 3, "sizes": {}, "more": 1}', "lacks more as .* not permitted"),
    ],
)
def test_a_config_that_cannot_be_read_says_why(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(BundleError, match=rf"{tmp_path}\S* {message}"):
        read_config(tmp_path, Described, remedy="train it anew")


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"a": [2], "b.x": [2, 3]}, r"of b\.y it has the shape \[\], not None"),
        ({"a": [3], "b.x": [2, 3], "b.y": []}, r"of a it has the shape \[2\], not \[3\]"),
        ({"a": [2], "b.x": [2, 3], "b.y": [], "c": [1]}, r"of c it has the shape None, not \[1\]"),
    ],
)
def test_arrays_of_other_shapes_are_refused(tmp_path: Path, shapes: dict[str, Any], message: str) -> None:
    write_arrays(tmp_path, ARRAYS)
    with pytest.raises(BundleError, match=rf"weights\.safetensors does not belong to its config\.json: {message}"):
        read_arrays(tmp_path, shapes)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"damaged" * 9])
def test_damaged_arrays_and_tables_are_named(tmp_path: Path, content: bytes | None) -> None:
    for name in ("weights.safetensors", "table.parquet"):
        if content is not None:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{tmp_path}/table\.parquet cannot be read .*: train it anew"):
        read_table(tmp_path / "table.parquet", ("x",), remedy="train it anew")
    with pytest.raises(BundleError, match=rf"{tmp_path}/weights\.safetensors cannot be read .*: train it anew"):
        read_arrays(tmp_path, remedy="train it anew")


def test_a_table_without_a_column_is_named(tmp_path: Path) -> None:
    write_table(tmp_path / "table.parquet", pa.table({"x": [1]}))
    with pytest.raises(BundleError, match=r"table\.parquet cannot be read .*y"):
        read_table(tmp_path / "table.parquet", ("x", "y"))


def test_an_inner_fault_keeps_its_own_name(tmp_path: Path) -> None:
    outer, inner = reading(tmp_path / "outer"), reading(tmp_path / "inner")
    with pytest.raises(BundleError, match="inner cannot be read"), outer, inner:
        raise KeyError("gone")
    with pytest.raises(ZeroDivisionError), reading(tmp_path / "outer"):
        raise ZeroDivisionError  # a mistake of the code is no fault of the file
