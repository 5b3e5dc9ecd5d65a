"""The customers for whom a model ranks, with the model's own data about them.

What belongs here: :class:`CustomerProfiles`, and leaving customers out of it. What does not: making it from
interactions (:mod:`~atelier.recommenders.base`), and the content of the profiles (the models).

How a model names the arrays of its profiles says what their rows are. Where there is ``<name>.starts``, the arrays
beside it (``<name>.codes`` and so on) are ragged lists, cut by it, but for those of :data:`PER_CUSTOMER`. Below
``source.<model>.`` lie the profiles of a model inside the model: ``served`` are the rows that it has, and its own
arrays stand below ``profile.``. Every other array has a row for each customer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from atelier.bundles import Array, under
from atelier.ids import Codes, IdMap
from atelier.search.ragged import Indices, Mask, RaggedLists

PER_CUSTOMER = frozenset({"history.ages"})
"""Arrays beside a ragged list that have a row for each customer all the same."""
STARTS, SOURCE, SERVED, PROFILE = ".starts", "source.", "served", "profile."


@dataclass(frozen=True, eq=False)
class CustomerProfiles:
    """The customers that a model knows.

    Attributes:
        ids: the identifiers of all known customers.
        rankable: int32 [m], ascending: the codes in ``ids`` of the customers for whom the model can rank.
        seen: for each of ``ids`` the articles that the customer has seen.
        profiles: the model's own arrays about the rankable customers, m rows each, by name.
    """

    ids: IdMap
    rankable: Codes
    seen: RaggedLists
    profiles: dict[str, Array]

    def rows_of(self, codes: Codes) -> Indices:
        """The row of ``profiles`` of each customer (a code in ``ids``, or −1); −1 for customers without a profile."""
        rows = np.searchsorted(self.rankable, codes)
        found: Indices = np.where(np.append(self.rankable, -2)[rows] == codes, rows, -1)
        return found

    def without(self, customers: IdMap) -> "CustomerProfiles":
        """The same customers but for these, as if they had never been known; unknown ones change nothing."""
        gone = customers.encode(self.ids.values, unknown="minus_one") >= 0
        ids = IdMap(self.ids.take(np.flatnonzero(~gone)))
        rows = ~gone[self.rankable]
        profiles = profiles_of_rows(self.profiles, rows)
        return CustomerProfiles(ids, renumbered(self.rankable, ~gone), _lists_of_rows(self.seen, ~gone), profiles)


def profiles_of_rows(profiles: Mapping[str, Array], kept: Mask) -> dict[str, Array]:
    """The profiles of some of the customers.

    Args:
        profiles: arrays about m customers, named as this module's docstring says.
        kept: bool [m], whose rows stay.
    """
    inner = {name.split(".")[1] for name in profiles if name.startswith(SOURCE)}
    found: dict[str, Array] = {}
    for name, array in profiles.items():
        if name.startswith(SOURCE):
            continue
        starts = f"{name.partition('.')[0]}{STARTS}"
        if starts not in profiles or name in PER_CUSTOMER:
            found[name] = array[kept]
        elif name == starts:
            found[name] = _starts_of_rows(array, kept)
        else:
            found[name] = array[np.repeat(kept, np.diff(profiles[starts]))]
    for model in inner:
        prefix = f"{SOURCE}{model}."
        served = profiles[f"{prefix}{SERVED}"]
        own = profiles_of_rows(under(profiles, f"{prefix}{PROFILE}"), kept[served])
        found[f"{prefix}{SERVED}"] = renumbered(served, kept)
        found |= {f"{prefix}{PROFILE}{name}": array for name, array in own.items()}
    return {name: found[name] for name in profiles}


def renumbered(codes: Array, kept: Mask) -> Array:
    """Those of ``codes`` that are kept, numbered among what is kept.

    Args:
        codes: [n], places in ``kept``.
        kept: bool [m].
    """
    new = np.cumsum(kept) - 1
    numbers: Array = new[codes[kept[codes]]].astype(codes.dtype)
    return numbers


def _lists_of_rows(lists: RaggedLists, kept: Mask) -> RaggedLists:
    return RaggedLists(
        _starts_of_rows(lists.starts, kept), lists.codes[np.repeat(kept, np.diff(lists.starts))].astype(np.int32)
    )


def _starts_of_rows(starts: Array, kept: Mask) -> Array:
    """Where the lists of the kept rows start, and the last one ends."""
    lengths = np.diff(starts)[kept]
    found: Array = np.concatenate([[0], np.cumsum(lengths)]).astype(starts.dtype)
    return found
