"""How alike the neighbours by photographs are: shares of the ten nearest with the same type, colour and pattern.

    python -m benchmarks.visual_similarity --data FOLDER --weights FILE [--vectors FOLDER] [--limit 2000]
        [--datasets hm mango myntra] [--untrained hm] [--near 0.98] [--seed 0]

FOLDER holds hm (articles.csv, images), mango (product_data.csv, images) and myntra (styles.csv, images), FILE the
weights of MobileNetV2 (ImageNet). ``--limit`` articles with a photograph are drawn from each; an article's own style is
left out of its neighbours, where the data tell styles (hm, mango). Rows of the table:

- ``MobileNetV2``: cosine of its vectors, the mean of all subtracted; ``not centred`` without that.
- ``128 components``: of the vectors the first 128 principal components alone.
- ``random network``: MobileNetV2 with random weights, for the data sets named by ``--untrained``.
- ``attributes``: neighbours by the attributes themselves (the number of equal ones): an upper line, except where fewer
  than ten other articles share a value.
- ``any article``: what a random article shares.

Then the photographs that several articles have: the same file (of all photographs, not only those drawn), and, of those
drawn, nearly the same: a cosine, not centred, of at least ``--near``, and made 32 × 32 pixels on average at most
``--grey`` of 255 levels of grey between the two. Network features alone take small things on white for the same.

What belongs here: the comparison and its tables. What does not: similarity (:mod:`atelier.images.similarity`).
"""

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from atelier.images.decode import decode, read
from atelier.images.similarity import ExactImages, Filters
from benchmarks import mango_articles
from benchmarks.hm_articles import photographed
from benchmarks.hm_attributes import cached_vectors
from benchmarks.myntra_attributes import photographs

ATTRIBUTES = ("type", "colour", "pattern")
DATASETS = ("hm", "mango", "myntra")
K = 10
LISTED = 8
Vectors = npt.NDArray[np.float32]
NAMES = {
    "hm": {"product_type_name": "type", "colour_group_name": "colour", "graphical_appearance_name": "pattern"},
    "myntra": {"articleType": "type", "baseColour": "colour"},
}


@dataclass(frozen=True)
class Photographs:
    """The photographs of a data set.

    Attributes:
        name: of the data set.
        root: the folder of the files.
        files: one row for each article: article_id, path, its attributes, and product_code where there are styles.
    """

    name: str
    root: Path
    files: pd.DataFrame

    @property
    def attributes(self) -> list[str]:
        """Those of ``ATTRIBUTES`` that the data have."""
        return [name for name in ATTRIBUTES if name in self.files]


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FOLDER", type=Path, required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--vectors", type=Path, help="a folder in which vectors are stored between runs")
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=DATASETS)
    parser.add_argument("--untrained", nargs="*", choices=DATASETS, default=DATASETS)
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--near", type=float, default=0.98)
    parser.add_argument("--grey", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(given)


def open_photographs(name: str, data: Path) -> Photographs:
    """All articles of a data set that have a photograph."""
    folder, root = data / name, data / name / "images"
    if name == "hm":
        files = photographed(folder)
    elif name == "myntra":
        files = photographs(folder)
    else:
        files = mango_articles.photographed(folder)
    return Photographs(name, root, files.rename(columns=NAMES.get(name, {})))


def drawn(photos: Photographs, limit: int, seed: int) -> Photographs:
    """At most ``limit`` of the articles, at random."""
    chosen = np.random.default_rng(seed).permutation(len(photos.files)) < limit
    return Photographs(photos.name, photos.root, photos.files[chosen].reset_index(drop=True))


def encoded(photos: Photographs, weights: str | None, threads: int) -> Vectors:
    """The vectors by MobileNetV2, float32 [articles, 1280]; without weights a random network's."""
    from atelier.images import Encoder, Preprocessing

    plain = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    encoder = Encoder.build("mobilenet_v2", weights, plain, device="cpu", threads=threads)
    found = encoder.encode(photos.files["path"].tolist(), photos.root, description=photos.name)
    if found.errors:
        raise SystemExit(f"error: {len(found.errors)} photographs cannot be read, first {found.errors[0]}")
    return found.vectors


def nearest(photos: Photographs, vectors: Vectors, *, centred: bool = True) -> pd.DataFrame:
    """The ten nearest articles of each, as :meth:`ExactImages.similar`."""
    columns = [name for name in ("article_id", "product_code") if name in photos.files]
    frame = photos.files[columns].assign(embeddings=list(vectors[:, None]))
    return ExactImages.build(frame, centred=centred).similar(k=K, filters=Filters(other_style=True))


def components(vectors: Vectors, count: int) -> Vectors:
    """The first principal components of the vectors scaled to unit length, float32 [n, count]."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    _, _, axes = np.linalg.svd((unit - unit.mean(axis=0)).astype(np.float64), full_matrices=False)
    found: Vectors = ((unit - unit.mean(axis=0)) @ axes[:count].T).astype(np.float32)
    return found


def one_hot(photos: Photographs) -> Vectors:
    """The attributes as vectors whose cosine is the share of equal values, float32 [articles, values]."""
    return pd.get_dummies(photos.files[photos.attributes].astype("str")).to_numpy(np.float32)


def shares(photos: Photographs, near: pd.DataFrame) -> dict[str, float]:
    """The share of neighbours that have the article's own value, by attribute."""
    known = photos.files.set_index("article_id")
    found = {}
    for name in photos.attributes:
        own, theirs = (known[name].reindex(near[c]).to_numpy() for c in ("article_id", "similar_article_id"))
        both = pd.notna(own) & pd.notna(theirs)
        found[name] = float((own[both] == theirs[both]).mean())
    return found


def by_chance(photos: Photographs) -> dict[str, float]:
    """The probability that two random articles share a value, by attribute."""
    counts = {name: photos.files[name].value_counts().to_numpy() for name in photos.attributes}
    return {name: float((each * (each - 1)).sum() / (each.sum() * (each.sum() - 1))) for name, each in counts.items()}


def same_files(photos: Photographs) -> list[list[str]]:
    """The articles that have one and the same file, group by group, the largest first."""
    digests = [hashlib.sha256((photos.root / path).read_bytes()).hexdigest() for path in photos.files["path"]]
    groups = photos.files["article_id"].groupby(digests).agg(list)
    found: list[list[str]] = sorted(groups[groups.map(len) > 1].tolist(), key=lambda each: (-len(each), each))
    return found


def nearly_same(photos: Photographs, vectors: Vectors, least: float) -> pd.DataFrame:
    """Pairs of articles, each once, whose photographs have at least a cosine: article_id, other, similarity."""
    frame = photos.files[["article_id"]].assign(embeddings=list(vectors[:, None]))
    near = ExactImages.build(frame, centred=False).similar(k=K)
    near = near[(near["similarity"] >= least) & (near["article_id"] < near["similar_article_id"])]
    return near.sort_values("similarity", ascending=False, ignore_index=True)


def grey_differences(photos: Photographs, pairs: pd.DataFrame) -> Vectors:
    """The mean difference of grey between the photographs of each pair, 0 … 255, float32 [pairs]."""
    articles = sorted({*pairs["article_id"], *pairs["similar_article_id"]})
    paths = photos.files.set_index("article_id")["path"]
    small = np.zeros((len(articles), 32, 32), np.float32)
    for nth, article in enumerate(articles):
        path = str(paths[article])
        image = decode(read(path, photos.root), path, at_least=32)
        small[nth] = np.asarray(image.convert("L").resize((32, 32)), np.float32)
    places = (np.searchsorted(articles, pairs[name]) for name in ("article_id", "similar_article_id"))
    first, second = (small[each] for each in places)
    found: Vectors = np.abs(first - second).mean(axis=(1, 2))
    return found


def compare(photos: Photographs, trained: Vectors, untrained: Vectors | None) -> pd.DataFrame:
    """The table of a data set: a row for each way of comparing, a column for each attribute."""
    rows = {
        "MobileNetV2": shares(photos, nearest(photos, trained)),
        "MobileNetV2, not centred": shares(photos, nearest(photos, trained, centred=False)),
        "MobileNetV2, 128 components": shares(photos, nearest(photos, components(trained, 128), centred=False)),
    }
    if untrained is not None:
        rows["random network"] = shares(photos, nearest(photos, untrained))
    rows["attributes"] = shares(photos, nearest(photos, one_hot(photos), centred=False))
    return pd.DataFrame({**rows, "any article": by_chance(photos)}).T


def main(given: Sequence[str] | None = None) -> dict[str, pd.DataFrame]:
    """Encode, compare, look for duplicates, print; the tables by data set."""
    options = arguments(given)
    from resources.compute import Compute

    Compute("cpu", options.threads).apply()
    folder, tables = options.vectors, {}
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    for name in options.datasets:
        every = open_photographs(name, options.data)
        photos = drawn(every, options.limit, options.seed)
        networks = {"trained": options.weights, **({"untrained": None} if name in options.untrained else {})}
        vectors = {
            each: cached_vectors(
                folder and folder / f"{name}-{each}.npz",
                photos.files,
                lambda weights=weights, photos=photos: encoded(photos, weights, options.threads),  # type: ignore[misc]
            )
            for each, weights in networks.items()
        }
        tables[name] = compare(photos, vectors["trained"], vectors.get("untrained"))
        print(f"\n{name}: {len(photos.files):,} of {len(every.files):,} articles\n{tables[name].round(3).to_string()}")
        _print_duplicates(every, photos, vectors["trained"], options.near, options.grey)
    return tables


def _print_duplicates(every: Photographs, photos: Photographs, vectors: Vectors, least: float, grey: float) -> None:
    groups, pairs = same_files(every), nearly_same(photos, vectors, least)
    print(f"{sum(map(len, groups)):,} of {len(every.files):,} articles share a file, in {len(groups):,} groups:")
    for group in groups[:LISTED]:
        print(f"  {' '.join(group)}")
    pairs = pairs.assign(grey=grey_differences(photos, pairs))
    same = pairs[pairs["grey"] <= grey]
    print(
        f"of the drawn photographs {len(pairs):,} pairs have a cosine of {least} and more; {len(same):,} of these"
        f" differ by at most {grey} levels of grey, {int((same['grey'] > 0).sum()):,} of them by more than 0:"
    )
    for row in same.sort_values("grey", ascending=False).head(LISTED).itertuples():
        print(f"  {row.article_id} {row.similar_article_id} cosine {row.similarity:.4f}, grey {row.grey:.2f}")


if __name__ == "__main__":
    main()
