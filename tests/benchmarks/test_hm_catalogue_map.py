"""The map of H&M's photographs: places keep their articles, and nearness is counted right."""

import numpy as np
import pandas as pd
import pytest

from atelier.articles.catalogue_map import CatalogueMap
from benchmarks import hm_catalogue_map as bench


def test_places_keep_their_articles() -> None:
    made = CatalogueMap(np.array([[1, 2], [3, 4]], dtype=np.float32), 2, 1.0)
    found = bench.places_of(made, pd.DataFrame({"article_id": ["a", "b"], "type": ["Sock", "Coat"]}, index=[7, 3]))
    assert found.to_dict("list") == {
        "article_id": ["a", "b"],
        "product_type": ["Sock", "Coat"],
        "x": [1, 3],
        "y": [2, 4],
    }


def test_the_nearest_is_another_article_and_chance_leaves_it_out() -> None:
    """Two socks lie together, and so do a coat and a dress: half of the nearest are of the same type."""
    places = pd.DataFrame({"product_type": ["Sock", "Sock", "Coat", "Dress"], "x": [0, 1, 10, 11], "y": [0.0] * 4})
    found, chance = bench.same_type_nearest(places)
    assert found == 0.5
    assert chance == pytest.approx(2 / 12)


def test_the_command_line() -> None:
    assert bench.arguments(["--data", "x", "--weights", "w"]).limit == 8024
