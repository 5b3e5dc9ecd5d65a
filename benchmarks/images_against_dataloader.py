"""Photographs to stored vectors: the pipeline's encoder, a plain DataLoader script, and the bare network.

Run it as ``python -m benchmarks.images_against_dataloader``. All compute the same network (``--backbone`` of
torchvision, without its classifier) with the same seeded weights, which do not matter for speed, on the processor:

- ours: :class:`~atelier.images.embedding.Encoder` from files, whose digests it compares, to the embedding cache, as the
  step ``image_embeddings`` does; ``--threads`` decode beside the network.
- a DataLoader script: Pillow, torchvision's transforms, as many worker processes, ``numpy.save``.
- the bare network: the same batches, decoded and normalised before the clock starts. This is no peer but the least that
  anything from files to vectors can take.

Both precisions are measured where the processor computes bfloat16 natively: float32 on all sides, and the pipeline's
own choice, which is then bfloat16, against the script in float32. Pixels differ a little, because ours scales and cuts
in one step. The run fails where a vector of the float32 sides, without what all vectors share, has a cosine below
``LEAST`` with the other side's.
"""

import argparse
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as atelier says, which is imported too late here

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from atelier.images.backbones import build_backbone
from atelier.images.embedding import Encoder, Precision
from atelier.images.preprocessing import Preprocessing
from benchmarks.image_embedding import drawn
from benchmarks.ratios import Row, in_turns, table, write
from resources.embedding_cache import EmbeddingCache

NAME = "images_against_dataloader"
LEAST = 0.999
Vectors = npt.NDArray[np.float32]


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--count", type=int, default=48, help="photographs of 600 × 800 pixels")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=0, help="of torch, and as many to decode; 0: one for each core")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=Path, help="where the rows are written as JSON")
    return parser.parse_args(given)


class Photographs(Dataset[Tensor]):
    """Files as a plain script reads them: Pillow and torchvision's transforms.

    Args:
        files: JPEGs.
        expected: what the weights expect.
    """

    def __init__(self, files: Sequence[Path], expected: Preprocessing) -> None:
        self._files = files
        self._transform = transforms.Compose(
            [
                transforms.Resize(expected.resize),
                transforms.CenterCrop(expected.crop),
                transforms.ToTensor(),
                transforms.Normalize(expected.mean, expected.std),
            ]
        )

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self._files[index]) as image:
            found: Tensor = self._transform(image.convert("RGB"))
            return found


class Sides:
    """The ways from files to vectors.

    Args:
        options: see :func:`arguments`.
        files: the photographs.
        folder: for what is stored.
    """

    def __init__(self, options: argparse.Namespace, files: Sequence[Path], folder: Path) -> None:
        self._options, self._files, self._folder = options, files, folder
        self._threads = options.threads or os.cpu_count() or 1
        torch.set_num_threads(self._threads)
        self._digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
        backbone = build_backbone(options.backbone, None)
        self._network: nn.Module = backbone.module
        self._photographs = Photographs(files, backbone.preprocessing)
        self._ready = list(DataLoader(self._photographs, batch_size=options.batch_size))
        self._runs = 0

    def encoder(self, precision: Precision) -> Encoder:
        """The pipeline's, after a batch that is not timed."""
        backbone, size = build_backbone(self._options.backbone, None), self._options.batch_size
        encoder = Encoder(backbone, "cpu", precision, size, self._threads)
        encoder.encode(self._files[:size], description="warming up")
        return encoder

    def ours(self, encoder: Encoder) -> Vectors:
        """From files to a new embedding cache."""
        self._runs += 1
        cache = EmbeddingCache(self._folder / f"cache-{self._runs}")
        found = encoder.encode(self._files, digests=self._digests, description=f"{encoder.backbone.name}")
        cache.append(encoder.encoder_id, self._digests, found.vectors)
        return found.vectors

    def script(self) -> Vectors:
        """From files to a file of vectors, by a DataLoader."""
        workers, size = self._threads, self._options.batch_size
        with torch.inference_mode():
            batches = DataLoader(self._photographs, batch_size=size, num_workers=workers)
            found = np.concatenate([self._network(batch).numpy() for batch in batches])
        np.save(self._folder / "vectors.npy", found, allow_pickle=False)
        return np.asarray(found, np.float32)

    def bare(self) -> Vectors:
        """From batches in memory to vectors in memory."""
        with torch.inference_mode():
            return np.concatenate([self._network(batch).numpy() for batch in self._ready])


def agreement(ours: Vectors, theirs: Vectors) -> float:
    """The lowest cosine of two vectors of the same photograph, float32 [n, dimension], without their common mean."""
    a, b = (vectors.astype(np.float64) - ours.mean(axis=0, dtype=np.float64) for vectors in (ours, theirs))
    return float(((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of the table.

    Raises:
        RuntimeError: vectors of the two sides differ.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sides = Sides(options, drawn(folder, options.count), folder)
        single, chosen = sides.encoder("float32"), sides.encoder("auto")
        actions = [lambda: sides.ours(single), sides.script, sides.bare]
        if chosen.precision != "float32":
            actions.append(lambda: sides.ours(chosen))
        seconds, vectors = in_turns(options.repeats, *actions)
    lowest = agreement(vectors[0], vectors[1])
    if not lowest >= LEAST:
        raise RuntimeError(f"a photograph's vectors have a cosine of {lowest:.3f} only: the two sides do not agree")
    what = f"images: {options.count} photographs to vectors, {options.backbone}"
    checked = f"cosines of centred vectors at least {lowest:.4f}"
    rows = [
        Row.of(NAME, f"{what}, float32", "DataLoader script", *seconds[:2], checked=checked),
        Row.of(NAME, f"{what}, float32", "the network alone", seconds[0], seconds[2]),
    ]
    if len(seconds) > len(rows) + 1:
        close = f"cosines of centred vectors at least {agreement(vectors[3], vectors[1]):.4f}"
        rows.append(
            Row.of(NAME, f"{what}, {chosen.precision}", "DataLoader script", seconds[3], seconds[1], checked=close)
        )
    return rows


def main() -> None:
    """Measure and print."""
    options = arguments()
    rows = measure(options)
    print(table(rows))
    write(rows, options.out)


if __name__ == "__main__":
    main()
