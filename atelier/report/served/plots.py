"""Plots over days on served pages, each drawn once.

What belongs here: remembering what was drawn, drawing one at a time. What does not: drawing
(:mod:`atelier.report.figures`).
"""

import threading
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache

import numpy as np

from atelier.metrics.encoding import Floats
from atelier.report import figures

#: How a plot looks is set for the whole process while it is drawn, and pages are made in several threads.
DRAWING = threading.Lock()


def days_plot(title: str, lines: Mapping[str, tuple[Sequence[date], Floats]]) -> str:
    """As :func:`atelier.report.figures.days_plot`; what was drawn lately is not drawn again."""
    return _drawn(title, tuple((name, tuple(days), values.tobytes()) for name, (days, values) in lines.items()))


@lru_cache(maxsize=128)
def _drawn(title: str, lines: tuple[tuple[str, tuple[date, ...], bytes], ...]) -> str:
    with DRAWING:
        return figures.days_plot(title, {name: (days, np.frombuffer(values)) for name, days, values in lines})
