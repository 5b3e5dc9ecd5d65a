"""Whom a model ranks for, and what it keeps of them.

What belongs here: :class:`CustomerProfiles`. What does not: reading it from interactions, and what the profiles are
(:mod:`~atelier.recommenders.base`, the models).
"""

from dataclasses import dataclass

import numpy as np

from atelier.bundles import Array
from atelier.ids import Codes, IdMap
from atelier.search.ragged import Indices, RaggedLists


@dataclass(frozen=True, eq=False)
class CustomerProfiles:
    """Customers to rank for.

    Attributes:
        ids: all that are known.
        rankable: int32 [m], ascending: those whom the model can rank for, as numbers in ``ids``.
        seen: for each of ``ids`` the articles it has seen.
        profiles: what the model keeps of the rankable customers, by name.
    """

    ids: IdMap
    rankable: Codes
    seen: RaggedLists
    profiles: dict[str, Array]

    def rows_of(self, codes: Codes) -> Indices:
        """The row of the profiles of each customer (a number in ``ids``, or −1); −1 for those who have none."""
        rows = np.searchsorted(self.rankable, codes)
        found: Indices = np.where(np.append(self.rankable, -2)[rows] == codes, rows, -1)
        return found
