"""The code location: how assets, jobs, schedules and resources are put together, and the ``atelier`` command.

What belongs here: wiring. What does not: what a stage does (:mod:`assets`).
"""

import os

from resources.compute import keep_freed_memory, pin_threads

#: Whether a run of a range of days plans each asset once, with all of its days, and not each day apart: two years of
#: eight assets were 5,864 events before the first step. The price: days of a failed range are not marked one by one.
PLANNED_ONCE = "DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS"

# Whoever starts a code server, a step or the command: before NumPy loads, since ALS differs with the BLAS threads.
pin_threads()
keep_freed_memory()  # of steps, which are forked from a server that is started later
os.environ.setdefault(PLANNED_ONCE, "true")
