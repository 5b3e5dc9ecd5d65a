"""Drift between days: what is measured of a day, how two days are compared, and when a day is unusual.

What belongs here: figures of tables (frames in, frame out), comparisons, verdicts. What does not: reading tables
(:mod:`assets.drift`), showing verdicts (:mod:`atelier.report.drift`).
"""
