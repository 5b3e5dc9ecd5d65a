"""Which rows of lists get reasons, whatever the model."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.recommenders.explanations import Explaining, explained
from atelier.recommenders.schemas import REASONS

RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "customer_id": [f"c{c}" for c in np.repeat(np.arange(20), 6)],
        "article_id": [f"a{a}" for a in RANDOM.integers(0, 15, 120)],
    }
)
CATALOGUE = Catalogue.from_frames(
    pd.DataFrame({"article_id": [f"a{a}" for a in range(15)]}), RANDOM.normal(size=(15, 3)).astype(np.float32)
)
SMALL = {"als": {"factors": 4, "threads": 1}, "hybrid": {"factors": 4, "max_epochs": 2}}


@pytest.mark.parametrize("name", recommenders.MODELS)
def test_the_first_places_are_explained_by_models_that_can(name: str) -> None:
    model = recommenders.build(name, **SMALL.get(name, {})).fit(FRAME, CATALOGUE)
    (batch,) = model.recommend_batches(k=5, exclude_seen=False)
    reasons = explained(model, batch, CATALOGUE, ranks=2)
    assert reasons.type == REASONS
    assert len(reasons) == batch.num_rows
    ranks = np.array(batch["rank"])
    assert (reasons.is_valid().to_numpy(zero_copy_only=False) == ((ranks <= 2) & isinstance(model, Explaining))).all()
    if isinstance(model, Explaining):
        plain = pa.Table.from_batches([batch]).to_pandas()
        expected = model.explain(plain[plain["rank"] <= 2].astype({"customer_id": str, "article_id": str}), CATALOGUE)
        assert reasons.drop_null().to_pylist() == expected.to_pylist()
    assert explained(model, batch, CATALOGUE, ranks=0).null_count == batch.num_rows
    assert explained(model, batch.slice(0, 0), CATALOGUE).to_pylist() == []
