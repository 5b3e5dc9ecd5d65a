"""Fits of recommenders, by this process or by processes of a cluster that train together.

What belongs here: which fits go to the cluster, and what each of its processes does. What does not: the models
(:mod:`atelier.recommenders`), the attribute network (:mod:`resources.attribute_fit`), the cluster
(:mod:`resources.cluster_training`), what models are fitted on (:mod:`assets.recommenders`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.compute import Compute

if TYPE_CHECKING:
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
        before: the fitted model that training starts from, of a kind that can; None: from random weights.
    """

    name: str
    config: Mapping[str, Any]
    device: str
    data: tuple[Any, Any, Any]
    state: Path | None = None
    before: "Recommender[Any] | None" = None

    def model(self) -> "Recommender[Any]":
        """The model, yet to be fitted."""
        from atelier import recommenders

        return recommenders.build(self.name, self.device, **self.config)

    def __call__(self, replicas: "Replicas | None") -> "Recommender[Any]":
        """Fit it, together with the other replicas; None: by itself."""
        model = self.model()
        model.replicas, model.training_state = replicas, self.state
        if self.before is not None:
            start_at(model, self.before)
        model.fit(*self.data)
        model.replicas = model.training_state = None
        if self.before is not None:
            start_at(model, None)
        return model


def start_at(model: "Recommender[Any]", before: "Recommender[Any] | None") -> None:
    """Let the next fit of a sequence model start from the weights of another; None: from random ones.

    Raises:
        TypeError: one of them is of another kind, which has no warm start.
    """
    from atelier.recommenders.sequential.model import SequenceRecommender

    if not isinstance(model, SequenceRecommender) or not isinstance(before, SequenceRecommender | None):
        raise TypeError(f"the training of {model.name} cannot start from another model")
    model.warm_start = before


def replicas_of(model: "Recommender[Any]", compute: Compute) -> int:
    """How many processes train a model: one, unless a cluster is to train and the model allows it."""
    return compute.training_workers if model.trains_on_replicas else 1


def fitted(fit: RecommenderFit, compute: Compute) -> "Recommender[Any]":
    """The fitted model.

    Raises:
        ClusterError: as :func:`~resources.cluster_training.fit_on_cluster`.
    """
    if replicas_of(fit.model(), compute) == 1:
        return fit(None)
    from resources.cluster_training import fit_on_cluster

    return fit_on_cluster(compute, fit)
