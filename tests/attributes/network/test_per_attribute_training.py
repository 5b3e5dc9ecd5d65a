"""The published training against a slow, obvious version of itself."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from atelier.articles.image_vectors import ImageVectors
from atelier.attributes import AttributeConfig
from atelier.attributes.encoding import EncodedArticles
from atelier.attributes.labels import Head, Heads
from atelier.attributes.network.architecture import AttributeNetwork, Sizes
from atelier.attributes.network.batches import ArticleBatches
from atelier.attributes.network.per_attribute_training import Deck, PerAttributeTraining

LEARNING_RATE = 0.01


def _heads(targets: np.ndarray, classes: tuple[int, ...]) -> Heads:
    counts = [np.bincount(column[column >= 0], minlength=size) for column, size in zip(targets.T, classes, strict=True)]
    names = [np.array([f"v{place}" for place in range(size)], dtype=object) for size in classes]
    return Heads(tuple(Head(f"a{place}", *pair) for place, pair in enumerate(zip(names, counts, strict=True))))


def _training(targets: list[list[int]], classes: tuple[int, ...], **changes: object) -> PerAttributeTraining:
    """A tiny network over random articles, with these labels."""
    rng = np.random.default_rng(0)
    goal = np.array(targets)
    n = len(goal)
    config = AttributeConfig.published(
        image_units=4,
        filters=4,
        text_units=4,
        token_dim=3,
        brand_dim=2,
        joint_units=5,
        tokens=6,
        shots=2,
        precision="float32",
        **changes,
    )
    encoded = EncodedArticles(
        shots=ImageVectors(rng.standard_normal((2 * n, 3), np.float32), np.full(n, 2)),
        tokens=rng.integers(2, 9, (n, 6), dtype=np.int32),
        types=rng.integers(-1, 3, n),
        brands=rng.integers(-1, 2, n),
        divisions=rng.integers(-1, 2, n),
    )
    torch.manual_seed(0)
    network = AttributeNetwork(config, Sizes(3, 3, 9, 2, 2, classes)).train()
    feed = ArticleBatches(encoded, network, torch.device("cpu"))
    return PerAttributeTraining(
        network, feed, torch.from_numpy(goal), _heads(goal, classes), config, torch.arange(len(goal))
    )


def test_the_preset_is_the_published_one() -> None:
    config = AttributeConfig.published()
    assert (config.training, config.batch_size, config.learning_rate) == ("published", 64, 0.01)
    assert config.evaluate_every == 1_000
    assert (config.dropout, config.modality_dropout, config.word_dropout) == (0, 0, 0)
    group = _training([[0], [1], [0]], (2,)).optimiser.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"], group["nesterov"]) == (0.01, 0, 0, False)


def test_joint_training_of_the_published_sizes_keeps_its_own_numbers() -> None:
    config, ours = AttributeConfig.published(training="joint", filters=64), AttributeConfig()
    assert (config.training, config.joint_units, config.filters) == ("joint", 8192, 64)
    for name in ("batch_size", "learning_rate", "evaluate_every", "max_epochs", "dropout", "modality_dropout"):
        assert getattr(config, name) == getattr(ours, name)


@pytest.mark.parametrize("place", [0, 1])
def test_a_step_is_plain_gradient_descent_on_one_attribute(place: int) -> None:
    labels = [[0, -1], [1, 2], [-1, 0], [2, -1], [-1, 1], [1, 1]]
    training = _training(labels, (3, 4))
    network = training.network
    rows = torch.tensor([row for row, values in enumerate(labels) if values[place] >= 0])
    # By hand: all heads are computed, one part is cut out, everything without a gradient stays.
    twin = _training(labels, (3, 4)).network
    logits = twin(training.batches.batch(rows))[:, 3 * place : 3 + 4 * place]
    truth = torch.tensor([labels[row][place] for row in rows.tolist()])
    chosen = torch.log_softmax(logits, 1)[torch.arange(len(rows)), truth]
    expected_loss = -chosen.mean()
    gradients = torch.autograd.grad(expected_loss, list(twin.parameters()), allow_unused=True)
    expected = {
        name: value.detach() - LEARNING_RATE * (torch.zeros_like(value) if gradient is None else gradient)
        for (name, value), gradient in zip(twin.named_parameters(), gradients, strict=True)
    }
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    loss = training._step(place, rows)
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-6)
    for name, value in network.named_parameters():
        torch.testing.assert_close(value.detach(), expected[name], rtol=1e-5, atol=1e-7, msg=name)
    for name, value in twin.named_buffers():  # batch normalisation saw the same articles
        torch.testing.assert_close(dict(network.named_buffers())[name], value)
    mine = slice(0, 3) if place == 0 else slice(3, 7)
    changed = (network.heads.weight != before["heads.weight"]).any(1)
    assert changed[mine].all()
    assert changed.sum() == (3, 4)[place]


def test_other_attributes_have_no_gradient_at_all() -> None:
    training = _training([[0, 0], [1, 1], [0, 1], [1, 0]], (2, 2))
    training._step(1, torch.arange(4))
    assert training.network.heads.weight.grad is None
    assert all(leaf.grad is None for leaf in training.leaves[0])
    assert all(leaf.grad is not None for leaf in training.leaves[1])
    weights, biases = zip(*training.leaves, strict=True)
    assert torch.equal(torch.cat(weights), training.network.heads.weight)  # they are the same memory
    assert torch.equal(torch.cat(biases), training.network.heads.bias)


def _drawn(training: PerAttributeTraining, steps: int) -> Iterator[tuple[int, list[int]]]:
    """The attribute and the articles of each step, which is not taken."""
    taken: list[tuple[int, list[int]]] = []

    def note(place: int, rows: torch.Tensor) -> torch.Tensor:
        taken.append((place, rows.tolist()))
        return torch.zeros(())

    training._step = note  # type: ignore[method-assign]
    for _ in range(steps):
        training.step()
        yield taken[-1]


def test_attributes_take_turns_and_every_label_comes_once_before_any_comes_twice() -> None:
    rng = np.random.default_rng(0)
    labels = np.where(rng.random((40, 4)) < [0.9, 0.5, 0.2, 0], rng.integers(0, 3, (40, 4)), -1)
    labels[:3, :3] = 0
    training = _training(labels.tolist(), (3, 3, 3, 3), batch_size=8)
    steps = list(_drawn(training, 60))
    rounds = [[place for place, _ in steps[start : start + 3]] for start in range(0, 60, 3)]
    assert all(sorted(turn) == [0, 1, 2] for turn in rounds)  # nobody labelled the last one
    assert len({tuple(turn) for turn in rounds}) > 1
    for place in range(3):
        labelled = set(np.flatnonzero(labels[:, place] >= 0).tolist())
        batches = [rows for turn, rows in steps if turn == place]
        assert {len(rows) for rows in batches} == {min(8, len(labelled))}
        drawn = [row for rows in batches for row in rows]
        passes = [drawn[start : start + len(labelled)] for start in range(0, len(drawn), len(labelled))]
        for one in passes[:-1]:
            assert sorted(one) == sorted(labelled)
        assert len(set(passes[-1])) == len(passes[-1])
        assert passes[0] != passes[1]


@given(st.integers(1, 12), st.lists(st.integers(1, 12), min_size=1, max_size=12), st.integers(0, 3))
def test_a_deck_is_dealt_whole_before_it_is_shuffled_again(size: int, counts: list[int], seed: int) -> None:
    rows = torch.arange(size) * 10
    deck = Deck(rows, torch.Generator().manual_seed(seed))
    drawn = [deck.draw(count) for count in counts]
    assert [len(part) for part in drawn] == [min(count, size) for count in counts]
    flat = torch.cat(drawn).tolist()
    for start in range(0, len(flat), size):
        part = flat[start : start + size]
        assert len(set(part)) == len(part)
        assert set(part) <= set(rows.tolist())


def test_an_epoch_sees_as_many_labels_as_there_are() -> None:
    assert _training([[0, 1], [1, -1], [-1, 0], [0, 0]], (2, 2), batch_size=3).steps_per_epoch == 2
    assert _training([[0], [1]], (2,)).steps_per_epoch == 1


def test_a_single_labelled_article_is_seen_twice() -> None:
    training = _training([[0, -1], [1, -1], [-1, 1]], (2, 2))
    for _ in range(4):
        assert torch.isfinite(training.step().total)


def test_words_and_modalities_are_left_out_where_the_config_says_so() -> None:
    labels = [[place % 2] for place in range(20)]
    rows = torch.arange(20)
    plain, noisy = _training(labels, (2,)), _training(labels, (2,), modality_dropout=0.9)
    assert plain._step(0, rows).item() != noisy._step(0, rows).item()


def test_heads_that_are_trained_are_the_ones_that_predict() -> None:
    training = _training([[0, 1], [1, 0], [0, 1], [1, 0]], (2, 2), learning_rate=0.5)
    rows = torch.arange(4)
    first = functional.cross_entropy(training.network(training.batches.batch(rows))[:, :2], training.targets[rows, 0])
    for _ in range(60):
        training.step()
    last = functional.cross_entropy(training.network(training.batches.batch(rows))[:, :2], training.targets[rows, 0])
    assert last.item() < first.item() / 5
