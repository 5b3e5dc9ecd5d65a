"""How alike the neighbours by photographs are: shares of the ten nearest with the same type, colour and pattern.

    python -m benchmarks.visual_similarity --weights FILE [--data FOLDER] [--vectors FOLDER] [--limit 2000]
        [--datasets sample hm mango myntra] [--untrained hm] [--finetuned mango] [--learn 2000] [--near 0.98]
        [--articles 800] [--seed 0]

FOLDER holds hm (articles.csv, images), mango (product_data.csv, images) and myntra (styles.csv, images), FILE the
weights of MobileNetV2 (ImageNet). ``sample`` is drawn, with ``--articles`` articles. ``--limit`` articles with a
photograph are compared; an article's own style is left out of its neighbours, where the data tell styles. Rows of the
table:

- ``MobileNetV2``: cosine of its vectors, the mean of all subtracted; ``not centred`` without that.
- ``128 components``: of the vectors the first 128 principal components alone.
- ``first photograph alone``: where articles have several, which the other rows combine.
- ``fine-tuned``: MobileNetV2 after fine-tuning on ``--learn`` articles of other styles, for ``--finetuned`` data sets.
- ``random network``: MobileNetV2 with random weights, for the data sets named by ``--untrained``.
- ``attributes``: neighbours by the attributes themselves (the number of equal ones): an upper line, except where fewer
  than ten other articles share a value.
- ``any article``: what a random article shares.

Then the photographs that several articles have: the same file (of all photographs, not only those drawn), and, of those
drawn, nearly the same: a cosine, not centred, of at least ``--near``, and made 32 × 32 pixels on average at most
``--grey`` of 255 levels of grey between the two. Network features alone take small things on white for the same.

Photographs are encoded as the daily job does it. ``--vectors`` keeps their vectors between runs, by encoder.

What belongs here: the comparison and its tables. What does not: similarity (:mod:`atelier.images.similarity`), reading
and encoding (:mod:`benchmarks.photographs`).
"""

import argparse
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from atelier.images import Encoder, FineTuningConfig, Preprocessing, finetune
from atelier.images.backbones import Backbone, build_backbone
from atelier.images.decode import decode, read
from atelier.images.similarity import ExactImages, Filters
from benchmarks.photographs import REAL, Photographs, Vectors, draw_sample, drawn, encoded, open_photographs

K = 10
LISTED = 8
PLAIN = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
"""What the weights of MobileNetV2 expect: pixel / 127.5 − 1."""


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FOLDER", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--vectors", type=Path, help="a folder in which vectors are stored between runs")
    parser.add_argument("--datasets", nargs="+", choices=("sample", *REAL), default=REAL)
    parser.add_argument("--untrained", nargs="*", choices=("sample", *REAL), default=REAL)
    parser.add_argument("--finetuned", nargs="*", choices=("sample", *REAL), default=())
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--learn", type=int, default=2000)
    parser.add_argument("--articles", type=int, default=800)
    parser.add_argument("--near", type=float, default=0.98)
    parser.add_argument("--grey", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(given)
    if options.data is None and set(options.datasets) != {"sample"}:
        parser.error("name the folder of the data sets by --data")
    return options


def tuned_on(photos: Photographs, backbone: Backbone, every: Photographs, learn: int, seed: int) -> Backbone:
    """The backbone, fine-tuned on type, colour and pattern of other articles, none of the style of those compared.

    Args:
        photos: the articles that are compared.
        backbone: to start from.
        every: all articles.
        learn: articles to learn from, at most, at random.
        seed: of the draw and of the training.
    """
    style = "product_code" if "product_code" in every.files else "article_id"
    others = drawn(every.of(~every.articles[style].isin(photos.files[style]).to_numpy()), learn, seed)
    labels = others.articles.melt("article_id", others.attributes, var_name="attribute").dropna()
    shown = [name for name in ("article_id", "path", "product_code") if name in others.files]
    tuned = finetune(backbone, others.files[shown], labels, root=others.root, config=FineTuningConfig(seed=seed))
    print(f"{photos.name}: fine-tuned on {tuned.summary}, validation F1 {tuned.gain:+.3f}", flush=True)
    return tuned.backbone


def nearest(photos: Photographs, vectors: Vectors, *, centred: bool = True) -> pd.DataFrame:
    """The ten nearest articles of each, as :meth:`ExactImages.similar`; vectors [photographs, dim]."""
    articles = photos.articles
    columns = [name for name in ("article_id", "product_code") if name in articles]
    ends = np.cumsum(photos.files.groupby("article_id", sort=False).size())[:-1]
    frame = articles[columns].assign(embeddings=pd.Series(np.split(vectors, ends), dtype="object"))
    return ExactImages.build(frame, centred=centred).similar(k=K, filters=Filters(other_style=True))


def components(vectors: Vectors, count: int) -> Vectors:
    """The first principal components of the vectors scaled to unit length, float32 [n, count]."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    _, _, axes = np.linalg.svd((unit - unit.mean(axis=0)).astype(np.float64), full_matrices=False)
    found: Vectors = ((unit - unit.mean(axis=0)) @ axes[:count].T).astype(np.float32)
    return found


def one_hot(photos: Photographs) -> Vectors:
    """The attributes as vectors whose cosine is the share of equal values, float32 [articles, values]."""
    return pd.get_dummies(photos.articles[photos.attributes].astype("str")).to_numpy(np.float32)


def shares(photos: Photographs, near: pd.DataFrame) -> dict[str, float]:
    """The share of neighbours that have the article's own value, by attribute."""
    known = photos.articles.set_index("article_id")
    found = {}
    for name in photos.attributes:
        own, theirs = (known[name].reindex(near[c]).to_numpy() for c in ("article_id", "similar_article_id"))
        both = pd.notna(own) & pd.notna(theirs)
        found[name] = float((own[both] == theirs[both]).mean())
    return found


def by_chance(photos: Photographs) -> dict[str, float]:
    """The probability that two random articles share a value, by attribute."""
    counts = {name: photos.articles[name].value_counts().to_numpy() for name in photos.attributes}
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


def compare(photos: Photographs, vectors: Mapping[str, Vectors]) -> pd.DataFrame:
    """The table of a data set: a row for each way of comparing, a column for each attribute.

    Args:
        photos: n photographs.
        vectors: by the name of the network, MobileNetV2 the first, float32 [n, dim] each.
    """
    name, trained = next(iter(vectors.items()))
    rows = {
        name: shares(photos, nearest(photos, trained)),
        f"{name}, not centred": shares(photos, nearest(photos, trained, centred=False)),
        f"{name}, 128 components": shares(photos, nearest(photos, components(trained, 128), centred=False)),
    }
    first = ~photos.files.duplicated("article_id").to_numpy()
    if not first.all():
        alone = replace(photos, files=photos.articles)
        rows[f"{name}, first photograph alone"] = shares(alone, nearest(alone, trained[first]))
    rows |= {other: shares(photos, nearest(photos, each)) for other, each in vectors.items() if other != name}
    facts = replace(photos, files=photos.articles)
    rows["attributes"] = shares(facts, nearest(facts, one_hot(photos), centred=False))
    return pd.DataFrame({**rows, "any article": by_chance(photos)}).T


def networks(photos: Photographs, every: Photographs, options: argparse.Namespace) -> dict[str, Backbone]:
    """The networks that look at a data set, by name."""
    plain = build_backbone("mobilenet_v2", options.weights, preprocessing=PLAIN)
    found = {"MobileNetV2": plain}
    if photos.name in options.finetuned:
        found["fine-tuned"] = tuned_on(photos, plain, every, options.learn, options.seed)
    if photos.name in options.untrained:
        found["random network"] = build_backbone("mobilenet_v2", None, preprocessing=PLAIN)
    return found


def main(given: Sequence[str] | None = None) -> dict[str, pd.DataFrame]:
    """Encode, compare, look for duplicates, print; the tables by data set."""
    options = arguments(given)
    from resources.compute import Compute

    Compute("cpu", options.threads).apply()
    tables = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.datasets:
            if name == "sample":
                every = draw_sample(Path(scratch), options.articles, options.seed)
            else:
                every = open_photographs(name, options.data)
            photos = drawn(every, options.limit, options.seed)
            vectors = {
                each: encoded(photos, Encoder(network, device="cpu", threads=options.threads), options.vectors)
                for each, network in networks(photos, every, options).items()
            }
            tables[name] = compare(photos, vectors)
            print(f"\n{name}: {len(photos.articles):,} of {len(every.articles):,} articles")
            print(tables[name].round(3).to_string(), flush=True)
            if name != "sample":
                _print_duplicates(every, photos, vectors["MobileNetV2"], options.near, options.grey)
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
