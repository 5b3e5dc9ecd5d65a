"""The accuracy of the day's predicted attributes on hidden labels, which the source does not give to the pipeline.

    python -m benchmarks.hidden_labels [--day YYYY-MM-DD]

It evaluates the home in ``$ATELIER_HOME``, by default on the last day that has predictions. The hidden labels are, for
the H&M files, those that the option ``hide_labels`` hides; for the sample retailer, every true value that was not
annotated by that day. No stage of the pipeline reads them, so, unlike in ``attribute_metrics``, nothing was chosen on
them.

For the sample retailer it is known what photographs and texts show. There the table has two more columns: the ceiling,
which is the accuracy of a reader who sees and reads everything, and the model's distance from it. For the assumptions
of the ceiling, and where it is exact, see :mod:`benchmarks.sample_ceiling`.

What belongs here: reading predictions and hidden labels, and their comparison. What does not: the formulas of metrics
(:mod:`atelier.attributes.scores`), the reader (:mod:`benchmarks.sample_ceiling`).
"""

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from atelier.attributes.labels import read_labels
from atelier.attributes.scores import AGAINST_MAJORITY, against_majority, positions_of
from atelier.errors import AtelierError, SourceError
from atelier.sources import Source
from atelier.sources.hm import HmSource
from atelier.sources.parquet import SampleSource
from benchmarks.sample_ceiling import KEY, read, renamed, truth_file
from resources.feature_store import FeatureStore
from resources.retailer import Home

CEILING = ("ceiling", "distance")


def hidden_labels(source: Source, day: date) -> pd.DataFrame:
    """The hidden labels of a source: article_id, attribute, value; some of the sample retailer's are also annotated.

    Args:
        source: the home's.
        day: the day whose names of values are used; the sample retailer renames values of one attribute half-way.

    Raises:
        SourceError: the source hides no labels.
    """
    if isinstance(source, SampleSource):
        return sample_truth(source.root / "truth", day)
    if not isinstance(source, HmSource):
        raise SourceError(
            "a Parquet landing zone hides no labels: every label in annotated_attributes is trained on."
            " attribute_metrics holds metrics on articles held out; or evaluate a home of kind sample or hm"
        )
    labels = source.hidden_labels() if source.options.hide_labels else pd.DataFrame()
    if labels.empty:
        raise SourceError(
            f"{source.root}: no label is hidden; begin a new home with a hide_labels above 0 among the source's options"
        )
    return labels


def sample_truth(folder: Path, day: date) -> pd.DataFrame:
    """Every true value of the sample retailer's articles, named as on ``day``: article_id, attribute, value.

    Raises:
        SourceError: a file of the folder ``truth`` is absent.
    """
    name = "value" if renamed(folder, day) else "old_value"
    truth = pd.read_parquet(truth_file(folder, "attributes.parquet"))
    return truth[KEY].assign(value=truth[name])


def evaluate(predicted: pd.DataFrame, hidden: pd.DataFrame, reader: pd.DataFrame | None = None) -> pd.DataFrame:
    """Compare the model's predictions with hidden labels.

    A value too rare to be predicted counts as an error, as in :func:`atelier.attributes.evaluation.evaluate`. The
    majority baseline always predicts the value annotated most often (of several the first in the alphabet) and is
    evaluated on the same labels as the model.

    Args:
        predicted: rows of predicted_attributes: article_id, attribute, value, prediction (null where there is none),
            source.
        hidden: article_id, attribute, value. Those with an annotation in ``predicted`` are left out.
        reader: article_id, attribute, read: the reader's value for every hidden label, of
            :func:`benchmarks.sample_ceiling.read`.

    Returns:
        For each attribute with a hidden label, in alphabetical order: attribute, hidden (the number of labels), judged
        (the number of those with a prediction), accuracy, weighted_f1, majority_accuracy, majority_weighted_f1 (nan
        without any prediction, the baseline's also without an annotation), and with a reader ceiling (its accuracy on
        the labels with a prediction) and distance (ceiling − accuracy). The last row is ``mean``: the total numbers of
        labels, and for each score the unweighted mean over the attributes that have it.

    Raises:
        ArticlesError: a column is missing, or ``hidden`` has two labels for one attribute of an article.
    """
    annotated = predicted["source"] == "annotated"
    known = predicted.loc[annotated]
    both = read_labels(hidden).merge(predicted.loc[:, [*KEY, "prediction", "source"]], on=KEY, how="left")
    both = both[both["source"] != "annotated"].drop(columns="source")
    scores: tuple[str, ...] = AGAINST_MAJORITY
    if reader is not None:
        both, scores = both.merge(reader, on=KEY, how="left", validate="one_to_one"), AGAINST_MAJORITY + CEILING
    rows = {
        str(attribute): _scores(labels, known.loc[known["attribute"] == attribute, "value"])
        for attribute, labels in both.groupby("attribute", sort=True)
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["hidden", "judged", *scores], dtype=np.float64)
    mean = {"hidden": table["hidden"].sum(), "judged": table["judged"].sum()} | table[list(scores)].mean().to_dict()
    table = pd.concat([table, pd.DataFrame(mean, index=["mean"])])
    return table.astype({"hidden": "int64", "judged": "int64"}).rename_axis("attribute").reset_index()


def _scores(labels: pd.DataFrame, annotated: pd.Series) -> dict[str, float]:
    """The scores of one attribute; ``labels``: value, prediction and, where there is a reader, read."""
    predicted = labels[labels["prediction"].notna()]
    # The most frequent annotated value, of several the first in the alphabet; none where nothing is annotated.
    usual = annotated.mode().head(1)
    truth, codes, most = positions_of((), predicted["value"], predicted["prediction"], usual)
    majority = int(most[0]) if len(most) else None
    counts = {"hidden": float(len(labels)), "judged": float(len(predicted))}
    figures = {**counts, **against_majority(truth, codes, majority)}
    if "read" in predicted:
        ceiling = float(predicted["read"].eq(predicted["value"]).mean())
        figures |= {"ceiling": ceiling, "distance": ceiling - figures["accuracy"]}
    return figures


def as_text(table: pd.DataFrame) -> str:
    """The table of :func:`evaluate`, aligned, and below it the share of the hidden labels that got a prediction."""
    width = max(map(len, ["attribute", *table["attribute"]]))
    ceiling = tuple(name for name in CEILING if name in table)
    more = "".join(f"{name:>10}" for name in ceiling)
    lines = [
        f"{'':<{width}}{'':>9}{'':>9}{'model':>20}{'majority':>20}" + " " * len(more),
        f"{'attribute':<{width}}{'hidden':>9}{'n':>9}" + f"{'accuracy':>10}{'F1':>10}" * 2 + more,
    ]
    for row in table.itertuples(index=False):
        values = (getattr(row, name) for name in AGAINST_MAJORITY + ceiling)
        figures = "".join("–".rjust(10) if np.isnan(x) else f"{x:>10.4f}" for x in values)
        lines.append(f"{row.attribute:<{width}}{row.hidden:>9}{row.judged:>9}{figures}")
    hidden, judged = table["hidden"].iloc[-1], table["judged"].iloc[-1]
    share = f"{judged / hidden:.2%}" if hidden else "–"
    return "\n".join([*lines, f"{judged:,} of {hidden:,} hidden labels ({share}) got a prediction; F1 is weighted."])


def of_home(home: Home, day: date | None = None) -> tuple[date, pd.DataFrame]:
    """The day and :func:`evaluate`'s table for a home. Articles that are not in the day's catalogue are left out.

    Args:
        home: where the store and the settings are.
        day: None: the last day that has predictions.

    Raises:
        SourceError: the source cannot be opened or hides no labels.
        PartitionMissing: the day, or if none is given any day, has no predictions.
    """
    store = FeatureStore(home.store)
    day = day or store.last_day("predicted_attributes")
    columns = [*KEY, "value", "prediction", "source"]
    predicted = store.read("predicted_attributes", day).select(columns).to_pandas()
    with store.connect(day, ["articles", "images"]) as connection:
        articles = connection.sql(
            "SELECT article_id, product_type, division, brand, name, description,"
            " article_id IN (SELECT article_id FROM images) AS photographed FROM articles"
        ).df()
    source = home.open_source()
    hidden = hidden_labels(source, day)
    hidden = hidden[hidden["article_id"].isin(articles["article_id"])]
    return day, evaluate(predicted, hidden, read(hidden, articles) if isinstance(source, SampleSource) else None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--day", type=date.fromisoformat, help="the day of the predictions; the last one if left out")
    options = parser.parse_args(arguments)
    home = Home.from_environment()
    try:
        day, table = of_home(home, options.day)
    except AtelierError as error:
        raise SystemExit(f"error: {error}") from error
    print(f"Predictions of {day} on hidden labels of the source ({home.settings.source})")
    print(as_text(table))


if __name__ == "__main__":
    main()
