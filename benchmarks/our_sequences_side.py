"""Atelier's side of ``sequences_against_peers``: the transformer, fitted as a user fits it.

What belongs here: calling, timing and judging ``transformer``. What does not: what all sides share
(:mod:`benchmarks.sequence_sides`). Prints one line of JSON, a ``SideResult``.

``fit`` itself holds the validation interactions out, looks at them after each epoch, stops, and keeps the best weights
by its own measure; its clock runs while it does. The clock stands still only while the lists of the curve are judged,
which all sides have. ``--patience`` counts by the fit's own measure, and ``--limit`` is not asked:
a fit is not cut short.
"""

import copy
import json
import os
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch

from atelier.interactions import Interactions
from atelier.nn.training_loop import Epoch
from atelier.recommenders.sequential.network import SequenceNetwork
from atelier.recommenders.sequential.training import Examples
from atelier.recommenders.sequential.transformer import Transformer
from atelier.recommenders.sequential.transformer_config import TransformerConfig
from benchmarks.leave_one_out import PROTOCOL
from benchmarks.ratios import in_turns
from benchmarks.sequence_sides import Clock, Integers, K, Point, Sequences, SideResult, quality, say, side_arguments


class Watched(Transformer):
    """A transformer whose lists can be asked for in the course of its fit."""

    network: SequenceNetwork

    def _train(self, network: SequenceNetwork, *given: Any) -> Examples | None:
        self.network = network
        return super()._train(network, *given)

    def as_it_is(self, histories: Interactions) -> "Watched":
        """The model with the weights of this moment, which knows customers by these histories."""
        model = copy.copy(self)
        encoder = {f"encoder.{name}": value.cpu().numpy() for name, value in self.network.encoder.state_dict().items()}
        model.weights = self._article_weights("articles", self.network.articles) | encoder
        model.customer_profiles = model._new_profiles(histories, None)
        return model


def interactions(frame: pd.DataFrame) -> Interactions:
    """Atelier's interactions of ``customer, article, position``, in the order of the frame."""
    return Interactions.from_frame(
        pd.DataFrame({"customer_id": texts(frame["customer"]), "article_id": texts(frame["article"])})
    )


def texts(numbers: Any) -> "pd.Series[str]":
    """Whole numbers as identifiers, in the same order."""
    return pd.Series(np.asarray(numbers)).astype(str).str.zfill(8)


def lists(model: Transformer, customers: Integers, *, repeats_allowed: bool) -> pd.DataFrame:
    """Atelier's lists as ``customer, article, rank``."""
    names = {"customer_id": "customer", "article_id": "article", "rank": "rank"}
    found = model.recommend(texts(customers), K, exclude_seen=not repeats_allowed)
    return found[list(names)].rename(columns=names).astype(np.int64)


def main(given: list[str] | None = None) -> None:
    """Fit, judge, print."""
    options = side_arguments(__doc__).parse_args(given)
    torch.set_num_threads(options.threads)
    sequences = Sequences.load(options.folder)
    settings = PROTOCOL | json.loads(options.settings) | {"max_epochs": options.epochs, "patience": options.patience}
    trained, whole = interactions(sequences.before(2)), interactions(sequences.before(1))
    judged, repeats = sequences.some(options.judged), options.repeats_allowed
    model, clock, curve = Watched(TransformerConfig(**settings)), Clock(), list[Point]()

    def look(_: Epoch) -> None:
        spent = clock.spent
        with clock.standing():
            found = lists(model.as_it_is(trained), judged, repeats_allowed=repeats)
            ndcg = quality(found, sequences.from_end(1), judged).ndcg
            curve.append(Point(wall=spent.wall, processor=spent.processor, ndcg=ndcg))
            say(options.name, curve)

    # What is imported and made at first use is not timed, on neither side.
    Transformer(TransformerConfig(**settings | {"max_epochs": 1})).fit(interactions(sequences.drawn(50).before(1)))
    model.watch = look
    with clock.running():
        model.fit(whole)
    everyone = np.arange(len(sequences.starts) - 1)
    (seconds,), (found,) = in_turns(1, lambda: lists(model, everyone, repeats_allowed=repeats))
    kept = 1 + int(np.argmax([epoch.validation["ndcg"] for epoch in model.epochs]))
    stale = len(curve) - kept >= options.patience
    ended = f"{options.patience} epochs without better" if stale else f"{options.epochs} epochs, the most allowed"
    reached = quality(found, sequences.from_end(0), everyone)
    print(SideResult.of(options, curve, kept, ended, reached, seconds).model_dump_json())


if __name__ == "__main__":
    main()
