"""Which articles may be recommended: those in stock that a model ranks and a caller allows, but for what was seen.

What belongs here: stock, candidates and what customers have seen, as arrays. What does not: which articles a model can
rank, which it says itself (:mod:`~atelier.recommenders.base`).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pandas.api.types import is_bool_dtype

from atelier.catalogue import Catalogue
from atelier.frames import flags
from atelier.ids import Codes, IdentifierError, IdMap, column
from atelier.interactions import Interactions
from atelier.search.ragged import Mask, RaggedLists


def in_stock_mask(article_ids: IdMap, catalogue: Catalogue | None, *, unsold: bool) -> Mask:
    """Which articles may be recommended: those in stock, and with ``unsold`` also those not yet on sale: bool [n].

    The stock of an article that was never on sale (``available_from`` null) is not known: it is a candidate for models
    that read its content, and for no others. Where no article has a date, or one without a date is in stock, a missing
    date does not mean that an article was never on sale, and stock decides alone.
    """
    if catalogue is None:
        return np.ones(len(article_ids), dtype=bool)
    candidates = catalogue.in_stock
    if unsold and "available_from" in catalogue.frame:
        never = catalogue.frame["available_from"].isna().to_numpy()
        candidates = candidates | (never & (not never.all() and not (never & candidates).any()))
    in_stock = np.zeros(len(article_ids), dtype=bool)
    in_stock[article_ids.encode(catalogue.ids.values)] = candidates
    return in_stock


def article_column(values: Any) -> Any:
    """The identifiers of articles: a catalogue's, the column ``article_id`` of a frame, or the values themselves."""
    return values.ids.values if isinstance(values, Catalogue) else column(values, "article_id")


def chosen_articles(article_ids: IdMap, articles: Any) -> Codes:
    """The codes of articles that somebody chose, int32.

    Args:
        article_ids: the n articles that there are.
        articles: texts, a frame with ``article_id``, a catalogue, or a mask: bool [n] in the order of ``article_ids``.

    Raises:
        UnknownIdentifier: an article is unknown.
        IdentifierError: a mask of another length, or what is no list of articles.
    """
    given = article_column(articles)
    if not _is_mask(given):
        return article_ids.encode(given, what="article_id")
    mask = flags(given, "the mask of articles", IdentifierError)
    if len(mask) != len(article_ids):
        raise IdentifierError(
            f"the mask of articles has {len(mask):,} places, for {len(article_ids):,} articles of the model"
        )
    return np.flatnonzero(mask).astype(np.int32)


def _is_mask(values: Any) -> bool:
    """Whether values are true and false, and not identifiers."""
    if isinstance(values, list | tuple):
        return bool(values) and all(isinstance(each, bool | np.bool_) for each in values)
    kind = getattr(values, "dtype", getattr(values, "type", None))
    return kind is not None and (kind == pa.bool_() if isinstance(kind, pa.DataType) else is_bool_dtype(kind))


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


def fitting_k(k: int, eligible: npt.NDArray[np.integer[Any]]) -> int:
    """The length of lists for which memory is needed: none is longer than there are eligible articles."""
    return min(k, max(len(eligible), 1))


def seen_articles(interactions: Interactions) -> RaggedLists:
    """The distinct articles that each customer of ``interactions`` has interacted with, ascending."""
    shape = (len(interactions.customer_ids), len(interactions.article_ids))
    return RaggedLists.distinct(interactions.customers, interactions.articles, shape)
