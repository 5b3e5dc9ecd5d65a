"""Results of long work that outlive the process that made them.

What belongs here: one JSON file for each result, named by a digest of what it was computed from, and with what code and
libraries. What does not: what is computed (:mod:`atelier.studies.attribute_study`,
:mod:`atelier.studies.recommender_study`).
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from atelier.code_version import code_version
from atelier.errors import AtelierError

if TYPE_CHECKING:
    import pandas as pd

Result = TypeVar("Result", bound=BaseModel)


class CachedResultError(AtelierError):
    """A kept result cannot be read; the message names the file and the remedy."""


class KeptTable(BaseModel):
    """A table as a result: its columns by name, all as long as each other. Immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[str, list[Any]]

    @classmethod
    def of(cls, frame: "pd.DataFrame") -> Self:
        """The table of a frame; what is absent in it becomes null."""
        found = frame.astype("object").where(frame.notna(), None)
        return cls(columns={str(name): found[name].tolist() for name in found})

    def frame(self) -> "pd.DataFrame":
        """The frame of the table, in pandas' types that know null."""
        import pandas as pd

        return pd.DataFrame(self.columns).convert_dtypes()


def digest(parts: Mapping[str, Any]) -> str:
    """A name for a result, from all that it depends on: the first 32 hexadecimal digits of a SHA-256.

    Args:
        parts: what it was computed from, as JSON can hold it; the order of keys does not matter.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def made_with(modules: Iterable[str], libraries: Iterable[str]) -> dict[str, object]:
    """What beside its input a result may depend on: the code, the libraries, the number of threads.

    Args:
        modules: that compute, by dotted name; what they import counts as well.
        libraries: names of the packages that compute.
    """
    import torch

    versions = {name: version(name) for name in libraries}
    return {"code": code_version(*modules), "threads": torch.get_num_threads(), **versions}


@dataclass(frozen=True)
class ResultsCache:
    """A folder of results.

    Attributes:
        folder: where they lie; it is made when the first one is kept.
    """

    folder: Path

    def get(self, key: str, kind: type[Result]) -> Result | None:
        """The result of that name; None where there is none yet.

        Raises:
            CachedResultError: the file is not what :meth:`put` wrote.
        """
        path = self._path(key)
        try:
            return kind.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            fault = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise CachedResultError(f"{path} cannot be read ({fault}); delete it, and it is computed again.") from error

    def put(self, key: str, result: BaseModel) -> None:
        """Keep a result: the file is there as a whole or not at all, whenever the process is killed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        staged = self.folder / f"{key}.{os.getpid()}.new"
        staged.write_text(result.model_dump_json(), encoding="utf-8")
        staged.replace(self._path(key))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"


def cached(
    kept: ResultsCache | None,
    data: Mapping[str, str] | None,
    parts: Mapping[str, Any],
    kind: type[Result],
    compute: Callable[[], Result],
) -> Result:
    """What an earlier run, perhaps a killed one, kept; otherwise what ``compute`` gives, and it is kept.

    Args:
        kept: where results are kept; None keeps none.
        data: what identifies the data that it is computed from, for example the versions of their tables.
        parts: all else that it depends on, as JSON can hold it.
        kind: what ``compute`` gives.
        compute: called without arguments where nothing was kept.

    Raises:
        CachedResultError: a kept file is damaged.
        ValueError: ``kept`` without ``data``.
    """
    if kept is None:
        return compute()
    if not data:
        raise ValueError("results can be kept only with data that identifies what they were computed from")
    key = digest({**parts, "data": dict(data)})
    found = kept.get(key, kind)
    if found is None:
        found = compute()
        kept.put(key, found)
    return found
