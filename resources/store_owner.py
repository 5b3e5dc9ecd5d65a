"""Which home writes into a store on object storage.

What belongs here: the mark by which a store belongs to one home, and the refusal of another. What does not: the locks
of one machine (:func:`resources.storage.exclusive`), which cannot exclude another machine.

The mark is ``<store>/_home.json``. It is put under the condition that there is none, so that of two homes that begin at
once one succeeds. Readers are never refused.
"""

import json
import uuid
from typing import TYPE_CHECKING

from atelier.errors import AtelierError
from resources.storage import Storage, open_storage

if TYPE_CHECKING:
    from resources.retailer import Home

MARK = "_home.json"
#: The home's own name, in its folder ``store``.
NAME = "home.json"


class StoreTaken(AtelierError):
    """Another home writes into the store; the message says what to do where that home is gone."""


def own_store(home: "Home") -> None:
    """Make sure that no other home writes into this one's store; a local store needs no mark.

    Raises:
        StoreTaken: another one does.
    """
    if not owns_store(home) and not home.storage.create_text(_name_of(home), MARK):
        raise StoreTaken(_refusal(home, home.storage))


def owns_store(home: "Home") -> bool:
    """Whether this home writes into its store; a store that no home has written into yet is nobody's."""
    return home.storage.is_local or home.storage.read_texts([MARK]).get(MARK) == _name_of(home)


def _name_of(home: "Home") -> str:
    """A name that no other home has; it is made once."""
    local = open_storage(home.store)
    local.create_text(json.dumps({"home": uuid.uuid4().hex}) + "\n", NAME)
    return local.read_texts([NAME])[NAME]


def _refusal(home: "Home", storage: Storage) -> str:
    return (
        f"another home writes into {storage.location('')}, and two would overwrite each other's work: give "
        f"{home.root} a store of its own in atelier.toml, or where the other home is gone for good, delete "
        f"{storage.location(MARK)} and try again"
    )
