"""How much a training passes: small data as ever, many examples in parts and with a bound."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from atelier.interactions import Interactions
from atelier.recommenders.factorisation.hybrid_config import OF_MANY, HybridConfig
from atelier.recommenders.sequential.config import SequenceConfig
from atelier.recommenders.sequential.sequencer_config import SequencerConfig
from atelier.recommenders.sequential.training import Examples
from atelier.recommenders.training_data.amount import MANY, Amount, OfMany
from atelier.recommenders.training_data.positives import newest as newest_rows
from atelier.recommenders.training_data.sequences import Histories, last_moments, newest

GIVEN: dict[str, Any] = {"epoch": None, "most": None, "of_many": OfMany(epoch=200, most=1000), "max_epochs": 40}


@pytest.mark.parametrize(
    ("examples", "change", "expected"),
    [
        (MANY, {}, Amount(MANY, 40)),
        (MANY + 1, {}, Amount(200, 5)),
        (MANY + 1, {"max_epochs": 2}, Amount(200, 2)),
        (MANY + 1, {"epoch": 5000}, Amount(5000, 40)),  # who says one says that it is not to be bounded
        (MANY + 1, {"epoch": 10 * MANY, "most": 10**12}, Amount(MANY + 1, 40)),
        (500, {"most": 1700}, Amount(500, 3)),
        (500, {"epoch": 100}, Amount(100, 40)),
    ],
)
def test_many_examples_are_passed_in_parts_and_few_as_often_as_the_config_says(
    examples: int, change: dict[str, Any], expected: Amount
) -> None:
    assert Amount.of(examples, **(GIVEN | change)) == expected


def test_the_published_training_of_hybrid_has_no_bound() -> None:
    assert HybridConfig().amount(30_000_000) == Amount(OF_MANY.epoch, OF_MANY.most // OF_MANY.epoch)
    assert HybridConfig.published().amount(30_000_000) == Amount(30_000_000, 100)
    assert HybridConfig.published().newest_positives is None


def test_the_published_training_of_sequencers_has_no_bound() -> None:
    assert SequencerConfig.published().amount(30_000_000) == Amount(30_000_000, 20)
    assert SequencerConfig.published().newest_interactions is None


@pytest.mark.parametrize(
    ("interactions", "change", "expected"),
    [
        (40_000, {}, Amount(40_000, 20)),
        (200_000, {}, Amount(200_000, 8)),
        (5_000_000, {}, Amount(500_000, 8)),
        (200_000, {"epoch_interactions": 20_000}, Amount(20_000, 80)),  # as often past everything, in smaller parts
        (200_000, {"epoch_interactions": 20_000, "max_interactions": 480_000}, Amount(20_000, 24)),
        (5_000_000, {"max_interactions": 10_000_000}, Amount(500_000, 20)),
        (0, {}, Amount(0, 0)),
        (200_000, {"max_epochs": 3}, Amount(200_000, 3)),
        (200_000, {"schedule": "constant"}, Amount(200_000, 40)),
    ],
)
def test_a_cycle_passes_everything_a_number_of_times(
    interactions: int, change: dict[str, Any], expected: Amount
) -> None:
    assert SequenceConfig(**change).amount(interactions) == expected


def days(rows: list[tuple[int, int]]) -> Interactions:
    """Interactions by customer and day."""
    frame = pd.DataFrame({"customer_id": [f"c{customer}" for customer, _ in rows]})
    frame["article_id"] = [f"a{row:03d}" for row in range(len(rows))]
    frame["occurred_at"] = [pd.Timestamp("2020-01-01") + pd.Timedelta(days=day, hours=9) for _, day in rows]
    return Interactions.from_frame(frame)


def test_the_newest_positives_are_those_of_whole_last_days() -> None:
    data = days([(0, 0), (0, 3), (0, 9), (1, 3), (1, 8), (2, 9), (2, 9)])
    rows = np.arange(len(data))
    when = data.occurred_at.astype("datetime64[D]").astype(int) - 18262

    def kept(most: int | None) -> list[int]:
        return sorted(when[newest_rows(data, rows, most)].tolist())

    assert kept(None) == kept(7) == sorted(when.tolist())
    assert kept(6) == [3, 3, 8, 9, 9, 9]
    assert kept(5) == kept(4) == [8, 9, 9, 9]
    assert kept(3) == kept(1) == [9, 9, 9], "the last day is whole, even where it has more"


def test_positives_without_dates_are_all_kept() -> None:
    data = Interactions.from_frame(pd.DataFrame({"customer_id": ["c"] * 5, "article_id": list("abcde")}))
    assert newest_rows(data, np.arange(5), 2).tolist() == [0, 1, 2, 3, 4]
    assert last_moments(data) is None


def test_the_customers_who_were_there_last_are_learned_from() -> None:
    data = days([(0, 0), (0, 9), (1, 1), (1, 2), (1, 3), (2, 4), (2, 5), (2, 6), (2, 7), (2, 8)])
    histories, last = Histories.of(data), last_moments(data)
    assert last is not None
    assert newest(histories, 4, None, last) is None
    assert newest(histories, 4, 10, last) is None
    chosen = [newest(histories, 4, most, last) for most in (9, 8, 6, 5, 1)]
    told = [[] if mask is None else np.flatnonzero(mask).tolist() for mask in chosen]
    assert told == [[0, 1, 2], [0, 2], [0, 2], [0], [0]]


def test_only_the_last_window_of_those_customers_is_learned_from_and_only_they_are_held_out() -> None:
    data = days([(0, 0), (0, 9), (1, 1), (1, 2), (1, 3), (2, 4), (2, 5), (2, 6), (2, 7), (2, 8)])
    histories, last = Histories.of(data), last_moments(data)
    config = SequenceConfig(history=2, newest_interactions=5, validation_share=1.0)
    found = Examples.of(histories, config, last)
    # Customer 1 was there before the others; of customer 2 the last interaction is held out.
    assert found.windows.starts.tolist() == [0, 6]
    assert found.windows.lengths.tolist() == [2, 3]
    assert found.judged.starts.tolist() == [7]
    assert len(found.whole.articles) == len(data), "histories stay whole as inputs, and for counts"
    everybody = Examples.of(histories, config, None)
    assert len(everybody.windows.starts) == 4
    assert len(everybody.judged.starts) == 2
