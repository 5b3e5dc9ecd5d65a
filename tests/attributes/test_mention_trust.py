"""Whether attributes heed what texts name: what held-out labels decide."""

import numpy as np
import pytest
import torch

from atelier.attributes import AttributeModel
from atelier.attributes.mention_trust import choose_trust
from atelier.attributes.network.architecture import MentionWeights
from atelier.attributes.network.training import validation_scores


def logits(truth: torch.Tensor, right: float) -> torch.Tensor:
    """Logits of three classes that are right for a share of the labels."""
    shown = torch.where(torch.arange(len(truth)) < right * len(truth), truth, (truth + 1) % 3)
    return 2.0 * torch.nn.functional.one_hot(shown, 3).float()


def test_an_attribute_heeds_texts_where_its_held_out_labels_gain() -> None:
    truth = torch.arange(200) % 3
    targets = torch.stack([truth, truth], dim=1)
    told, untold = [logits(truth, 0.9), logits(truth, 0.5)], [logits(truth, 0.5), logits(truth, 0.9)]
    assert choose_trust(told, untold, targets).tolist() == [1.0, 0.0]


def test_an_attribute_without_labels_does_what_suits_the_others() -> None:
    truth = torch.arange(90) % 3
    targets = torch.stack([truth, torch.full_like(truth, -1)], dim=1)
    good, bad = [logits(truth, 0.9)] * 2, [logits(truth, 0.4)] * 2
    assert choose_trust(good, bad, targets).tolist() == [1.0, 1.0]
    assert choose_trust(bad, good, targets).tolist() == [0.0, 0.0]


def test_a_tie_and_no_label_at_all_are_told() -> None:
    truth = torch.arange(30) % 3
    same = [logits(truth, 0.7)]
    assert choose_trust(same, same, truth[:, None]).tolist() == [1.0]
    assert choose_trust(same, same, torch.full((30, 1), -1)).tolist() == [1.0]


def test_what_is_not_trusted_adds_nothing() -> None:
    weights = MentionWeights((2, 3))
    weights.trust.copy_(torch.tensor([0.0, 1.0]))
    added = weights(torch.ones(4, 5, 4))
    assert (added[:, :2] == 0).all()
    assert (added[:, 2:] > 0).all()


def test_texts_that_mislead_are_not_believed_and_the_bundle_remembers_it(planted, tiny, tmp_path) -> None:
    """Each text names a colour drawn by lot, the photograph shows the right one."""
    colours = np.random.default_rng(1).integers(0, 3, len(planted.articles))
    articles = planted.articles.assign(text=[f"colour {code}" for code in colours])
    labels = planted.truth[planted.truth["attribute"] == "colour"]
    half = labels[np.random.default_rng(0).random(len(labels)) < 0.6]
    # So few steps of so small a size that the weights stay where they begin, at which texts are believed.
    config = tiny.model_copy(update={"max_epochs": 1, "learning_rate": 1e-5, "validation_share": 0.3})
    model = AttributeModel(config).fit(articles, half)
    assert model.network is not None
    assert model.network.mentions is not None
    assert model.network.mentions.trust.tolist() == [0.0]
    model.save(tmp_path / "bundle")
    loaded = AttributeModel.load(tmp_path / "bundle")
    assert loaded.network is not None
    assert loaded.network.mentions is not None
    assert loaded.network.mentions.trust.tolist() == [0.0]


class OneHead(torch.nn.Module):
    """Gives fixed logits in the place of a network."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.table = table
        self.sizes = type("Sizes", (), {"classes": (table.shape[1],)})()
        self.temperatures = torch.ones(1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.table[rows]

    def split(self, logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (logits,)


class Rows:
    """Batches that are their rows."""

    def batches(self, size: int, rows: torch.Tensor) -> list[torch.Tensor]:
        return [rows]


def test_of_two_networks_that_are_right_alike_the_surer_one_scores_higher() -> None:
    truth = torch.tensor([[0], [1], [-1]])
    table = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 9.0]])
    unsure, sure = (validation_scores(OneHead(k * table), Rows(), truth, torch.arange(3)) for k in (1.0, 3.0))  # type: ignore[arg-type]
    probability = float(np.exp(1) / (np.exp(1) + 1))
    assert unsure == pytest.approx({"weighted_f1": 1.0, "score": (1 + probability) / 2})
    assert sure["weighted_f1"] == 1.0
    assert sure["score"] > unsure["score"]
    nothing = validation_scores(OneHead(table), Rows(), truth, torch.tensor([2]))  # type: ignore[arg-type]
    assert np.isnan([nothing["score"], nothing["weighted_f1"]]).all()
