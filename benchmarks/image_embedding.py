"""Images per second of each backbone in float32 and in bf16, and how far the two sets of vectors are apart.

Run it as ``python -m benchmarks.image_embedding``. Without ``--images`` it draws photographs of 600 × 800 pixels. The
time is from files to vectors; decoding runs in threads beside the network. Weights are seeded unless given, which does
not matter for speed; the agreement of the two precisions should be measured with trained ones. Images per second of
processor time are valid on a busy machine too; with one thread, the number of cores times them is an estimate for an
idle machine.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

BACKBONES = ("small", "mobilenet_v2", "resnet50", "vgg16")


def arguments() -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES))
    parser.add_argument("--weights", nargs="*", default=[], metavar="BACKBONE=FILE", help=".safetensors files")
    parser.add_argument("--images", type=Path, help="a folder of photographs, searched recursively")
    parser.add_argument("--count", type=int, default=64, help="photographs for each measurement")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2, help="of torch, and as many to decode")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    return parser.parse_args()


def drawn(folder: Path, count: int) -> list[Path]:
    """Write ``count`` soft random photographs."""
    generator = np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for path in paths:
        coarse = Image.fromarray(generator.integers(0, 256, (8, 6, 3), dtype=np.uint8))
        coarse.resize((600, 800), Image.Resampling.BICUBIC).save(path, quality=90)
    return paths


def measure(options: argparse.Namespace, backbone: str, paths: list[Path]) -> str:
    """Measure one backbone; gives its line of the table."""
    from atelier.images import Encoder

    weights = dict(pair.split("=", 1) for pair in options.weights).get(backbone)
    rates, busy, vectors = [], [], []
    for precision in ("float32", "bf16"):
        encoder = Encoder.build(
            backbone,
            weights,
            device=options.device,
            precision=precision,
            batch_size=options.batch_size,
            threads=options.threads,
        )
        encoder.encode(paths[: options.batch_size], description="warming up")
        start, cpu = time.perf_counter(), time.process_time()
        vectors.append(encoder.encode(paths, description=f"{backbone} {precision}").vectors.astype(np.float64))
        rates.append(len(paths) / (time.perf_counter() - start))
        busy.append(len(paths) / (time.process_time() - cpu))
    exact, fast = vectors
    cosine = (exact * fast).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(fast, axis=1)
    error = np.linalg.norm(exact - fast) / np.linalg.norm(exact)
    return (
        f"{backbone:<14}{exact.shape[1]:>6}{rates[0]:>10.1f}{rates[1]:>10.1f}{busy[0]:>12.1f}{busy[1]:>8.1f}"
        f"{cosine.min():>12.5f}{error:>12.5f}"
    )


def main() -> None:
    """Measure and print."""
    options = arguments()
    import torch

    from resources.compute import Compute

    Compute(options.device, options.threads).apply()
    with tempfile.TemporaryDirectory() as folder:
        if options.images is None:
            paths = drawn(Path(folder), options.count)
        else:
            paths = sorted(p for p in options.images.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
            paths = paths[: options.count]
        lines = [measure(options, backbone, paths) for backbone in options.backbones]
    print(Compute(options.device, options.threads).describe() | {"load": os.getloadavg()[0]})
    print(f"{len(paths)} photographs, batches of {options.batch_size}, torch {torch.__version__}")
    print(f"{'':<20}{'images/s, wall':>20}{'images/s, processor':>20}")
    print("backbone        size   float32      bf16     float32    bf16  cosine min  rel. error")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
