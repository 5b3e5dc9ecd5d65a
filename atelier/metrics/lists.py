"""Recommendation lists as a matrix, and the relevant sets that they are evaluated by.

What belongs here: the matrix of recommended articles by rank, the relevant sets R, and where the two meet (the hits).
What does not: formulas (:mod:`atelier.metrics.accuracy`, :mod:`atelier.metrics.diversity`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atelier.frames import decoded, flag, read
from atelier.metrics.encoding import (
    Coded,
    CodedInteractions,
    Ints,
    MetricsError,
    Universe,
    column,
    distinct,
    identifiers,
    pairs,
    united,
    warn_apart,
)

ROWS = 1 << 16
"""Rows that are put into the matrix at once: so few that intermediate results stay in the processor's cache."""


@dataclass(frozen=True)
class ListMatrix:
    """One list for each customer who has one.

    Attributes:
        customers: the customers' codes, ascending. int64 [lists]
        articles: the article code at each rank (first column: rank 1); −1 where the list has none. An article that a
            list names twice counts at its first rank only. int32 [lists, longest k], column by column in memory: what
            looks at the lists goes from rank to rank.
    """

    customers: Ints
    articles: Ints


@dataclass(frozen=True)
class Truth:
    """The relevant sets, as distinct pairs sorted by customer, then article.

    Attributes:
        customers: the customer's code of each pair. int64 [pairs]
        articles: the article's code of each pair. int64 [pairs]
    """

    customers: Ints
    articles: Ints

    def take(self, mask: Any) -> "Truth":
        """The pairs where ``mask`` (bool [pairs]) holds."""
        return Truth(self.customers[mask], self.articles[mask])


@dataclass(frozen=True)
class Hits:
    """The recommended articles that were relevant.

    Attributes:
        pair: which pair of the truth was hit. int64 [hits]
        rank: at which rank, from 1. int64 [hits]
    """

    pair: Ints
    rank: Ints


@dataclass(frozen=True)
class EvaluationInputs:
    """Everything that metrics need, in common codes.

    Attributes:
        customer_ids: the customers by code; holds all of the lists and truth.
        article_ids: the articles by code; holds all of the lists, truth and catalogue.
        truth: the relevant sets.
        lists: the recommendation lists of the customers in question, whether or not they have relevant articles.
    """

    customer_ids: Universe
    article_ids: Universe
    truth: Truth
    lists: ListMatrix


def prepare(
    recs: Any,
    truth: Any,
    longest: int,
    train: Any,
    exclude_seen: bool,
    truth_kinds: Sequence[str],
    seen_kinds: Sequence[str],
    customers: Iterable[Any] | None,
    articles: Coded | None = None,
) -> EvaluationInputs:
    """Code lists and truth alike; arguments as in :func:`atelier.metrics.evaluate`, ``articles``: further ones to code.

    Where two of them have nothing in common, so that figures would say nothing of either, a warning says so.

    Raises:
        MetricsError: a column is missing, an identifier null, a rank given twice or below 1, identifiers are texts here
            and numbers there, or ``exclude_seen`` is asked for without training data.
    """
    listed = pairs(recs, None, "recs")
    relevant = pairs(truth, truth_kinds, "truth", "truth_kinds")
    customer_ids, (lists_of, bought_by) = united(listed.customers, relevant.customers)
    coded = [listed.articles, relevant.articles, *([] if articles is None else [articles])]
    article_ids, (named, bought, *offered) = united(*coded)
    warn_apart(relevant.customers, bought_by, listed.customers, lists_of)
    warn_apart(relevant.articles, bought, listed.articles, named)
    if articles is not None:
        warn_apart(listed.articles, named, articles, offered[0])
    allowed = None
    if customers is not None:
        chosen = identifiers(customers)
        chosen.warn_strangers(customer_ids, "the customers of recs and truth")
        allowed = np.isin(np.arange(len(customer_ids)), chosen.within(customer_ids))
    sets = relevant_sets(
        bought_by[relevant.customers.codes], bought[relevant.articles.codes], len(article_ids), allowed
    )
    if flag(exclude_seen, "exclude_seen", MetricsError):
        if train is None:
            raise MetricsError("exclude_seen=True needs train: the interactions that count as seen")
        seen = pairs(train, seen_kinds, "train", "seen_kinds")
        seen.customers.warn_strangers(customer_ids, "the customers of recs and truth")
        seen.articles.warn_strangers(article_ids, "the articles of recs, truth and catalogue")
        sets = _without(sets, seen, customer_ids, article_ids)
    ranks = whole_ranks(recs, "recs")
    matrix = list_matrix(ranks, listed, lists_of, named, longest, len(customer_ids), allowed)
    return EvaluationInputs(customer_ids, article_ids, sets, matrix)


def relevant_sets(customers: Ints, articles: Ints, width: int, allowed: Any = None) -> Truth:
    """The distinct pairs of codes; only customers that are ``allowed`` (bool by code). ``width``: article codes."""
    known = (customers >= 0) & (articles >= 0)
    if allowed is not None:
        known &= allowed[customers]
    return Truth(*np.divmod(distinct(customers[known] * np.int64(width) + articles[known]), max(width, 1)))


def list_matrix(
    rank: Ints,
    listed: CodedInteractions,
    customer: Ints,
    article: Ints,
    longest: int,
    customers: int,
    allowed: Any = None,
) -> ListMatrix:
    """The lists' first ``longest`` ranks as a matrix.

    Args:
        rank: from 1. [rows]
        listed: whose list names which article. [rows]
        customer: the common code of each of ``listed.customers``, as :meth:`Coded.positions` gives it; −1: not wanted.
        article: the common code of each of ``listed.articles``, likewise; −1: cannot be a hit.
        longest: how many ranks count.
        customers: how many common codes of customers there are.
        allowed: whose lists are wanted (bool by code); None: everyone's.

    Raises:
        MetricsError: a rank is given twice for a customer.
    """
    # Customers whose ranks all lie beyond `longest` still have a list, an empty one.
    rows = _wanted(customer[listed.customers.used()], customers, allowed)
    width = len(rows) + 1
    row_of = np.full(customers + 1, len(rows), np.int64)
    row_of[rows] = np.arange(len(rows))
    row, article = row_of[customer].astype(np.int32), article.astype(np.int32)  # small tables stay in the cache
    # What is left out goes to a last rank and a last row, which are then cut off: cheaper than choosing.
    filled = 0
    cells = np.full((longest + 1) * width, -1, np.int32)
    for start in range(0, len(rank), ROWS):
        part = slice(start, start + ROWS)
        depth = np.minimum(rank[part], longest + 1) - 1
        lists, found = row.take(listed.customers.codes[part]), article.take(listed.articles.codes[part])
        cells[depth * width + lists] = found
        filled += int(np.count_nonzero((depth < longest) & (lists < len(rows)) & (found >= 0)))
    matrix = cells.reshape(longest + 1, width)[:-1, :-1]
    if np.count_nonzero(matrix >= 0) != filled:
        raise MetricsError("recs give a customer the same rank twice; each (customer_id, rank) must be unique")
    return ListMatrix(rows, _first_mention_only(matrix.T))


def _wanted(listing: Ints, customers: int, allowed: Any) -> Ints:
    """The codes among ``listing`` that are known and allowed, ascending."""
    present = np.zeros(customers + 1, bool)
    present[listing] = True
    present[-1] = False  # where the unknown went
    if allowed is not None:
        present[:-1] &= allowed
    return np.flatnonzero(present)


def find_hits(truth: Truth, lists: ListMatrix) -> Hits:
    """Where the lists meet the relevant sets."""
    none = np.zeros(0, np.int64)
    if not len(lists.customers):
        return Hits(none, none)
    row_of = np.full(max(int(lists.customers[-1]), int(truth.customers.max(initial=0))) + 1, -1, np.int64)
    row_of[lists.customers] = np.arange(len(lists.customers))
    row = row_of[truth.customers]
    listed = np.flatnonzero(row >= 0)
    row, wanted = row[listed], truth.articles[listed].astype(np.int32)
    found = [listed[column.take(row) == wanted] for column in lists.articles.T]
    ranks = np.arange(1, len(found) + 1)
    return Hits(np.concatenate(found), np.repeat(ranks, [len(pairs) for pairs in found]))


def _without(truth: Truth, seen: CodedInteractions, customer_ids: Universe, article_ids: Universe) -> Truth:
    """The truth less the pairs in ``seen``."""
    width = np.int64(max(len(article_ids), 1))
    customers, articles = seen.customers.within(customer_ids), seen.articles.within(article_ids)
    known = (customers >= 0) & (articles >= 0)
    keys = truth.customers * width + truth.articles
    return truth.take(~np.isin(keys, customers[known] * width + articles[known]))


def whole_ranks(recs: Any, what: str) -> Ints:
    """The column ``rank`` of a frame; int64.

    Args:
        recs: the lists, one row for each rank.
        what: how error messages call them.

    Raises:
        MetricsError: there is none, or a rank is null, not whole or below 1.
    """
    array = decoded(read(column(recs, "rank", what), "rank", MetricsError))
    if array.null_count:
        raise MetricsError(f"recs have {array.null_count} null ranks; ranks are whole numbers from 1")
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_null(array.type)):
        raise MetricsError(f"{what} have ranks of the type {array.type}; ranks are whole numbers from 1")
    try:
        ranks = pc.cast(array, pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise MetricsError(f"recs have a rank that is not a whole number: {error}") from error
    if len(ranks) and int(ranks.min()) < 1:
        raise MetricsError(f"recs have rank {int(ranks.min())}; ranks count from 1")
    return np.asarray(ranks, np.int64)


def _first_mention_only(matrix: Ints) -> Ints:
    """The matrix with every later mention of an article in the same list made absent."""
    ordered = np.sort(matrix, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if not twice.any():
        return matrix
    rows = matrix[twice]
    order = np.argsort(rows, axis=1, kind="stable")
    ranked = np.take_along_axis(rows, order, axis=1)
    later = np.zeros_like(rows, bool)
    later[:, 1:] = ranked[:, 1:] == ranked[:, :-1]
    ranked[later] = -1
    np.put_along_axis(rows, order, ranked, axis=1)
    result = matrix.copy(order="K")
    result[twice] = rows
    return result
