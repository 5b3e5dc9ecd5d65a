"""Layers over sequences: causal, the same in one pass as for each prefix, and attention as its formula says."""

import math
from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import nn

from atelier.nn import attention
from atelier.nn.attention import BehaviourEncoder, CausalSelfAttention, CausalTransformer
from atelier.nn.layers import FastDropout, JoinedLayers
from atelier.nn.recurrent import LAYERS, AttentiveDecoder, Recurrent, RecurrentCell


def transformer(*, gated: bool) -> nn.Module:
    return CausalTransformer(8, 6, blocks=2, heads=2, hidden=16, dropout=0.2, gated=gated)


def recurrent(cell: RecurrentCell) -> nn.Module:
    return Recurrent(cell, 8, 8, 2, 0.2)


STACKS: dict[str, Callable[[], nn.Module]] = {
    "transformer": lambda: transformer(gated=False),
    "gated": lambda: transformer(gated=True),
    "rnn": lambda: recurrent("rnn"),
    "lstm": lambda: recurrent("lstm"),
    "gru": lambda: recurrent("gru"),
    "attention": lambda: AttentiveDecoder(8, 8, 3, 0.2),
    "behaviour": lambda: BehaviourEncoder(8, 6, blocks=2, heads=2, hidden=16, dropout=0.2),
}


@pytest.fixture(params=sorted(STACKS))
def stack(request: pytest.FixtureRequest) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return STACKS[request.param]().double().eval()


def sequences() -> torch.Tensor:
    return torch.randn(3, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_one_pass_gives_what_a_pass_for_each_prefix_gives(stack: nn.Module) -> None:
    x = sequences()
    whole = stack(x)
    assert whole.shape == (3, 6, 8)
    for length in range(1, 7):
        torch.testing.assert_close(stack(x[:, :length])[:, -1], whole[:, length - 1])


@pytest.mark.parametrize("gated", [False, True])
def test_one_place_is_what_the_whole_pass_gives_there(gated: bool) -> None:
    torch.manual_seed(0)
    stack, x = cast(CausalTransformer, transformer(gated=gated)).double().eval(), sequences()
    places = torch.tensor([0, 3, 5])
    torch.testing.assert_close(stack.at(x, places), stack(x)[torch.arange(3), places])


def test_what_comes_later_changes_nothing(stack: nn.Module) -> None:
    x = sequences()
    later = x.clone()
    later[:, 4:] += sequences()[:, :2]
    torch.testing.assert_close(stack(later)[:, :4], stack(x)[:, :4])
    assert not torch.allclose(stack(later)[:, 4:], stack(x)[:, 4:])


def test_the_first_interactions_reach_the_last_state(stack: nn.Module) -> None:
    x = sequences().requires_grad_()
    stack(x)[:, -1, 0].sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum(2) > 1e-9).all()


def test_every_cell_has_layers_of_its_own() -> None:
    assert {type(recurrent(cell).layers) for cell in LAYERS} == {nn.RNN, nn.LSTM, nn.GRU}


def test_attention_is_its_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, x = CausalSelfAttention(4, 2).double(), sequences()[:, :3, :4]
    queries, keys, values = layer.inputs(x).chunk(3, dim=2)
    expected = torch.zeros(3, 3, 4, dtype=torch.float64)
    for b in range(3):
        for head in (slice(0, 2), slice(2, 4)):
            for place in range(3):
                scores = [float(queries[b, place, head] @ keys[b, j, head]) / math.sqrt(2) for j in range(place + 1)]
                shares = [math.exp(score) / sum(map(math.exp, scores)) for score in scores]
                expected[b, place, head] = sum(share * values[b, j, head] for j, share in enumerate(shares))
    torch.testing.assert_close(layer(x), layer.output(expected))
    monkeypatch.setattr(attention, "SHORT", 0)  # PyTorch's own kernel, which longer sequences take
    torch.testing.assert_close(layer(x), layer.output(expected))


def test_attention_weights_are_shares_of_what_came_before() -> None:
    torch.manual_seed(0)
    layer = CausalSelfAttention(8, 2).double()
    weights = layer.weights(sequences())
    torch.testing.assert_close(weights.sum(3), torch.ones(3, 2, 6, dtype=torch.float64))
    assert (weights.triu(1) == 0).all()
    stack, x, places = transformer(gated=False).double().eval(), sequences(), torch.tensor([5, 0, 3])
    of_places = stack.weights(x, places)  # type: ignore[operator]
    torch.testing.assert_close(of_places.sum(1), torch.ones(3, dtype=torch.float64))
    for row, place in enumerate(places.tolist()):
        assert (of_places[row, place + 1 :] == 0).all()
        alone = stack.weights(x[row : row + 1, : place + 1], torch.tensor([place]))  # type: ignore[operator]
        torch.testing.assert_close(of_places[row, : place + 1], alone[0])


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(share: float) -> None:
    torch.manual_seed(0)
    layer, x = FastDropout(share), torch.ones(401, 997, requires_grad=True)
    dropped = layer(x)
    assert float((dropped == 0).float().mean()) == pytest.approx(share, abs=0.003)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.005)
    assert len(dropped.unique()) == 2
    dropped.sum().backward()
    torch.testing.assert_close(x.grad, dropped.detach())
    assert layer.eval()(x) is x
    assert FastDropout(0.0)(x) is x


def test_one_block_of_a_behaviour_encoder_loses_nothing_by_its_mask() -> None:
    """The last place of each prefix is what PyTorch's block gives for that prefix alone, where all places see all."""
    torch.manual_seed(0)
    encoder, x = BehaviourEncoder(8, 6, 1, 2, 16, 0.2).double().eval(), sequences()
    masked, placed = encoder(x), x + encoder.positions.weight
    for length in range(1, 7):
        torch.testing.assert_close(encoder.blocks[0](placed[:, :length])[:, -1], masked[:, length - 1])


def test_a_decoder_reads_what_attention_finds_among_the_states_so_far() -> None:
    torch.manual_seed(0)
    layers, x = AttentiveDecoder(8, 4, 3, 0.2).double().eval(), sequences()
    states, _ = layers.encoder.layers(x)
    found = layers.attention.output(
        layers.attention.weights(states)[:, 0] @ layers.attention.inputs(states).chunk(3, dim=2)[2]
    )
    expected, _ = layers.decoder.layers(torch.cat((found, x), dim=2))
    torch.testing.assert_close(layers(x), expected)
    assert (layers.encoder.layers.num_layers, layers.decoder.layers.num_layers) == (1, 3)


@pytest.mark.parametrize("cell", sorted(LAYERS))
def test_a_state_starts_at_zero_with_each_sequence(cell: RecurrentCell) -> None:
    """One after the other in a batch, and in passes after one another: nothing of another sequence is left."""
    torch.manual_seed(0)
    layers, x = recurrent(cell).double().eval(), sequences()
    whole = layers(x)
    for row in range(3):
        torch.testing.assert_close(layers(x[row : row + 1])[0], whole[row])
        torch.testing.assert_close(layers(x.roll(row, 0)).roll(-row, 0), whole)


@pytest.mark.parametrize("rectified", [False, True])
def test_joined_layers_are_dense_layers_over_the_state_and_the_sequences_vector(rectified: bool) -> None:
    torch.manual_seed(0)
    layers = JoinedLayers(8, 3, [5, 2], 0.5, rectified=rectified).double().eval()
    x, vectors = sequences(), torch.randn(3, 3, dtype=torch.float64)
    for row in range(3):
        for place in range(6):
            expected = torch.cat((x[row, place], vectors[row]))
            for layer in layers.layers:
                expected = layer(expected)
                expected = torch.where(expected > 0, expected, 0.01 * expected) if rectified else expected
            torch.testing.assert_close(layers(x, vectors)[row, place], expected)
    with pytest.raises(ValueError, match="made for vectors of 3 numbers"):
        layers(x, None)
    without = JoinedLayers(8, 0, [2], 0.5, rectified=rectified).double()
    with pytest.raises(ValueError, match="made for vectors of 0 numbers"):
        without(x, vectors)
