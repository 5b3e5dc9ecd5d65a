"""The code location: how assets, jobs, schedules and resources are put together, and the ``atelier`` command.

What belongs here: wiring. What does not: what a stage does (:mod:`assets`).
"""
