"""RecTools' side of ``metrics_against_rectools``, run by an interpreter that has RecTools.

What belongs here: reading the frames, calling and timing RecTools. What does not: Atelier, which it cannot import.
Prints one line of JSON: the seconds (of the call alone, frames loaded before) and the values.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.ratios import in_turns


def metrics(ks: list[int]) -> dict[str, Any]:
    """The metrics of RecTools that Atelier has too, by ``metric@k``."""
    from rectools import metrics as theirs

    found: dict[str, Any] = {}
    for k in ks:
        found |= {
            f"precision@{k}": theirs.Precision(k),
            f"recall@{k}": theirs.Recall(k),
            f"hit_rate@{k}": theirs.HitRate(k),
            f"ndcg@{k}": theirs.NDCG(k, divide_by_achievable=True),
            f"map@{k}": theirs.MAP(k),
            f"mrr@{k}": theirs.MRR(k),
            f"coverage@{k}": theirs.CatalogCoverage(k, normalize=True),
        }
    return found


def variants(ks: list[int]) -> dict[str, Any]:
    """RecTools' NDCG and MAP with each of its divisors, by ``metric divisor@k`` with the names of Atelier's options."""
    from rectools import metrics as theirs

    found: dict[str, Any] = {}
    for k in ks:
        found |= {
            f"map relevant@{k}": theirs.MAP(k),
            f"map k@{k}": theirs.MAP(k, divide_by_k=True),
            f"ndcg reachable@{k}": theirs.NDCG(k, divide_by_achievable=True),
            f"ndcg k@{k}": theirs.NDCG(k),
        }
    return found


def main() -> None:
    """Read, compute, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--k", type=int, nargs="+", required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--variants", action="store_true", help="NDCG and MAP with each divisor")
    options = parser.parse_args()
    names = {"customer_id": "user_id", "article_id": "item_id"}
    recs, truth = (
        pd.read_parquet(options.folder / f"{name}.parquet").rename(columns=names) for name in ("recs", "truth")
    )
    catalogue = pd.read_parquet(options.folder / "catalogue.parquet")["article_id"].unique()
    from rectools.metrics import calc_metrics

    wanted = (variants if options.variants else metrics)(options.k)
    (seconds,), (values,) = in_turns(
        options.repeats, lambda: calc_metrics(wanted, reco=recs, interactions=truth, catalog=catalogue)
    )
    print(json.dumps({"seconds": seconds, "values": {name: float(value) for name, value in values.items()}}))


if __name__ == "__main__":
    main()
