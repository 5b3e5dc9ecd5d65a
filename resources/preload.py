"""The libraries that a step works with, imported once in the process that steps are forked from.

What belongs here: imports. What does not: anything that opens a file or a connection, or starts a thread: what is
forked must be as good as new. Importing this module imports the libraries.
"""

import duckdb
import great_expectations
import implicit.cpu.als
import pandas
import pyarrow.compute
import pyarrow.parquet
import safetensors.numpy
import scipy.sparse
import torch

__all__ = ["duckdb", "great_expectations", "implicit", "pandas", "pyarrow", "safetensors", "scipy", "torch"]
