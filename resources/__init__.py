"""What assets talk to: the feature store, the model store, the retailer's source, compute.

What belongs here: everything that touches disks, DuckDB and devices, and the registry of tables. What does not:
models and metrics (:mod:`atelier`), orchestration (:mod:`assets`, :mod:`dagster_project`).
"""
