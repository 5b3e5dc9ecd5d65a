"""The Parquet landing zone: what a retailer's export job puts down every night, and the sample retailer's files.

What belongs here: the folders and file names of the landing zone (see docs/sources.md) and which file holds on which
day. What does not: what is right in a row (:mod:`atelier.sources.columns`, :mod:`atelier.sources.validation`).
"""

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from pydantic import ConfigDict

from atelier.sources.base import check_request, source_error
from atelier.sources.columns import LAYOUTS
from atelier.sources.landed import Landed
from atelier.sources.paths import path_faults
from atelier.sources.reading import ROW, EngineOptions, engine, load
from atelier.sources.validation import check, land
