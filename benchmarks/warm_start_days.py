"""A day's sequence model from yesterday's weights against one from random weights, over a real week of H&M.

    python -m benchmarks.warm_start_days --hm-week FOLDER [--first 2020-09-17] [--config JSON] [--warm-config JSON]
        [--out FILE.csv] [--threads 1] [--device cpu]

For each day from ``--first`` to 21 September 2020 two models are trained on all transactions up to that day: one from
random weights, the other from the weights that its own predecessor of the day before ended with, for which
``--warm-config`` says what differs (it may train for fewer epochs). They are evaluated on
the next day: customers with a history, repeats allowed, only articles sold so far, hit rate and NDCG at 12. The first
day has no predecessor; it is trained once and does not count. Articles have content: texts, types and attributes.

Which epoch is kept is decided by interactions that a fit holds out of its own training data. Where a config has
``warm_start``, they are those of the same customers every day, and a predecessor has not trained on them; otherwise it
may have, so that the second model may stop late. What is printed is of the next day, which no model saw.

What belongs here: the days, the comparison, printing. What does not: how a training starts from weights
(:mod:`atelier.recommenders.sequential.warm_start`), the data (:mod:`benchmarks.hm_recommenders`).
"""

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pandas as pd
import pyarrow as pa
import torch

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.metrics import per_customer
from atelier.metrics.significance import compare
from atelier.recommenders.sequential.model import SequenceRecommender
from benchmarks.hm_recommenders import LAST_DAY, catalogue, read_week

K = 12
SHOWN = ("hit_rate", "ndcg")
STARTS = ("random", "yesterday")


class Day(NamedTuple):
    """One day.

    Attributes:
        day: the last one that is trained on.
        train: the transactions up to it.
        truth: those of the next day.
    """

    day: date
    train: Interactions
    truth: Interactions


def days(transactions: Interactions, first: date) -> Iterator[Day]:
    """The days from ``first`` on that have a next one."""
    day = first
    while day < LAST_DAY:
        train, later = transactions.split_at(day + timedelta(days=1))
        truth, _ = later.split_at(day + timedelta(days=2))
        yield Day(day, train, truth)
        day += timedelta(days=1)


def fitted(
    config: dict[str, Any],
    day: Day,
    sold: Catalogue | None,
    before: SequenceRecommender[Any] | None,
    device: str = "cpu",
) -> tuple[SequenceRecommender[Any], float]:
    """The model of a day, and the processor seconds of its fit."""
    model = recommenders.build("transformer", device, **config)
    if not isinstance(model, SequenceRecommender):
        raise TypeError(f"{model.name} has no warm start")
    model.warm_start = before
    begin = time.process_time()
    model.fit(day.train, catalogue=sold)
    return model, time.process_time() - begin


def judged(model: SequenceRecommender[Any], day: Day) -> pd.DataFrame:
    """The metrics of each customer of the next day whom the model knows, as :func:`atelier.metrics.per_customer`."""
    truth = day.truth.to_frame()
    known = day.truth.customer_ids.values.filter(pa.array(model.can_serve(day.truth.customer_ids.values)))
    sold = day.train.article_ids.values
    recs = model.recommend(known, k=K, exclude_seen=False, candidates=sold)
    values = per_customer(recs, truth[truth["customer_id"].isin(known.to_pylist())], K)
    return values[values["metric"].isin(SHOWN)]


def compared(
    transactions: Interactions,
    first: date,
    configs: Mapping[str, dict[str, Any]],
    sold: Catalogue | None,
    device: str = "cpu",
) -> pd.DataFrame:
    """Each day after the first by each start, whose config is that of ``configs``.

    Returns:
        day, start, customers, hit_rate, ndcg, processor_seconds, epochs; of the start from yesterday also difference
        (its hit rate less the other's) and p_value (of a paired test over customers).
    """
    rows: list[dict[str, Any]] = []
    before: SequenceRecommender[Any] | None = None
    for day in days(transactions, first):
        values = {}
        for start in STARTS if before is not None else STARTS[:1]:
            model, seconds = fitted(configs[start], day, sold, before if start == "yesterday" else None, device)
            values[start] = judged(model, day)
            rows.append({"day": day.day, "start": start, **_figures(values[start])})
            rows[-1] |= {"processor_seconds": round(seconds, 1), "epochs": len(model.epochs)}
        if before is not None:
            test = compare({start: each[each["metric"] == "hit_rate"] for start, each in values.items()}).iloc[0]
            rows[-1] |= {"difference": test["difference"], "p_value": test["p_value"]}
        before = model
    return pd.DataFrame(rows)


def _figures(values: pd.DataFrame) -> dict[str, float]:
    means = values.groupby("metric", observed=True)["value"].mean()
    return {"customers": values["customer_id"].nunique(), **{name: float(means[name]) for name in SHOWN}}


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hm-week", type=Path, required=True)
    parser.add_argument("--first", type=date.fromisoformat, default=date(2020, 9, 17))
    parser.add_argument("--config", type=json.loads, default={})
    parser.add_argument("--warm-config", type=json.loads, default={})
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="where the models compute, as PyTorch names it, or auto")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    # The length of the vectors has to be the same on all days; by default it goes with the number of articles.
    config = {"factors": 128, **options.config}
    sold = catalogue(pd.read_parquet(options.hm_week / "articles.parquet"))
    configs = dict(zip(STARTS, (config, config | options.warm_config), strict=True))
    table = compared(read_week(options.hm_week), options.first, configs, sold, options.device)
    print(table.to_string(index=False))
    both = table[table["day"] > table["day"].min()]
    print(both.groupby("start")[[*SHOWN, "processor_seconds", "epochs"]].mean().to_string())
    if options.out:
        table.to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
