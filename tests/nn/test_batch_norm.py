"""The largest of normalised values, against normalising all of them first."""

import pytest
import torch
from torch import Tensor

from atelier.nn.batch_norm import BatchNorm
from tests.devices import DEVICES


def layer(units: int, *, training: bool, device: str) -> BatchNorm:
    """A layer in whose weights both signs occur."""
    norm = BatchNorm(units)
    random = torch.Generator().manual_seed(3)
    for parameter in (norm.weight, norm.bias):
        parameter.data.normal_(generator=random)
    norm.running_mean.normal_(generator=random)
    norm.running_var.uniform_(0.5, 2, generator=random)
    return norm.to(device).train(training)


def all_normalised_first(norm: BatchNorm, x: Tensor, outside: Tensor) -> Tensor:
    values = norm(x.flatten(0, 1)).view_as(x)
    return values.masked_fill(outside[:, :, None], float("-inf")).max(1).values


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("training", [True, False])
def test_the_largest_and_its_gradients_are_those_of_normalising_everything(training: bool, device: str) -> None:
    random = torch.Generator().manual_seed(5)
    x = (2 * torch.randn(9, 6, 8, generator=random) + 1).to(device)
    outside = torch.arange(6, device=device) > torch.tensor([0, 1, 2, 3, 4, 5, 5, 5, 0], device=device)[:, None]
    weights = torch.randn(9, 8, generator=random).to(device)
    found = []
    for function in (all_normalised_first, BatchNorm.largest):
        norm, given = layer(8, training=training, device=device), x.clone().requires_grad_()
        assert (norm.weight < 0).any()
        assert (norm.weight > 0).any()
        largest = function(norm, given, outside)
        (largest * weights).sum().backward()
        found.append([largest, given.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var])
    for expected, own in zip(*found, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)


def test_gradients_in_bfloat16_do_not_drift_where_a_mean_is_large() -> None:
    random = torch.Generator().manual_seed(7)
    x = (torch.randn(40, 5, 3, generator=random) + 10).bfloat16()
    weights = torch.randn(40, 3, generator=random)
    means = []
    for values in (x, x.float()):
        given = values.clone().requires_grad_()
        (BatchNorm(3).largest(given, torch.zeros(40, 5, dtype=torch.bool)) * weights).sum().backward()
        assert given.grad is not None
        means.append(given.grad.float().mean((0, 1)))
    torch.testing.assert_close(means[0], means[1], rtol=0, atol=2e-4)


def test_what_has_no_mean_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to take a mean of"):
        BatchNorm(2).largest(torch.zeros(0, 3, 2), torch.zeros(0, 3, dtype=torch.bool))
    norm = BatchNorm(2)
    norm.momentum = None
    with pytest.raises(ValueError, match="momentum of None"):
        norm.largest(torch.ones(2, 3, 2), torch.zeros(2, 3, dtype=torch.bool))


def test_a_unit_of_one_value_has_no_endless_gradient() -> None:
    x = torch.ones(3, 2, 1, requires_grad=True)
    BatchNorm(1).largest(x, torch.zeros(3, 2, dtype=torch.bool)).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
