"""What texts say of values, cut into batches."""

import numpy as np
import pandas as pd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from atelier.articles.table import Articles
from atelier.attributes.config import AttributeConfig
from atelier.attributes.encoding import EncodedArticles, Encoding
from atelier.attributes.network.architecture import MENTION_WEIGHTS, AttributeNetwork, Sizes
from atelier.attributes.network.batches import ArticleBatches, mention_dropout, modality_dropout

CLASSES = (2, 1)
WIDTH = sum(CLASSES) * len(MENTION_WEIGHTS)


def batches(told: "csr_array | None", articles: int = 6) -> ArticleBatches:
    config = AttributeConfig(filters=4, tokens=3)
    frame = Articles.from_frame(pd.DataFrame({"article_id": [str(place) for place in range(articles)]}))
    encoded = Encoding.fit(frame, config).encode(frame)
    encoded = EncodedArticles(**{**vars(encoded), "mentions": told})
    return ArticleBatches(encoded, AttributeNetwork(config, Sizes(0, 0, 0, 0, 0, CLASSES)), torch.device("cpu"))


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, WIDTH - 1), st.sampled_from([1.0, 2.5])), max_size=20),
    st.lists(st.integers(0, 5), min_size=1, max_size=8),
)
def test_a_batch_holds_the_rows_that_were_asked_for(cells: list[tuple[int, int, float]], rows: list[int]) -> None:
    dense = np.zeros((6, WIDTH), np.float32)
    for row, cell, value in cells:
        dense[row, cell] = value
    found = batches(csr_array(dense)).batch(torch.tensor(rows)).mentions
    assert found is not None
    assert (found.numpy() == dense[rows].reshape(len(rows), sum(CLASSES), len(MENTION_WEIGHTS))).all()


def test_what_a_text_says_is_left_out_with_the_text_and_by_its_own_share() -> None:
    feed = batches(csr_array(np.ones((6, WIDTH), np.float32)))
    batch = feed.batch(torch.arange(6).repeat(200))
    generator = torch.Generator().manual_seed(0)
    without_text = modality_dropout(batch, 0.3, generator).mentions
    untold = mention_dropout(batch, 0.5, generator).mentions
    assert without_text is not None
    assert untold is not None
    for found, share in ((without_text, 0.3), (untold, 0.5)):
        gone = (found == 0).flatten(1)
        assert (gone.all(dim=1) == gone.any(dim=1)).all(), "all of it or nothing"
        assert abs(gone.all(dim=1).float().mean().item() - share) < 0.05
    assert mention_dropout(batch, 0.0, generator) is batch
    assert batches(None).batch(torch.arange(2)).mentions is None
