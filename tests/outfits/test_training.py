"""What a training step reads: counts without the outfit in question, wrong answers, articles that stand in."""

import numpy as np
import torch

from atelier.arrays import Int64s
from atelier.outfits.article_inputs import Inputs
from atelier.outfits.config import OutfitConfig
from atelier.outfits.network import OutfitNetwork
from atelier.outfits.pair_statistics import SMOOTHING, PairStatistics
from atelier.outfits.training import Lessons, Steps, similar_articles, statistics_of
from tests.outfits.tiny import FAMILIES, of

OUTFITS = of([0, 4], [0, 4, 5], [1, 5], [2, 6])
LESSONS = Lessons(OUTFITS, np.ones(4, np.int64))
CODES = np.array([[0], [0], [1], [1], [0], [1], [1], [1], [1]])
COUNTED = PairStatistics.of(OUTFITS, CODES)


def network_of(config: OutfitConfig, families: Int64s) -> OutfitNetwork:
    """A network over nine articles."""
    none = np.zeros((9, 0), np.float32)
    torch.manual_seed(0)
    return OutfitNetwork(Inputs(none, none, CODES + 1, families), (3,), int(families.max()) + 1, config)


def steps(**changed: object) -> Steps:
    config = OutfitConfig(factors=8, hidden=8, heads=2, negatives=20, batch_size=100, **changed)  # type: ignore[arg-type]
    return Steps(network_of(config, FAMILIES), LESSONS, COUNTED, FAMILIES, None, config)


def test_nothing_is_counted_of_hidden_articles() -> None:
    rest, candidates = np.array([[0, 5]]), np.array([[4, 6]])
    counts = COUNTED.counts(rest, candidates)
    plain = statistics_of(COUNTED, rest, candidates, counts)
    hidden = np.arange(9) == 0
    found = statistics_of(COUNTED, rest, candidates, counts, hidden)
    lift = COUNTED.lift(rest, candidates, counts)
    assert np.allclose(plain[0, :, 0], lift[0].sum(axis=1) / 2**0.5)
    assert np.allclose(found[0, :, 0], lift[0, :, 1] / 2**0.5)
    assert np.allclose(plain[0, :, 1], lift[0].max(axis=1))
    assert np.array_equal(found[..., 2], plain[..., 2]), "attributes of a new article are known"


def test_a_masked_articles_counts_leave_its_own_outfit_out() -> None:
    made = steps(new_share=0.0)
    batch, _ = made._batch(made._masked, made._weights)
    question = made._masked.candidates[:, 0].tolist().index(4)  # of the outfit 0-4, which is one of two that have both
    assert batch.statistics is not None
    expected = np.log((1 + SMOOTHING) / (2 * 2 / 4 + SMOOTHING))
    assert np.isclose(float(batch.statistics[question, 0, 1]), expected)


def test_wrong_answers_are_of_the_family_and_not_of_the_outfit() -> None:
    made = steps()
    batch, wrong = made._batch(made._masked, made._weights)
    candidates, rest = batch.candidates.numpy(), batch.rest.numpy()
    chosen = candidates[:, 1:][wrong.numpy()]
    owners = np.nonzero(wrong.numpy())[0]
    assert len(chosen)
    assert (FAMILIES[chosen] == FAMILIES[candidates[owners, 0]]).all()
    assert (chosen != candidates[owners, 0]).all()
    assert not (chosen[:, None] == rest[owners]).any()
    assert set(chosen.tolist()) <= {0, 1, 2, 4, 5, 6}, "articles of no outfit are never drawn by popularity"


def test_a_step_moves_the_weights_and_leaves_untrained_embeddings_at_zero() -> None:
    made = steps(modalities=("attributes", "embedding"))
    before = [weight.clone() for weight in made.network.parameters()]
    for _ in range(3):
        loss = made.step()
    assert torch.isfinite(loss.total)
    assert any(not torch.equal(old, new) for old, new in zip(before, made.network.parameters(), strict=True))
    assert made.network.leg.own is not None
    assert (made.network.leg.own.weight[[3, 7, 8]] == 0).all()


def test_a_step_leaves_the_vectors_of_other_articles_where_they_are() -> None:
    """As nothing else may cost what the catalogue has articles: not the gradient, not the momentum, not a decay."""
    made = steps(modalities=("attributes", "embedding"))
    own = made.network.leg.own
    assert own is not None
    own.weight.data.fill_(1.0)
    made.step()
    assert own.weight.grad is not None
    assert own.weight.grad.is_sparse
    read = own.weight.grad.coalesce().indices()[0].tolist()
    others = sorted(set(range(len(own.weight))) - set(read))
    assert others
    assert (own.weight[others] == 1.0).all()
    assert (own.weight[read] != 1.0).any()


def test_similar_articles_are_the_nearest_known_ones_of_the_family() -> None:
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [1, 0.03], [1, 0], [0, 1], [0, 2], [1, 1], [1, 0]], np.float32)
    known = np.arange(9) != 3
    found = similar_articles(vectors, FAMILIES, known, 2)
    assert found.articles[0].tolist() == [1, 2]
    assert found.articles[3].tolist() == [0, 1]
    assert found.articles[5].tolist() == [6, 7]
    rest = np.array([[0, 5, -1]])
    swapped = found.swapped(rest, 1.0, np.random.default_rng(0))
    assert swapped[0, 0] in (1, 2)
    assert swapped[0, 1] in (6, 7)
    assert swapped[0, 2] == -1
    assert np.array_equal(found.swapped(rest, 0.0, np.random.default_rng(0)), rest)
