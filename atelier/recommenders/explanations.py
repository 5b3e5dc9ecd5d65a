"""Why an article was recommended: the parts that all models with explanations share.

What belongs here: which models can explain, the rows of a list that are explained, reasons as Arrow. What does not: how
a model decomposes its score (:mod:`~atelier.recommenders.factorisation.als_explanation`,
:mod:`~atelier.recommenders.content_explanation`).
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atelier.catalogue import Catalogue
from atelier.ids import Codes, column
from atelier.recommenders.customer_profiles import CustomerProfiles
from atelier.recommenders.schemas import REASONS
from atelier.search.ragged import Indices, Mask, Ranked, Scores

Part = tuple[Ranked, Ranked]
"""The reasons of n recommendations: codes of articles of the history, then codes of labels of the content."""


@runtime_checkable
class Explaining(Protocol):
    """A model that can explain why it recommended an article."""

    def explain(
        self,
        recs: Any,
        catalogue: Catalogue | None = None,
        histories: Any = None,
        *,
        articles: int = 2,
        attributes: int = 2,
    ) -> pa.ListArray:
        """Lists of ``REASONS``, one for each row of ``recs``, null for customers whom the model cannot rank for."""
        ...


def explained(model: Any, batch: pa.RecordBatch, catalogue: Catalogue | None = None, *, ranks: int = 10) -> pa.Array:
    """The reasons of the first ranks of lists.

    Args:
        model: any recommender; if it cannot explain, all reasons are null.
        batch: ``customer_id``, ``article_id``, ``rank``, n rows of the model's own lists.
        catalogue: with the vectors and names that the model reads.
        ranks: how many of the first ranks get reasons. Further ranks are rarely shown, and cost as much.

    Returns:
        n lists of ``REASONS``; null beyond ``ranks``, and where the model cannot explain.
    """
    shown: Mask = pc.less_equal(batch["rank"], ranks).to_numpy(zero_copy_only=False)
    if not isinstance(model, Explaining) or not shown.any():
        return pa.nulls(batch.num_rows, REASONS)
    reasons = model.explain(batch.filter(pa.array(shown)), catalogue)
    row = np.cumsum(shown) - 1
    return reasons.take(pa.array(row, mask=~shown))


def places_of(customer_profiles: CustomerProfiles, recs: Any) -> Indices:
    """The row of ``profiles`` of each recommendation's customer: int64 [n]; −1 for customers without a profile."""
    codes = customer_profiles.ids.encode(column(recs, "customer_id"), unknown="minus_one", what="customer_id")
    return customer_profiles.rows_of(codes)


def nothing(n: int) -> Ranked:
    """No reasons for each of ``n`` recommendations."""
    codes: Codes = np.zeros((n, 0), dtype=np.int32)
    weights: Scores = np.zeros((n, 0), dtype=np.float32)
    return Ranked(codes, weights)


def assembled(served: Mask, parts: list[Part], names: pa.Array, n: int) -> pa.ListArray:
    """Reasons as Arrow.

    Args:
        served: bool [rows], which recommendations have reasons; the others get null.
        parts: the reasons of those, in order.
        names: the names of the codes: the articles, and from ``n`` on the labels.
        n: the number of articles.
    """
    codes = [np.concatenate([own.codes, np.where(c.codes >= 0, c.codes + n, -1)], axis=1) for own, c in parts]
    weights = [np.concatenate([own.scores, content.scores], axis=1) for own, content in parts]
    found = np.concatenate(codes) if codes else np.zeros((0, 1), np.int64)
    weight = np.concatenate(weights) if weights else np.zeros((0, 1), np.float32)
    present = found >= 0
    lengths = np.zeros(len(served), dtype=np.int64)
    lengths[served] = present.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    kinds = pa.array(["article", "attribute"]).take(pa.array((found[present] >= n).astype(np.int32)))
    values = names.take(pa.array(found[present].astype(np.int64))).cast(pa.string())
    structs = pa.StructArray.from_arrays(
        [kinds, values, pa.array(weight[present].astype(np.float64))], fields=list(REASONS.value_type)
    )
    return pa.ListArray.from_arrays(pa.array(offsets), structs, type=REASONS, mask=pa.array(~served))
