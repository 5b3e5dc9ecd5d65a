"""Models, features and metrics of a fashion retailer's daily pipeline.

What belongs here: everything that takes frames and arrays and returns frames and arrays. What does not: Dagster,
the feature store, SQL (only :mod:`atelier.sources` parses files with DuckDB). The package can be used from a
notebook on its own.

Import it before torch: OpenMP's threads, which torch computes with, read when torch is loaded how they shall wait. By
default they spin, and 30 steps of the attribute network took 28 s instead of 2 where other work ran beside them.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
