"""Photographs encoded in blocks: the same vectors, byte for byte, and the same rejections."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atelier.errors import AtelierError
from atelier.images import blocks
from atelier.images.blocks import BlockEncoder
from atelier.images.embedding import Encoder
from atelier.images.preprocessing import Preprocessing
from resources.compute import Compute
from resources.image_worker import encoded_chunks


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    """A folder, paths and digests; of some photographs one is damaged, one is gone, one has changed since."""
    folder = tmp_path_factory.mktemp("photographs")
    generator = np.random.default_rng(0)
    paths = [f"{number}.png" for number in range(37)]
    for path in paths:
        coarse = generator.integers(0, 256, (6, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((50, 60), Image.Resampling.BICUBIC).save(folder / path)
    (folder / "5.png").write_bytes((folder / "5.png").read_bytes()[:200])
    digests = [hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in paths]
    (folder / "20.png").unlink()
    digests[36] = digests[0]
    return folder, paths, digests


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.build("resnet18", None, Preprocessing(resize=40, crop=32), device="cpu", batch_size=2)


def test_blocks_give_what_the_whole_list_gives(encoder: Encoder, listing: tuple[Path, list[str], list[str]]) -> None:
    root, paths, digests = listing
    expected = encoder.encode(paths, root, digests)
    cut = blocks.blocks_of(paths, digests, encoder.batch_size)
    assert [block.num_rows for block in cut] == [16, 16, 5]
    worker = BlockEncoder(**blocks.arguments(encoder, root))
    found = blocks.joined(paths, (batch for block in cut for batch in worker(block)))
    assert found.vectors.tobytes() == expected.vectors.tobytes()
    threaded = BlockEncoder(**blocks.arguments(encoder, root) | {"threads": 5})
    more = blocks.joined(paths, (batch for block in cut for batch in threaded(block)))
    assert more.vectors.tobytes() == expected.vectors.tobytes(), "no vector depends on the number of threads"
    assert found.ok.tolist() == expected.ok.tolist()
    assert list(map(str, found.errors)) == list(map(str, expected.errors))
    assert [error.path for error in found.errors] == ["5.png", "20.png", "36.png"]


def test_a_block_is_decoded_by_as_many_threads_as_the_encoder_has(tmp_path: Path) -> None:
    encoder = Encoder.build("small", None, threads=5, device="cpu")
    assert blocks.arguments(encoder, tmp_path)["threads"] == 5


def test_this_process_encodes_a_chunk_at_a_time(encoder: Encoder, listing: tuple[Path, list[str], list[str]]) -> None:
    root, paths, digests = listing
    chunks = list(encoded_chunks(encoder, root, paths, digests, 16, Compute("cpu", 1)))
    assert [len(chunk.ok) for chunk in chunks] == [16, 16, 5]
    together = np.concatenate([chunk.vectors for chunk in chunks])
    assert together.tobytes() == encoder.encode(paths, root, digests).vectors.tobytes()


def test_a_worker_that_would_make_another_encoder_is_refused(encoder: Encoder, tmp_path: Path) -> None:
    given = blocks.arguments(encoder, tmp_path)
    other = "bf16" if encoder.precision == "float32" else "float32"
    with pytest.raises(AtelierError, match=f"of the weights of {encoder.encoder_id}: install the same version"):
        BlockEncoder(**given | {"precision": other})
