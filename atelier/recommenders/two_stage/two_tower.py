"""``two_tower``: a network for customers and one for articles, whose vectors lie in one space; retrieval alone.

What belongs here: the towers, their training and the model. What does not: losses (:mod:`atelier.nn.ranking_losses`),
the loop (:mod:`atelier.nn.training_loop`), a ranking of what is retrieved
(:mod:`~atelier.recommenders.two_stage.two_stage`, which takes it as a source).

What is known of an article is its content, made shorter, beside an embedding that begins at zero: an article that
nobody chose has a vector from content alone. What is known of a customer is the mean of that over the last
interactions, their number, and attributes: a customer without history has a vector from attributes alone.

Source: X. Yi and others, Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations, RecSys 2019:
normalised vectors, a temperature, negatives from the batch, corrected for how often each is drawn.
"""

import warnings
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from atelier.arrays import Float32s, distinct_values
from atelier.bundles import Array, under
from atelier.catalogue import Catalogue
from atelier.devices import copied, own_random_state
from atelier.ids import Codes, IdMap
from atelier.interactions import Interactions
from atelier.nn.layers import unset_linear
from atelier.nn.ranking_losses import in_batch
from atelier.nn.training_loop import Epoch, Passes, StepLoss, TrainingLoop
from atelier.nn.training_state import fingerprint
from atelier.recommenders.training_data.customer_features import AttributeSpace
from atelier.recommenders.two_stage.examples import SAMPLE, held_out
from atelier.recommenders.two_stage.ranking_network import RankingNetwork, vector_names
from atelier.recommenders.two_stage.snapshot import ArticleGroups
from atelier.recommenders.two_stage.training_curves import (
    HELD_OUT,
    TRAINING,
    curve,
    last_figures,
    list_figures,
    packed,
    unpacked,
)
from atelier.recommenders.two_stage.two_tower_config import DECLARATION, TwoTowerConfig
from atelier.recommenders.vector_model import VectorRecommender
from atelier.search.ragged import Indices, Mask, Scores, place_in_row

CHUNK = 8192
"""Customers or articles whose vectors are computed at once."""
LISTED = 100
"""Random articles beside the chosen one in the lists of the training curve."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What n customers did, as the customer tower reads it.

    Attributes:
        codes: int64 [h], articles, one customer's below the other's.
        starts: int64 [n], where each customer's begin.
        counts: float32 [n], how many they are.
        attributes: float32 [n, positions].
    """

    codes: Array
    starts: Indices
    counts: Float32s
    attributes: Float32s


def seen_before(interactions: Interactions, rows: Indices, place: Indices, most: int, attributes: Float32s) -> Seen:
    """The last interactions of each row's customer before the row.

    Args:
        interactions: in order of time within each customer.
        rows: int64 [n]; the row after a customer's last one is allowed: all are before it.
        place: int64 [n], how many rows the customer has before each of these.
        most: interactions read, at most.
        attributes: float32 [n, positions], of the customers of the rows.
    """
    lengths = np.minimum(place, most)
    ends = np.cumsum(lengths)
    owner = np.repeat(np.arange(len(rows)), lengths)
    taken = (rows - lengths)[owner] + np.arange(len(owner)) - (ends - lengths)[owner]
    codes = interactions.articles[taken].astype(np.int64)
    return Seen(codes, ends - lengths, lengths.astype(np.float32), attributes)


class Tower(nn.Module):
    """Linear layers with ReLU between them, and vectors of length 1: [n, inputs] → [n, factors]."""

    def __init__(self, inputs: int, hidden: tuple[int, ...], factors: int, random: torch.Generator) -> None:
        super().__init__()
        widths = (inputs, *hidden, factors)
        layers = [unset_linear(one, two) for one, two in pairwise(widths)]
        for layer in layers:
            nn.init.normal_(layer.weight, std=(2 / max(layer.in_features, 1)) ** 0.5, generator=random)
            nn.init.zeros_(layer.bias)
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the tower."""
        for layer in self.layers[:-1]:
            x = functional.relu(layer(x))
        return functional.normalize(self.layers[-1](x), dim=1)


class Towers(nn.Module):
    """Both towers, and what is learned of each article.

    Args:
        content: float32 [n_articles, dim], unit or zero rows; it is not trained.
        attributes: how many positions the attributes of customers have.
        config: sizes.
        random: for the first weights.
    """

    def __init__(self, content: Tensor, attributes: int, config: TwoTowerConfig, random: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("content", content, persistent=False)
        self.embedding = nn.Parameter(torch.zeros(len(content), config.embedding))
        width = content.shape[1] + config.embedding
        self.article = Tower(width, config.hidden, config.factors, random)
        self.customer = Tower(width + 2 + attributes, config.hidden, config.factors, random)
        self.ranking = RankingNetwork(vector_names(config.factors), random) if config.ranking_negatives else None

    def articles(self, codes: Tensor) -> Tensor:
        """The vectors of articles, int64 [n] → [n, factors]."""
        own = functional.embedding(codes, self.embedding, sparse=True)
        known = torch.cat([cast(Tensor, self.content)[codes], own], dim=1)
        return cast(Tensor, self.article(known))

    def customers(self, seen: Seen) -> Tensor:
        """The vectors of customers, [n, factors]."""
        device = self.embedding.device
        codes, starts, counts, attributes = (
            copied(torch.from_numpy(each), device) for each in (seen.codes, seen.starts, seen.counts, seen.attributes)
        )
        content = cast(Tensor, self.content)
        means = [
            functional.embedding_bag(codes, table, starts, mode="mean", sparse=table is self.embedding)
            for table in (content, self.embedding)
            if table.shape[1]
        ]
        much = torch.stack([torch.log1p(counts), (counts > 0).float()], dim=1)
        return cast(Tensor, self.customer(torch.cat([*means, much, attributes], dim=1)))


@dataclass(frozen=True, eq=False)
class TowerLists:
    """Lists by which towers are judged in training.

    Attributes:
        rows: int64 [n], rows of the interactions.
        place: int64 [n], how many rows the customer has before each of these.
        codes: int64 [n, 1 + LISTED], the row's article and then others that were chosen by somebody, drawn at random;
            int64 [n, 1] where there is no other.
    """

    rows: Indices
    place: Indices
    codes: Indices

    @classmethod
    def of(cls, train: Interactions, place: Indices, rows: Indices, config: TwoTowerConfig) -> "TowerLists":
        """Lists of at most ``SAMPLE`` of the rows, by a seeded choice."""
        random = np.random.default_rng(config.seed)
        chosen = np.sort(random.permutation(rows)[:SAMPLE])
        known, mine = distinct_values(train.articles), train.articles[chosen][:, None]
        if len(known) == 1:
            return cls(chosen, place[chosen], mine.astype(np.int64))
        drawn = random.integers(len(known) - 1, size=(len(chosen), LISTED))
        drawn += drawn >= np.searchsorted(known, mine)  # the row's own article is skipped
        codes = np.hstack([mine, known[drawn]]).astype(np.int64)
        return cls(chosen, place[chosen], codes)

    @torch.no_grad()
    def figures(
        self, towers: Towers, train: Interactions, attributes: Float32s, config: TwoTowerConfig
    ) -> dict[str, float]:
        """The figures of the lists by the towers as they are: :func:`list_figures` of cosines over the temperature."""
        seen = seen_before(train, self.rows, self.place, config.history, attributes[train.customers[self.rows]])
        distinct, at = np.unique(self.codes, return_inverse=True)
        articles = towers.articles(copied(torch.from_numpy(distinct), towers.embedding.device))
        cosines = (towers.customers(seen) @ articles.T).cpu().numpy().astype(np.float64)
        scores = np.take_along_axis(cosines, at.reshape(self.codes.shape), axis=1) / config.temperature
        labels = self.codes == self.codes[:, :1]
        return list_figures(scores.ravel(), labels.ravel().astype(np.int8), np.full(len(self.rows), labels.shape[1]))


class TwoTower(VectorRecommender[TwoTowerConfig]):
    """The score is the cosine x_u · y_i of the customer tower's vector and the article tower's; see the module.

    Attributes:
        epochs: what each epoch of the last fit gave; not part of the bundle.
    """

    declaration = DECLARATION

    def __init__(self, config: TwoTowerConfig | None = None, device: str = "cpu") -> None:
        super().__init__(config, device)
        self.epochs: list[Epoch] = []

    @property
    def ranks_unsold(self) -> bool:
        """Whether it can rank an article that nobody has interacted with: where it reads content."""
        return self.config.reads_content

    def training_figures(self) -> dict[str, float | None]:
        """Of the last fit: how many epochs it took, the last one's loss, and the training curve's end.

        The end is ``training_loss``, ``training_auc``, ``training_precision``, ``training_recall``, and ``held_out_…``
        likewise where customers are held out.
        """
        if not self.epochs:
            return {}
        return {"epochs": len(self.epochs), "loss": self.epochs[-1].loss, **last_figures(self.training_curve())}

    def training_curve(self) -> pd.DataFrame:
        """How well the towers ordered lists after each epoch; see :meth:`Recommender.training_curve`.

        A list has what a customer chose and ``LISTED`` other articles drawn at random. The loss is over the cosines,
        divided by the temperature.
        """
        return unpacked(self.weights["curve"]) if "curve" in self.weights else super().training_curve()

    def _fit(self, train: Interactions, catalogue: Catalogue | None, customers: Any) -> dict[str, Array]:
        config = self.config
        groups = ArticleGroups.of_catalogue(catalogue, self.article_ids, config.content_length, config.seed)
        if config.reads_content and not groups.content.any():
            warnings.warn("two_tower was given no article vectors: it learns embeddings only", stacklevel=4)
        trained_on = IdMap.from_values(train.customer_ids.take(distinct_values(train.customers)))
        space = AttributeSpace.fit(customers, config.customer_attributes, trained_on)
        attributes = space.matrix(customers, train.customer_ids)
        towers = self._towers(groups.content, attributes.shape[1])
        self._train(towers, train, attributes)
        self.weights = {
            "curve": packed(curve((each.epoch, each.validation) for each in self.epochs)),
            "content": groups.content,
            "customer_space": np.frombuffer(space.model_dump_json().encode(), dtype=np.uint8).copy(),
            **{f"towers.{name}": value.cpu().numpy() for name, value in towers.state_dict().items()},
        }
        self.weights["articles"] = self._article_vectors(towers.cpu())
        return self._profiles(train, attributes)

    def _towers(self, content: Float32s, attributes: int) -> Towers:
        random = torch.Generator().manual_seed(self.config.seed)
        return Towers(torch.from_numpy(content), attributes, self.config, random).to(self.torch_device)

    def _train(self, towers: Towers, train: Interactions, attributes: Float32s) -> None:
        config = self.config
        place = place_in_row(train.customers.astype(np.int64), len(train.customer_ids))
        away = self._held_out(train, place)
        rows = np.flatnonzero(~away)
        often = torch.from_numpy(np.bincount(train.articles, minlength=len(self.article_ids)) / len(train)).float()
        often = often.to(self.torch_device)
        sold, random = distinct_values(train.articles).astype(np.int64), np.random.default_rng(config.seed)
        dense = [weight for weight in towers.parameters() if weight is not towers.embedding]
        adam = torch.optim.Adam(dense, config.learning_rate, fused=True)
        # Nearly all weights of a large catalogue are what is learned of each article, and a batch moves few of them.
        rows_adam = torch.optim.SparseAdam([towers.embedding], config.learning_rate) if config.embedding else None
        passes = Passes(lambda: _parts(random.permutation(rows)[: config.epoch_positives], config.batch_size))

        def step() -> StepLoss:
            chosen = passes.next()
            own = attributes[train.customers[chosen]]
            seen = seen_before(train, chosen, place[chosen], config.history, own)
            positives = copied(torch.from_numpy(train.articles[chosen].astype(np.int64)), self.torch_device)
            customers, articles = towers.customers(seen), towers.articles(positives)
            owners = copied(torch.from_numpy(train.customers[chosen].astype(np.int64)), self.torch_device)
            loss = in_batch(customers @ articles.T / config.temperature, positives, often[positives], owners).mean()
            if towers.ranking is not None:
                drawn = sold[random.integers(0, len(sold), (len(chosen), config.ranking_negatives))]
                others = towers.articles(copied(torch.from_numpy(drawn), self.torch_device).flatten())
                loss = loss + ranking_loss(towers.ranking, customers, articles, others)
            towers.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            if rows_adam is not None:
                rows_adam.step()  # type: ignore[no-untyped-call]
            return StepLoss(loss.detach())

        every = len(_parts(rows[: config.epoch_positives], config.batch_size))
        parts = {TRAINING: rows, HELD_OUT: np.flatnonzero(away)}
        judged = {part: TowerLists.of(train, place, each, config) for part, each in parts.items()}

        def score() -> dict[str, float]:
            return {
                f"{part}_{name}": value
                for part, lists in judged.items()
                if len(lists.rows)
                for name, value in lists.figures(towers, train, attributes, config).items()
            }

        read = train.customers, train.articles, attributes, cast(Tensor, towers.content)
        with own_random_state(self.torch_device, config.seed):
            self.epochs = TrainingLoop(
                "two_tower: fitting",
                towers,
                step,
                {"random": random, "passes": passes, "adam": adam, **({"rows": rows_adam} if rows_adam else {})},
                self.torch_device,
                steps=config.max_epochs * every,
                every=every,
                patience=config.max_epochs,
                learning_rates={"learning_rate": config.learning_rate},
                score=score,
                state=self.training_state,
                made_from="" if self.training_state is None else fingerprint(config.model_dump_json(), *read),
            ).run()

    def _held_out(self, train: Interactions, place: Indices) -> Mask:
        """Which rows are not learned from: the last one of a share of the customers who have others, bool [rows]."""
        counts = np.bincount(train.customers, minlength=len(train.customer_ids))
        last = (place > 0) & (place == counts[train.customers] - 1)
        away: Mask = last & held_out(len(counts), self.config.held_out, self.config.seed)[train.customers]
        return away

    # Vectors

    @torch.inference_mode()
    def _article_vectors(self, towers: Towers) -> Float32s:
        """The vectors of all articles, float32 [n_articles, factors]; zero for those that it does not rank."""
        parts = [towers.articles(part) for part in torch.split(torch.arange(len(self.article_ids)), CHUNK)]
        vectors: Float32s = torch.cat(parts).numpy()
        vectors[~self.ranked] = 0
        return vectors

    def _profile(self, history: Interactions) -> dict[str, Array]:
        return self._profiles(history, np.zeros((len(history.customer_ids), self._space.positions), dtype=np.float32))

    def _attribute_profile(self, customers: Any, history: Interactions) -> dict[str, Array]:
        if customers is None or not self._space.positions:
            return {}
        return self._profiles(history, self._space.matrix(customers, history.customer_ids))

    @property
    def _space(self) -> AttributeSpace:
        """How attributes of customers are read: as of those trained on."""
        return AttributeSpace.model_validate_json(self.weights["customer_space"].tobytes())

    @torch.inference_mode()
    def _profiles(self, history: Interactions, attributes: Float32s) -> dict[str, Array]:
        """The vectors of the customers of a history, computed on the processor whatever the device.

        Where attributes are read, ``described`` says of whom one is known, bool [n].
        """
        towers = Towers(torch.from_numpy(self.weights["content"]), attributes.shape[1], self.config, torch.Generator())
        towers.load_state_dict({name: torch.tensor(value) for name, value in under(self.weights, "towers.").items()})
        counts = np.bincount(history.customers, minlength=len(history.customer_ids))
        ends = np.cumsum(counts)
        vectors = [np.zeros((0, self.config.factors), dtype=np.float32)]
        for first in range(0, len(counts), CHUNK):
            part = slice(first, first + CHUNK)
            seen = seen_before(history, ends[part], counts[part], self.config.history, attributes[part])
            vectors.append(towers.customers(seen).numpy())
        found: dict[str, Array] = {"customers": np.concatenate(vectors)}
        if attributes.shape[1]:
            found["described"] = (attributes != 0).any(axis=1)
        return found

    def article_vectors(self, codes: Codes) -> Scores:
        """The vectors y_i of articles, float32 [n, factors], of length 1; zero for those that it does not rank."""
        vectors: Scores = self.weights["articles"][codes]
        return vectors

    @property
    def ranking_weights(self) -> dict[str, Array]:
        """The weights of the ranking network that was trained with the towers; empty where there is none."""
        return under(self.weights, "towers.ranking.")

    def customer_vectors(self, profiles: dict[str, Array], rows: Indices) -> Scores:
        """The vectors x_u of rows of the profiles, float32 [n, factors], of length 1."""
        vectors: Scores = profiles["customers"][rows]
        return vectors


def ranking_loss(ranking: RankingNetwork, customers: Tensor, articles: Tensor, others: Tensor) -> Tensor:
    """The binary cross-entropy of the ranking network, mean over positives and negatives.

    Source: the published H&M two-tower project.

    Args:
        ranking: reads the vector of a customer and then that of an article.
        customers: float32 [b, factors].
        articles: float32 [b, factors], what each of them chose.
        others: float32 [b · negatives, factors], sampled articles, each customer's below the other's.
    """
    negatives = len(others) // len(customers)
    positive = ranking(torch.cat([customers, articles], dim=1))
    negative = ranking(torch.cat([customers.repeat_interleave(negatives, dim=0), others], dim=1))
    labels = torch.cat([torch.ones_like(positive), torch.zeros_like(negative)])
    return functional.binary_cross_entropy_with_logits(torch.cat([positive, negative]), labels)


def _parts(rows: Indices, size: int) -> list[Indices]:
    """The batches of a pass; a last one of a single positive, which has no negatives, joins the one before."""
    starts = list(range(0, len(rows), size))
    if len(starts) > 1 and len(rows) - starts[-1] == 1:
        starts.pop()
    return [rows[start:stop] for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True)]
