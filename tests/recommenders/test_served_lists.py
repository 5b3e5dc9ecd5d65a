"""Lists made in blocks of customers: the same lists with the same reasons, in the same order."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from atelier import recommenders
from atelier.recommenders.served_lists import EXPLAINED, ListMaker

CUSTOMERS = [f"c{number:03d}" for number in range(60)]
NEW = [f"n{number}" for number in range(5)]


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> ListMaker:
    """ALS, which cannot rank for ``NEW``, and popular for whom it cannot."""
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("models")
    rows = pd.DataFrame(
        {
            "customer_id": random.choice(CUSTOMERS, 900),
            "article_id": [f"a{number:02d}" for number in random.integers(0, 40, 900)],
            "occurred_at": pd.Timestamp("2020-03-01") + pd.to_timedelta(random.permutation(900), unit="h"),
            "kind": "purchase",
        }
    )
    known = pd.DataFrame({"customer_id": CUSTOMERS + NEW})
    for name, config in (("als", {"factors": 4, "threads": 1}), ("popular", {})):
        recommenders.build(name, **config).fit(rows, customers=known).save(folder / name)
    model, fallback = (recommenders.load(folder / name) for name in ("als", "popular"))
    return ListMaker(model, fallback, None, k=7, explained_ranks=3, batch_size=8)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_blocks_give_what_all_customers_give(maker: ListMaker, exclude_seen: bool) -> None:
    asked = pd.Series(CUSTOMERS + NEW).sample(frac=1, random_state=0)
    whole = pa.Table.from_batches(maker.lists(asked, exclude_seen), EXPLAINED)
    cut = maker.blocks(asked, exclude_seen)
    assert [block.num_rows for block in cut] == [16, 16, 16, 12, 5]
    made = [batch for block in cut for batch in maker(block)]
    assert max(len(batch["article_id"].dictionary) for batch in made) <= 40
    assert [len(batch["customer_id"].dictionary) for batch in made] == [8] * 7 + [4, 5]
    found = pa.Table.from_batches(made, EXPLAINED)
    assert len(found) == 65 * 7
    assert plain(found) == plain(whole)
    assert found.filter(found["fallback"])["customer_id"].to_pylist()[::7] == [each for each in asked if each in NEW]
    assert found["reasons"].null_count == 60 * 4 + 5 * 7, "the first three ranks of the model's own lists have reasons"


def test_nobody_is_no_block(maker: ListMaker) -> None:
    assert maker.blocks([], exclude_seen=True) == []


def plain(table: pa.Table) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = table.to_pylist()
    return rows


def test_a_dictionary_that_is_sent_has_what_is_read_alone(maker: ListMaker, tmp_path: Path) -> None:
    [block] = maker.blocks(CUSTOMERS[:2], exclude_seen=True)
    [batch] = maker(block)
    used = set(batch["article_id"].to_pylist())
    assert set(batch["article_id"].dictionary.to_pylist()) == used
    assert len(used) <= 14
