"""What a shorter training costs in quality: the full fit of a model beside one that is bounded as on a large retailer.

    python -m benchmarks.training_length --hm-week FOLDER --model hybrid
        --bounded '{"newest_positives": 60000, "epoch_positives": 20000, "max_positives": 400000}'
    python -m benchmarks.training_length --hm-sequences FOLDER --articles FILE.csv --customers 40000 --model transformer
        --bounded '{"epoch_interactions": 50000, "max_interactions": 1000000}' [--settings JSON] [--seed 0]
        [--validation]

All fits have the same ``--settings``; ``--bounded`` are further ones of each fit after the first. The week is trained
on 16 to 20 September 2020 and judged by 21 and 22; of sequences the last purchase of 10,000 customers is held out.
``--validation`` stays inside the training part, for choosing settings: the week's 16 to 19 judged by the 20th, and of
sequences the last training purchase of others. Lists of 12 may hold what the customer has. Printed are the processor
seconds of each fit, how many looks it took, its hit rate and recall with standard errors over customers, and the paired
differences with their own.

What belongs here: the fits and what is printed. What does not: reading the data
(:mod:`benchmarks.hm_recommenders`), the rule by which training is bounded
(:mod:`atelier.recommenders.training_data.amount`).
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pyarrow as pa

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.metrics import compare, per_customer
from benchmarks.hm_recommenders import Split, catalogue, read_sequences, read_week, sequences_split, week_split

K = 12
METRICS = ("hit_rate", "recall")


@dataclass(frozen=True)
class Fitted:
    """One fit.

    Attributes:
        seconds: processor seconds of fitting.
        looks: how often the held-out customers were looked at.
        values: customer_id, metric, k, value.
    """

    seconds: float
    looks: int
    values: pd.DataFrame


def fitted(model: str, settings: dict[str, Any], split: Split, sold: Catalogue) -> Fitted:
    """A model fitted on the training part and judged on the truth of customers for whom it can rank."""
    fit = recommenders.build(model, **settings)
    before = time.process_time()
    fit.fit(split.train, catalogue=sold)
    seconds = time.process_time() - before
    asked = split.truth.customer_ids.values
    judged = asked.filter(pa.array(split.train.customer_ids.encode(asked, unknown="minus_one") >= 0)).to_pylist()
    candidates = split.train.article_ids.values if split.sold_only else None
    lists = fit.recommend(judged, k=K, exclude_seen=False, candidates=candidates)
    truth = split.truth.to_frame()
    truth = truth[truth["customer_id"].isin(judged)]
    values = per_customer(lists, truth, k=K)
    return Fitted(seconds, int(fit.training_figures()["epochs"] or 0), values)


def table(fits: dict[str, Fitted]) -> str:
    """One row for each fit, and the paired differences."""
    heads = "".join(f"{f'{name}@{K} ± s.e.':>22}" for name in METRICS)
    lines = [f"{'fit':<10}{'processor s':>12}{'looks':>7}{heads}"]
    for name, fit in fits.items():
        figures = ""
        for metric in METRICS:
            value = fit.values.loc[fit.values["metric"] == metric, "value"].to_numpy(np.float64)
            mean, error = float(value.mean()), float(value.std(ddof=1) / len(value) ** 0.5)
            figures += f"{mean:>12.5f} ± {error:.5f}"
        lines.append(f"{name:<10}{fit.seconds:>12.1f}{fit.looks:>7}" + figures)
    for metric in METRICS:
        chosen = {name: fit.values[fit.values["metric"] == metric] for name, fit in fits.items()}
        for row in compare(chosen, None).to_dict("records"):
            lines.append(
                f"{metric}@{K}: {row['model']} − {row['baseline']} = {row['difference']:+.5f} ± "
                f"{row['standard_error']:.5f} ({row['customers']:,} customers)"
            )
    return "\n".join(lines)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--hm-week", type=Path)
    source.add_argument("--hm-sequences", type=Path)
    parser.add_argument("--articles", type=Path)
    parser.add_argument("--customers", type=int)
    parser.add_argument("--model", choices=["hybrid", "transformer", "sequencer"], required=True)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--bounded", type=json.loads, nargs="+", required=True)
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(given)
    if options.hm_sequences and not options.articles:
        parser.error("--hm-sequences needs --articles, the articles.csv that describes them")
    return options


def data(options: argparse.Namespace) -> tuple[Split, Catalogue]:
    """The split and the articles of the options."""
    if options.hm_week:
        sold = catalogue(pd.read_parquet(options.hm_week / "articles.parquet"))
        return week_split(read_week(options.hm_week), "two_days", validation=options.validation), sold
    sequences = read_sequences(options.hm_sequences, options.customers)
    split = sequences_split(sequences, "reference", validation=options.validation)
    return split, catalogue(pd.read_csv(options.articles, dtype="str"))


def main(given: Sequence[str] | None = None) -> None:
    """Fit once without bounds and once with each, print."""
    options = arguments(given)
    from resources.compute import Compute

    Compute("cpu", 1).apply()
    split, sold = data(options)
    print(f"{len(split.train):,} interactions, {len(split.train.article_ids):,} articles", flush=True)
    common = options.settings | {"seed": options.seed}
    fits = {"full": fitted(options.model, common, split, sold)}
    for place, bounds in enumerate(options.bounded, start=1):
        fits[f"bounded {place}"] = fitted(options.model, common | bounds, split, sold)
    print(table(fits), flush=True)


if __name__ == "__main__":
    main()
