"""Training that starts from the weights of a model that was trained before, on other customers or articles.

What belongs here: putting a model's weights into a new network, articles matched by their identifiers. What does not:
training (:mod:`atelier.recommenders.sequential.training`).
"""

import numpy as np
import torch

from atelier.bundles import Array, under
from atelier.errors import AtelierError
from atelier.ids import IdMap
from atelier.nn.article_network import ArticleNetwork
from atelier.recommenders.sequential.network import SequenceNetwork

ROUNDING = 1e-5
"""An embedding shorter than this, once content and style are taken off an article's vector, was never trained."""


class WarmStartError(AtelierError, ValueError):
    """A training cannot start from the given model."""


def start_from(
    network: SequenceNetwork, weights: dict[str, Array], theirs: IdMap, mine: IdMap, sets: dict[str, str]
) -> None:
    """Give a network the weights of a trained model.

    Articles that the model did not know, and those that it never trained, keep their first values; so do customers' own
    vectors. What optimisers remember of steps is not part of a model and starts anew.

    Args:
        network: yet to be trained; is changed.
        weights: the model's.
        theirs: the articles of the weights.
        mine: the articles of the network.
        sets: the weights that hold vectors of articles, read first and ranked last, and how the names of what belongs
            to each begin.

    Raises:
        WarmStartError: the model has other layers than the network.
    """
    try:
        network.encoder.load_state_dict(_tensors(under(weights, "encoder.")))
        for part, (name, prefix) in zip((network.articles, network.outputs), sets.items(), strict=False):
            if part is not None:
                _start_articles(part, weights[name], under(weights, prefix) if prefix else weights, theirs, mine)
    except (RuntimeError, KeyError) as error:
        raise WarmStartError(
            "training cannot start from that model, whose layers differ: fit both with the same config but for the "
            f"numbers of training, and with content of the same length ({str(error).splitlines()[0]})"
        ) from error


@torch.no_grad()
def _start_articles(
    part: ArticleNetwork, vectors: Array, weights: dict[str, Array], theirs: IdMap, mine: IdMap
) -> None:
    """Set the content network, the embeddings of styles and those of articles, which are what the others leave over."""
    if part.content is not None:
        part.content.load_state_dict(_tensors(under(weights, "content.")))
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
