"""Results of long work that outlive the process that made them.

What belongs here: one JSON file for each result, named by a digest of what it was computed from. What does not: what is
computed (:mod:`atelier.attributes.study`, :mod:`atelier.recommenders.study`).
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from atelier.errors import AtelierError

Result = TypeVar("Result", bound=BaseModel)


class KeptResultError(AtelierError):
    """A kept result cannot be read; the message names the file and the remedy."""


def digest(parts: Mapping[str, Any]) -> str:
    """A name for a result, from all that it depends on: the first 32 hexadecimal digits of a SHA-256.

    Args:
        parts: what it was computed from, as JSON can hold it; the order of keys does not matter.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Kept:
    """A folder of results.

    Attributes:
        folder: where they lie; it is made when the first one is kept.
    """

    folder: Path

    def get(self, key: str, kind: type[Result]) -> Result | None:
        """The result of that name; None where there is none yet.

        Raises:
            KeptResultError: the file is not what :meth:`put` wrote.
        """
        path = self._path(key)
        try:
            return kind.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            fault = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise KeptResultError(f"{path} cannot be read ({fault}); delete it, and it is computed again.") from error

    def put(self, key: str, result: BaseModel) -> None:
        """Keep a result: the file is there as a whole or not at all, whenever the process is killed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        staged = self.folder / f"{key}.{os.getpid()}.new"
        staged.write_text(result.model_dump_json(), encoding="utf-8")
        staged.replace(self._path(key))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"
