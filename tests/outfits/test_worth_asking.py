"""Which pairs are asked: uncertain ones that are shown often, different ones, none twice."""

import numpy as np
import pandas as pd
import pytest

from atelier.errors import UnknownIdentifier
from atelier.outfits.worth_asking import worth_asking
from tests.outfits.test_compatibility import fitted


def listed(*rows: tuple[str, str, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["article_id", "complement_article_id", "rank"])


OFTEN = pd.Series({"bags-0-0": 100, "bags-0-1": 1, "shoes-1-0": 40})
ROWS = listed(("bags-0-0", "shoes-0-1", 1), ("bags-0-1", "shoes-0-2", 1), ("bags-0-0", "tops-0-1", 3))


def test_how_often_a_pair_is_shown_falls_with_its_place_and_adds_up_over_both_directions() -> None:
    both = listed(("bags-0-0", "shoes-1-0", 1), ("shoes-1-0", "bags-0-0", 3))
    found = worth_asking(fitted(), both, OFTEN, set(), 5)
    assert found[["article_id", "complement_article_id"]].to_numpy().tolist() == [["bags-0-0", "shoes-1-0"]]
    assert found["shown"].item() == pytest.approx(100 + 40 / 2)


def test_worth_is_uncertainty_times_how_often_a_pair_is_shown() -> None:
    found = worth_asking(fitted(), ROWS, OFTEN, set(), 5)
    p = found["probability"].to_numpy()
    bits = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    assert np.allclose(found["worth"], bits * found["shown"])
    shades = fitted().score(pd.DataFrame({"outfit_id": ["a", "a"], "article_id": ["bags-0-0", "shoes-0-1"]}))["score"]
    assert found.set_index("complement_article_id").loc["shoes-0-1", "probability"] == pytest.approx(
        1 / (1 + np.exp(-shades.item())), abs=1e-6
    )


def test_the_second_pair_of_two_families_counts_half() -> None:
    rows = listed(*((f"bags-0-{n}", f"shoes-0-{n}", 1) for n in range(4)), ("bags-0-0", "tops-0-5", 1))
    often = pd.Series({f"bags-0-{n}": 1000 for n in range(4)})
    found = worth_asking(fitted(), rows, often, set(), 2)
    assert set(found["complement_article_id"].str[:4]) == {"shoe", "tops"}


def test_answered_pairs_are_not_asked_again_and_nothing_is_asked_of_nothing() -> None:
    answered = {("bags-0-0", "shoes-0-1"), ("bags-0-0", "tops-0-1")}
    found = worth_asking(fitted(), ROWS, OFTEN, answered, 5)
    assert found["article_id"].tolist() == ["bags-0-1"]
    assert worth_asking(fitted(), ROWS.head(0), OFTEN, set(), 5).empty


def test_an_unknown_article_is_named() -> None:
    with pytest.raises(UnknownIdentifier, match="gone"):
        worth_asking(fitted(), listed(("gone", "shoes-0-1", 1)), OFTEN, set(), 5)
