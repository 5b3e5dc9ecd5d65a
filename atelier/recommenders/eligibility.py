"""Which articles may be recommended at all.

What belongs here: the rule by a catalogue. What does not: which articles a model can rank or a caller allows
(:mod:`~atelier.recommenders.base`).
"""

import numpy as np

from atelier.catalogue import Catalogue
from atelier.ids import IdMap
from atelier.search.ragged import Mask


def in_stock_mask(article_ids: IdMap, catalogue: Catalogue | None, *, unsold: bool) -> Mask:
    """Which articles may be recommended: those in stock, and with ``unsold`` also those not yet on sale: bool [n].

    The stock of an article that was never on sale (``available_from`` null) is not known: it is a candidate for models
    that read its content, and for no others.
    """
    if catalogue is None:
        return np.ones(len(article_ids), dtype=bool)
    candidates = catalogue.in_stock
    if unsold and "available_from" in catalogue.frame:
        candidates = candidates | catalogue.frame["available_from"].isna().to_numpy()
    in_stock = np.zeros(len(article_ids), dtype=bool)
    in_stock[article_ids.encode(catalogue.ids.values)] = candidates
    return in_stock
