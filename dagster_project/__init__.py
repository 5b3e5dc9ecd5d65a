"""The code location: how assets, jobs, schedules and resources are put together, and the ``atelier`` command.

What belongs here: wiring. What does not: what a stage does (:mod:`assets`).
"""

from resources.compute import pin_threads

# Whoever starts a code server, a step or the command: before NumPy loads, since ALS differs with the BLAS threads.
pin_threads()
