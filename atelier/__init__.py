"""Models, features and metrics of a fashion retailer's daily pipeline.

What belongs here: everything that takes frames and arrays and returns frames and arrays. What does not: Dagster,
the feature store, SQL (only :mod:`atelier.sources` parses files with DuckDB). The package can be used from a
notebook on its own.
"""
