"""Which articles may be recommended at all."""

import numpy as np
import pandas as pd
import pytest

from atelier.catalogue import Catalogue
from atelier.ids import IdMap
from atelier.interactions import Interactions
from atelier.recommenders.eligibility import eligible_articles, in_stock_mask, seen_articles

IDS = IdMap.from_values(["a", "b", "c", "not in the catalogue"])


@pytest.mark.parametrize(
    ("unsold", "expected"), [(False, [True, False, False, False]), (True, [True, False, True, False])]
)
def test_what_was_never_on_sale_is_a_candidate_only_for_models_that_read_content(
    unsold: bool, expected: list[bool]
) -> None:
    articles = pd.DataFrame(
        {
            "article_id": ["a", "b", "c"],
            "in_stock": [True, False, False],
            "available_from": pd.to_datetime(["2024-01-01", "2024-01-01", None]),
        }
    )
    assert in_stock_mask(IDS, Catalogue.from_frames(articles), unsold=unsold).tolist() == expected


def test_without_a_catalogue_everything_is_offered() -> None:
    assert in_stock_mask(IDS, None, unsold=False).all()


@pytest.mark.parametrize("unsold", [False, True])
def test_where_no_article_has_a_date_stock_decides_alone(unsold: bool) -> None:
    """A landing zone without the column, which is optional: null for all, of the sold-out ones too."""
    names = IDS.values.to_pylist()
    articles = pd.DataFrame({"article_id": names, "in_stock": [name != names[0] for name in names]})
    undated = Catalogue.from_frames(articles.assign(available_from=pd.Series(pd.NaT, articles.index)))
    assert in_stock_mask(IDS, undated, unsold=unsold).tolist() == articles["in_stock"].tolist()


@pytest.mark.parametrize(("candidates", "expected"), [(None, [1, 3]), ([3, 0, 3], [3]), ([], [])])
def test_eligible_is_what_is_in_stock_ranked_and_allowed(candidates: list[int] | None, expected: list[int]) -> None:
    in_stock, ranked = np.array([True, True, False, True]), np.array([False, True, True, True])
    asked = None if candidates is None else np.array(candidates, dtype=np.int32)
    found = eligible_articles(in_stock, ranked, asked)
    assert found.dtype == np.int32
    assert found.tolist() == expected


def test_seen_is_each_article_once_in_the_order_of_numbers() -> None:
    frame = pd.DataFrame({"customer_id": ["u", "v", "u", "u"], "article_id": ["c", "b", "a", "c"]})
    customers = IdMap.from_values(["t", "u", "v"])
    seen = seen_articles(Interactions.from_frame(frame).aligned(customers, IDS))
    assert seen.starts.tolist() == [0, 0, 2, 3]
    assert IDS.take(seen.codes).to_pylist() == ["a", "c", "b"]


def test_where_an_article_without_a_date_is_in_stock_a_missing_date_says_nothing() -> None:
    frame = pd.DataFrame({"article_id": IDS.values.to_pylist(), "in_stock": [True, False, False, True]})
    dates = pd.Series([pd.Timestamp("2025-01-01"), pd.NaT, pd.NaT, pd.NaT])
    some = Catalogue.from_frames(frame.assign(available_from=dates))
    assert in_stock_mask(IDS, some, unsold=True).tolist() == [True, False, False, True]
    sold_out = Catalogue.from_frames(frame.assign(available_from=dates, in_stock=[True, False, False, False]))
    assert in_stock_mask(IDS, sold_out, unsold=True).all(), "without a date and out of stock: never on sale"
