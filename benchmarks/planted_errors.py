"""How well the day's catalogue_errors find the sample retailer's wrong labels, which are known.

    python -m benchmarks.planted_errors [--day YYYY-MM-DD] [--scores [--folds N] [--epochs N] [--seed N]]

It judges the table of the home in ``$ATELIER_HOME``, by default of the last day that has one. With ``--scores`` it
searches anew and compares rankings of all labels: cleanlab's scores and simple ones, with and without calibration, and
several cuts; that is what ``atelier.attributes.label_errors`` was chosen by.

What belongs here: the truth, the figures, the comparison. What does not: the search
(:mod:`atelier.attributes.label_errors`).
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from atelier.errors import AtelierError, SourceError
from atelier.sources.parquet import SampleSource
from atelier.sources.sample import taxonomy
from benchmarks.sample_ceiling import KEY, mentioned, renamed, seen, truth_file
from resources.article_inputs import article_inputs
from resources.embedding_cache import EmbeddingCache
from resources.feature_store import FeatureStore
from resources.retailer import Home

if TYPE_CHECKING:
    from atelier.attributes.label_errors import OutOfFoldLabels

TABLE = "catalogue_errors"

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def planted(source: Any, day: date, labels: pd.DataFrame, articles: pd.DataFrame) -> pd.DataFrame:
    """What is known of the labels of a day: article_id, attribute, value, wrong, revealed.

    Args:
        source: the home's.
        day: the sample retailer's taxonomy changes half-way: before, a label is wrong only if its old name is.
        labels: article_id, attribute, value: annotated_attributes of the day.
        articles: article_id, name, description, photographed (bool).

    Returns:
        One row for each label. ``revealed``: the article's photograph or its text shows the true value, so that the
        label can be found right or wrong by looking.

    Raises:
        SourceError: the source is not the sample retailer, or a file of its folder ``truth`` is absent.
    """
    if not isinstance(source, SampleSource):
        raise SourceError("which labels are wrong is known of the sample retailer only; use a home of kind sample")
    folder = source.root / "truth"
    truth = pd.read_parquet(truth_file(folder, "labels.parquet"), columns=[*KEY, "value", "truth"])
    if not renamed(folder, day):
        old = truth["attribute"] == taxonomy.CHANGED_ATTRIBUTE
        truth[["value", "truth"]] = truth[["value", "truth"]].where(~old, truth[["value", "truth"]].replace(OLD))
    known = labels.merge(truth.drop(columns="value"), on=KEY, how="left", validate="one_to_one")
    known = known.assign(wrong=known["value"] != known["truth"])
    return known.assign(revealed=revealed(known, articles))[[*KEY, "value", "wrong", "revealed"]]


OLD = taxonomy.OLD_VALUES


def revealed(labels: pd.DataFrame, articles: pd.DataFrame) -> Booleans:
    """Whether the true value of each label can be seen or read: bool [n].

    Args:
        labels: article_id, attribute, truth.
        articles: as for :func:`planted`.
    """
    truth = labels[[*KEY, "truth"]].rename(columns={"truth": "value"})
    both = truth.merge(articles, on="article_id", how="left")
    return np.asarray(seen(both) | mentioned(both), dtype=bool)


@dataclass(frozen=True)
class Found:
    """How well a ranking finds wrong labels.

    Attributes:
        average_precision: over all labels; those that are not ranked count as drawn in random order after the others.
        precision: at as many labels as are wrong; of missing ranks the share of what is left counts.
    """

    average_precision: float
    precision: float


def found(wrong: Booleans, score: Floats) -> Found:
    """Judge a ranking; labels of one score count as in random order.

    Args:
        wrong: bool [n].
        score: float [n], the most suspicious highest.
    """
    from sklearn.metrics import average_precision_score

    if not wrong.any():
        return Found(float("nan"), float("nan"))
    return Found(float(average_precision_score(wrong, score)), _precision_at(wrong, score, int(wrong.sum())))


def _precision_at(wrong: Booleans, score: Floats, count: int) -> float:
    """The expected share of wrong ones among the first ``count``, ties in random order."""
    last = np.sort(score)[::-1][count - 1]
    before, tied = score > last, score == last
    return float((wrong[before].sum() + (count - before.sum()) * wrong[tied].mean()) / count)


def judge(known: pd.DataFrame, errors: pd.DataFrame) -> pd.DataFrame:
    """Hold a table of errors against the truth.

    Args:
        known: of :func:`planted`.
        errors: article_id, attribute, rank.

    Returns:
        For each attribute and, last, ``all``: labels, wrong, listed (rows of ``errors``), hits (wrong ones among
        them), average_precision, precision (see :class:`Found`), ceiling_average_precision and ceiling_precision (who
        sees and reads everything: revealed errors first, labels of which nothing shows next, in random order), random
        (the share of wrong labels, which a random order gets).
    """
    ranks = known.merge(errors[[*KEY, "rank"]], on=KEY, how="left")["rank"].astype("float64")
    known = known.assign(score=-ranks.fillna(np.inf).to_numpy(), listed=ranks.notna().to_numpy())
    groups = [(str(name), group) for name, group in known.groupby("attribute", sort=True)]
    rows = [{"attribute": name} | _figures(group) for name, group in [*groups, ("all", known)]]
    return pd.DataFrame(rows)


def _figures(labels: pd.DataFrame) -> dict[str, float]:
    wrong, shown = labels["wrong"].to_numpy(bool), labels["revealed"].to_numpy(bool)
    # -inf is refused by scikit-learn; anything below the last rank will do.
    score = np.maximum(labels["score"].to_numpy(np.float64), -1e9)
    got, best = found(wrong, score), found(wrong, np.where(shown, 2.0 * wrong, 1.0))
    return {
        "labels": len(labels),
        "wrong": int(wrong.sum()),
        "listed": int(labels["listed"].sum()),
        "hits": int((labels["listed"] & labels["wrong"]).sum()),
        "average_precision": got.average_precision,
        "precision": got.precision,
        "ceiling_average_precision": best.average_precision,
        "ceiling_precision": best.precision,
        "random": float(wrong.mean()) if len(wrong) else float("nan"),
    }


def as_text(table: pd.DataFrame) -> str:
    """The table of :func:`judge`, aligned."""
    width = max(map(len, ["attribute", *table["attribute"]]))
    counts, scores = ("labels", "wrong", "listed", "hits"), ("average_precision", "precision")
    ceilings = ("ceiling_average_precision", "ceiling_precision", "random")
    heads = (
        "".join(f"{name:>8}" for name in counts) + f"{'AP':>8}{'P@wrong':>9}{'ceiling':>9}{'P@wrong':>9}{'random':>8}"
    )
    lines = [f"{'attribute':<{width}}{heads}"]
    for row in table.to_dict("records"):
        shown = [f"{'–' if np.isnan(row[name]) else format(row[name], '.3f')}" for name in (*scores, *ceilings)]
        sizes = (8, 9, 9, 9, 8)
        lines.append(
            f"{row['attribute']:<{width}}"
            + "".join(f"{row[name]:>8}" for name in counts)
            + "".join(text.rjust(size) for text, size in zip(shown, sizes, strict=True))
        )
    return "\n".join(lines)


def of_home(home: Home, day: date | None = None) -> tuple[date, pd.DataFrame]:
    """The day and :func:`judge`'s table for a home.

    Args:
        home: where the store and the settings are.
        day: None takes the last one that has a table of errors.

    Raises:
        SourceError: the home's source is not the sample retailer.
        PartitionMissing: the day, or where none is given any day, has no table of errors.
    """
    store = FeatureStore(home.store)
    day = day or store.last_day(TABLE)
    errors = store.read(TABLE, day).to_pandas()
    return day, judge(_known(home, store, day), errors)


def _known(home: Home, store: FeatureStore, day: date) -> pd.DataFrame:
    with store.connect(day, ["articles", "annotated_attributes", "images"]) as connection:
        labels = connection.sql("SELECT article_id, attribute, value FROM annotated_attributes ORDER BY ALL").df()
        articles = connection.sql(
            "SELECT article_id, name, description, article_id IN (SELECT article_id FROM images) AS photographed"
            " FROM articles"
        ).df()
    return planted(home.open_source(), day, labels, articles)


# Comparing scores ------------------------------------------------------------------------------------------------


def compare(home: Home, day: date | None, *, folds: int, epochs: int | None, seed: int) -> str:
    """Search anew, and rank all labels by every score; a report in plain text."""
    from atelier.attributes.label_errors import config_for, out_of_fold

    store = FeatureStore(home.store)
    day = day or store.last_day("image_embeddings")
    known, articles = _known(home, store, day), article_inputs(store, EmbeddingCache(home.store), day)
    config = config_for(known["article_id"].nunique(), seed=seed, max_epochs=epochs)
    clock, processor = time.perf_counter(), time.process_time()
    judged = out_of_fold(articles, known[[*KEY, "value"]], config, folds=folds, seed=seed)
    seconds, busy = time.perf_counter() - clock, time.process_time() - processor
    lines = [f"{day}: {folds} folds of {config.max_epochs} epochs, {seconds:.0f} s, {busy:.0f} s of processor"]
    lines += [f"{judged.summary}", f"{'score':<34}{'AP':>8}{'P@wrong':>9}"]
    for name, got in _all_scores(judged.judged, known):
        lines.append(f"{name:<34}{got.average_precision:>8.3f}{got.precision:>9.3f}")
    return "\n".join([*lines, *_cuts(judged.judged, known)])


def _all_scores(judged: "Sequence[OutOfFoldLabels]", known: pd.DataFrame) -> Iterator[tuple[str, Found]]:
    from atelier.attributes.temperature import uncalibrated

    wrong = _wrong(judged, known)
    for calibrated in (False, True):
        scores: dict[str, list[Floats]] = {}
        for labels in judged:
            own = labels.probabilities
            if not calibrated:
                own = uncalibrated(own, labels.temperature)
            for name, values in _scores(labels, own).items():
                scores.setdefault(name, []).append(values)
        for name, parts in scores.items():
            yield f"{name}, {'calibrated' if calibrated else 'as trained'}", found(wrong, np.concatenate(parts))


def _wrong(judged: "Sequence[OutOfFoldLabels]", known: pd.DataFrame) -> Booleans:
    index = known.set_index(KEY)["wrong"]
    keys = [pd.MultiIndex.from_product([labels.article_ids, [labels.attribute]]) for labels in judged]
    return np.concatenate([index.reindex(key).to_numpy(bool) for key in keys])


def _scores(labels: "OutOfFoldLabels", probabilities: Floats) -> dict[str, Floats]:
    """Every score, the most suspicious highest."""
    from cleanlab.rank import get_label_quality_scores

    from atelier.attributes.label_errors import Score, quality

    rows = np.arange(len(labels))
    given = probabilities[rows, labels.given]
    others = probabilities.copy()
    others[rows, labels.given] = 0
    other = others.max(axis=1)
    scores = {name: -quality(labels.given, probabilities, name) for name in get_args(Score)}
    adjusted = get_label_quality_scores(labels.given, probabilities, method="self_confidence", adjust_pred_probs=True)
    return {str(name): values for name, values in scores.items()} | {
        "self_confidence, adjusted": -adjusted,
        "confidence of the contradiction": np.where(other > given, other, -given),
    }


def _cuts(judged: "Sequence[OutOfFoldLabels]", known: pd.DataFrame) -> Iterator[str]:
    """What cleanlab's own filters keep, and ours: rows, precision, recall, figures of the list ranked within."""
    from cleanlab import filter as cleanlab_filter

    from atelier.attributes.label_errors import find_label_issues, quality, rank_label_issues

    wrong = _wrong(judged, known)
    score = -np.concatenate([quality(each.given, each.probabilities, "log_odds") for each in judged])
    kept = {
        f"cleanlab {name}": np.concatenate(
            [
                cleanlab_filter.find_label_issues(each.given, each.probabilities, filter_by=name, n_jobs=1)
                for each in judged
            ]
        )
        for name in ("prune_by_noise_rate", "prune_by_class", "both", "confident_learning")
    }
    ours = find_label_issues(rank_label_issues(judged)).set_index(KEY).index
    keys = [pd.MultiIndex.from_product([each.article_ids, [each.attribute]]) for each in judged]
    kept["contradicted"] = np.concatenate([key.isin(ours) for key in keys])
    yield f"{'cut':<34}{'rows':>8}{'hits':>9}{'precision':>11}{'recall':>8}{'AP':>8}{'P@wrong':>9}"
    for name, chosen in kept.items():
        got = found(wrong, np.where(chosen, score, score.min() - 1.0))
        hits = int(wrong[chosen].sum())
        yield (
            f"{name:<34}{chosen.sum():>8}{hits:>9}{hits / max(1, chosen.sum()):>11.3f}{hits / wrong.sum():>8.3f}"
            f"{got.average_precision:>8.3f}{got.precision:>9.3f}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--day", type=date.fromisoformat, help="the day of the table; the last one if left out")
    parser.add_argument("--scores", action="store_true", help="search anew and compare scores and cuts")
    parser.add_argument("--folds", type=int, default=3, help="with --scores: how many")
    parser.add_argument("--epochs", type=int, help="with --scores: of each fold's model; default: as in the stage")
    parser.add_argument("--seed", type=int, default=0, help="with --scores: of folds and models")
    options = parser.parse_args(arguments)
    home = Home.from_environment()
    try:
        if options.scores:
            print(compare(home, options.day, folds=options.folds, epochs=options.epochs, seed=options.seed))
            return
        day, table = of_home(home, options.day)
    except AtelierError as error:
        raise SystemExit(f"error: {error}") from error
    print(f"{TABLE} of {day} against the sample retailer's wrong labels; ceiling: who sees and reads everything")
    print(as_text(table))


if __name__ == "__main__":
    main()
