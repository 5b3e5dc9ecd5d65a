"""What customers did, as arrays: who, with what, when, how.

What belongs here: :class:`Interactions`, how it is read from a frame, split without leakage and turned back. What does
not: what any model makes of it (:mod:`atelier.recommenders`).
"""

import datetime
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from atelier.arrays import distinct_values
from atelier.errors import AtelierError, UnknownIdentifier
from atelier.frames import (
    categories,
    chosen_texts,
    columns,
    numbers,
    read,
    require,
    times,
    warn_nothing_in_common,
    whole,
)
from atelier.frames import day as read_day
from atelier.ids import Codes, IdMap, preview
from atelier.kinds import PURCHASE, RETURN, unheard_of
from atelier.returns import cancelled, cancels

Times = npt.NDArray[np.datetime64]
REQUIRED = ("customer_id", "article_id")
OPTIONAL = ("occurred_at", "kind", "price", "channel")


class InteractionsError(AtelierError, ValueError):
    """A frame cannot be read as interactions, or interactions cannot be split as asked."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """What customers did, one row for each unit; n rows. Immutable: the arrays cannot be written to.

    Rows are ordered by customer, then time, then the order in which they came.

    Attributes:
        customer_ids: the customers that occur.
        article_ids: the articles that occur.
        customers: int32 [n], numbers in ``customer_ids``, ascending.
        articles: int32 [n], numbers in ``article_ids``.
        occurred_at: datetime64[us] [n], ascending within a customer; all NaT where the frame had no dates.
        kinds: n kinds as a pandas categorical (its ``codes`` are int8), or None: all rows count for any kind.
        prices: float64 [n] with NaN where unknown, or None.
        channels: n channels as a pandas categorical, or None.
    """

    customer_ids: IdMap
    article_ids: IdMap
    customers: Codes
    articles: Codes
    occurred_at: Times
    kinds: "pd.Categorical | None" = None
    prices: npt.NDArray[np.float64] | None = None
    channels: "pd.Categorical | None" = None

    def __post_init__(self) -> None:
        for array in (self.customers, self.articles, self.occurred_at, self.prices):
            if array is not None:
                array.setflags(write=False)

    @classmethod
    def from_frame(cls, frame: Any) -> Self:
        """Read a frame of interactions; it is not changed.

        Args:
            frame: pandas or Arrow, with ``customer_id`` and ``article_id`` (text) and, where known, ``occurred_at``
                (times, dates or ISO texts; no numbers), ``kind``, ``price``, ``channel``; other columns are ignored.
                Dictionary-encoded columns keep memory small. Without ``occurred_at`` the rows' order is the order in
                time within each customer.

        Raises:
            InteractionsError: a required column is absent, a time or kind is null, or a column cannot be cast.
            IdentifierError: an identifier is null or not text.
        """
        if isinstance(frame, Interactions):
            return frame  # type: ignore[return-value]
        given = _columns(frame)
        customer_ids, customers = IdMap.factorise(given["customer_id"], "customer_id")
        article_ids, articles = IdMap.factorise(given["article_id"], "article_id")
        times = _times(given.get("occurred_at"), len(customers))
        # Stable, so that rows of one customer and time keep the order in which they came.
        order = np.lexsort((times, customers)) if "occurred_at" in given else np.argsort(customers, kind="stable")
        kinds = _categories(given.get("kind"), "kind")
        prices = numbers(given["price"], "price", InteractionsError) if "price" in given else None
        channels = _categories(given.get("channel"), "channel", nulls=True)
        return cls(
            customer_ids,
            article_ids,
            customers[order],
            articles[order],
            times[order],
            None if kinds is None else kinds[order],
            None if prices is None else prices[order],
            None if channels is None else channels[order],
        )

    def __len__(self) -> int:
        return len(self.customers)

    def __repr__(self) -> str:
        return (
            f"Interactions({len(self):,} of {len(self.customer_ids):,} customers, {len(self.article_ids):,} articles)"
        )

    @property
    def dated(self) -> bool:
        """Whether the interactions have dates."""
        return not len(self) or not bool(np.isnat(self.occurred_at[0]))

    def split_at(self, day: "str | datetime.date") -> tuple[Self, Self]:
        """Split in time: ``(train, truth)`` with train < that day's first moment <= truth.

        Each part's id maps hold only what occurs in it, so that nothing of the truth is known to the training part.

        Raises:
            InteractionsError: the interactions have no dates, or ``day`` is none: a number, for example.
        """
        if not self.dated:
            raise InteractionsError("interactions without occurred_at cannot be split at a day: use leave_last_out")
        later = self.occurred_at >= np.datetime64(read_day(day, "day", InteractionsError))
        return self.rows(~later), self.rows(later)

    def leave_last_out(self, n: int = 1) -> tuple[Self, Self]:
        """Split by customer: ``(train, truth)`` with each customer's last ``n`` rows as truth.

        A customer with no more than ``n`` rows is in truth only. Among rows of the same time the later row is last. A
        return is a row as any other: split ``of_kinds(…)`` where the last purchases that were kept are wanted.

        Raises:
            InteractionsError: ``n`` is no whole number of at least 1.
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise InteractionsError(f"leave_last_out takes a whole number of rows, 1 or more, not {n!r}")
        ends = np.cumsum(np.bincount(self.customers, minlength=len(self.customer_ids)))
        last = np.arange(len(self)) >= ends[self.customers] - n
        return self.rows(~last), self.rows(last)

    def of_kinds(self, kinds: Iterable[str]) -> Self:
        """The rows of these kinds, without purchases that were sent back; all rows where the frame had no ``kind``.

        A return cancels the customer's latest earlier purchase of the article (:mod:`atelier.returns`). Where returns
        are asked for too, all rows come as they are.

        Args:
            kinds: a collection of kinds, or a single one.

        A warning names a kind that no row has and that Atelier does not know (:mod:`atelier.kinds`).

        Raises:
            InteractionsError: it is neither.
        """
        asked = chosen_texts(kinds, "kinds", InteractionsError)
        if self.kinds is None:
            return self
        if odd := unheard_of(asked, self.kinds.categories):
            warn_nothing_in_common(odd)
        return self.rows(self.counted(asked))

    def counted(self, kinds: Collection[str]) -> npt.NDArray[np.bool_]:
        """Which rows :meth:`of_kinds` keeps, bool [n]."""
        chosen = self._of(*kinds)
        if self.kinds is None or not cancels(kinds, self.kinds.categories):
            return chosen
        return chosen & ~self._sent_back()

    def _of(self, *kinds: str) -> npt.NDArray[np.bool_]:
        """Which rows are of these kinds; all where the frame had no ``kind``."""
        if self.kinds is None:
            return np.ones(len(self), dtype=bool)
        return np.isin(self.kinds.codes, np.flatnonzero(self.kinds.categories.isin(list(kinds))))

    def _sent_back(self) -> npt.NDArray[np.bool_]:
        """Which rows are purchases that were sent back."""
        moments = self.occurred_at.astype(np.int64) if self.dated else None
        return cancelled(self.customers, self.articles, self._of(PURCHASE), self._of(RETURN), moments)

    def rows(self, selection: npt.NDArray[np.bool_]) -> Self:
        """The rows that ``selection`` (bool [n]) marks, with id maps of only what occurs in them."""
        kept = self._keep(selection)
        customer_ids, customers = _compact(kept.customer_ids, kept.customers)
        article_ids, articles = _compact(kept.article_ids, kept.articles)
        return replace(kept, customer_ids=customer_ids, article_ids=article_ids, customers=customers, articles=articles)

    def aligned(
        self,
        customer_ids: IdMap | None = None,
        article_ids: IdMap | None = None,
        unknown: Literal["raise", "drop"] = "raise",
    ) -> Self:
        """The same interactions, numbered by other id maps (None: the present one).

        Args:
            customer_ids: the map for customers.
            article_ids: the map for articles.
            unknown: what to do about rows that a map does not hold: raise, or leave them out.

        Raises:
            UnknownIdentifier: a map lacks an identifier that occurs and ``unknown`` is ``"raise"``.
        """
        to_customer = _translation(self.customer_ids, customer_ids, unknown, "customer_id")
        to_article = _translation(self.article_ids, article_ids, unknown, "article_id")
        customers = self.customers if to_customer is None else to_customer[self.customers]
        articles = self.articles if to_article is None else to_article[self.articles]
        known = (customers >= 0) & (articles >= 0)
        moved = replace(
            self,
            customer_ids=self.customer_ids if customer_ids is None else customer_ids,
            article_ids=self.article_ids if article_ids is None else article_ids,
            customers=customers,
            articles=articles,
        )
        return moved if known.all() else moved._keep(known)

    def _keep(self, selection: npt.NDArray[np.bool_]) -> Self:
        """The marked rows under the same id maps."""
        return replace(
            self,
            customers=self.customers[selection],
            articles=self.articles[selection],
            occurred_at=self.occurred_at[selection],
            kinds=None if self.kinds is None else self.kinds[selection],
            prices=None if self.prices is None else self.prices[selection],
            channels=None if self.channels is None else self.channels[selection],
        )

    def to_frame(self) -> pd.DataFrame:
        """A frame of ``customer_id, article_id, occurred_at`` and, where known, ``kind``, ``price``, ``channel``."""
        columns: dict[str, Any] = {
            "customer_id": self.customer_ids.decode(self.customers),
            "article_id": self.article_ids.decode(self.articles),
            "occurred_at": self.occurred_at,
            "kind": self.kinds,
            "price": self.prices,
            "channel": self.channels,
        }
        return pd.DataFrame({name: values for name, values in columns.items() if values is not None})


def _columns(frame: Any) -> dict[str, Any]:
    """The columns of a frame that interactions read, by name."""
    require(frame, REQUIRED, InteractionsError, "a frame of interactions")
    return {name: frame[name] for name in (*REQUIRED, *OPTIONAL) if name in columns(frame)}


def _times(values: Any, n: int) -> Times:
    if values is None:
        return np.full(n, np.datetime64("NaT"), dtype="datetime64[us]")
    array = times(values, "occurred_at", InteractionsError)
    if array.null_count:
        raise InteractionsError(f"occurred_at is null in {array.null_count:,} rows: drop these rows or fill the column")
    return np.array(array.to_numpy(), dtype="datetime64[us]")  # a copy: the frame's own must stay writeable


def _categories(values: Any, name: str, *, nulls: bool = False) -> "pd.Categorical | None":
    """A column of few texts as a categorical with sorted categories, so that equal data have equal codes."""
    if values is None:
        return None
    array = _channels(values, name) if nulls else categories(values, name, InteractionsError)
    texts = array.dictionary.cast(pa.large_string()).to_pylist()
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    names = sorted({texts[code] for code in distinct_values(codes[codes >= 0])})
    place = np.array([names.index(text) if text in names else -1 for text in texts] + [-1], dtype=np.int64)
    return pd.Categorical.from_codes(place[codes], categories=pd.Index(names, dtype=object))


def _channels(values: Any, name: str) -> Any:
    """A column of few values of any type that can be written as text, with nulls, as a dictionary."""
    array = read(values, name, InteractionsError)
    if not pa.types.is_dictionary(array.type):
        array = array.cast(pa.large_string()).dictionary_encode()
    return whole(array)


def _compact(ids: IdMap, codes: Codes) -> tuple[IdMap, Codes]:
    """The map of only those identifiers that ``codes`` use, and the codes in it."""
    used = np.bincount(codes, minlength=len(ids)) > 0
    if used.all():
        return ids, codes
    return IdMap(ids.values.filter(pa.array(used))), (np.cumsum(used, dtype=np.int32) - np.int32(1))[codes]


def _translation(old: IdMap, new: IdMap | None, unknown: str, what: str) -> Codes | None:
    if new is None or new is old:
        return None
    codes = new.encode(old.values, unknown="minus_one", what=what)
    if unknown == "raise" and (codes < 0).any():
        missing = old.take(np.flatnonzero(codes < 0))
        raise UnknownIdentifier(f"{len(missing):,} unknown {what}: {preview(missing.to_pylist(), len(missing))}")
    return codes
