"""The map of the catalogue from H&M's photographs: what 256 principal components explain, and the map as a picture.

    python -m benchmarks.hm_catalogue_map --data FOLDER --weights FILE [--limit 8024] [--out FILE.svg] [--threads 1]

The published H&M two-stage system reduces the 2,048 numbers of ResNet-152 to 256 components, which are to explain 95%
of the variance. Here MobileNetV2 gives 1,280 numbers, whose weights can be had offline. Fewer photographs than
components leave nothing unexplained, so that the figure of a sample is above that of the whole catalogue.

What belongs here: reading, printing, writing the picture. What does not: the map
(:mod:`atelier.articles.catalogue_map`), its drawing (:mod:`atelier.report.catalogue_map`), reading and encoding
photographs (:mod:`benchmarks.photographs`).
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from atelier.articles.catalogue_map import CatalogueMap, catalogue_map
from atelier.images import Encoder, Preprocessing
from atelier.report.catalogue_map import map_picture
from atelier.report.figures import standalone
from benchmarks.photographs import drawn, encoded, open_photographs


def places_of(made: CatalogueMap, files: pd.DataFrame) -> pd.DataFrame:
    """The map as it is drawn: ``article_id, product_type, x, y``.

    Args:
        made: the map of n articles.
        files: ``article_id, type`` of the n articles.
    """
    found = files[["article_id", "type"]].rename(columns={"type": "product_type"}).reset_index(drop=True)
    return found.assign(x=made.places[:, 0], y=made.places[:, 1])


def same_type_nearest(places: pd.DataFrame) -> tuple[float, float]:
    """How often the nearest article on the map is of the same product type, and how often a random one would be.

    Args:
        places: ``product_type, x, y``, at least two rows.
    """
    from sklearn.neighbors import NearestNeighbors

    at, types = places[["x", "y"]].to_numpy(np.float64), places["product_type"].astype("str").to_numpy()
    nearest = NearestNeighbors(n_neighbors=1).fit(at).kneighbors(return_distance=False).ravel()
    counts = pd.Series(types).value_counts().to_numpy(np.float64)
    n = len(types)
    return float((types[nearest] == types).mean()), float((counts * (counts - 1)).sum() / (n * (n - 1)))


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FOLDER", type=Path, required=True, help="the folder that holds hm")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--limit", type=int, default=8024)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    return parser.parse_args(given)


def main() -> None:
    """Encode, map, print, draw."""
    options = arguments()
    photographs = drawn(open_photographs("hm", options.data), options.limit, options.seed)
    clock = time.process_time()
    plain = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    encoder = Encoder.build("mobilenet_v2", options.weights, plain, device="cpu", threads=options.threads)
    vectors = encoded(photographs, encoder)
    print(
        f"{len(vectors):,} photographs, {vectors.shape[1]:,} numbers each: {time.process_time() - clock:.1f} s encoding"
    )
    clock = time.process_time()
    made = catalogue_map(vectors, seed=options.seed)
    places = places_of(made, photographs.files)
    share = "nothing" if made.explained is None else f"{made.explained:.1%}"
    print(f"{made.components} components explain {share}: {time.process_time() - clock:.1f} s for the map")
    found, chance = same_type_nearest(places)
    print(f"the nearest on the map is of the same product type in {found:.1%}, a random article in {chance:.1%}")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(standalone(map_picture(places)), encoding="utf-8")


if __name__ == "__main__":
    main()
