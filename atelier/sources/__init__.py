"""Sources of raw data: the sample retailer, the H&M files, a Parquet landing zone.

What belongs here: :func:`open_source` and :func:`read`. This package alone in ``atelier`` may use DuckDB, to parse
files; it yields Arrow tables. What does not: where the rows are stored, photographs' contents
(:mod:`atelier.images.manifest`).
"""

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from atelier.errors import SourceError
from atelier.sources.base import Source
from atelier.sources.hm import HmOptions, HmSource
from atelier.sources.landed import REJECTED_SCHEMA, Landed
from atelier.sources.parquet import ParquetOptions, ParquetSource, SampleSource

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KINDS", "REJECTED_SCHEMA", "Landed", "ParquetSource", "Source", "open_source", "read"]

KINDS = ("sample", "hm", "parquet")


def open_source(kind: str, path: str | Path, **options: Any) -> Source:
    """Open a retailer's files.

    Args:
        kind: ``sample`` (a generated retailer), ``hm`` (the layout of the H&M Kaggle files) or ``parquet`` (a landing
            zone); docs/sources.md says what each expects.
        path: the folder.
        options: fields of :class:`~atelier.sources.parquet.ParquetOptions` (sample, parquet) or
            :class:`~atelier.sources.hm.HmOptions`.

    Raises:
        SourceError: the files are not there or not what they should be, or an option is wrong.
    """
    root = Path(path)
    try:
        if kind == "sample":
            return SampleSource(root, ParquetOptions.model_validate(options))
        if kind == "parquet":
            return ParquetSource(root, ParquetOptions.model_validate(options))
        if kind == "hm":
            return HmSource(root, HmOptions.model_validate(options))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'options'}: {e['msg']}" for e in error.errors())
        raise SourceError(f"the options of source {kind!r} are wrong: {faults}. docs/sources.md lists them") from error
    raise SourceError(f"there is no kind of source {kind!r}; there are {', '.join(KINDS)}")


def read(source: Source, table: str, day: date | None = None, last: date | None = None) -> "pd.DataFrame":
    """The valid rows of a table as a frame, for a notebook; the pipeline reads day by day with :meth:`Source.land`.

    Args:
        source: the retailer's files.
        table: one of ``source.tables``.
        day: which day; None: the last one that the files hold.
        last: the last of several days, whose rows follow each other; None: that day alone.

    Raises:
        SourceError: see :meth:`Source.land`; also if ``day`` is None and the source is a live one, without a last day.
        ValueError: the source does not have the table, or ``last`` is before ``day``.
    """
    import pyarrow as pa

    first = day or source.last_day
    if first is None:
        raise SourceError("a live source has no last day: say which day to read")
    if last is not None and last < first:
        raise ValueError(f"the last day {last} is before the first, {first}")
    days = [first + timedelta(days=n) for n in range(((last or first) - first).days + 1)]
    frame: pd.DataFrame = pa.concat_tables([landed.accepted for _, landed in source.land(table, days)]).to_pandas()
    return frame
