"""Who asked to be forgotten: keyed hashes of identifiers, by which every later ingest leaves their rows out.

What belongs here: the list of requests and its key. What does not: leaving rows out
(:mod:`atelier.sources.suppression`), removing what is stored (:mod:`resources.forgetting`).

``$ATELIER_HOME/forgotten.json`` holds for each request the HMAC-SHA256 (RFC 2104) of the identifier, never the
identifier. The key lies beside it in ``forgotten.key``, for its owner alone. It is a file and no variable of the
environment, so that every process of the home has it: a night without the key would bring the customers back.
"""

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from atelier.errors import AtelierError
from resources.retailer import Home
from resources.storage import replace_file, replace_text, scratch_name

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

LIST, KEY = "forgotten.json", "forgotten.key"
KEY_BYTES = 32
PROOF = "atelier: is this the key of the list?"
"""What the list keeps a hash of too, so that another key is noticed."""


class SuppressionError(AtelierError):
    """The list of requests or its key is missing, damaged or open to others; the message says what to do."""


class Request(BaseModel):
    """One request to be forgotten.

    Attributes:
        customer: the keyed hash of the identifier, 64 hexadecimal digits.
        requested_on: the day of the first request (UTC).
        learned: by model, the last day on which it was trained on the customer's rows; models that none learned are
            left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    customer: str
    requested_on: date
    learned: dict[str, date] = {}


class RequestList(BaseModel):
    """The file of requests.

    Attributes:
        format: of the file.
        key: the hash of a known text, by which the key is recognised.
        requests: sorted by hash, each customer once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    key: str
    requests: tuple[Request, ...]


@dataclass(frozen=True)
class Suppression:
    """The requests of a home, with the key.

    Attributes:
        requests: by hash.
        key: of the hashes; empty where nobody ever asked.
    """

    requests: Mapping[str, Request]
    key: bytes

    def __bool__(self) -> bool:
        return bool(self.requests)

    def hash_of(self, customer: str) -> str:
        """The keyed hash of an identifier, 64 hexadecimal digits."""
        return hmac.digest(self.key, customer.encode(), hashlib.sha256).hex()

    def is_forgotten(self, customers: "pa.Array") -> "npt.NDArray[np.bool_]":
        """Which of these distinct identifiers are of customers who asked, bool [n]. Each costs one hash."""
        import numpy as np

        hashes = map(self.hash_of, customers.to_pylist())
        return np.fromiter((each in self.requests for each in hashes), dtype=bool, count=len(customers))


def suppression_of(home: Home) -> Suppression:
    """The requests of a home; none where nobody asked.

    Raises:
        SuppressionError: the list cannot be read, or its key is missing, is another one, or can be read by others.
    """
    path = home.root / LIST
    if not path.exists():
        return Suppression({}, _read_key(home) if (home.root / KEY).exists() else b"")
    try:
        found = RequestList.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise SuppressionError(
            f"{path} is no list of requests to be forgotten ({error.errors()[0]['msg']}): put it back from a backup. "
            "Nothing is ingested without it, because customers who asked to be forgotten would come back"
        ) from error
    suppression = Suppression({each.customer: each for each in found.requests}, _read_key(home))
    if not hmac.compare_digest(suppression.hash_of(PROOF), found.key):
        raise SuppressionError(
            f"{home.root / KEY} is not the key of {path}: put the key back from a backup, because by another one no "
            "customer who asked to be forgotten is recognised"
        )
    return suppression


def _read_key(home: Home) -> bytes:
    path = home.root / KEY
    try:
        open_to_others = stat.S_IMODE(path.stat().st_mode) & 0o077
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        raise SuppressionError(
            f"{path} is gone: put it back from a backup, because without it no customer who asked to be forgotten is "
            "recognised"
        ) from None
    except ValueError as error:
        raise SuppressionError(f"{path} is no key ({error}): put it back from a backup") from error
    if open_to_others and os.name == "posix":
        raise SuppressionError(f"{path} can be read by others, who could test identifiers by it: chmod 600 {path}")
    if len(key) != KEY_BYTES:
        raise SuppressionError(f"{path} has {len(key)} bytes and not {KEY_BYTES}: put it back from a backup")
    return key


def add_requests(home: Home, customers: Iterable[str], learned: Mapping[str, Mapping[str, date]], on: date) -> int:
    """Put customers on the list; one that is on it keeps its day, and learns of models what is later.

    Args:
        home: whose list; it and its key are made where nobody asked before.
        customers: identifiers.
        learned: for each customer, by model, the last day on which it was trained on the customer's rows.
        on: today (UTC).

    Returns:
        How many were not on the list.

    Raises:
        SuppressionError: as :func:`suppression_of`.
    """
    if not (home.root / LIST).exists() and not (home.root / KEY).exists():
        _write_key(home)
    suppression = suppression_of(home)
    requests = dict(suppression.requests)
    for customer in customers:
        name = suppression.hash_of(customer)
        before = requests.get(name, Request(customer=name, requested_on=on))
        latest = dict(before.learned)
        for model, day in learned.get(customer, {}).items():
            latest[model] = max(day, latest.get(model, day))
        requests[name] = before.model_copy(update={"learned": dict(sorted(latest.items()))})
    added = len(requests) - len(suppression.requests)
    if requests != dict(suppression.requests):
        ordered = tuple(requests[name] for name in sorted(requests))
        found = RequestList(key=suppression.hash_of(PROOF), requests=ordered)
        replace_text(home.store, found.model_dump_json(indent=1) + "\n", home.root / LIST)
    return added


def _write_key(home: Home) -> None:
    """Make the key: readable by its owner from its first byte on, and in place before anything relies on it."""
    temporary: Path = scratch_name(home.store)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
    replace_file(temporary, home.root / KEY)
