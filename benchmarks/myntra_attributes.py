"""The attribute network on Myntra, reading the photograph, the name or both, against logistic regression.

    python -m benchmarks.myntra_attributes --myntra FOLDER --weights FILE [--vectors FOLDER] [--limit N] [--seed 0]
        [--threads 2]

FOLDER holds styles.csv and images/ID.jpg as in the Kaggle data, FILE the weights of MobileNetV2 (ImageNet). Gender,
article type, colour, season and usage are predicted from the photograph alone, from the name (productDisplayName)
alone, and from both, by the network and by the linear classifiers of :mod:`atelier.studies.linear_baselines`;
``majority`` always predicts the most frequent value of training. 32% of the articles are held out by a hash of their
id: Myntra has no styles, so near copies of an article may be both in training and in test and help every model. An
empty or ``NA`` value is no label. Every value is predicted, however rare. Accuracy and weighted F1 on the articles held
out are printed.

- ``--vectors``: a folder in which vectors are stored between runs. It is not checked that a file was made with the
  given weights.
- ``--limit``: the number of articles, drawn at random by ``--seed``; without it, all that have a photograph.
- ``--seed``: of the draw, of the split and of the network.

What belongs here: reading Myntra's data, the comparison, its tables. What does not: the models, and the figures and
vectors, which ``hm_attributes`` computes.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from atelier.attributes import AttributeConfig, AttributeModel, holdout
from atelier.studies.linear_baselines import Kind, fit_linear_baseline
from benchmarks.hm_articles import TEST_SHARE
from benchmarks.hm_attributes import EVERY_VALUE, KINDS, Photographs, Side, Vectors, scores

ATTRIBUTES = ("gender", "articleType", "baseColour", "season", "usage")
#: The columns that a model on one kind of input does not read.
UNREAD: dict[Kind, tuple[str, ...]] = {"text": ("embeddings",), "image": ("name",), "joined": ()}


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--myntra", metavar="FOLDER", type=Path, required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(given)


def photographs(folder: Path) -> pd.DataFrame:
    """article_id, path, name and the five attributes of the articles with a photograph, by article_id.

    Some lines of styles.csv have unquoted commas in the last column, the name; they belong to the name.
    """
    columns = pd.read_csv(folder / "styles.csv", nrows=0).columns
    last = len(columns) - 1
    styles = pd.read_csv(
        folder / "styles.csv",
        dtype="str",
        engine="python",  # the only engine with a callback for malformed lines
        index_col=False,
        on_bad_lines=lambda fields: [*fields[:last], ",".join(fields[last:])],
    )
    styles = styles.rename(columns={"id": "article_id", "productDisplayName": "name"})
    found = sorted((folder / "images").glob("*.jpg"))
    files = pd.DataFrame({"article_id": [p.stem for p in found], "path": [p.name for p in found]}, dtype="str")
    wanted = styles[["article_id", "name", *ATTRIBUTES]]
    return files.merge(wanted, on="article_id", how="inner", validate="one_to_one")


def read(files: pd.DataFrame, vectors: Vectors) -> Side:
    """Articles and labels of ``files``; ``vectors`` [files, dim] in their order."""
    articles = files[["article_id", "name"]].assign(embeddings=list(vectors[:, None]))
    return Side(articles, files.melt("article_id", list(ATTRIBUTES), var_name="attribute").dropna())


def majority(labels: pd.DataFrame, articles: pd.DataFrame) -> pd.DataFrame:
    """The most frequent value of each attribute for every article; the first in the alphabet of equally frequent."""
    values = labels.groupby("attribute")["value"].agg(lambda known: known.mode().iloc[0]).reset_index()
    return articles[["article_id"]].merge(values, how="cross")


def compare(
    train: Side,
    test: Side,
    *,
    seed: int,
    config: AttributeConfig | None = None,
    kinds: Sequence[Kind] = KINDS,
    networks: bool = True,
) -> pd.DataFrame:
    """Train every model on one side and test it on the other.

    Args:
        train: the training articles and labels.
        test: the test articles and labels.
        seed: of the network.
        config: the network's; None: the one that suits the data, predicting every value.
        kinds: what the models read.
        networks: whether the network is trained; False: the linear classifiers alone.

    Returns:
        A row for each model; columns (``accuracy`` or ``weighted F1``, attribute or ``mean``), and (``seconds``, "").
    """
    config = config or AttributeConfig.for_data(train.labels["article_id"].nunique()).model_copy(update=EVERY_VALUE)
    config = config.model_copy(update={"seed": seed})

    def network(kind: Kind) -> pd.DataFrame:
        mine, other = (side.articles.drop(columns=list(UNREAD[kind]), errors="ignore") for side in (train, test))
        return AttributeModel(config).fit(mine, train.labels).predict(other)

    def peer(kind: Kind) -> pd.DataFrame:
        return fit_linear_baseline(kind, train.articles, train.labels).predict(test.articles)

    rows = {"majority": _tested("majority", lambda: majority(train.labels, test.articles), test)}
    for kind in kinds:
        rows[f"{kind} LR"] = _tested(f"{kind} LR", lambda kind=kind: peer(kind), test)  # type: ignore[misc]
        if not networks:
            continue
        rows[f"{kind} net"] = _tested(f"{kind} net", lambda kind=kind: network(kind), test)  # type: ignore[misc]
    return pd.DataFrame(rows).T


def _tested(name: str, predict: Callable[[], pd.DataFrame], test: Side) -> "pd.Series[float]":
    start = time.perf_counter()
    predicted = predict()
    seconds = time.perf_counter() - start
    table = scores(predicted, test.labels)
    found: pd.Series[float] = pd.concat(
        {str(metric): table[metric] for metric in table.columns} | {"seconds": pd.Series({"": seconds})}
    )
    print(f"{name}: mean weighted F1 {table['weighted F1'].iloc[-1]:.4f}, {seconds:.0f} s", flush=True)
    return found


def main(given: Sequence[str] | None = None, config: AttributeConfig | None = None) -> pd.DataFrame:
    """Read, train, print; the table of :func:`compare`."""
    options = arguments(given)
    from resources.compute import Compute

    Compute("cpu", options.threads).apply()
    files = photographs(options.myntra)
    photos = Photographs(
        options.myntra / "images",
        files,
        np.zeros(len(files), dtype=bool),
        weights=options.weights,
        folder=options.vectors,
        threads=options.threads,
    )
    whole = read(files, photos.vectors("mobilenet"))
    if options.limit is not None and options.limit < len(files):
        drawn = np.random.default_rng(options.seed).permutation(len(files)) < options.limit
        whole = whole.part(drawn)
    held_out = holdout(whole.articles, TEST_SHARE, seed=options.seed)
    print(f"{(~held_out).sum()} articles to train on, {held_out.sum()} to test on ({held_out.mean():.1%})")
    table = compare(whole.part(~held_out), whole.part(held_out), seed=options.seed, config=config)
    for metric in ("accuracy", "weighted F1"):
        print(f"\n{metric}\n{table[metric].round(3).to_string()}")
    return table


if __name__ == "__main__":
    main()
