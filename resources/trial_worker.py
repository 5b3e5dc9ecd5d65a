"""Trials of a search among settings, run by workers of a cluster.

What belongs here: handing a search's trials to the cluster where the executor is one. What does not: a trial
(:mod:`atelier.studies.tuning_trial`), the search (:mod:`atelier.studies.tuning`), the cluster
(:mod:`resources.cluster_calls`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from resources.compute import Compute

if TYPE_CHECKING:
    from atelier.studies.tuning_trial import Begin, Judge, Outcome, Request, Wait, Workers


@contextmanager
def trial_workers(compute: Compute) -> "Iterator[Workers | None]":
    """What runs trials elsewhere, for the time of the block; None where this process is to run them.

    Raises:
        ClusterUnreachable: the cluster does not answer.
        ClusterError: Ray is not installed, or no machine of the cluster has room.
    """
    if compute.executor == "local":
        yield None
        return
    from atelier.studies.tuning_trial import TrialLostError, Workers
    from resources.cluster_calls import CallLost, calls

    with calls(compute) as cluster:

        def share(judge: "Judge") -> "Begin":
            begun = cluster.share(judge)

            def begin(request: "Request") -> "Wait":
                result = begun(request)

                def wait() -> "Outcome":
                    try:
                        return result()
                    except CallLost as error:
                        raise TrialLostError(str(error)) from error

                return wait

            return begin

        yield Workers(cluster.room, share)
