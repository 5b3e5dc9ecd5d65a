"""The outfit model on mango's curated outfits, against controls that only count.

    python -m benchmarks.mango_outfits --mango FOLDER --weights FILE [--vectors FOLDER] [--seeds 0 1 2] [--epochs 6]
        [--ablations NAME …] [--threads 2]

FOLDER holds product_data.csv, outfit_data.csv and images/, FILE the weights of MobileNetV2 (ImageNet). Outfits are
deduplicated and divided 80/10/10 by outfit, and once more so that no product is in two parts. Each article of a test
outfit is masked once and offered among three others of its ``product_family``:

- ``uniform``: any of the family, equally likely; the model's score takes popularity in.
- ``popularity-matched``: of the family, by how often they were in training outfits; and the same questions without
  those whose right answer was never trained on, which a count can recognise by that alone.
- ``new article``: the right answer and the wrong ones were in no training outfit; the rest of the outfit may have been.
- ``new products``: the split by product: no article of the question was ever trained on.

``AUC``: real outfits against the same with every article replaced by one of its family, drawn by popularity (among
the part's own articles in the split by product). Intervals are 95% bootstrap intervals over outfits; ``joined`` is all
controls in a conditional logistic regression fitted on the questions of the validation outfits, and ``gain`` the paired
difference between the model and the best control.

- ``--vectors``: a folder in which vectors are stored between runs. It is not checked that a file was made with the
  given weights.
- ``--ablations``: instead of all that, variants of the model beside it: names of :data:`VARIANTS`, or ``all``; on the
  first seed's split by outfit, each figure with the paired difference from the model of the same passes.

A photograph is trimmed to what differs from its background and encoded at 112 × 112 by MobileNetV2, whose 1,280
features are joined with the 578 of the backbone ``small``, which sees colours. A product without a photograph, or with
one that cannot be read, has no image vector; how many there are is printed.

What belongs here: mango's photographs, its splits and questions. What does not: the comparison itself
(:mod:`benchmarks.outfit_comparison`), models, controls.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from atelier.arrays import Mask
from atelier.images.decode import ImageRejected, decode, read
from atelier.outfits.config import OutfitConfig
from atelier.outfits.files import read_mango
from atelier.outfits.names import FAMILY, MERGES, Modality
from atelier.outfits.outfits import Outfits
from atelier.outfits.splits import split_by_outfit, split_by_product
from benchmarks.hm_attributes import Vectors, cached_vectors
from benchmarks.outfit_comparison import Comparison, Data, Question, ablations, printed

SIDE = 112
BACKGROUND = 20
"""How far a pixel's channel may be from the background and still belong to it, of 255."""
MARGIN = 1.06
"""Side of the square around a trimmed article, in its longer side."""
PAIR: Mapping[str, Any] = {"head": "pair"}
READ: tuple[Modality, ...] = ("image", "attributes", "embedding")
"""Mango has no texts."""
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "without statistics": {"statistics": False},
    **{f"without {gone}": {"modalities": tuple(m for m in READ if m != gone)} for gone in READ},
    "image alone": {"modalities": ("image",), "statistics": False},
    "attributes alone": {"modalities": ("attributes",), "statistics": False},
    "easy negatives (any article)": {"draw": "random"},
    "negatives of the family, uniform": {"draw": "family"},
    "augmented by swaps": {"swap_share": 0.2},
    "augmented by noise": {"image_noise": 0.1},
    **{f"pairs, {merge}": {**PAIR, "merge": merge, "statistics": False} for merge in MERGES},
}


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mango", metavar="FOLDER", type=Path, required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--ablations", nargs="+", default=[], choices=["all", *VARIANTS])
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(given)


def trimmed(image: Image.Image) -> Image.Image:
    """The article in the middle of a square of its background's colour.

    The background of a row is the median of what stands at its ends, so that a vignette is none of the article.

    Args:
        image: RGB; returned as it is where nothing differs from its background.
    """
    pixels = np.asarray(image).astype(np.int16)
    ends = np.concatenate([pixels[:, :4], pixels[:, -4:]], axis=1)
    background = np.median(ends, axis=1)[:, None]  # [height, 1, 3]
    differs = np.abs(pixels - background).max(axis=2) > BACKGROUND
    rows, columns = np.flatnonzero(differs.sum(axis=1) > 1), np.flatnonzero(differs.sum(axis=0) > 1)
    if len(rows) < 4 or len(columns) < 4:
        return image
    left, right, top, bottom = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    side = int(max(right - left, bottom - top) * MARGIN) + 2
    colour = tuple(int(value) for value in np.median(background, axis=0)[0])
    square = Image.new("RGB", (side, side), colour)
    square.paste(image.crop((left, top, right, bottom)), ((side - (right - left)) // 2, (side - (bottom - top)) // 2))
    return square


def trim(root: Path, paths: Sequence[Any], place: Path) -> Mask:
    """Write the trimmed photographs as <number>.png; which of them there are, bool [paths].

    Args:
        root: the folder of the photographs.
        paths: below it; null where a product has none.
        place: where they are written.
    """
    usable = np.zeros(len(paths), bool)
    for number, path in enumerate(paths):
        if pd.isna(path):
            continue
        try:
            image = decode(read(path, root), path)
        except ImageRejected as rejected:
            print(f"no vector for {rejected}", flush=True)
            continue
        trimmed(image).save(place / f"{number}.png")
        usable[number] = True
    return usable


def vectors_of(root: Path, files: pd.DataFrame, weights: str, folder: Path | None, threads: int) -> Vectors:
    """The vectors of all photographs, float32 [files, 1858]; NaN where a product has none that can be read."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:

        @cache
        def usable() -> Mask:
            return trim(root, files["path"].tolist(), Path(place))

        def encode(name: str) -> Vectors:
            from atelier.images import Encoder, Preprocessing
            from atelier.images.backbones import build_backbone

            there = np.flatnonzero(usable())
            if name == "colour":
                encoder = Encoder.build("small", None, device="cpu", threads=threads)
            else:
                look = Preprocessing(resize=SIDE, crop=SIDE, fit="stretch", mean=(0.5,) * 3, std=(0.5,) * 3)
                built = build_backbone("mobilenet_v2", weights, preprocessing=look)
                encoder = Encoder(built, device="cpu", threads=threads)
            found = encoder.encode([f"{number}.png" for number in there], place)
            if found.errors:
                raise SystemExit(f"error: {len(found.errors)} photographs cannot be read, first {found.errors[0]}")
            vectors = np.full((len(files), encoder.dimension), np.nan, np.float32)
            vectors[there] = found.vectors
            return vectors

        names = ("mobilenet", "colour")
        parts = [cached_vectors(folder and folder / f"{n}.npz", files, lambda n=n: encode(n)) for n in names]  # type: ignore[misc]
    return np.concatenate(parts, axis=1)


def read_data(given: argparse.Namespace) -> Data:
    """Read mango's files and encode its photographs.

    Raises:
        SystemExit: not one photograph can be read.
    """
    products, outfits = read_mango(given.mango)
    root = given.mango / "images"
    vectors = vectors_of(root, products, given.weights, given.vectors, given.threads)
    known: Mask = np.asarray(np.isfinite(vectors).all(axis=1), bool)
    print(f"{int((~known).sum()):,} of {len(known):,} products have no photograph that can be read", flush=True)
    if not known.any():
        raise SystemExit(
            f"error: not one photograph can be read below {root}; put them there, as des_filename names them"
        )
    names = [name for name in products.columns if name not in ("article_id", "path")]
    embeddings = pd.Series([vectors[row : row + there] for row, there in enumerate(known)])  # [0 or 1, 1858] each
    return Data.of(products.assign(embeddings=embeddings), outfits, names, FAMILY)


def questions_by_outfit(new: Mask) -> dict[str, Question]:
    """What is asked about outfits of which none was trained on; ``new``: articles of no training outfit, bool [n]."""
    return {
        "uniform": Question("family", popularity=1.0),
        "popularity-matched": Question("popularity"),
        "new article": Question("family", asked=new, offered=new),
    }


def compare(data: Data, seed: int, config: OutfitConfig) -> Iterator[tuple[list[dict[str, Any]], Comparison]]:
    """Both splits of one seed, one after the other: rows of figures, and what they are of."""
    config = config.model_copy(update={"seed": seed})
    by_outfit = Comparison(data, split_by_outfit(data.outfits, seed), seed, config)
    rows: list[dict[str, Any]] = []
    for name, question in questions_by_outfit(by_outfit.split.train.frequency == 0).items():
        rows += by_outfit.questions(name, {"test": question, "validation": question})
    yield [*rows, by_outfit.auc("AUC")], by_outfit
    by_product = Comparison(data, split_by_product(data.outfits, seed), seed, config)
    mine = {name: _members(getattr(by_product.split, name)) for name in ("test", "validation")}
    wanted = {name: Question("family", offered=offered) for name, offered in mine.items()}
    rows = by_product.questions("new products", wanted)
    yield [*rows, by_product.auc("AUC, new products", mine["test"])], by_product


def _members(outfits: Outfits) -> Mask:
    return outfits.frequency > 0


def main(given: Sequence[str] | None = None) -> None:
    """Print the tables."""
    asked = arguments(given)
    torch.set_num_threads(asked.threads)
    data = read_data(asked)
    config = OutfitConfig() if asked.epochs is None else OutfitConfig(epochs=asked.epochs)
    if asked.ablations:
        names = VARIANTS if "all" in asked.ablations else asked.ablations
        split = split_by_outfit(data.outfits, asked.seeds[0])
        chosen = {name: VARIANTS[name] for name in names}
        wanted = questions_by_outfit(split.train.frequency == 0)
        for row in ablations(data, split, asked.seeds[0], config, chosen, wanted):
            printed([row])
        return
    rows: list[dict[str, Any]] = []
    for seed in asked.seeds:
        for found, comparison in compare(data, seed, config):
            rows += found
            print(f"trained in {comparison.seconds:.0f} s, of them {comparison.cpu_seconds:.0f} s of processor time")
            printed(found)
    means = pd.DataFrame(rows).groupby("questions", sort=False)["value"].agg(["mean", "min", "max"])
    print(means.round(3).to_markdown(), flush=True)


if __name__ == "__main__":
    main()
