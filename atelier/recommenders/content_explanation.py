"""Why a model that reads content recommended an article: what of the history, and what of the content, weighed most.

What belongs here: taking a score's content part apart, and joining both kinds of reason. What does not: how much each
article of a history weighs, which each model says (:mod:`~atelier.recommenders.factorisation.hybrid_explanation`,
:mod:`~atelier.recommenders.sequential.explanation`).

**Content.** The part of the score that comes through the content network is x_u · f(z_i). A feature's weight is
gradient × input, z_ip ∂(x_u · f(z_i))/∂z_ip. The network has ReLU units only and so is linear around z_i: the weights
of all features and the biases' part add up to the score's content part exactly, whatever the depth, at the price of one
backward pass for all features. Leaving out features one by one would cost a pass for each, and would not add up.
Source: M. Ancona and others, Towards Better Understanding of Gradient-Based Attribution Methods, ICLR 2018, section 2.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from atelier.bundles import Array
from atelier.catalogue import Catalogue
from atelier.ids import Codes, IdMap, column
from atelier.nn.article_network import ContentNetwork
from atelier.recommenders.customer_profiles import CustomerProfiles
from atelier.recommenders.explanations import assembled, nothing, places_of
from atelier.search.ragged import Indices, Ranked, Scores, best

ROWS = 4096
"""Recommendations explained at once."""


@dataclass(frozen=True, eq=False)
class Recommended:
    """n recommendations to m customers.

    Attributes:
        customers: int64 [m], ascending: their rows of the profiles.
        vectors: float32 [m, factors], their vectors x_u.
        owners: int64 [n]: the place of each recommendation's customer among these.
        codes: int32 [n], the articles.
    """

    customers: Indices
    vectors: Scores
    owners: Indices
    codes: Codes


HistoryReasons = Callable[[dict[str, Array], Recommended, int], Ranked]
"""(profiles, n recommendations, k) → the k articles of each history that weighed most."""


@dataclass(frozen=True, eq=False)
class ScoreParts:
    """What a score is made of.

    Attributes:
        ids: n articles.
        history: gives the articles of histories that weighed most.
        customers: gives the vectors x_u of rows of profiles, float32 [rows, factors].
        queries: gives what of these vectors the content's part of articles' vectors is multiplied by.
        network: the content network, in evaluation mode; None where the model reads no content.
    """

    ids: IdMap
    history: HistoryReasons
    customers: Callable[[dict[str, Array], Indices], Scores]
    queries: Callable[[Scores], Scores]
    network: ContentNetwork | None


def explain(
    parts: ScoreParts,
    customer_profiles: CustomerProfiles,
    recs: Any,
    catalogue: Catalogue | None,
    articles: int,
    attributes: int,
) -> pa.ListArray:
    """The reasons of each row of ``recs``; only what raised the score is a reason.

    Args:
        parts: the model's.
        customer_profiles: the customers, with the histories that the model keeps in their profiles.
        recs: a frame with ``customer_id`` and ``article_id``, n rows in any order.
        catalogue: with the vectors and names that the model reads; None: reasons from the history only.
        articles: reasons from the history, at most.
        attributes: reasons from the article's content, at most.

    Returns:
        n lists of kind (article, attribute), value and weight (in units of the score): first articles, then
        attributes, each by falling weight, ties by rising id or position.
    """
    codes = parts.ids.encode(column(recs, "article_id"), what="article_id")
    places = places_of(customer_profiles, recs)
    served = np.flatnonzero(places >= 0)
    contents, profiles = _Contents(parts, catalogue), customer_profiles.profiles
    reasons = []
    for start in range(0, len(served), ROWS):
        rows = served[start : start + ROWS]
        distinct, owners = np.unique(places[rows], return_inverse=True)
        vectors = parts.customers(profiles, distinct)
        own = parts.history(profiles, Recommended(distinct, vectors, owners, codes[rows]), articles)
        reasons.append((own, contents.reasons(parts.queries(vectors)[owners], codes[rows], attributes)))
    names = pa.concat_arrays([parts.ids.values, contents.labels])
    return assembled(places >= 0, reasons, names, len(parts.ids))


class _Contents:
    """The content of articles, and the names of its positions.

    Positions that are only numbered within their block (an image's) are one reason together, named after the block.
    """

    def __init__(self, parts: ScoreParts, catalogue: Catalogue | None) -> None:
        self._network, self._vectors = parts.network, None if catalogue is None else catalogue.vectors
        self.labels = pa.array([], pa.large_string())
        if self._network is None or catalogue is None or self._vectors is None:
            self._network = None
            return
        self._row = np.full(len(parts.ids), -1, dtype=np.int64)
        known = parts.ids.encode(catalogue.ids.values, unknown="minus_one")
        self._row[known[known >= 0]] = np.flatnonzero(known >= 0)
        labels = labels_of(catalogue.names or _numbered(self._vectors.shape[1]))
        distinct = list(dict.fromkeys(labels))
        place = {name: number for number, name in enumerate(distinct)}
        self._device = self._network.first.device
        self._group = torch.tensor([place[name] for name in labels], device=self._device)
        self.labels = pa.array(distinct, pa.large_string())

    def reasons(self, customers: Scores, codes: Codes, k: int) -> Ranked:
        """The ``k`` labels of each article that weighed most for its customer.

        Args:
            customers: float32 [n, factors], x_u.
            codes: int32 [n], the articles.
            k: number of reasons.
        """
        n = len(codes)
        if self._network is None or self._vectors is None:
            return nothing(n)
        known = np.flatnonzero(self._row[codes] >= 0)
        read = self._vectors[self._row[codes[known]]]
        features = torch.tensor(read, device=self._device, requires_grad=True)  # [known, dim]
        score = (self._network(features) * torch.from_numpy(customers[known]).to(self._device)).sum()
        (gradient,) = torch.autograd.grad(score, features)
        sums = torch.zeros(len(known), len(self.labels), device=self._device)
        weights = sums.index_add_(1, self._group, gradient * features.detach()).cpu().numpy()
        rows, labels = np.nonzero(weights > 0)
        k = min(k, max(len(self.labels), 1))
        found: npt.NDArray[np.float32] = weights[rows, labels]
        return best(known[rows], labels.astype(np.int32), found, n, k)


def labels_of(names: Sequence[str]) -> list[str]:
    """The names by which the positions of an article's vector appear in reasons.

    ``attributes: colour=blue`` is ``colour=blue``, ``text: floral`` is ``text=floral``, ``price: price`` is ``price``;
    ``image: 17`` is ``image``, as is all of a block whose positions are only numbered.
    """
    split = [(block, value) for block, _, value in (name.partition(": ") for name in names)]
    named = {block for block, value in split if not value.isdecimal()}
    return [_label(block, value if block in named else "") for block, value in split]


def _label(block: str, value: str) -> str:
    if block == "attributes" and value:
        return value
    return block if value in ("", block) else f"{block}={value}"


def _numbered(dim: int) -> list[str]:
    return [f"position {place}" for place in range(dim)]
