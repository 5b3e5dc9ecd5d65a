"""What Atelier does with plain arrays of numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from atelier.arrays import distinct_values

SHAPES = hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=12)


@given(hnp.arrays(st.sampled_from([np.int32, np.int64, np.uint64]), SHAPES, elements=st.integers(0, 9)))
def test_distinct_values_are_those_of_a_set(numbers: np.ndarray) -> None:
    before = numbers.copy()
    found = distinct_values(numbers)
    assert found.tolist() == sorted(set(numbers.ravel().tolist()))
    assert found.dtype == numbers.dtype
    np.testing.assert_array_equal(numbers, before)


@pytest.mark.parametrize("least", [-(2**62), -3])
def test_distinct_values_of_large_and_negative_numbers(least: int) -> None:
    assert distinct_values(np.array([5, least, 5, 2**62])).tolist() == [least, 5, 2**62]
