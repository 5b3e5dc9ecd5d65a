"""Which articles may be recommended: those in stock that a model ranks and a caller allows, but for what was seen.

What belongs here: stock, candidates and what customers have seen, as arrays. What does not: which articles a model can
rank, which it says itself (:mod:`~atelier.recommenders.base`).
"""

import numpy as np

from atelier.catalogue import Catalogue
from atelier.ids import Codes, IdMap
from atelier.interactions import Interactions
from atelier.search.ragged import Mask, RaggedLists


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


def eligible_articles(in_stock: Mask, ranked: Mask, candidates: Codes | None) -> Codes:
    """The articles that may be recommended, int32, ascending.

    Args:
        in_stock: bool [n]: what :func:`in_stock_mask` gives.
        ranked: bool [n]: what the model can rank.
        candidates: int32: the articles that the caller allows; None: all.
    """
    allowed = in_stock & ranked
    if candidates is not None:
        wanted = np.zeros(len(allowed), dtype=bool)
        wanted[candidates] = True
        allowed = allowed & wanted
    return np.flatnonzero(allowed).astype(np.int32)


def seen_articles(interactions: Interactions) -> RaggedLists:
    """The distinct articles that each customer of ``interactions`` has interacted with, ascending."""
    shape = (len(interactions.customer_ids), len(interactions.article_ids))
    return RaggedLists.distinct(interactions.customers, interactions.articles, shape)
