"""The customers for whom a model ranks, with the model's own data about them.

What belongs here: :class:`CustomerProfiles`. What does not: making it from interactions
(:mod:`~atelier.recommenders.base`), and the content of the profiles (the models).
"""

from dataclasses import dataclass

import numpy as np

from atelier.bundles import Array
from atelier.ids import Codes, IdMap
from atelier.search.ragged import Indices, RaggedLists


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
