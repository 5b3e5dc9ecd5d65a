"""Training that starts from the weights of a model that was trained before, on other customers or articles.

What belongs here: putting a model's weights into a new network, articles and features matched by their names. What does
not: training (:mod:`atelier.recommenders.sequential.training`), which model the daily job starts from
(:mod:`assets.recommenders`).
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from atelier.bundles import Array, under
from atelier.errors import AtelierError
from atelier.ids import IdMap
from atelier.nn.article_network import ArticleNetwork, ContentNetwork
from atelier.recommenders.content_model import ContentRecommender
from atelier.recommenders.sequential.network import SequenceNetwork

ROUNDING = 1e-5
"""An embedding shorter than this, once content and style are taken off an article's vector, was never trained."""
CONTENT_NAMES = "content_names"
"""The weights of a model that hold the names of the features that its content network reads."""


class WarmStartError(AtelierError, ValueError):
    """A training cannot start from the given model."""


class Start(NamedTuple):
    """What a training starts from.

    Attributes:
        model: a fitted one.
        features: the names of the features that the new network reads; None: they have none.
    """

    model: ContentRecommender[Any]
    features: Sequence[str] | None


def packed_names(names: Sequence[str]) -> Array:
    """Names as weights can hold them, uint8."""
    return np.frombuffer(json.dumps(list(names)).encode(), dtype=np.uint8)


def hash_order(customers: IdMap) -> npt.NDArray[np.uint64]:
    """An order of customers that is theirs whoever else there is, uint64 [n]."""
    hashes: npt.NDArray[np.uint64] = pd.util.hash_array(customers.values.to_numpy(zero_copy_only=False))
    return hashes


def start_from(network: SequenceNetwork, start: Start, mine: IdMap, sets: dict[str, str]) -> None:
    """Give a network the weights of a trained model.

    Articles that the model did not know, and those that it never trained, keep their first values; so do customers' own
    vectors, and the weights of features that it did not read. Features are matched by their names, where both have
    some. What optimisers remember of steps is not part of a model and starts anew.

    Args:
        network: yet to be trained; is changed.
        start: the model, and what the network reads.
        mine: the articles of the network.
        sets: the weights that hold vectors of articles, read first and ranked last, and how the names of what belongs
            to each begin.

    Raises:
        WarmStartError: the model has other layers than the network.
    """
    weights, theirs = start.model.weights, start.model.article_ids
    kept = weights.get(CONTENT_NAMES)
    names = None if kept is None or start.features is None else (json.loads(kept.tobytes()), start.features)
    try:
        network.encoder.load_state_dict(_tensors(under(weights, "encoder.")))
        for part, (name, prefix) in zip((network.articles, network.outputs), sets.items(), strict=False):
            if part is not None:
                own = under(weights, prefix) if prefix else weights
                if part.content is not None:
                    _start_content(part.content, under(own, "content."), names)
                _start_articles(part, weights[name], own, theirs, mine)
    except (RuntimeError, KeyError) as error:
        raise WarmStartError(
            "training cannot start from that model, whose layers differ: fit both with the same config but for the "
            f"numbers of training, and with content of the same length or with names ({str(error).splitlines()[0]})"
        ) from error


@torch.no_grad()
def _start_content(
    network: ContentNetwork, weights: dict[str, Array], names: tuple[Sequence[str], Sequence[str]] | None
) -> None:
    """Set the content network; with the names of both models' features, theirs and mine, feature by feature."""
    state = _tensors(weights)
    if names is not None:
        places = {name: place for place, name in enumerate(names[0])}
        pairs = [(place, places[name]) for place, name in enumerate(names[1]) if name in places]
        to, of = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
        first = network.first.detach().clone()
        first[to] = state["first"][of].to(first.device)
        state["first"] = first
    network.load_state_dict(state)


@torch.no_grad()
def _start_articles(
    part: ArticleNetwork, vectors: Array, weights: dict[str, Array], theirs: IdMap, mine: IdMap
) -> None:
    """Set the embeddings of styles and those of articles, which are what these and the content leave over."""
    if part.embedding is None:
        return
    codes = mine.encode(theirs.values, unknown="minus_one")
    known = np.flatnonzero((codes >= 0) & vectors.any(axis=1))
    rows = torch.from_numpy(codes[known].astype(np.int64))
    device = part.embedding.weight.device
    own = torch.from_numpy(vectors[known]).to(device)
    part.eval()
    content = part.content_part(rows)
    own = own if content is None else own - content
    if part.style_embedding is not None and part.styles is not None:
        styles = torch.from_numpy(weights["styles.vectors"][weights["styles.of"][known]]).to(device)
        part.style_embedding.start(part.styles[rows].to(device), styles)
        own = own - styles
    trained = own.norm(dim=1) > ROUNDING
    part.embedding.start(rows.to(device)[trained], own[trained])


def _tensors(weights: dict[str, Array]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in weights.items()}
