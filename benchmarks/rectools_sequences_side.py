"""RecTools' side of ``sequences_against_rectools``, run by an interpreter that has RecTools with torch.

What belongs here: calling, timing and judging RecTools' SASRec, by its public functions. What does not: Atelier, which
it cannot import; what both sides share (:mod:`benchmarks.sequence_sides`). Prints one line of JSON, a ``SideResult``.

An epoch is a call of ``fit_partial``; the weights of the epoch with the best validation lists are kept.
"""

import copy
import json
import logging
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.ratios import in_turns
from benchmarks.sequence_sides import (
    Clock,
    Integers,
    K,
    Point,
    Sequences,
    SideResult,
    quality,
    reason_to_stop,
    say,
    side_arguments,
)

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


def lists(model: Any, known: Any, customers: Integers, *, repeats_allowed: bool) -> pd.DataFrame:
    """RecTools' lists as ``customer, article, rank``."""
    from rectools import Columns

    found: pd.DataFrame = model.recommend(users=customers, dataset=known, k=K, filter_viewed=not repeats_allowed)
    names = {Columns.User: "customer", Columns.Item: "article", Columns.Rank: "rank"}
    return found[list(names)].rename(columns=names).astype(np.int64)


def main(given: list[str] | None = None) -> None:
    """Fit epoch by epoch, judge, print."""
    options = side_arguments(__doc__).parse_args(given)
    import torch

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    sequences = Sequences.load(options.folder)
    trained, whole = dataset(sequences.before(2)), dataset(sequences.before(1))
    judged, repeats = sequences.some(options.judged), options.repeats_allowed
    # What is imported and made at first use is not timed, on neither side.
    model_of(json.loads(options.settings)).fit_partial(dataset(sequences.drawn(50).before(2)), 1, 1)
    model, clock = model_of(json.loads(options.settings)), Clock()
    curve: list[Point] = []
    best: dict[str, Any] = {}
    kept = 0
    ended: str | None = None
    while ended is None:
        with clock.running():
            model.fit_partial(trained, min_epochs=1, max_epochs=1)
        found = lists(model, trained, judged, repeats_allowed=repeats)
        ndcg = quality(found, sequences.from_end(1), judged).ndcg
        if not curve or ndcg > curve[kept - 1].ndcg:
            best, kept = copy.deepcopy(model.torch_model.state_dict()), len(curve) + 1
        curve.append(Point(wall=clock.spent.wall, processor=clock.spent.processor, ndcg=ndcg))
        say(options.name, curve)
        ended = reason_to_stop(curve, options.epochs, options.patience, options.limit)
    model.torch_model.load_state_dict(best)
    everyone = np.arange(len(sequences.starts) - 1)
    (seconds,), (found,) = in_turns(1, lambda: lists(model, whole, everyone, repeats_allowed=repeats))
    reached = quality(found, sequences.from_end(0), everyone)
    print(SideResult.of(options, curve, kept, ended, reached, seconds).model_dump_json())


if __name__ == "__main__":
    main()
