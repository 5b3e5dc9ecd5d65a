"""Embeddings of which a step moves few rows, against PyTorch's optimisers on the whole matrix."""

import numpy as np
import pytest
import torch

from atelier.nn.embeddings import EMBEDDING_LENGTH, RowEmbedding
from tests.devices import DEVICES


@pytest.mark.parametrize("device", DEVICES)
def test_adam_on_the_rows_in_use_equals_sparse_adam(device: str) -> None:
    rows = RowEmbedding(30, 4, 0.1, torch.Generator().manual_seed(0), "adam").to(device)
    whole = torch.nn.Parameter(rows.weight.clone())
    optimiser = torch.optim.SparseAdam([whole], lr=0.1)
    random = np.random.default_rng(0)
    for _ in range(20):
        used = torch.from_numpy(np.sort(random.choice(25, 6, replace=False))).to(device)
        target = torch.from_numpy(random.normal(size=(6, 4)).astype(np.float32)).to(device)
        leaf = rows.leaf(used)
        (leaf - target).square().sum().backward()
        rows.step(used, leaf)
        gradient = leaf.grad
        assert gradient is not None
        whole.grad = torch.sparse_coo_tensor(used[None], gradient, whole.shape, check_invariants=True)
        optimiser.step()
    torch.testing.assert_close(rows.weight, whole.detach())
    assert rows.moved().tolist() == [True] * 25 + [False] * 5
    assert (rows.learned()[25:] == 0).all()


@pytest.mark.parametrize("rule", ["adagrad", "adam"])
def test_a_schedule_scales_the_step(rule: str) -> None:
    used, moves = torch.arange(3), []
    for scale in (1.0, 0.25, 0.0):
        rows = RowEmbedding(3, 2, 0.1, torch.Generator().manual_seed(0), rule)  # type: ignore[arg-type]
        before, leaf = rows.weight.clone(), rows.leaf(used)
        leaf.square().sum().backward()
        rows.step(used, leaf, scale)
        moves.append(rows.weight - before)
    torch.testing.assert_close(moves[1], moves[0] / 4)
    assert (moves[0] != 0).all()
    assert (moves[2] == 0).all()


def test_first_values_stand_where_they_are_given() -> None:
    first = torch.tensor([[1.0, 2.0], [0.0, 0.0], [0.0, 3.0]])
    given = RowEmbedding(3, 2, 0.1, torch.Generator().manual_seed(0), first=first)
    random = RowEmbedding(3, 2, 0.1, torch.Generator().manual_seed(0))
    torch.testing.assert_close(given.weight[[0, 2]], first[[0, 2]])
    torch.testing.assert_close(given.weight[1], random.weight[1])
    many = RowEmbedding(4000, 16, 0.1, torch.Generator().manual_seed(0))
    assert float(many.weight.square().sum(1).mean().sqrt()) == pytest.approx(EMBEDDING_LENGTH, rel=0.02)


@pytest.mark.parametrize("rule", ["adagrad", "adam"])
def test_rows_that_were_trained_before_count_as_moved_and_move_as_others_do(rule: str) -> None:
    rows, plain = (
        RowEmbedding(4, 2, 0.1, torch.Generator().manual_seed(0), rule)  # type: ignore[arg-type]
        for _ in range(2)
    )
    given = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    rows.start(torch.tensor([2, 3]), given)
    assert rows.moved().tolist() == [False, False, True, False]
    torch.testing.assert_close(rows.learned()[2], given[0])
    torch.testing.assert_close(rows.weight[[0, 1, 3]], plain.weight[[0, 1, 3]])
    plain.weight[2] = given[0]
    for each in (rows, plain):
        leaf = each.leaf(torch.arange(4))
        leaf.square().sum().backward()
        each.step(torch.arange(4), leaf)
    torch.testing.assert_close(rows.weight, plain.weight)
