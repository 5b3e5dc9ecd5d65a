"""One table with everything that is measured of a set of recommendation lists.

What belongs here: means over customers for every segment, and their assembly into one frame. What does not: formulas
(:mod:`atelier.metrics.accuracy` and its neighbours), the membership of segments (:mod:`atelier.metrics.segments`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from atelier.frames import day
from atelier.metrics import diversity, encoding, segments
from atelier.metrics.accuracy import ACCURACY, Divisors, MapBy, NdcgIdeal, group_metrics
from atelier.metrics.by_rank import at_ranks, last_day, moments, quantities
from atelier.metrics.encoding import PURCHASE, TRAIN_KINDS, Floats, Ints, MetricsError
from atelier.metrics.lists import EvaluationInputs, ListMatrix, find_hits, list_matrix, prepare, whole_ranks

NAN = float("nan")
Row = tuple[str, int, str, float, float, int]  # metric, k, segment, value, standard_error, customers


def evaluate(
    recs: Any,
    truth: Any,
    k: int | Iterable[int] = (10, 20),
    *,
    train: Any = None,
    catalogue: Any = None,
    exclude_seen: bool = False,
    truth_kinds: Sequence[str] = PURCHASE,
    train_kinds: Sequence[str] | None = TRAIN_KINDS,
    seen_kinds: Sequence[str] = PURCHASE,
    customers: Iterable[Any] | None = None,
    restricted_recs: Mapping[str, Any] | None = None,
    attribute: str | None = "product_type",
    as_of: date | None = None,
    map_by: MapBy = "reachable",
    ndcg_ideal: NdcgIdeal = "reachable",
    vectors: Any = None,
) -> pd.DataFrame:
    """Everything that is measured of recommendation lists; formulas and segments stand in docs/metrics.md.

    Args:
        recs: the lists: customer_id, article_id, rank (whole, from 1, once for each customer), pandas or Arrow.
        truth: what customers did in the test period: customer_id, article_id[, kind]; a frame or Interactions.
        k: the list lengths.
        train: what was known when the lists were made: customer_id, article_id[, kind, occurred_at]; a frame or
            Interactions. Without it: no segments by history, activity or warmth, no popularity, no novelty.
        catalogue: the articles then: article_id[, price, available_from, the attribute]; a frame or Catalogue.
            Without it: no coverage, novelty, price, age or attribute.
        exclude_seen: the lists leave out what the customer had got before, so the relevant sets do too.
        truth_kinds: kinds of interaction in ``truth`` that count as relevant, a collection or a single one. A purchase
            that was sent back within the data counts nowhere (:mod:`atelier.returns`).
        train_kinds: kinds in ``train`` that count as history; None: all.
        seen_kinds: kinds in ``train`` that count as seen.
        customers: evaluate these only, and describe only their lists: a collection, or a frame with customer_id; None:
            everyone.
        restricted_recs: for segments of articles (``article:cold``, ``product_type=Dress``) lists made from such
            articles only (see :func:`atelier.metrics.article_segments`); each adds ``<segment>:candidates``.
        attribute: the column of ``catalogue`` by whose values figures are also given; None: none.
        as_of: the day of the lists, for the age of articles; None: the last day of ``train``.
        map_by: what MAP is divided by: min(k, |R|) (``reachable``), |R| (``relevant``) or ``k``, as other libraries do
            (:class:`atelier.metrics.accuracy.Divisors`).
        ndcg_ideal: what NDCG is divided by: the gains of min(k, |R|) hits (``reachable``) or of ``k``.
        vectors: gives ``intra_list_diversity``: a frame of article_id and vector, or a Catalogue with vectors.

    Returns:
        metric, k, segment, value, standard_error, customers, sorted by the first three, which are unique. value is
        null where undefined (nobody has relevant articles), standard_error where it has no meaning; customers are
        those averaged over. k is the rank for the metrics by rank, and 1 for figures without a list (segment
        ``catalogue``, metric ``relevant_share``).

    Raises:
        MetricsError: a column is missing, an identifier null, a rank given twice or below 1, no k, ``exclude_seen``
            without ``train``, ``restricted_recs`` for a segment that is not one of articles, a time or flag of another
            type, or identifiers that are texts here and numbers there. Where inputs have nothing in common a
            :class:`~atelier.errors.NothingInCommonWarning` says so.
    """
    ks, divisors = encoding.lengths(k), Divisors.of(map_by, ndcg_ideal)
    table = encoding.catalogue_frame(catalogue)
    articles = None if table is None else encoding.article_codes(table, "catalogue")
    inputs = prepare(recs, truth, ks[-1], train, exclude_seen, truth_kinds, seen_kinds, customers, articles)
    in_catalogue = np.empty(0, np.int64) if articles is None else encoding.distinct(articles.within(inputs.article_ids))
    known = _known(inputs, train, train_kinds, table, attribute)
    restricted = {} if restricted_recs is None else restricted_recs
    rows = list(_accuracy(inputs, known, ks, restricted, divisors))
    rows += _diversity(inputs, known, ks, in_catalogue)
    if vectors is not None:
        rows += _intra_list(inputs, vectors, ks)
    if as_of is not None:
        as_of = day(as_of, "as_of", MetricsError)
    elif train is not None:
        as_of = last_day(train)
    rows += _by_rank(inputs.lists, quantities(table, inputs.article_ids, known.purchases, as_of), in_catalogue)
    return _table(rows)


@dataclass(frozen=True)
class _Known:
    """What is known of customers and articles from training data and catalogue; None where these were not given."""

    activity: Ints | None  # training interactions of each customer code
    interactions: Ints | None  # training interactions of each article code
    purchases: Ints | None  # training purchases of each article code
    value_codes: Ints  # the attribute's value of each article code, −1 without
    values: list[str]  # the attribute's values, as `attribute=value`


def _known(
    inputs: EvaluationInputs, train: Any, train_kinds: Sequence[str] | None, table: Any, attribute: str | None
) -> _Known:
    value_codes: Ints = np.full(len(inputs.article_ids), -1, np.int64)
    values: list[str] = []
    if table is not None and attribute is not None:
        value_codes, values = segments.attribute_codes(table, attribute, inputs.article_ids)
    if train is None:
        return _Known(None, None, None, value_codes, values)
    history, bought = (
        encoding.pairs(train, train_kinds, "train", "train_kinds"),
        encoding.pairs(train, PURCHASE, "train"),
    )
    history.articles.warn_strangers(inputs.article_ids, "the articles of recs, truth and catalogue")
    return _Known(
        activity=segments.count_codes(history.customers.within(inputs.customer_ids), len(inputs.customer_ids)),
        interactions=segments.count_codes(history.articles.within(inputs.article_ids), len(inputs.article_ids)),
        purchases=segments.count_codes(bought.articles.within(inputs.article_ids), len(inputs.article_ids)),
        value_codes=value_codes,
        values=values,
    )


def _accuracy(
    inputs: EvaluationInputs, known: _Known, ks: Sequence[int], restricted: Mapping[str, Any], divisors: Divisors
) -> Iterator[Row]:
    """The six metrics for every segment of customers and of articles."""
    if not isinstance(restricted, Mapping):
        raise MetricsError(
            f"restricted_recs is a {type(restricted).__name__}, not lists by segment, {{'article:cold': …}}"
        )
    everything = np.zeros(len(inputs.article_ids), np.int64)
    _, customers, values = _segment_metrics(inputs, inputs.lists, everything, ks, divisors)
    yield from _means(values, np.zeros(values.shape[-1], np.int64), [segments.ALL], ks)
    if known.activity is not None:
        activity = known.activity[customers]
        yield from _means(values, np.minimum(activity, 1), segments.HISTORY_SEGMENTS, ks)
        yield from _means(values, segments.activity_codes(activity), segments.ACTIVITY_SEGMENTS, ks)
    # For each segment of articles: the segment code of every article in its grouping, and the segment's own code.
    codes_of: dict[str, tuple[Ints, int]] = {}
    for codes, names in _groupings(known):
        segment, _, values = _segment_metrics(inputs, inputs.lists, codes, ks, divisors)
        yield from _means(values, segment, names, ks)
        codes_of |= {name: (codes, code) for code, name in enumerate(names)}
    for name, recs in restricted.items():
        if name not in codes_of:
            there = ", ".join(codes_of) or "none"
            raise MetricsError(f"restricted_recs has {name!r}; segments of articles are {there}")
        codes, code = codes_of[name]
        inside = np.where(codes == code, 0, -1)
        _, _, values = _segment_metrics(inputs, _lists_of(recs, inputs), inside, ks, divisors)
        yield from _means(values, np.zeros(values.shape[-1], np.int64), [name + segments.CANDIDATES], ks)


def _groupings(known: _Known) -> Iterator[tuple[Ints, Sequence[str]]]:
    """The ways in which articles are divided into segments: each article's segment code, and the segments' names."""
    if known.interactions is not None:
        yield segments.warmth_codes(known.interactions), segments.ARTICLE_SEGMENTS
    if known.values:
        yield known.value_codes, known.values


def _segment_metrics(
    inputs: EvaluationInputs, lists: ListMatrix, codes: Ints, ks: Sequence[int], divisors: Divisors
) -> tuple[Ints, Ints, Floats]:
    """Metrics of each segment and customer that has relevant articles in the segment.

    Args:
        inputs: whose relevant sets count.
        lists: the lists that are evaluated.
        codes: the segment of each article code; −1: in none.
        ks: the list lengths.
        divisors: of NDCG and MAP.

    Returns:
        The segment and the customer of each such group, ascending, and its metrics [metrics, ks, groups].
    """
    inside = inputs.truth.take(codes[inputs.truth.articles] >= 0)
    width = np.int64(max(len(inputs.customer_ids), 1))
    keys = codes[inside.articles] * width + inside.customers
    groups, relevant = np.unique(keys, return_counts=True)
    hits = find_hits(inside, lists)
    group = np.searchsorted(groups, keys[hits.pair])
    return *np.divmod(groups, width), group_metrics(group, hits.rank, relevant, ks, divisors)


def _lists_of(recs: Any, inputs: EvaluationInputs) -> ListMatrix:
    """Further lists in the codes of ``inputs``; articles and customers it does not know cannot be hits."""
    listed = encoding.pairs(recs, None, "restricted_recs")
    customer, article = listed.customers.positions(inputs.customer_ids), listed.articles.positions(inputs.article_ids)
    ranks = whole_ranks(recs, "restricted_recs")
    return list_matrix(ranks, listed, customer, article, inputs.lists.articles.shape[1], len(inputs.customer_ids))


def _means(values: Floats, segment: Ints, names: Sequence[str], ks: Sequence[int]) -> Iterator[Row]:
    """Mean and standard error over the groups of each segment; null, and 0 customers, where there is no group."""
    order = np.argsort(segment, kind="stable")
    bounds = np.searchsorted(segment[order], np.arange(len(names) + 1))
    for code, name in enumerate(names):
        chosen = order[bounds[code] : bounds[code + 1]]
        for m, metric in enumerate(ACCURACY):
            for i, k in enumerate(ks):
                yield metric, k, name, *moments(values[m, i, chosen])


def _diversity(inputs: EvaluationInputs, known: _Known, ks: Sequence[int], in_catalogue: Ints) -> Iterator[Row]:
    """What the lists are like at each k, whether or not their customers have relevant articles."""
    for k in ks:
        articles = inputs.lists.articles[:, :k]
        listed = int((articles >= 0).any(axis=1).sum())
        if len(in_catalogue):
            yield "coverage", k, segments.ALL, diversity.coverage(articles, in_catalogue), NAN, listed
        yield "overlap", k, segments.ALL, diversity.overlap(articles), NAN, listed
        yield "personalization", k, segments.ALL, diversity.personalization(articles), NAN, listed
        if known.purchases is not None and len(in_catalogue):
            bits = diversity.information(known.purchases, in_catalogue)
            yield "novelty", k, segments.ALL, *moments(diversity.novelty(articles, bits))
        shares = diversity.shares(articles, known.value_codes, len(known.values))
        yield from (
            ("recommended_share", k, name, float(share), NAN, listed)
            for name, share in zip(known.values, shares, strict=True)
        )
    if known.values:
        wanted = diversity.shares(inputs.truth.articles, known.value_codes, len(known.values))
        customers = len(encoding.distinct(inputs.truth.customers))
        for name, share in zip(known.values, wanted, strict=True):
            yield "relevant_share", 1, name, float(share), NAN, customers


def _intra_list(inputs: EvaluationInputs, vectors: Any, ks: Sequence[int]) -> Iterator[Row]:
    """How unlike each other the articles of each list are, over lists with two articles of known vectors or more."""
    codes, known = encoding.article_vectors(vectors, inputs.article_ids)
    spread = np.zeros((len(inputs.article_ids), known.shape[1]), np.float32)
    spread[codes[codes >= 0]] = known[codes >= 0]
    for k, values in zip(ks, diversity.intra_list_diversity(inputs.lists.articles, spread, ks), strict=True):
        yield "intra_list_diversity", k, segments.ALL, *moments(values)


def _by_rank(lists: ListMatrix, known: Mapping[str, Floats], in_catalogue: Ints) -> Iterator[Row]:
    """Means at each rank, and the catalogue's own."""
    for metric, quantity in known.items():
        for rank, found in at_ranks(lists.articles, quantity):
            yield metric, rank, segments.ALL, *found
        if len(in_catalogue):
            values = quantity[in_catalogue]
            yield metric, 1, segments.CATALOGUE, moments(values[~np.isnan(values)]).mean, NAN, 0


def _table(rows: Sequence[Row]) -> pd.DataFrame:
    metric, k, segment, value, error, customers = zip(*sorted(rows, key=lambda row: row[:3]), strict=True)
    return pd.DataFrame(
        {
            "metric": pd.array(metric, dtype="str"),
            "k": np.array(k, np.int32),
            "segment": pd.array(segment, dtype="str"),
            "value": pd.array(np.array(value), dtype="Float64"),
            "standard_error": pd.array(np.array(error), dtype="Float64"),
            "customers": np.array(customers, np.int64),
        }
    )
