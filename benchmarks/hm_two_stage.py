"""Two stages on two years of a few H&M customers: what ages add, week by week, and the published pooled split.

    python -m benchmarks.hm_two_stage --hm FOLDER [--protocol weeks pooled] [--weeks 26] [--pooled MODEL …]
        [--config JSON] [--threads 1] [--out FILE.json]

``weeks``: each of the last weeks is the truth once, of the customers who bought in it; everything before it is trained
on. MAP@12 of customers with history, over all customer-weeks together, repeats allowed; the interval of a difference
takes the weeks of one customer as one observation. ``two_stage with age`` reads the customers' ages (as a source, as
features), ``two_stage`` does not.

``pooled``: split by time into 70, 15 and 15% of the transactions, as the published H&M two-tower project does; trained
on the first two, judged on the last. That project's precision of 60% at a recall of .1% cannot be per customer. Here
the truth is pooled over the customers: an article is right in anybody's list if anybody bought it in the judged part.
Precision is the share of the places of all lists that hold such an article, recall the share of such articles that a
list holds, in the mean over customers. What it rewards is popularity; it has no goal. Beside it stands precision per
customer, with recall and NDCG.

What belongs here: reading the data, both protocols, printing. What does not: the models, the complete week
(:mod:`benchmarks.hm_week_two_stage`).
"""

import argparse
import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.metrics import per_customer
from atelier.progress import progress
from atelier.recommenders.two_stage.two_stage_config import TwoStageConfig
from benchmarks.hm_recommenders import catalogue
from benchmarks.hm_week_two_stage import Values, lists_for, map_at_12
from benchmarks.two_stage_costs import Costs, peak

PUBLISHED_K = (10, 20, 30)
SHARES = (0.70, 0.15)
"""The shares of the transactions that are trained on, in time; the rest is judged."""
ATTRIBUTES = ("age", "club_member_status", "fashion_news_frequency")
"""The columns of customers that the towers of ``published with attributes`` read."""
WEEKLY: dict[str, Any] = {"horizon_days": 7, "popular_days": 7, "training_days": 28, "trees": 50, "leaves": 4}
"""What suits a week to be predicted from few customers; the last three chosen on 13 of the weeks before the last 26."""
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "merge": ("repeat", {"window_days": 7}),
    "popular": ("popular", {"window_days": 7}),
    "two_stage": ("two_stage", WEEKLY),
    "two_stage with age": ("two_stage", {**WEEKLY, "age": "age"}),
}
"""The compared models, with what each is told."""
POOLED: dict[str, tuple[str, dict[str, Any]]] = {
    **MODELS,
    "two_stage, network": ("two_stage", {**WEEKLY, "ranker": "network"}),
    "two_tower": ("two_tower", {}),
    "published": ("two_stage", TwoStageConfig.published().model_dump()),
    "published with attributes": ("two_stage", TwoStageConfig.published(customer_attributes=ATTRIBUTES).model_dump()),
}
"""The models of the pooled split."""


def read(folder: Path) -> tuple[Interactions, pd.DataFrame, Catalogue]:
    """The transactions, the customers with their ages, and the articles that were ever bought."""
    names = {"t_dat": "occurred_at", "sales_channel_id": "channel"}
    rows = pd.read_csv(folder / "transactions_train.csv", dtype={"article_id": str, "sales_channel_id": str})
    customers = pd.read_csv(folder / "customers.csv", usecols=["customer_id", *ATTRIBUTES])
    articles = pd.read_csv(folder / "articles.csv", dtype=str)
    sold = catalogue(articles[articles["article_id"].isin(rows["article_id"])].reset_index(drop=True))
    return Interactions.from_frame(rows.rename(columns=names)), customers, sold


def weekly(
    transactions: Interactions, customers: pd.DataFrame, sold: Catalogue, weeks: int, changes: dict[str, Any]
) -> tuple[dict[str, Values], Costs]:
    """MAP@12 of each customer with history in each of the last weeks, by model; the index is the week and customer."""
    costs = Costs()
    end = pd.Timestamp(transactions.occurred_at.max()).normalize() + pd.Timedelta(days=1)
    found: dict[str, list[Values]] = {label: [] for label in MODELS}
    for back in progress(range(weeks, 0, -1), "hm: weeks"):
        first = end - pd.Timedelta(weeks=back)
        train, later = transactions.split_at(first)
        truth, _ = later.split_at(first + pd.Timedelta(weeks=1))
        asked = pd.Series(truth.customer_ids.values.to_pandas())
        asked = asked[train.customer_ids.encode(asked, unknown="minus_one") >= 0]
        truth = truth.rows(np.isin(truth.customers, truth.customer_ids.encode(asked)))
        for label, (name, settings) in MODELS.items():
            told = {**settings, **changes} if name == "two_stage" else settings
            model = recommenders.build(name, **told)
            costs.of(label, partial(model.fit, train, sold, customers))
            values = map_at_12(lists_for(model, asked, train), truth)
            found[label].append(pd.concat({first.date(): values[values.index.isin(asked)]}))
    return {label: pd.concat(parts) for label, parts in found.items()}, costs


def compared(values: dict[str, Values], name: str = "two_stage with age") -> pd.DataFrame:
    """MAP@12 of each model, and what ``name`` has more, with a 95% interval that is robust to customers' repeating."""
    rows = []
    for label, value in values.items():
        gap = (values[name] - value).to_numpy()
        of_customer = pd.Series(gap - gap.mean()).groupby(value.index.get_level_values(1).to_numpy()).sum()
        error = 1.96 * np.sqrt((of_customer**2).sum()) / len(gap)
        rows.append(
            {
                "model": label,
                "customer-weeks": len(gap),
                "map@12": value.mean(),
                f"{name} more by": gap.mean(),
                "low": gap.mean() - error,
                "high": gap.mean() + error,
            }
        )
    return pd.DataFrame(rows)


def pooled(
    transactions: Interactions,
    customers: pd.DataFrame,
    sold: Catalogue,
    changes: dict[str, Any],
    labels: Sequence[str] = tuple(POOLED),
) -> tuple[pd.DataFrame, Costs]:
    """Pooled precision and recall, and precision per customer, at 10, 20 and 30, of the models of these labels."""
    times = np.sort(transactions.occurred_at)
    train, truth = transactions.split_at(pd.Timestamp(times[int(sum(SHARES) * len(times))]).normalize())
    everyone = pd.Series(train.customer_ids.values.to_pandas())
    anybody = set(truth.article_ids.values.to_pylist())
    rows, costs = [], Costs()
    for label, (name, settings) in progress([(label, POOLED[label]) for label in labels], "hm: pooled"):
        told = {**settings, **changes} if name == "two_stage" and not label.startswith("published") else settings
        model = recommenders.build(name, **told)
        costs.of(label, partial(model.fit, train, sold, customers))
        recs = lists_for(model, everyone, train, PUBLISHED_K[-1])
        values = per_customer(recs, truth, k=PUBLISHED_K)
        own = values.groupby(["metric", "k"], observed=True)["value"].mean()
        for k in PUBLISHED_K:
            right = recs.loc[recs["rank"] <= k, "article_id"].isin(anybody)
            share = right.sum() / recs["customer_id"].nunique()
            rows.append(
                {
                    "model": label,
                    "k": k,
                    "pooled precision": share / k,
                    "pooled recall": share / len(anybody),
                    **{f"{metric} per customer": own[metric, k] for metric in ("precision", "recall", "ndcg")},
                }
            )
    return pd.DataFrame(rows), costs


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hm", type=Path, required=True)
    parser.add_argument("--protocol", nargs="+", choices=["weeks", "pooled"], default=["weeks", "pooled"])
    parser.add_argument("--pooled", nargs="+", choices=[*POOLED], default=[*POOLED], help="models of the pooled split")
    parser.add_argument("--weeks", type=int, default=26)
    parser.add_argument("--config", type=json.loads, default={})
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    return parser.parse_args(given)


def main() -> None:
    """Read, fit, evaluate, print."""
    options = arguments()
    from resources.compute import Compute

    Compute("cpu", options.threads).apply()
    transactions, customers, sold = read(options.hm)
    changes, tables = {"threads": options.threads, **options.config}, {}
    if "weeks" in options.protocol:
        values, costs = weekly(transactions, customers, sold, options.weeks, changes)
        tables["weeks"] = compared(values)
        print(f"\n## weeks: MAP@12 of customers with history, {options.weeks} weeks together")
        _show(tables["weeks"], costs)
    if "pooled" in options.protocol:
        tables["pooled"], costs = pooled(transactions, customers, sold, changes, options.pooled)
        print("\n## pooled: trained on 85% of the time, truth of the last 15% pooled over customers")
        _show(tables["pooled"], costs)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        found = {name: json.loads(table.to_json(orient="records")) for name, table in tables.items()}
        options.out.write_text(json.dumps({"config": changes, **found}, indent=1) + "\n", encoding="utf-8")


def _show(table: pd.DataFrame, costs: Costs) -> None:
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    print("processor seconds: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in costs.seconds.items()))
    print(f"peak memory of the process: {peak():,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
