"""Attributes of Mango's products from their photographs alone: the attribute network against logistic regression.

    python -m benchmarks.mango_attributes --mango FOLDER --weights FILE [--vectors FOLDER] [--limit N] [--linear]
        [--seed 0] [--threads 2]

FOLDER holds product_data.csv and images as Mango's outfit data do, FILE the weights of MobileNetV2 (ImageNet). Product
type, family, colour, fabric, line and sex are predicted from the 1,280 features of MobileNetV2, and from these joined
with the 578 of the backbone ``small``, which measures colours (``and colour``), by the network and by the linear
classifier of :mod:`atelier.studies.linear_baselines`; ``majority`` always predicts the most frequent value of training.
32% of the styles (the model code) are held out, so that no style is both in training and test. Every value is
predicted, however rare. Accuracy and weighted F1 on the articles held out are printed.

- ``--vectors``: a folder in which vectors are stored between runs. It is not checked that a file was made with the
  given weights.
- ``--limit``: the number of articles, drawn at random by ``--seed``; without it, all that have a photograph.
- ``--linear``: the linear classifiers alone, without the networks.
- ``--seed``: of the draw, of the split and of the network.

What belongs here: the comparison and its tables. What does not: reading the data (:mod:`benchmarks.mango_articles`),
the models, and the figures and vectors, which ``hm_attributes`` computes.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from atelier.attributes import AttributeConfig, holdout
from benchmarks.hm_articles import TEST_SHARE
from benchmarks.hm_attributes import Photographs, Side, Vectors
from benchmarks.mango_articles import ATTRIBUTES, photographed
from benchmarks.myntra_attributes import compare

#: The vectors that models read, by what the table says of them.
ENCODINGS = {"": ("mobilenet",), " and colour": ("mobilenet", "colour")}


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mango", metavar="FOLDER", type=Path, required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--linear", action="store_true", help="leave the networks out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(given)


def read(files: pd.DataFrame, vectors: Vectors) -> Side:
    """Articles and labels of ``files``; ``vectors`` [files, dim] in their order."""
    articles = files[["article_id", "product_code"]].assign(embeddings=list(vectors[:, None]))
    return Side(articles, files.melt("article_id", list(ATTRIBUTES), var_name="attribute").dropna())


def main(given: Sequence[str] | None = None, config: AttributeConfig | None = None) -> pd.DataFrame:
    """Read, train, print; a row for each model and encoding, columns as ``myntra_attributes.compare``."""
    options = arguments(given)
    from resources.compute import Compute

    Compute("cpu", options.threads).apply()
    files = photographed(options.mango)
    if options.limit is not None:
        drawn = np.random.default_rng(options.seed).permutation(len(files)) < options.limit
        files = files[drawn].reset_index(drop=True)
    photos = Photographs(
        options.mango / "images",
        files,
        np.zeros(len(files), dtype=bool),
        weights=options.weights,
        folder=options.vectors,
        threads=options.threads,
    )
    held_out = holdout(files, TEST_SHARE, seed=options.seed)
    print(f"{(~held_out).sum()} articles to train on, {held_out.sum()} to test on ({held_out.mean():.1%})", flush=True)
    tables = []
    for name, encoding in ENCODINGS.items():
        whole = read(files, photos.vectors(*encoding))
        sides = whole.part(~held_out), whole.part(held_out)
        found = compare(*sides, seed=options.seed, config=config, kinds=("image",), networks=not options.linear)
        tables.append(found.set_axis([f"{row}{name}" for row in found.index]))
    table = pd.concat(tables).drop(index="majority and colour")
    for metric in ("accuracy", "weighted F1"):
        print(f"\n{metric}\n{table[metric].round(3).to_string()}")
    return table


if __name__ == "__main__":
    main()
