"""Attributes from texts alone: the network, and TF-IDF with logistic regression as one writes it in scikit-learn.

Run it as ``python -m benchmarks.attributes_against_linear``. Data are articles and annotations of a generated sample
retailer without photographs; a fifth of the styles is held out. Both sides get the same articles, name and description
(the network's other inputs, product type, brand and division, are taken away), train on the same annotations and
predict the held-out ones; the row tells the seconds of both together, and the mean over attributes of the weighted F1.
The two are not of the same quality, which is why there is no goal. Ours has the settings that the pipeline chooses for
so many articles, and trains one network for all attributes; the peer one classifier for each.

Real catalogues, photographs and other baselines: docs/attribute_benchmarks.md.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pandas as pd

from atelier.attributes import AttributeModel, holdout
from benchmarks.attribute_training import sample_data
from benchmarks.ratios import Row, in_turns, table, write

NAME = "attributes_against_linear"
COLUMNS = ["article_id", "product_code", "name", "description"]
KEY = ["article_id", "attribute"]


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=int, default=800)
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: one for each core")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path, help="where the rows are written as JSON")
    return parser.parse_args(given)


def network(articles: pd.DataFrame, labels: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """The network's values of the asked articles: ``article_id, attribute, value``."""
    return AttributeModel(device="cpu").fit(articles, labels).predict(asked)


def linear(articles: pd.DataFrame, labels: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """The values of a classifier for each attribute, over shared words: ``article_id, attribute, value``."""
    from sklearn.dummy import DummyClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    known, unknown = words.fit_transform(articles["text"]), words.transform(asked["text"])
    places = pd.Series(range(len(articles)), index=articles["article_id"])
    parts = []
    for attribute, rows in labels.groupby("attribute"):
        several = rows["value"].nunique() > 1
        classifier = LogisticRegression(C=30, max_iter=300) if several else DummyClassifier()
        classifier.fit(known[places[rows["article_id"]].to_numpy()], rows["value"])
        found = classifier.predict(unknown)
        parts.append(pd.DataFrame({"article_id": asked["article_id"], "attribute": attribute, "value": found}))
    return pd.concat(parts, ignore_index=True)


def weighted_f1(found: pd.DataFrame, labels: pd.DataFrame) -> float:
    """The mean over attributes of the weighted F1; what was not predicted is wrong.

    Args:
        found: article_id, attribute, value.
        labels: the same, of which each attribute has at least one.
    """
    from sklearn.metrics import f1_score

    both = labels.merge(found, on=KEY, how="left", suffixes=("", "_found")).fillna({"value_found": ""})
    scores = [
        f1_score(rows["value"], rows["value_found"], average="weighted", zero_division=0)
        for _, rows in both.groupby("attribute")
    ]
    return float(pd.Series(scores).mean())


def measure(options: argparse.Namespace) -> list[Row]:
    """The row of the table."""
    import torch

    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder:
        data = sample_data(Path(folder), options.articles, photographs=False)
    articles = data.articles[COLUMNS].assign(text=data.articles["name"] + " " + data.articles["description"].fillna(""))
    held_out = holdout(articles, 0.2)
    theirs = data.labels["article_id"].isin(articles.loc[held_out, "article_id"])
    known, hidden = data.labels[~theirs], data.labels[theirs]
    given = articles[~held_out], known, articles[held_out]
    network(articles[~held_out].head(60), known, articles.head(5))  # what is made at first use is not timed
    seconds, found = in_turns(options.repeats, lambda: network(*given), lambda: linear(*given))
    ours, peer = (weighted_f1(one, hidden) for one in found)
    what = f"attributes from texts, {len(known):,} annotations of {(~held_out).sum():,} articles"
    told = f"weighted F1 of {len(hidden):,} held-out annotations: ours {ours:.3f}, theirs {peer:.3f}"
    return [Row.of(NAME, what, "scikit-learn, TF-IDF", *seconds, checked=told)]


def main() -> None:
    """Measure and print."""
    options = arguments()
    rows = measure(options)
    print(table(rows))
    write(rows, options.out)


if __name__ == "__main__":
    main()
