"""The protocol of the benchmark that tunes: which customers, what trials see, what is printed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from benchmarks.hm_tuning import arguments, chosen_customers, judged, plan_of, report, tuned

FILES = ["--hm-sequences", "s", "--articles", "a", "--study"]


@pytest.fixture
def purchases() -> Interactions:
    """Purchases of 30 customers without dates."""
    articles = np.random.default_rng(0).integers(0, 12, 30 * 5)
    frame = pd.DataFrame({"customer_id": np.repeat(np.arange(30), 5), "article_id": articles}).astype("str")
    return Interactions.from_frame(frame)


def test_customers_are_chosen_by_the_seed_with_all_their_purchases(purchases: Interactions) -> None:
    chosen = chosen_customers(purchases, 7)
    assert len(chosen.customer_ids) == 7
    assert len(chosen) == 35
    assert chosen.to_frame().equals(chosen_customers(purchases, 7).to_frame())
    assert len(chosen_customers(purchases, 1000)) == len(purchases)


def test_the_default_the_best_and_als_are_judged_on_the_last_purchase(
    purchases: Interactions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = '{"iterations": 2, "factors": 4}'
    options = arguments([*FILES, str(tmp_path), "--model", "als", "--fixed", fixed, "--trials", "3", "--k", "4"])
    assert plan_of(options).exclude_seen is False
    known, test = purchases.leave_last_out()
    train, validation = known.leave_last_out()
    ids = pa.array(purchases.article_ids.values).to_pylist()
    sold = Catalogue.from_frames(pd.DataFrame({"article_id": ids}))
    found = tuned(train, validation, sold, options)
    assert (tmp_path / "trials.db").exists()
    assert found.default.settings == {"iterations": 2, "factors": 4}
    assert "half_life_days" not in {each.name for each in found.space}, "there are no dates"
    figures = judged(known, test, sold, found, options).set_index("model")
    assert list(figures.index) == ["default", "tuned", "als"]
    assert (figures["customers"] == 30).all()
    report(found, figures.reset_index())
    printed = capsys.readouterr().out
    assert "## als: 3 trials (3 complete)" in printed
    assert "hit_rate@4 of purchases that no trial has seen" in printed
