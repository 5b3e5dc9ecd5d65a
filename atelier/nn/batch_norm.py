"""Batch normalisation whose batch may lie on several replicas.

What belongs here: the layer, the largest of normalised values, and telling the layers of a network of the replicas.
What does not: replicas themselves (:mod:`atelier.nn.replicas`), other layers (:mod:`atelier.nn.layers`).
"""

from typing import Any

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
        return self._normalised(x, *self._moments(x)).to(input.dtype)

    def largest(self, x: Tensor, outside: Tensor) -> Tensor:
        """The largest of the normalised values over the positions of each row, and nothing else of them.

        Normalising a unit keeps the order of its values, or turns it around where its weight is negative. So the
        largest is found first, and only that one is normalised: the same values and gradients but for rounding, and
        that of equal values only one has a gradient. It takes fewer passes over x, most of them backward.

        Args:
            x: [b, positions, units]; mean and variance are of all of them.
            outside: bool [b, positions], what cannot be the largest; no row is outside altogether.

        Returns:
            float32 [b, units].

        Raises:
            ValueError: x has no rows in training, or the layer has no running mean, or a momentum of None.
        """
        b, positions, units = x.shape
        mean, variance = self._moments(x.flatten(0, 1)) if self.training else (self.running_mean, self.running_var)
        with torch.no_grad():
            upwards = torch.where(self.weight < 0, -1, 1).to(x.dtype)
            ordered = (x * upwards).masked_fill_(outside[:, :, None], float("-inf"))
            chosen = ordered.max(1).indices  # [b, units]
            rows = torch.arange(b, device=x.device)[:, None]
            places = ((rows * positions + chosen) * units + torch.arange(units, device=x.device)).flatten()
        found = x.flatten().index_select(0, places).view(b, units).float()
        return self._normalised(found, mean, variance)

    def _normalised(self, x: Tensor, mean: Tensor | None, variance: Tensor | None) -> Tensor:
        if mean is None or variance is None:
            raise ValueError("the layer has no running mean and variance to normalise by")
        return (x - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance [units] of x, [rows, units], in training, which also move the running ones."""
        if self.momentum is None:
            raise ValueError("a mean over all batches, which a momentum of None asks for, is not kept")
        if self.replicas.count == 1:
            if not len(x):
                raise ValueError("there is nothing to take a mean of")
            mean, variance = _Moments.apply(x)
            rows = x.new_full((), len(x), dtype=torch.float32)
        else:
            mean, variance, rows = self._of_all(x.float())
        with torch.no_grad():
            if self.running_mean is not None and self.running_var is not None:
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * (rows / (rows - 1).clamp(min=1)), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        return mean, variance

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


class _Moments(torch.autograd.Function):
    """Mean and variance of the columns of a matrix, float32 [columns].

    PyTorch's ``var_mean`` over rows takes several times as long on a processor, and so does what it does backward.
    """

    @staticmethod
    def forward(context: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        values = x.float()
        mean = values.mean(0)
        context.save_for_backward(x, mean)
        return mean, (values - mean).square_().mean(0)

    @staticmethod
    def backward(context: Any, of_mean: Tensor, of_variance: Tensor) -> Tensor:
        x, mean = context.saved_tensors
        slope = of_variance * (2 / len(x))
        level = of_mean / len(x) - slope * mean
        # In float32: where a mean is large against its deviation, both parts nearly cancel.
        return torch.addcmul(level, x.float(), slope).to(x.dtype)


def share_statistics(network: nn.Module, replicas: Replicas) -> None:
    """Let all batch normalisations of a network have the statistics of all replicas' rows."""
    for module in network.modules():
        if isinstance(module, BatchNorm):
            module.replicas = replicas
