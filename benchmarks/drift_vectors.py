"""The memory in which the figures of photographs' vectors are measured, for two days of a large catalogue.

    python -m benchmarks.drift_vectors [--articles 105542] [--dimension 2048]

Vectors are generated, one photograph an article, the same on both days but for a hundredth. Printed are the peak of the
process before and after, processor seconds and the figures' number. On Linux.

What belongs here: generating, measuring, printing. What does not: the figures (:mod:`resources.day_figures`).
"""

import argparse
import resource
import time
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from resources.day_figures import GROUPS, VECTORS, DayTables

TODAY = date(2020, 9, 22)
TYPES = 130
MIB = 1024


class Generated(DayTables):
    """Two days of generated tables; nothing is held between two reads."""

    def __init__(self, articles: int, dimension: int) -> None:
        self._articles, self._dimension = articles, dimension

    def read(self, table: str, ds: date) -> pd.DataFrame | None:
        """The table of a day."""
        numbers = np.arange(self._articles)
        if table == "articles":
            return pd.DataFrame(
                {"article_id": numbers, "product_type": "type " + pd.Series(numbers % TYPES).astype(str)}
            )
        digests = pd.Series(numbers).astype(str)
        if table == "images":
            return pd.DataFrame({"article_id": numbers, "shot": 0, "digest": digests})
        vectors = np.random.default_rng(0).random((self._articles, self._dimension), dtype=np.float32)
        if ds == TODAY:
            vectors[::100] = vectors[::-100][: len(vectors[::100])].copy()
        return pd.DataFrame({"digest": digests, "embedding": list(vectors)})


def peak() -> float:
    """The most memory that the process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def main(given: Sequence[str] | None = None) -> None:
    """Measure once, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=int, default=105_542)
    parser.add_argument("--dimension", type=int, default=2_048)
    options = parser.parse_args(given)
    tables: Any = Generated(options.articles, options.dimension)
    before, began = peak(), time.process_time()
    found = GROUPS[VECTORS].measure(tables, TODAY)
    seconds = time.process_time() - began
    print(f"{len(found)} figures, {seconds:.1f} processor s, peak {peak():,.0f} MiB ({before:,.0f} before)")


if __name__ == "__main__":
    main()
