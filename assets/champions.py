"""Champions: what is used where tonight's model fails its gates.

What belongs here: the choice between tonight's bundle and an earlier one. What does not: the gates
(:mod:`assets.gates`), the record of champions (:mod:`resources.champions`).
"""

from collections.abc import Sequence

from assets.step import Step
from atelier.monitoring.gates import Gate
from resources.champions import champions_before
from resources.model_store import Bundle


def failed(gates: Sequence[Gate]) -> str:
    """What failed, as one line; empty where every gate passed."""
    return "; ".join(f"{gate.gate}: {gate.said}" for gate in gates if not gate.passed)


def chosen_bundle(step: Step, name: str, gates: Sequence[Gate]) -> Bundle:
    """Tonight's bundle of a model, or where a gate failed the one that passed last; tonight's where none ever did.

    Raises:
        PartitionMissing: the model was not trained tonight.
        BundleError: the bundle is damaged.
    """
    earlier = champions_before(step.store, step.ds).get((name, False))
    if failed(gates) and earlier is not None:
        return step.models.bundle(name, earlier.model_id)
    return step.bundle(name)
