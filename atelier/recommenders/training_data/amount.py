"""How much a training passes: between two looks at held-out data, and in all.

What belongs here: the rule by which many examples are looked at more often, and are not passed again and again. What
does not: which examples there are (:mod:`atelier.recommenders.training_data.positives`,
:mod:`atelier.recommenders.training_data.sequences`), when training stops before (:mod:`atelier.nn.training_loop`).
Nothing heavy is imported: configs read it while the code location loads.
"""

from dataclasses import dataclass
from typing import Self

MANY = 1_000_000
"""More examples than these are many: an epoch passes a part of them only, and training does not go on for long."""


@dataclass(frozen=True)
class OfMany:
    """What is passed of many examples where a config does not say.

    Attributes:
        epoch: examples between two looks.
        most: examples in all, at most.
    """

    epoch: int
    most: int


@dataclass(frozen=True)
class Amount:
    """How much a training passes at most.

    Attributes:
        epoch: examples between two looks.
        epochs: how often that.
    """

    epoch: int
    epochs: int

    @classmethod
    def of(cls, examples: int, *, epoch: int | None, most: int | None, of_many: OfMany, max_epochs: int) -> Self:
        """The amount that a config asks for.

        Args:
            examples: how many there are.
            epoch: how many an epoch passes at most; None: all, and of many as ``of_many`` says.
            most: how many are passed in all at most, rounded to whole epochs and at least one; None: as ``max_epochs``
                says, and of many as ``of_many`` says too where ``epoch`` does not say anything.
            of_many: see the others.
            max_epochs: epochs at most.
        """
        many = examples > MANY
        each = min(examples, epoch or (of_many.epoch if many else examples))
        bound = most or (of_many.most if many and epoch is None else None)
        epochs = max_epochs if bound is None else min(max_epochs, max(1, bound // max(each, 1)))
        return cls(each, epochs)
