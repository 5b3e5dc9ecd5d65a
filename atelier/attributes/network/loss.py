"""The loss of the attribute network when all attributes are trained together.

What belongs here: the loss as a module. What does not: steps (:mod:`atelier.attributes.network.joint_training`).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from atelier.attributes.config import AttributeConfig
from atelier.attributes.labels import UNLABELLED, Heads


class JointLoss(nn.Module):
    """Cross entropy over all labels of a batch; unlabelled ones are masked.

    A class that holds the share s of its attribute's labels weighs s^−``class_weighting``, scaled so that a label
    weighs 1 on average; an attribute labelled on the share r of articles weighs r^−``attribute_balance``.
    """

    def __init__(self, config: AttributeConfig, heads: Heads, articles: int) -> None:
        super().__init__()
        self.smoothing = config.label_smoothing
        rates = torch.tensor([float(head.samples.sum()) / articles for head in heads.heads])
        attribute_weights = rates**-config.attribute_balance
        # Over the expected weight of an article's labels, so that the loss has the size of one cross entropy.
        self.attribute_weights: Tensor
        self.register_buffer("attribute_weights", attribute_weights / (attribute_weights * rates).sum())
        for place, head in enumerate(heads.heads):
            shares = torch.from_numpy(head.samples / head.samples.sum()).float()
            weights = shares**-config.class_weighting
            self.register_buffer(f"class_weights_{place}", weights / (shares * weights).sum())

    def forward(self, logits: tuple[Tensor, ...], targets: Tensor, articles: int | None = None) -> Tensor:
        """The loss of a batch, or the part of it that a share of its articles has.

        Of an ensemble, whose members' logits stand one after the other, [members · b, classes], it is their mean.

        Args:
            logits: of each attribute [b, classes].
            targets: int64 [b, attributes], −1 unlabelled.
            articles: how many the batch has; None: these b are all.
        """
        members = len(logits[0]) // max(len(targets), 1)
        articles = len(targets) if articles is None else articles
        targets = targets.repeat(members, 1)
        losses = [
            functional.cross_entropy(
                part,
                targets[:, place],
                weight=self.get_buffer(f"class_weights_{place}"),
                ignore_index=UNLABELLED,
                reduction="sum",
                label_smoothing=self.smoothing,
            )
            for place, part in enumerate(logits)
        ]
        return (torch.stack(losses) * self.attribute_weights).sum() / (max(members, 1) * articles)
