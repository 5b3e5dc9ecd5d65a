"""Imports of every step: Dagster's own for running one, and those for reading, auditing and writing a table.

What belongs here: imports that two steps of a run or more would make, and the freeze of the collector. What does not:
see :mod:`resources.preload`. A step whose import is missing here still works: it makes the import itself.
"""

import gc
import multiprocessing.popen_forkserver
import multiprocessing.queues
import multiprocessing.synchronize

import dagster._cli
import dagster._core.executor.multiprocess
import dagster._core.instance.factory
import dagster._core.storage.local_compute_log_manager
import dagster._core.storage.root
import dagster._core.storage.sqlite_storage
import dagster._core.utility_ops
import dagster._core.workspace.autodiscovery
import duckdb
import fsspec.implementations.local
import great_expectations.expectations
import pandas
import pyarrow.pandas_compat
import pyarrow.parquet
import upath.implementations.local

import atelier.progress
import atelier.sources
import resources.frames
import resources.lineage_metadata

# What was made up to here never becomes garbage, and a collection that looked through it would copy all its pages.
gc.freeze()
