"""Sources of raw data: the sample retailer, the H&M files, a Parquet landing zone.

What belongs here: :func:`open_source`. This package alone in ``atelier`` may use DuckDB, to parse files; it yields
Arrow tables. What does not: where the rows are stored, photographs' contents (:mod:`atelier.images.manifest`).
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from atelier.errors import SourceError
from atelier.sources.base import Source
from atelier.sources.hm import HmOptions, HmSource
from atelier.sources.landed import REJECTED_SCHEMA, Landed
from atelier.sources.parquet import ParquetOptions, ParquetSource, SampleSource

__all__ = ["KINDS", "REJECTED_SCHEMA", "Landed", "Source", "open_source"]

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
