"""RecTools' side of ``sequences_against_peers``, run by an interpreter that has RecTools with torch.

What belongs here: RecTools' SASRec, by its public functions. What does not: Atelier, which it cannot import; what all
sides share (:mod:`benchmarks.sequence_sides`). Prints one line of JSON, a ``SideResult``.

An epoch is a call of ``fit_partial``.
"""

import logging
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.sequence_sides import Integers, K, Sequences, measure_peer, side_arguments

SEED = 0


def dataset(interactions: pd.DataFrame) -> Any:
    """RecTools' dataset of ``customer, article, position``; a position becomes a day, which tells the order."""
    from rectools import Columns
    from rectools.dataset import Dataset

    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(interactions["position"], unit="D")
    columns = {Columns.User: interactions["customer"], Columns.Item: interactions["article"], Columns.Datetime: day}
    return Dataset.construct(pd.DataFrame(columns | {Columns.Weight: 1.0}))


def model_of(settings: dict[str, Any]) -> Any:
    """RecTools' SASRec; ``"layers": "ligr"`` has LiGR's layers in place of SASRec's, all else are its own arguments."""
    from rectools.models import SASRecModel
    from rectools.models.nn.transformers.ligr import LiGRLayers

    given = dict(settings)
    layers = {"ligr": {"transformer_layers_type": LiGRLayers}}[given.pop("layers")] if "layers" in given else {}
    return SASRecModel(**given, **layers)


class SASRec:
    """RecTools' model with its data.

    Args:
        settings: see :func:`model_of`.
        sequences: what it is trained on and recommends by.
        repeats_allowed: whether lists may hold what a customer had.
    """

    def __init__(self, settings: dict[str, Any], sequences: Sequences, repeats_allowed: bool) -> None:
        self._model, self._repeats_allowed = model_of(settings), repeats_allowed
        self._known = {last: dataset(sequences.before(last)) for last in (1, 2)}

    def train(self) -> None:
        """One epoch more."""
        self._model.fit_partial(self._known[2], min_epochs=1, max_epochs=1)

    def lists(self, customers: Integers, last: int) -> pd.DataFrame:
        """RecTools' lists as ``customer, article, rank``."""
        from rectools import Columns

        found: pd.DataFrame = self._model.recommend(
            users=customers, dataset=self._known[last], k=K, filter_viewed=not self._repeats_allowed
        )
        names = {Columns.User: "customer", Columns.Item: "article", Columns.Rank: "rank"}
        return found[list(names)].rename(columns=names).astype(np.int64)

    def weights(self) -> dict[str, Any]:
        """Of the network."""
        state: dict[str, Any] = self._model.torch_model.state_dict()
        return state

    def restore(self, weights: dict[str, Any]) -> None:
        """Of the network."""
        self._model.torch_model.load_state_dict(weights)


def main(given: list[str] | None = None) -> None:
    """Fit epoch by epoch, judge, print."""
    options = side_arguments(__doc__).parse_args(given)
    import torch

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    print(measure_peer(options, SASRec).model_dump_json())


if __name__ == "__main__":
    main()
