"""What the suites for every recommender share: a small world, a config of each model for it, and each model fitted.

A new model joins by its name in ``MODELS``; ``SMALL`` may give it a config that suits forty customers, or one for each
mode in which it works, as "name mode".
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.recommenders import MODELS
from atelier.recommenders.base import Recommender
from atelier.recommenders.two_stage.two_stage_config import TwoStageConfig
from tests.devices import DEVICES

SMALL: dict[str, dict[str, Any]] = {
    "als": {"factors": 8, "threads": 1},
    **{
        f"hybrid {mode}": {"mode": mode, "factors": 8, "hidden": [8], "max_epochs": 3}
        for mode in ("content", "collaborative", "hybrid")
    },
    **{
        f"transformer {mode}": {"mode": mode, "factors": 8, "hidden": [8], "heads": 2, "history": 6, "max_epochs": 3}
        for mode in ("content", "hybrid")
    },
    "sequencer": {"factors": 8, "hidden": [8], "history": 6, "max_epochs": 3},
    "sequencer rnn": {"cell": "rnn", "factors": 8, "hidden": [8], "history": 6, "max_epochs": 2},
    "sequencer lstm": {"cell": "lstm", "factors": 8, "hidden": [8], "history": 6, "max_epochs": 2},
    "sequencer attention": {"cell": "attention", "factors": 8, "hidden": [8], "history": 6, "max_epochs": 2}
    | {"output": "untied", "drop_consecutive_repeats": True, "schedule": "one_cycle"},
    "sequencer transformer": {"cell": "transformer", "mode": "collaborative", "factors": 8, "history": 6}
    | {"heads": 2, "customer_factors": 4, "embedding_optimiser": "adam", "max_epochs": 2},
    "two_tower": {"hidden": [16], "factors": 8, "embedding": 8, "max_epochs": 3, "batch_size": 64},
    "two_stage": {"candidates": 8, "trees": 10, "min_examples_in_leaf": 5, "threads": 1},
    "two_stage network": {"ranker": "network", "network_epochs": 2, "candidates": 8},
    "two_stage published": TwoStageConfig.published(candidates=8, network_epochs=2).model_dump(),
    "two_stage asking": {"recommenders": ["als"], "candidates": 8, "trees": 5, "min_examples_in_leaf": 5},
}
NAMES = sorted({*MODELS, *SMALL} - {"hybrid", "transformer"})
"""Every model, and each mode of one that has modes."""
COMPUTES = ("hybrid", "transformer", "sequencer", "two_tower")
"""The models whose training takes the device."""
CUDA = " on cuda"
VARIANTS = [
    *NAMES,
    *(
        pytest.param(name + CUDA, marks=DEVICES[1].marks)  # type: ignore[attr-defined]
        for name in NAMES
        if name.split()[0] in COMPUTES
    ),
]
"""Each of them on the processor, and those whose training takes a device on CUDA too, where there is any."""
OUT_OF_STOCK, UNSOLD, DELISTED, UNPOPULAR = ["a03", "a11"], "a90", "a20", "a19"
NOBODY = "c99"  # known from the customers frame only


def world(seed: int = 0) -> pd.DataFrame:
    """Forty customers, twenty-one articles in two tastes, three kinds, no two rows at one time."""
    random = np.random.default_rng(seed)
    customers = np.repeat(np.arange(40), 9)
    # A customer of an even number likes even articles.
    strays = random.random(len(customers)) < 0.15
    articles = (random.zipf(1.6, len(customers)) - 1) % 10 * 2 + (customers + strays) % 2
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{c:02d}" for c in customers],
            "article_id": [f"a{a:02d}" for a in articles],
            "occurred_at": pd.Timestamp("2020-03-01") + pd.to_timedelta(random.permutation(len(customers)), unit="h"),
            "kind": random.choice(["view", "bag", "purchase"], len(customers)),
        }
    )
    rare = pd.DataFrame(
        {
            "customer_id": ["c00", "c01"],
            "article_id": [DELISTED, UNPOPULAR],
            "kind": ["purchase", "bag"],
            "occurred_at": [pd.Timestamp("2020-02-01"), pd.Timestamp("2020-02-02")],
        }
    )
    return pd.concat([frame, rare], ignore_index=True)


FRAME = world()
ARTICLES = pd.DataFrame({"article_id": [*sorted(set(FRAME.article_id) - {DELISTED}), UNSOLD]})
ARTICLES["in_stock"] = ~ARTICLES.article_id.isin(OUT_OF_STOCK)
ARTICLES["product_type"] = np.where(ARTICLES.article_id.str[-1].astype(int) % 2 == 0, "Dress", "Shirt")
VECTORS = np.random.default_rng(1).normal(size=(len(ARTICLES), 6)).astype(np.float32)
CUSTOMERS = pd.DataFrame({"customer_id": [*sorted(set(FRAME.customer_id)), NOBODY]})
TRAIN_KINDS = ["save", "bag", "purchase"]
PURCHASED = FRAME[FRAME.kind == "purchase"].groupby("customer_id").article_id.agg(set).to_dict()


def catalogue() -> Catalogue:
    return Catalogue.from_frames(ARTICLES, VECTORS)


def build(variant: str, **config: Any) -> Recommender[Any]:
    name = variant.removesuffix(CUDA)
    device = "cpu" if name == variant else "cuda"
    return recommenders.build(name.split()[0], device, **{**SMALL.get(name, {}), **config})


def like(model: Recommender[Any], **config: Any) -> Recommender[Any]:
    """A new model with the config of another, and changes."""
    return recommenders.build(model.name, model.device, **{**model.config.model_dump(), **config})


def repeats(model: Recommender[Any]) -> None:
    """Skip what compares two fits to the bit, which a GPU does not repeat."""
    if model.device == "cuda":
        pytest.skip("a fit on CUDA is not repeated to the bit")


@cache
def fitted(variant: str) -> Recommender[Any]:
    """A variant, fitted once in each process of the tests; no test may change it."""
    return build(variant).fit(FRAME, catalogue=catalogue(), customers=CUSTOMERS)


def eligible(model: Recommender[Any]) -> set[str]:
    """What may be recommended to someone who has seen nothing."""
    stocked = set(ARTICLES[ARTICLES.in_stock].article_id)
    return stocked if model.ranks_unsold else stocked & set(FRAME[FRAME.kind.isin(TRAIN_KINDS)].article_id)


def lists(recs: pd.DataFrame) -> dict[str, list[str]]:
    return recs.groupby("customer_id", sort=False).article_id.agg(list).to_dict()


def bundle(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


def check_frame(recs: pd.DataFrame, score: str, owner: str, item: str) -> None:
    assert list(recs.columns) == [owner, item, score, "rank"]
    assert (recs[score].dtype, recs["rank"].dtype) == (np.float32, np.int32)
    assert pd.api.types.is_string_dtype(recs[owner])
    assert pd.api.types.is_string_dtype(recs[item])
    for _, rows in recs.groupby(owner, sort=False):
        assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
        assert (rows[score].diff().dropna() <= 0).all()
        assert rows[item].is_unique
    assert np.isfinite(recs[score]).all()


def history(customer: str, articles: list[str], kind: str = "purchase") -> pd.DataFrame:
    times = pd.Timestamp("2020-03-10") + pd.to_timedelta(range(len(articles)), unit="h")
    return pd.DataFrame({"customer_id": customer, "article_id": articles, "occurred_at": times, "kind": kind})
