"""Types of arrays, one name for each type of element.

What belongs here: aliases for annotations. What does not: names for what an array means, such as
:data:`atelier.ids.Codes`, which stand beside that meaning.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Float32s: TypeAlias = npt.NDArray[np.float32]
Float64s: TypeAlias = npt.NDArray[np.float64]
Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Objects: TypeAlias = npt.NDArray[np.object_]
"""Texts, mostly: NumPy has no array of texts of any length."""
