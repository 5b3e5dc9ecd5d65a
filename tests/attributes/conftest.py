"""A small catalogue with planted attributes, for the tests of this folder."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from atelier.attributes import AttributeConfig


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tests share the machine: threads that wait for each other cost more than they bring."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Planted:
    """Articles whose colour shows in the photographs only, their neckline in the text, their sleeve in the type."""

    articles: pd.DataFrame
    truth: pd.DataFrame
    labels: pd.DataFrame


def plant(articles: int = 240, seed: int = 0) -> Planted:
    """Generate a catalogue: necklines apply to the types 0 to 2 only; 40% of the applicable values are labelled."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"a{place:05d}" for place in range(articles)])
    types, colours = rng.integers(0, 5, articles), rng.integers(0, 3, articles)
    necks = rng.integers(0, 3, articles)
    directions = 3 * np.eye(3, 8)
    words = np.array(["round neck", "deep v neck", "turtle neck"])
    frame = pd.DataFrame(
        {
            "article_id": ids,
            "product_code": [f"p{place // 3}" for place in range(articles)],
            "product_type": [f"type {code}" for code in types],
            "brand": [f"brand {code}" for code in rng.integers(0, 4, articles)],
            "division": None,
            "text": [f"number {place} with a {words[code]} in cotton" for place, code in enumerate(necks)],
            "embeddings": [
                (directions[colour] + rng.normal(size=(rng.integers(1, 5), 8))).astype(np.float32) for colour in colours
            ],
        }
    )
    truth = pd.concat(
        [
            pd.DataFrame({"article_id": ids, "attribute": "colour", "value": [f"colour {code}" for code in colours]}),
            pd.DataFrame({"article_id": ids, "attribute": "sleeve", "value": [f"sleeve {code % 2}" for code in types]}),
            pd.DataFrame({"article_id": ids, "attribute": "neckline", "value": words[necks]})[types < 3],
        ],
        ignore_index=True,
    )
    labels = truth[rng.random(len(truth)) < 0.4].reset_index(drop=True)
    return Planted(frame, truth, labels)


@pytest.fixture(scope="session")
def planted() -> Planted:
    """The planted catalogue."""
    return plant()


@pytest.fixture
def tiny() -> AttributeConfig:
    """A network that trains in a second."""
    return AttributeConfig(
        image_units=16,
        filters=16,
        text_units=16,
        token_dim=8,
        brand_dim=2,
        joint_units=32,
        tokens=12,
        batch_size=16,
        max_epochs=12,
        learning_rate=0.01,
        precision="float32",
    )
