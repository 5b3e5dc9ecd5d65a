"""Values of RecTools on a few small lists, kept for the tests, whose environment cannot hold RecTools.

Run it as ``python -m benchmarks.rectools_expected``; it writes ``tests/metrics/rectools_expected.json``: lists and
truth, and for each option of :func:`atelier.metrics.evaluate` the value that the real RecTools gives. RecTools'
environment is the one of :mod:`benchmarks.metrics_against_rectools`, which has its lock. The lists are short of ranks,
the relevant sets longer than k here and shorter there, so that every divisor gives another value.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.environments import ROOT, environment
from benchmarks.metrics_against_rectools import ENVIRONMENT, LOCK
from benchmarks.ratios import run

EXPECTED = ROOT / "tests" / "metrics" / "rectools_expected.json"
KS = (1, 3, 5)
CUSTOMERS, ARTICLES = 12, 15


def frames() -> dict[str, pd.DataFrame]:
    """Lists of at most six articles, and relevant sets of one to ten."""
    random = np.random.default_rng(0)
    recs, truth = [], []
    for customer in range(CUSTOMERS):
        listed = random.permutation(ARTICLES)[: 1 + customer % 6]
        recs += [(f"u{customer:02d}", f"a{article:02d}", rank) for rank, article in enumerate(listed, start=1)]
        wanted = random.permutation(ARTICLES)[: 1 + 3 * (customer % 4)]
        truth += [(f"u{customer:02d}", f"a{article:02d}") for article in wanted]
    return {
        "recs": pd.DataFrame(recs, columns=["customer_id", "article_id", "rank"]),
        "truth": pd.DataFrame(truth, columns=["customer_id", "article_id"]),
        "catalogue": pd.DataFrame({"article_id": [f"a{article:02d}" for article in range(ARTICLES)]}),
    }


def expected(python: Path) -> dict[str, Any]:
    """The frames, and RecTools' values by ``metric divisor@k``."""
    with tempfile.TemporaryDirectory() as folder:
        for name, frame in frames().items():
            frame.to_parquet(Path(folder) / f"{name}.parquet")
        given = [folder, "--repeats=1", "--variants", "--k", *map(str, KS)]
        printed = json.loads(run(python, "benchmarks.rectools_side", given, cwd=ROOT).splitlines()[-1])
    rows = {name: frame.to_numpy().tolist() for name, frame in frames().items() if name != "catalogue"}
    return {"command": "python -m benchmarks.rectools_expected", "k": KS, **rows, "values": printed["values"]}


def main() -> None:
    """Compute and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environment", type=Path, default=ENVIRONMENT, help="where RecTools is, or will be")
    options = parser.parse_args()
    EXPECTED.write_text(json.dumps(expected(environment(options.environment, LOCK)), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
