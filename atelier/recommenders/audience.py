"""Whom a model ranks for, and what it keeps of them.

What belongs here: :class:`Audience`. What does not: reading it from interactions, and what the profiles are
(:mod:`~atelier.recommenders.base`, the models).
"""

from dataclasses import dataclass

import numpy as np

from atelier.ids import Codes, IdMap
from atelier.recommenders.bundle import Array
from atelier.recommenders.lists import Lists, Places


@dataclass(frozen=True, eq=False)
class Audience:
    """Customers to rank for.

    Attributes:
        ids: all that are known.
        served: int32 [m], ascending: those whom the model can rank for, as numbers in ``ids``.
        seen: for each of ``ids`` the articles it has seen.
        profiles: what the model keeps of the served customers, by name.
    """

    ids: IdMap
    served: Codes
    seen: Lists
    profiles: dict[str, Array]

    def rows_of(self, codes: Codes) -> Places:
        """The row of the profiles of each customer (a number in ``ids``, or −1); −1 for those who have none."""
        rows = np.searchsorted(self.served, codes)
        found: Places = np.where(np.append(self.served, -2)[rows] == codes, rows, -1)
        return found
