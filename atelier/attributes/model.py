"""The attribute model: fit on partial labels, predict, save, load.

What belongs here: the interface that others use. What does not: layers, training and encoding, which have modules of
their own.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from atelier import bundles
from atelier.arrays import Float32s, Float64s, Int64s, Mask, Objects
from atelier.articles.splits import holdout
from atelier.articles.table import Articles
from atelier.attributes.config import AttributeConfig
from atelier.attributes.encoding import EncodedArticles, Encoding
from atelier.attributes.labels import UNLABELLED, Applicability, Heads, labels_of, read_labels
from atelier.attributes.mention_features import MentionReader
from atelier.attributes.mention_trust import choose_trust
from atelier.attributes.network.architecture import AttributeNetwork, Sizes
from atelier.attributes.network.batches import ArticleBatches, fit_standardisation
from atelier.attributes.network.training import logits_of, train
from atelier.attributes.prediction_sets import PredictionSets
from atelier.attributes.temperature import fit_temperatures
from atelier.devices import choose_device, own_random_state
from atelier.errors import AtelierError
from atelier.frames import Frame
from atelier.nn.replicas import ALONE
from atelier.nn.training_loop import Epoch, Observer


class NotFittedError(AtelierError):
    """A model is used before it was fitted or loaded."""


@dataclass(frozen=True)
class Probabilities:
    """What a model predicts for n articles.

    Attributes:
        article_ids: str [n], in the order of the frame that was given.
        attributes: the attributes, in alphabetical order.
        values: for each attribute its values, str [classes].
        matrices: for each attribute float32 [n, classes]; rows sum to 1.
        applies: bool [n, attributes]: whether the attribute applies to the article's product type.
        sets: for each attribute bool [n, classes]: the values that remain possible. The true value is among them with
            the probability ``coverage`` of the config; the most probable value always is.
    """

    article_ids: Objects
    attributes: tuple[str, ...]
    values: tuple[Objects, ...]
    matrices: tuple[Float32s, ...]
    applies: Mask
    sets: tuple[Mask, ...]


@dataclass(frozen=True)
class Monitor:
    """A callback that observes a model while it is trained, without any influence on its weights.

    Attributes:
        every: steps of the optimiser between two calls; there is a call before the first step as well.
        look: is called with the number of steps so far and the model as it is then, not calibrated. It may predict with
            the model, which is valid until it returns.
    """

    every: int
    look: Callable[[int, "AttributeModel"], None]


class _BundleConfig(BaseModel):
    """config.json of a bundle."""

    model_config = ConfigDict(extra="forbid")

    model: Literal["attributes"] = "attributes"
    # 2: with prediction sets; 3: with the words that the network is told of; 4: with what each attribute makes of them
    format: Literal[4] = 4
    config: AttributeConfig
    image_dimension: int
    summary: dict[str, int]
    history: list[dict[str, float | int | None]]


class AttributeModel:
    """Predicts the attributes of articles from photographs, text and metadata.

    One network serves all attributes; an attribute has a head where at least one value has enough labels. Without any
    usable label the model has no heads and predicts nothing (an empty frame). An attribute with a single value is
    predicted with confidence 1, since the model knows no other value. An article of which only the id is known gets a
    prediction like any other.

    Args:
        config: sizes and training; None chooses what suits the data.
        device: where to compute, as PyTorch names it, or ``auto``. Not part of the config: it does not belong to the
            bundle.

    Attributes:
        config: the config; after fitting, the one that was used.
        history: what each epoch of training gave.
        summary: counts that describe the fit: articles, labelled_articles, training_articles, validation_articles,
            labels, labels_of_unknown_articles, labels_of_rare_values, attributes, attributes_without_head, epochs.
        heads: what can be predicted: attributes, their values, and how many labels each had.
        prediction_sets: the thresholds of the prediction sets, attribute by attribute.
        network: the trained network; None where there is nothing to predict.
        training_state: a file in which training keeps its state, so that the same ``fit`` resumes where the process was
            killed; None: nothing is kept.
        replicas: the processes that train the network together, each of which calls the same ``fit``.
    """

    def __init__(self, config: AttributeConfig | None = None, *, device: str | torch.device = "cpu") -> None:
        self.config = config
        self.device = choose_device(device)
        self.history: list[Epoch] = []
        self.summary: dict[str, int] = {}
        self.heads = Heads(())
        self.prediction_sets = PredictionSets.of_everything(0)
        self.network: AttributeNetwork | None = None
        self.training_state: Path | None = None
        self.replicas = ALONE
        self._encoding: Encoding | None = None
        self._applicability: Applicability | None = None
        self._mentions: MentionReader | None = None

    # ---- fitting

    def fit(self, articles: Frame | Articles, labels: Frame, *, monitor: Monitor | None = None) -> "AttributeModel":
        """Train on partial labels.

        Args:
            articles: article_id; optional, and each may be null throughout: text (or name and description),
                product_type, brand, division, embeddings (0…n vectors per article, all of one length), product_code
                (styles, which the validation split keeps together). Articles without labels still teach words, product
                types and where attributes apply.
            labels: article_id, attribute, value; partial. Labels of articles that are not given are left out and
                counted in ``summary``.
            monitor: is called while the network is trained, see :class:`Monitor`.

        Returns:
            The model itself.

        Raises:
            ArticlesError: missing or repeated ids, two labels for one attribute, unusable image vectors.
        """
        articles = Articles.from_frame(articles)
        every = read_labels(labels)
        known = labels_of(articles, every)
        labelled_articles = known["article_id"].nunique()
        config = self.config or AttributeConfig.for_data(labelled_articles)
        self.heads = Heads.fit(known, config.samples_needed(len(articles)))
        self._encoding = Encoding.fit(articles, config)
        encoded = self._encoding.encode(articles)
        self._mentions = None
        # The model is calibrated also on labels of values that are too rare to be predicted, because it will be
        # evaluated on them: without them prediction sets would promise too much.
        targets = self.heads.encode(known, len(articles))
        labelled = targets != UNLABELLED
        types = self._encoding.categories["product_type"]
        self._applicability = Applicability.fit(
            encoded.types, types, labelled, self.heads.attributes, config.applicability_share, config.applies
        )
        validation = self._validation(articles, labelled.any(axis=1), config)
        usable = np.flatnonzero((targets >= 0).any(axis=1))
        training = np.setdiff1d(usable, validation)
        if not len(training):  # with so few labels that all would validate, all train, and none calibrate
            training, validation = usable, validation[:0]
        self.config = config
        if config.reads_mentions and len(self.heads):
            self._mentions, told = MentionReader.fit(articles, targets, training, self.heads, config)
            encoded = replace(encoded, mentions=told)
        self._train(encoded, targets, training, validation, monitor)
        self.summary = {
            "articles": len(articles),
            "labelled_articles": labelled_articles,
            "training_articles": len(training),
            "validation_articles": len(validation),
            "labels": len(known),
            "labels_of_unknown_articles": len(every) - len(known),
            "labels_of_rare_values": len(known) - int((targets >= 0).sum()),
            "attributes": len(self.heads),
            "attributes_without_head": known["attribute"].nunique() - len(self.heads),
            "epochs": len(self.history),
        }
        return self

    @staticmethod
    def _validation(articles: Articles, labelled: Mask, config: AttributeConfig) -> Int64s:
        """The rows that validate, int64: those of some styles among the labelled articles, bool [n]."""
        chosen = holdout(articles.rows(labelled), config.validation_share, seed=config.seed, purpose="validation")
        return np.flatnonzero(labelled)[chosen]

    def _train(
        self, encoded: EncodedArticles, targets: Int64s, training: Int64s, validation: Int64s, monitor: Monitor | None
    ) -> None:
        config, _, _ = self._fitted()
        self.history = []
        self.network = None
        self.prediction_sets = PredictionSets.of_everything(len(self.heads))
        if not len(training):
            return
        with own_random_state(self.device, config.seed):
            network = self._build(config)
            fit_standardisation(network, encoded.shots.take(training))
            network.to(self.device)
            batches = ArticleBatches(encoded, network, self.device)
            goal = torch.from_numpy(np.maximum(targets, UNLABELLED)).to(self.device)
            rows, judges = torch.from_numpy(training), torch.from_numpy(validation)
            observer = Observer(monitor.every, self._shown(monitor)) if monitor else None
            kept = self.training_state, self.replicas
            self.history = train(network, batches, goal, self.heads, config, rows, judges, observer, *kept)
            if len(judges):
                logits = self._logits(network, batches, judges, goal.cpu()[judges])
                parts = [part.cpu() for part in network.split(logits)]
                network.temperatures.copy_(fit_temperatures(parts, goal.cpu()[judges]))
                matrices = [part.cpu().numpy() for part in network.probabilities(logits)]
                self.prediction_sets = PredictionSets.fit(matrices, targets[validation], config.coverage)
        self.network = network.eval()

    @staticmethod
    def _logits(network: AttributeNetwork, batches: ArticleBatches, rows: Tensor, targets: Tensor) -> Tensor:
        """The logits of rows by which the model is calibrated, after deciding which attributes heed what texts name."""
        told = logits_of(network, batches, rows)
        if network.mentions is None:
            return told
        network.set_trust(torch.zeros(len(network.sizes.classes)))
        untold = logits_of(network, batches, rows)
        heard, unheard = ([part.cpu() for part in network.split(logits)] for logits in (told, untold))
        network.set_trust(choose_trust(heard, unheard, targets))
        return logits_of(network, batches, rows)

    def _shown(self, monitor: Monitor) -> Callable[[int, AttributeNetwork], None]:
        """A callback of the training that hands the monitor a copy of this model with the network in training."""

        def look(step: int, network: AttributeNetwork) -> None:
            shown = copy.copy(self)
            shown.network = network
            monitor.look(step, shown)

        return look

    def _build(self, config: AttributeConfig) -> AttributeNetwork:
        _, encoding, _ = self._fitted()
        sizes = Sizes(
            image=encoding.dimension,
            types=len(encoding.categories["product_type"]),
            words=len(encoding.vocabulary),
            brands=len(encoding.categories["brand"]),
            divisions=len(encoding.categories["division"]),
            classes=self.heads.sizes,
        )
        return AttributeNetwork(config, sizes)

    # ---- predicting

    @property
    def temperatures(self) -> Float64s:
        """What each attribute's logits are divided by, float64 [attributes]."""
        if self.network is None:
            return np.ones(len(self.heads))
        temperatures: Float64s = self.network.temperatures.cpu().numpy().astype(np.float64)
        return temperatures

    def predict_proba(self, articles: Frame | Articles) -> Probabilities:
        """Calibrated probabilities of every value of every attribute that can be predicted.

        Args:
            articles: as for :meth:`fit`; n rows.

        Raises:
            NotFittedError: before fitting.
            ArticlesError: missing or repeated ids, image vectors of another length than in training.
        """
        _, encoding, applicability = self._fitted()
        articles = Articles.from_frame(articles)
        encoded = encoding.encode(articles)
        if self._mentions is not None:
            encoded = replace(encoded, mentions=self._mentions.read(articles))
        matrices: tuple[Float32s, ...] = ()
        if self.network is not None:
            batches = ArticleBatches(encoded, self.network, self.device)
            with torch.inference_mode():
                parts = self.network.probabilities(logits_of(self.network, batches))
            matrices = tuple(part.cpu().numpy() for part in parts)
        return Probabilities(
            article_ids=articles.names,
            attributes=self.heads.attributes,
            values=tuple(head.values for head in self.heads.heads),
            matrices=matrices,
            applies=applicability.of(encoded.types),
            sets=self.prediction_sets.of(matrices) if matrices else (),
        )

    def predict(self, articles: Frame | Articles) -> pd.DataFrame:
        """The most probable value of each attribute that applies, however uncertain it is.

        Args:
            articles: as for :meth:`fit`.

        Returns:
            article_id, attribute, value (str), confidence (float64, 0…1): sorted by the order of the articles, then
            by attribute. Between equally probable values the first in the alphabet is taken.

        Raises:
            NotFittedError: before fitting.
            ArticlesError: as :meth:`predict_proba`.
        """
        found = self.predict_proba(articles)
        rows, columns = np.nonzero(found.applies)
        shape = len(found.attributes), len(found.article_ids)
        best = [names[matrix.argmax(axis=1)] for names, matrix in zip(found.values, found.matrices, strict=True)]
        texts = {
            "article_id": found.article_ids[rows],
            "attribute": np.array(found.attributes, dtype=object)[columns],
            "value": np.array(best, dtype=object).reshape(shape)[columns, rows],
        }
        confidence = np.array([matrix.max(axis=1) for matrix in found.matrices], dtype=np.float64).reshape(shape)
        return pd.DataFrame(texts, dtype="str").assign(confidence=confidence[columns, rows].clip(0.0, 1.0))

    # ---- on disk

    def save(self, path: str | Path) -> None:
        """Write the bundle; the same model gives the same bytes.

        Files: config.json, weights.safetensors, and vocabulary, categories, classes, applicability, prediction_sets
            and,
        where the network is told what texts name, learned_words as Parquet.

        Raises:
            NotFittedError: before fitting.
        """
        folder, (config, encoding, applicability) = Path(path), self._fitted()
        described = _BundleConfig(
            config=config,
            image_dimension=encoding.dimension,
            summary=self.summary,
            history=[epoch.as_row() for epoch in self.history],
        )
        bundles.write_config(folder, described)
        encoding.save(folder)
        self.heads.save(folder / "classes.parquet")
        self.prediction_sets.save(folder / "prediction_sets.parquet", self.heads.attributes)
        applicability.save(folder / "applicability.parquet")
        if self._mentions is not None:
            self._mentions.save(folder / "learned_words.parquet", self.heads)
        state = self.network.state_dict() if self.network is not None else {}
        bundles.write_arrays(folder, {name: value.cpu().numpy() for name, value in state.items()})

    @classmethod
    def load(cls, path: str | Path, *, device: str | torch.device = "cpu") -> "AttributeModel":
        """Read a bundle.

        Raises:
            BundleError: a file is missing, or made by an incompatible version.
        """
        folder = Path(path)
        described = bundles.read_config(folder, _BundleConfig)
        model = cls(described.config, device=device)
        with bundles.reading(folder):
            model._encoding = Encoding.load(folder, described.config.words_read, described.image_dimension)
            model.heads = Heads.load(folder / "classes.parquet")
            model.prediction_sets = PredictionSets.load(folder / "prediction_sets.parquet", model.heads.attributes)
            types = model._encoding.categories["product_type"]
            model._applicability = Applicability.load(folder / "applicability.parquet", types, model.heads.attributes)
            if described.config.reads_mentions and len(model.heads):
                model._mentions = MentionReader.load(folder / "learned_words.parquet", model.heads, described.config)
            state = {name: torch.from_numpy(value) for name, value in bundles.read_arrays(folder).items()}
            if state:
                with torch.device("meta"):
                    network = model._build(described.config)
                network.load_state_dict(state, assign=True)
                model.network = network.to(model.device).eval()
            model.summary, model.history = described.summary, [Epoch.from_row(row) for row in described.history]
        return model

    def _fitted(self) -> tuple[AttributeConfig, Encoding, Applicability]:
        if self.config is None or self._encoding is None or self._applicability is None:
            raise NotFittedError("The model knows no articles yet: call fit, or load a bundle.")
        return self.config, self._encoding, self._applicability
