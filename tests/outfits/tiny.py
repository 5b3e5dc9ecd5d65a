"""Outfits of nine articles in two families, for tests that count by hand."""

import numpy as np

from atelier.outfits.outfits import Outfits
from atelier.search.ragged import Pairs, RaggedLists

FAMILIES = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])


def of(*members: list[int]) -> Outfits:
    """Outfits of article numbers over nine articles."""
    rows = np.repeat(np.arange(len(members)), [len(each) for each in members])
    codes = np.array([code for each in members for code in each], np.int32)
    return Outfits(
        [f"o{place}" for place in range(len(members))], RaggedLists.from_pairs(Pairs(rows, codes), len(members)), 9
    )
