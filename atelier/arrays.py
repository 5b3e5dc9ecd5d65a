"""Types of arrays, one name for each type of element; and a step on arrays of numbers that NumPy takes long for.

What belongs here: aliases for annotations, what any module may want of plain numbers. What does not: names for what an
array means, such as :data:`atelier.ids.Codes`, which stand beside that meaning.
"""

from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Float32s: TypeAlias = npt.NDArray[np.float32]
Float64s: TypeAlias = npt.NDArray[np.float64]
Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Objects: TypeAlias = npt.NDArray[np.object_]
"""Texts, mostly: NumPy has no array of texts of any length."""

NumberT = TypeVar("NumberT", bound=np.number)


def distinct_values(numbers: npt.NDArray[NumberT]) -> npt.NDArray[NumberT]:
    """The distinct numbers of an array of any shape without NaN, ascending.

    ``np.unique`` has found them by hashing since NumPy 2.3, which takes many times as long as sorting.
    """
    ascending = np.sort(numbers, axis=None)
    first = np.ones(len(ascending), dtype=bool)
    np.not_equal(ascending[1:], ascending[:-1], out=first[1:])
    return ascending[first]
