"""Whether the product's own region of a photograph finds better neighbours than the whole photograph.

    python -m benchmarks.product_region --weights FILE [--data FOLDER] [--datasets sample mango hm] [--limit 1000]
        [--articles 500] [--least 0.2] [--vectors FOLDER] [--seed 0] [--threads 2]

FILE is the weights of MobileNetV2 (ImageNet), FOLDER holds mango and hm as :mod:`benchmarks.visual_similarity` reads
them, of which ``--articles`` are drawn. ``sample`` is generated with as many: a quarter of its photographs after an
article's first show a second garment, and it is known which. A linear classifier of types is taught by half of the
articles, whole styles; the other half is asked, at most ``--limit`` photographs of it. Of each of
these the region of the article's known type is found (:mod:`atelier.images.regions`), and the ten nearest photographs
of other styles are compared by

- ``whole``: the vector of the whole photograph;
- ``region, pooled``: the feature map of the whole, averaged within the region;
- ``region, cropped``: the vector of the square around the region, scaled up;
- ``middle, cropped``: that of a square of the same size in the middle, which knows nothing of the article: a control;
- ``whole and region``: the vectors of whole and cropped region side by side.

Figures are shares of neighbours with the type, colour and pattern of the article, and of the second garment: a
neighbour that shares only the second garment's was found for the wrong reason. Behind each ± is half a 95% interval of
the difference to ``whole``, over photographs. The region is chosen by the type, and the type's share therefore flatters
it where it marks what looks like the type anywhere; colour was not told to it.

What belongs here: the comparison and its tables. What does not: regions, similarity.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from atelier.articles.splits import holdout
from atelier.images.backbones import Backbone, build_backbone
from atelier.images.embedding import Encoder
from atelier.images.regions import LEAST, Regions, TypeEvidence, product_regions
from atelier.recommenders.vector_model import unit
from benchmarks.photographs import Photographs, Vectors, draw_sample, drawn, encoded, open_photographs
from benchmarks.visual_similarity import PLAIN, nearest

DATASETS = ("sample", "mango", "hm")
GROUPS = {"alone": False, "with a second garment": True}
SECOND = {"second's type": ("second_type", "type"), "second's colour": ("second_colour", "colour")}


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="a .safetensors file, or none for a random network")
    parser.add_argument("--data", metavar="FOLDER", type=Path)
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=["sample"])
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--articles", type=int, default=500)
    parser.add_argument("--least", type=float, default=LEAST)
    parser.add_argument("--vectors", type=Path, help="a folder in which vectors of whole photographs are stored")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(given)
    if options.data is None and set(options.datasets) != {"sample"}:
        parser.error("name the folder of the data sets by --data")
    return options


def one_by_one(photos: Photographs) -> Photographs:
    """Each photograph as an article of its own, of the style of the one that it shows."""
    return replace(photos, files=photos.files.assign(article_id=photos.files["path"]))


def encodings(backbone: Backbone, photos: Photographs, whole: Vectors, regions: Regions) -> dict[str, Vectors]:
    """The vectors of the photographs in each way of looking at them, float32 [photographs, dim]."""
    encoder, paths = Encoder(backbone, device="cpu"), photos.files["path"].tolist()
    middle = regions.boxes.copy()
    middle[:, :2] = (1 - middle[:, 2:]) / 2
    cropped, control = (
        encoder.encode(paths, photos.root, description=what, boxes=boxes).vectors
        for what, boxes in (("regions", regions.boxes), ("the middle", middle))
    )
    return {
        "whole": whole,
        "region, pooled": regions.pooled,
        "region, cropped": cropped,
        "middle, cropped": control,
        "whole and region": np.concatenate([_centred(whole), _centred(cropped)], axis=1),
    }


def _centred(vectors: Vectors) -> Vectors:
    """Vectors of unit length about their mean, as similarity compares them."""
    scaled = unit(vectors)
    found: Vectors = unit(scaled - scaled.mean(axis=0))
    return found


def agreement(photos: Photographs, near: pd.DataFrame, asked: str, theirs: str) -> "pd.Series[float]":
    """The share of each photograph's neighbours with a value of its own, NaN where it has none; by article_id."""
    known = photos.files.set_index("article_id")
    own, other = known[asked].reindex(near["article_id"]), known[theirs].reindex(near["similar_article_id"])
    same = pd.Series(own.to_numpy() == other.to_numpy(), near["article_id"]).groupby(level=0).mean()
    return same.reindex(known.index).where(known[asked].notna())


def table(photos: Photographs, vectors: dict[str, Vectors]) -> pd.DataFrame:
    """A row for each way; columns (group of photographs, value): share and difference to ``whole``."""
    kinds = {name: (name, name) for name in photos.attributes}
    groups = {"all": np.ones(len(photos.files), bool)}
    if "second_type" in photos.files:
        beside = photos.files["second_type"].notna().to_numpy()
        groups, kinds = {name: beside == wanted for name, wanted in GROUPS.items()}, kinds | SECOND
    found = {way: nearest(photos, each) for way, each in vectors.items()}
    shares = {
        (way, kind): agreement(photos, near, *pair) for way, near in found.items() for kind, pair in kinds.items()
    }
    cells = {
        (group, kind): {way: _cell(shares[way, kind][chosen], shares["whole", kind][chosen]) for way in found}
        for group, chosen in groups.items()
        for kind in kinds
        if shares["whole", kind][chosen].notna().any()
    }
    return pd.DataFrame(cells).rename_axis(columns=["photographs", "share"])


def _cell(values: "pd.Series[float]", whole: "pd.Series[float]") -> str:
    """The mean, and its difference to ``whole`` with half of its 95% interval."""
    difference = (values - whole).dropna()
    if not difference.any():
        return f"{values.mean():.3f}"
    half = 1.96 * float(difference.std(ddof=1)) / np.sqrt(len(difference))
    return f"{values.mean():.3f} ({difference.mean():+.3f} ± {half:.3f})"


def compare(
    backbone: Backbone, photos: Photographs, folder: Path | None, *, limit: int, least: float, seed: int, threads: int
) -> pd.DataFrame:
    """Teach types to one half of the styles, look at the other half in each way; the table."""
    whole = encoded(photos, Encoder(backbone, device="cpu", threads=threads), folder)
    asked = holdout(photos.files, 0.5, seed=seed)
    evidence = TypeEvidence.fit(whole[~asked], photos.files.loc[~asked, "type"].tolist())
    rows = np.flatnonzero(asked)[:limit]
    mine = Photographs(photos.name, photos.root, photos.files.iloc[rows].reset_index(drop=True))
    weights = evidence.of(mine.files["type"].tolist())
    where = {"root": mine.root, "least": least, "threads": threads}
    regions = product_regions(backbone, mine.files["path"].tolist(), weights, **where)  # type: ignore[arg-type]
    print(f"\n{photos.name}: types taught by {(~asked).sum():,} photographs, {len(rows):,} asked", flush=True)
    area = regions.boxes[:, 2] * regions.boxes[:, 3]
    print(f"boxes hold {area.mean():.0%} of a photograph on average; {(area == 1).mean():.0%} are the whole")
    return table(mine, encodings(backbone, mine, whole[rows], regions))


def main(given: Sequence[str] | None = None) -> dict[str, pd.DataFrame]:
    """Draw or read, compare, print; the tables by data set."""
    options = arguments(given)
    from resources.compute import Compute

    Compute("cpu", options.threads).apply()
    weights = None if options.weights == "none" else options.weights
    backbone = build_backbone("mobilenet_v2", weights, preprocessing=PLAIN)
    tables = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.datasets:
            if name == "sample":
                photos = one_by_one(draw_sample(Path(scratch), options.articles, options.seed))
            else:
                photos = drawn(open_photographs(name, options.data), options.articles, options.seed)
            how = {"limit": options.limit, "least": options.least, "seed": options.seed, "threads": options.threads}
            tables[name] = compare(backbone, photos, options.vectors, **how)
            print(tables[name].to_string(), flush=True)
    return tables


if __name__ == "__main__":
    main()
