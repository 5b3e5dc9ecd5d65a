"""The fit of the attribute network, by this process or by processes of a cluster that train together.

What belongs here: when it goes to the cluster, and what each of its processes does. What does not: the network
(:mod:`atelier.attributes`), recommenders (:mod:`resources.recommender_fit`: who edits one does not change the code that
this depends on), the cluster (:mod:`resources.cluster_training`).
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from resources.compute import Compute

if TYPE_CHECKING:
    import pandas as pd

    from atelier.attributes import AttributeConfig, AttributeModel
    from atelier.nn.replicas import Replicas


def fitted_and_evaluated(
    articles: "pd.DataFrame",
    labels: "pd.DataFrame",
    config: "AttributeConfig",
    compute: Compute,
    *,
    test_share: float,
    seed: int,
    device: str,
    state: Path,
) -> "tuple[AttributeModel, pd.DataFrame]":
    """An attribute model and its figures, as :func:`atelier.attributes.fit_and_evaluate` makes them.

    Args:
        articles: as it takes them.
        labels: likewise.
        config: likewise.
        compute: how many processes train, and where.
        test_share: as it takes it.
        seed: likewise.
        device: likewise.
        state: the file in which training is kept until its end, on a cluster in a folder that all machines see.

    Raises:
        ClusterError: as :func:`~resources.cluster_training.fit_on_cluster`.
    """
    from atelier.attributes import fit_and_evaluate

    fit = partial(fit_and_evaluate, articles, labels, config, test_share=test_share, seed=seed, device=device)
    kept = AttributeFit(fit, state)
    if compute.training_workers == 1:
        return kept(None)
    from resources.cluster_training import fit_on_cluster

    return fit_on_cluster(compute, kept)


@dataclass(frozen=True)
class AttributeFit:
    """The fit of an attribute model.

    Attributes:
        fit: :func:`~atelier.attributes.fit_and_evaluate` with its data.
        state: the file in which training is kept.
    """

    fit: "partial[tuple[AttributeModel, pd.DataFrame]]"
    state: Path

    def __call__(self, replicas: "Replicas | None") -> "tuple[AttributeModel, pd.DataFrame]":
        """Fit it, together with the other replicas; None: by itself."""
        from atelier.nn.replicas import ALONE

        model, figures = self.fit(training_state=self.state, replicas=replicas or ALONE)
        model.replicas, model.training_state = ALONE, None
        return model, figures
