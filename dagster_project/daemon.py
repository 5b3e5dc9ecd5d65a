"""Dagster's daemon: whether one is at work.

What belongs here: asking Dagster's storage. What does not: starting and ending daemons (:mod:`dagster_project.ui`).
"""

import time

import dagster as dg

#: A daemon is at work where it was heard of within so many seconds: it says so every 30.
HEARD_WITHIN = 90.0


def daemon_at_work(instance: dg.DagsterInstance) -> bool:
    """Whether a daemon that serves this storage was heard of just now."""
    return any(time.time() - each.timestamp < HEARD_WITHIN for each in instance.get_daemon_heartbeats().values())
