"""Cold articles, which nobody bought in the training part: in the lists of any model, and among candidates.

What belongs here: both tables of :mod:`benchmarks.hm_week_two_stage`. What does not: fitting, printing.
"""

from typing import Any

import numpy as np
import pandas as pd

from atelier.arrays import Mask
from atelier.interactions import Interactions
from atelier.recommenders.base import Recommender
from atelier.recommenders.two_stage.candidate_recall import CHUNK, MERGED, candidate_recall
from atelier.recommenders.two_stage.two_stage import TwoStage


def cold(
    model: Recommender[Any], asked: pd.Series, train: Interactions, truth: Interactions, k: int
) -> dict[str, float]:
    """What a model does with articles that nobody bought in the training part, where all may be recommended.

    Args:
        model: fitted.
        asked: the customers of the truth.
        train: what it was fitted on.
        truth: what customers bought later.
        k: places of a list.

    Returns:
        ``cold targets`` (the share of the truth's pairs of customer and article that are of a cold article), ``recall``
        (of these, the share that is among the customer's k places), ``exposure`` (the share of all places that a cold
        article has).
    """
    pairs, new = _targets(train, truth)
    recs = model.recommend(asked[model.can_serve(asked)], k, exclude_seen=False).astype({"customer_id": str})
    shown = train.article_ids.encode(recs["article_id"], unknown="minus_one") < 0
    hits = pairs[new].merge(recs[shown].astype({"article_id": str}), on=["customer_id", "article_id"])
    return {
        "cold targets": float(new.mean()),
        "recall": len(hits) / max(int(new.sum()), 1),
        "exposure": float(shown.mean()),
    }


def _targets(train: Interactions, truth: Interactions) -> tuple[pd.DataFrame, Mask]:
    """The pairs of ``customer_id`` and ``article_id`` in the truth, and which are of a cold article."""
    pairs = pd.DataFrame(
        {
            "customer_id": truth.customer_ids.decode(truth.customers),
            "article_id": truth.article_ids.decode(truth.articles),
        }
    ).drop_duplicates(ignore_index=True)
    return pairs, train.article_ids.encode(pairs["article_id"], unknown="minus_one") < 0


def cold_candidates(model: TwoStage, train: Interactions, truth: Interactions, many: int) -> pd.DataFrame:
    """How much of the cold articles that customers with history bought is among their candidates.

    Args:
        model: fitted; its sources are asked.
        train: what it was fitted on.
        truth: what customers bought later.
        many: candidates that are asked for beside as many as the model's settings say.

    Returns:
        For as many candidates as by the model's settings, and for ``many``: ``candidates``, ``customers`` (with
        history, who bought a cold article), ``cold targets`` (their pairs with one), ``recall`` (the share of these
        pairs that is among the candidates), ``cold listed`` (the mean number of cold candidates of these customers).
    """
    pairs, new = _targets(train, truth)
    wanted = pairs[new & (train.customer_ids.encode(pairs["customer_id"], unknown="minus_one") >= 0)]
    if wanted.empty:
        return pd.DataFrame(columns=["candidates", "customers", "cold targets", "recall", "cold listed"])
    targets, ids = Interactions.from_frame(wanted), model.customer_profiles.ids
    asked = ids.encode(targets.customer_ids.values).astype(np.int64)
    sold = train.article_ids.encode(model.article_ids.values, unknown="minus_one") >= 0
    relevant = wanted["customer_id"].value_counts()
    rows = []
    for most in dict.fromkeys([model.config.candidates, many]):
        moment = model.moment(candidates=most)
        table = candidate_recall(moment, targets, ids, model.article_ids)
        recall = table[table["source"] == MERGED].set_index("customer_id")["recall"]
        listed = sum(
            int((~sold[moment.candidates(asked[start : start + CHUNK]).codes]).sum())
            for start in range(0, len(asked), CHUNK)
        )
        rows.append(
            {
                "candidates": most,
                "customers": len(relevant),
                "cold targets": len(wanted),
                "recall": float((recall * relevant).sum() / len(wanted)),
                "cold listed": listed / len(asked),
            }
        )
    return pd.DataFrame(rows)
