"""Batch normalisation whose batch may lie on several replicas.

What belongs here: the layer, and telling the layers of a network of the replicas. What does not: replicas themselves
(:mod:`atelier.nn.replicas`), other layers (:mod:`atelier.nn.layers`).
"""

import torch
from torch import Tensor, nn

from atelier.nn.replicas import ALONE, Replicas, Summed


class BatchNorm(nn.BatchNorm1d):
    """PyTorch's batch normalisation of [b, units]; with several replicas its mean and variance are of all their rows.

    PyTorch's ``SyncBatchNorm`` does so on graphics cards only, and does not take a replica without rows.

    Attributes:
        replicas: among which a batch is shared out.
    """

    replicas: Replicas = ALONE

    def forward(self, input: Tensor) -> Tensor:
        """Normalise."""
        if self.replicas.count == 1 or not self.training:
            return super().forward(input)
        x = input.float()
        mean, variance, rows = self._of_all(x)
        with torch.no_grad():
            momentum = self.momentum or 0.0
            if self.running_mean is not None and self.running_var is not None:
                self.running_mean.lerp_(mean, momentum)
                self.running_var.lerp_(variance * (rows / (rows - 1).clamp(min=1)), momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        return ((x - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias).to(input.dtype)

    def _of_all(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and variance [units] and the number of rows [], over all replicas.

        Each brings its rows' number, mean and sum of squared deviations, which are joined as by T. Chan, G. Golub and
        R. LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample Variances, 1979: sums of squares
        alone would lose the small variances of large means.
        """
        units, replicas = x.shape[1], self.replicas
        mean = x.sum(0) / max(len(x), 1)
        own = torch.cat((x.new_full((1,), len(x)), mean, (x - mean).square().sum(0)))
        slots = [own if rank == replicas.rank else torch.zeros_like(own) for rank in range(replicas.count)]
        every: Tensor = Summed.apply(torch.stack(slots), replicas)
        rows, means, deviations = every[:, :1], every[:, 1 : units + 1], every[:, units + 1 :]
        total = rows.sum()
        of_all = (rows * means).sum(0) / total
        return of_all, (deviations + rows * (means - of_all).square()).sum(0) / total, total.detach()


def share_statistics(network: nn.Module, replicas: Replicas) -> None:
    """Let all batch normalisations of a network have the statistics of all replicas' rows."""
    for module in network.modules():
        if isinstance(module, BatchNorm):
            module.replicas = replicas
