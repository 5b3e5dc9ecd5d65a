"""Which articles may be recommended at all."""

import pandas as pd
import pytest

from atelier.catalogue import Catalogue
from atelier.ids import IdMap
from atelier.recommenders.eligibility import in_stock_mask

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
