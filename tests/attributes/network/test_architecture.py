"""Layers and shapes."""

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from atelier.attributes.config import AttributeConfig
from atelier.attributes.network.architecture import (
    MENTION_WEIGHTS,
    PAIR_FACTORS,
    ArticleBatch,
    AttributeNetwork,
    MentionWeights,
    PairBranch,
    Sizes,
    TextBranch,
)


def _batch(articles: int, sizes: Sizes, shots: int, tokens: torch.Tensor) -> ArticleBatch:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((articles, shots, sizes.image), generator=generator)
    codes = [torch.arange(articles) % (size + 1) - 1 for size in (sizes.types, sizes.brands, sizes.divisions)]
    return ArticleBatch(images, tokens, *codes)


def test_published_sizes() -> None:
    with torch.device("meta"):
        network = AttributeNetwork(AttributeConfig.published(), Sizes(512, 318, 20_000, 3_000, 2, (12, 7)))
    assert network.image.inputs == 2366
    assert AttributeConfig.published().words_read - network.text.kernel + 1 == 48
    assert network.joint.inputs == 2400
    assert network.image.linear.weight.shape == (1024, 2366)
    assert network.text.convolution.weight.shape == (2048, 3 * 64)
    assert network.text.dense.linear.weight.shape == (1024, 2048)
    assert network.brand.embedding_dim == 32
    assert network.division.embedding_dim == 2
    assert network.joint.linear.weight.shape == (8192, 2400)
    assert network.heads.weight.shape == (19, 8192)


def test_published_network_runs_on_shapes() -> None:
    sizes = Sizes(512, 318, 20_000, 3_000, 2, (12, 7))
    with torch.device("meta"):
        network = AttributeNetwork(AttributeConfig.published(), sizes)
        codes = [torch.zeros(5, dtype=torch.int64)] * 3
        logits = network(ArticleBatch(torch.zeros(5, 4, 512), torch.zeros(5, 50, dtype=torch.int64), *codes))
    assert [tuple(part.shape) for part in network.split(logits)] == [(5, 12), (5, 7)]


def test_the_text_branch_is_a_convolution() -> None:
    torch.manual_seed(0)
    config = AttributeConfig(token_dim=4, filters=6, text_units=3, tokens=9)
    branch = TextBranch(config, words=20).eval()
    tokens = torch.randint(2, 22, (5, 9))
    kernels = branch.convolution.weight.view(6, 3, 4).transpose(1, 2)  # [filters, token_dim, kernel]
    found = functional.conv1d(branch.embedding(tokens).transpose(1, 2), kernels)
    assert found.shape == (5, 6, 7)
    expected = branch.dense(functional.relu(branch.norm(found)).amax(2))
    torch.testing.assert_close(branch(tokens), expected)


@pytest.mark.parametrize("words", [0, 1, 2, 3, 7])
def test_padding_does_not_show(words: int) -> None:
    torch.manual_seed(0)
    branch = TextBranch(AttributeConfig(token_dim=4, filters=6, text_units=3, tokens=9), words=20).eval()
    with torch.no_grad():
        branch.norm.bias.fill_(3.0)  # so that a window of padding alone would win
    tokens = torch.zeros((1, 9), dtype=torch.int64)
    tokens[0, :words] = torch.randint(2, 22, (words,))
    torch.testing.assert_close(branch(tokens), branch(tokens[:, : max(words, 3)]))


@pytest.mark.parametrize("pooling", ["concatenate", "mean"])
@pytest.mark.parametrize("sizes", [Sizes(4, 3, 9, 2, 1, (3, 1)), Sizes(0, 0, 0, 0, 0, (2,))])
def test_a_modality_that_nobody_has_needs_no_special_case(pooling: str, sizes: Sizes) -> None:
    config = AttributeConfig.small(image_pooling=pooling, filters=4, tokens=5)
    network = AttributeNetwork(config, sizes).eval()
    batch = _batch(6, sizes, network.shots, torch.zeros((6, 3), dtype=torch.int64))
    probabilities = network.probabilities(network(batch))
    assert [part.shape for part in probabilities] == [(6, size) for size in sizes.classes]
    for part in probabilities:
        torch.testing.assert_close(part.sum(1), torch.ones(6))


def test_temperatures_divide_logits() -> None:
    network = AttributeNetwork(AttributeConfig.small(filters=4), Sizes(0, 0, 0, 0, 0, (3, 2)))
    network.temperatures.copy_(torch.tensor([2.0, 1.0]))
    logits = torch.tensor([[2.0, 0.0, -2.0, 1.0, 0.0]])
    first, second = network.probabilities(logits)
    torch.testing.assert_close(first, torch.softmax(torch.tensor([[1.0, 0.0, -1.0]]), dim=1))
    torch.testing.assert_close(second, torch.softmax(torch.tensor([[1.0, 0.0]]), dim=1))


def _texts(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows)


def test_the_bag_is_words_and_pairs_of_neighbours() -> None:
    torch.manual_seed(0)
    config = AttributeConfig(pair_units=3, pair_slots=50)
    branch = PairBranch(config, words=8).eval()
    rows, first = branch.bag.weight, 10  # 8 words and 2 special ids, then the slots of pairs

    def slot(left: int, right: int) -> int:
        return first + (left * PAIR_FACTORS[0] + right * PAIR_FACTORS[1]) % 50

    # 4 5 1 4: an unknown word counts as a word, but makes no pair.
    read = torch.stack([rows[4], rows[5], rows[1], rows[4], rows[slot(4, 5)]]).sum(0) / 5**0.5
    expected = functional.relu(branch.norm(read[None]))
    torch.testing.assert_close(branch(_texts([4, 5, 1, 4, 0, 0])), expected)
    torch.testing.assert_close(branch(_texts([4, 5, 1, 4])), expected)
    assert not torch.equal(branch(_texts([5, 4, 1, 4])), expected)  # the order of neighbours shows


def test_the_bag_of_an_empty_text_is_that_of_no_words() -> None:
    branch = PairBranch(AttributeConfig(pair_units=3), words=0).eval()
    empty = branch(torch.zeros((2, 3), dtype=torch.int64))
    torch.testing.assert_close(empty, functional.relu(branch.norm(torch.zeros(2, 3))))


def test_members_are_trained_side_by_side_and_their_mean_predicts() -> None:
    torch.manual_seed(0)
    sizes = Sizes(4, 3, 9, 2, 1, (3, 2))
    config = AttributeConfig.small(filters=4, tokens=5, members=3, pair_units=2, dropout=0.0)
    network = AttributeNetwork(config, sizes)
    batch = _batch(6, sizes, network.shots, torch.randint(0, 11, (6, 5)))
    together = network(batch)
    assert together.shape == (18, 5)
    members = [super(AttributeNetwork, network).forward(batch), *(member(batch) for member in network.others)]
    torch.testing.assert_close(together, torch.cat(members))
    assert not torch.allclose(members[0], members[1])
    network.eval()
    alone = [super(AttributeNetwork, network).forward(batch), *(member(batch) for member in network.others)]
    torch.testing.assert_close(network(batch), torch.stack(alone).mean(0))


def test_no_member_learns_from_another() -> None:
    sizes = Sizes(4, 3, 9, 2, 1, (3, 2))
    network = AttributeNetwork(AttributeConfig.small(filters=4, tokens=5, members=2), sizes)
    network(_batch(6, sizes, network.shots, torch.randint(0, 11, (6, 5))))[:6].sum().backward()
    assert network.heads.weight.grad is not None
    assert all(p.grad is None or not p.grad.any() for p in network.others.parameters())


def test_published_has_neither_members_nor_pairs() -> None:
    config = AttributeConfig.published()
    assert (config.members, config.pair_units, config.label_smoothing) == (1, 0, 0.0)
    with pytest.raises(ValidationError, match="members=2"):
        AttributeConfig.published(members=2)


def test_mentions_add_their_weights_to_the_logits_of_their_values() -> None:
    weights = MentionWeights((2, 3))
    told = torch.zeros(1, 5, len(MENTION_WEIGHTS))
    told[0, 1, 0], told[0, 4, 3] = 1.0, 2.0
    expected = torch.tensor([[0.0, MENTION_WEIGHTS[0], 0.0, 0.0, 2 * MENTION_WEIGHTS[3]]])
    torch.testing.assert_close(weights(told), expected)
    with torch.no_grad():
        weights.own[1, 3] = 0.5  # of the second attribute alone
    torch.testing.assert_close(weights(told)[0, 4], torch.tensor(2 * (MENTION_WEIGHTS[3] + 0.5)))


def test_a_text_is_believed_before_any_training() -> None:
    sizes = Sizes(0, 0, 3, 0, 0, (3, 2))
    config = AttributeConfig.small(filters=4, tokens=5)
    network = AttributeNetwork(config, sizes).eval()
    batch = _batch(4, sizes, 1, torch.zeros(4, 5, dtype=torch.int64))
    told = torch.zeros(4, 5, len(MENTION_WEIGHTS))
    told[:, 2, 1:3] = 1.0  # the third value of the first attribute stands in the description, and no other does
    colours = network.probabilities(network(replace(batch, mentions=told)))[0]
    assert (colours.argmax(dim=1) == 2).all()
    assert (colours[:, 2] > 0.9).all()
    assert network.probabilities(network(batch))[0].amax() < 0.9


def test_the_published_network_is_not_told_what_texts_name() -> None:
    sizes = Sizes(0, 0, 3, 0, 0, (3, 2))
    for config in (AttributeConfig.published(filters=4), AttributeConfig(training="published", filters=4)):
        assert not config.reads_mentions
        assert AttributeNetwork(config, sizes).mentions is None
