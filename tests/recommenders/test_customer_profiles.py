"""Which rows of a model's profiles belong to whom, against the obvious dictionary."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from atelier.ids import IdMap
from atelier.recommenders.customer_profiles import CustomerProfiles
from atelier.search.ragged import RaggedLists

CUSTOMERS = 12
IDS = IdMap.from_values([f"c{number:02d}" for number in range(CUSTOMERS)])
NOTHING = RaggedLists(np.zeros(CUSTOMERS + 1, np.int64), np.zeros(0, np.int32))


@given(st.sets(st.integers(0, CUSTOMERS - 1)), st.lists(st.integers(-1, CUSTOMERS - 1)))
def test_rows_are_places_among_those_served(rankable: set[int], asked: list[int]) -> None:
    customer_profiles = CustomerProfiles(IDS, np.array(sorted(rankable), np.int32), NOTHING, {})
    row = {code: place for place, code in enumerate(sorted(rankable))}
    assert customer_profiles.rows_of(np.array(asked, np.int32)).tolist() == [row.get(code, -1) for code in asked]
