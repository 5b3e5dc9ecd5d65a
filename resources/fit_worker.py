"""Fits of networks, by this process or by processes of a cluster that train together.

What belongs here: which fits go to the cluster, and what each of its processes does. What does not: the models
(:mod:`atelier`), the cluster (:mod:`resources.cluster_training`), what models are fitted on
(:mod:`assets.recommenders`, :mod:`assets.attributes`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.compute import Compute

if TYPE_CHECKING:
    import pandas as pd

    from atelier.attributes import AttributeConfig, AttributeModel
    from atelier.nn.replicas import Replicas
    from atelier.recommenders.base import Recommender


@dataclass(frozen=True)
class RecommenderFit:
    """The fit of one recommender.

    Attributes:
        name: of the model.
        config: its fields.
        device: where to compute.
        data: interactions, catalogue and customers, as ``fit`` takes them.
        state: the file in which training is kept, in a folder that all machines see; None: it is kept nowhere.
    """

    name: str
    config: Mapping[str, Any]
    device: str
    data: tuple[Any, Any, Any]
    state: Path | None = None

    def model(self) -> "Recommender[Any]":
        """The model, yet to be fitted."""
        from atelier import recommenders

        return recommenders.build(self.name, self.device, **self.config)

    def __call__(self, replicas: "Replicas") -> "Recommender[Any]":
        """Fit it, together with the other replicas."""
        model = self.model()
        model.replicas, model.training_state = replicas, self.state
        model.fit(*self.data)
        model.replicas = model.training_state = None
        return model


def replicas_of(model: "Recommender[Any]", compute: Compute) -> int:
    """How many processes train a model: one, unless a cluster is to train and the model allows it."""
    return compute.training_workers if model.trains_on_replicas else 1


def fitted(fit: RecommenderFit, compute: Compute) -> "Recommender[Any]":
    """The fitted model.

    Raises:
        ClusterError: as :func:`~resources.cluster_training.fit_on_cluster`.
    """
    model = fit.model()
    if replicas_of(model, compute) == 1:
        return model.fit(*fit.data)
    from resources.cluster_training import fit_on_cluster

    return fit_on_cluster(compute, fit)


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
        state: the file in which training on a cluster is kept, in a folder that all machines see.

    Raises:
        ClusterError: as :func:`~resources.cluster_training.fit_on_cluster`.
    """
    from atelier.attributes import fit_and_evaluate

    fit = partial(fit_and_evaluate, articles, labels, config, test_share=test_share, seed=seed, device=device)
    if compute.training_workers == 1:
        return fit()
    from resources.cluster_training import fit_on_cluster

    return fit_on_cluster(compute, AttributeFit(fit, state))


@dataclass(frozen=True)
class AttributeFit:
    """The fit of an attribute model.

    Attributes:
        fit: :func:`~atelier.attributes.fit_and_evaluate` with its data.
        state: the file in which training is kept.
    """

    fit: "partial[tuple[AttributeModel, pd.DataFrame]]"
    state: Path

    def __call__(self, replicas: "Replicas") -> "tuple[AttributeModel, pd.DataFrame]":
        """Fit it, together with the other replicas."""
        from atelier.nn.replicas import ALONE

        model, figures = self.fit(training_state=self.state, replicas=replicas)
        model.replicas, model.training_state = ALONE, None
        return model, figures
