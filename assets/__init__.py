"""The daily DAG, one module per stage, in the order in which data flows.

What belongs here: thin assets. Each reads from the store, calls one function of :mod:`atelier`, writes to the store.
What does not: models, metrics, SQL, and how the assets are put together (:mod:`dagster_project.build`).
"""
