"""Fine-tuning: the last layers of a backbone learn the retailer's own attributes.

What belongs here: what can be chosen, what is learned from which photographs, what came of it, and its files. What does
not: which photographs may be learned from, which the caller knows (:mod:`atelier.attributes.leakage_guard`); the
training loop (:mod:`atelier.images.tuning`).

The layers that stay as they are run once over every view of a photograph; what they give is kept in memory and the last
layers are trained on it for several epochs. One softmax for each attribute stands on the vector (as in Cardoso, Daolio
and Vargas, "Product Characterisation towards Personalisation", KDD 2018, whose network shares its weights between
attributes in the same way); labels that are missing are masked.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from pydantic import BaseModel, ConfigDict, Field

from atelier import bundles
from atelier.arrays import Mask
from atelier.articles.splits import holdout
from atelier.articles.table import Articles
from atelier.attributes.labels import UNLABELLED, Heads, labels_of, read_labels
from atelier.attributes.scores import figures_table
from atelier.errors import AtelierError
from atelier.images.activations import Activations, Viewing, keep_activations
from atelier.images.augmentation import Augmentation
from atelier.images.backbones import Backbone, build_backbone, finish, save_weights
from atelier.images.loading import DECODE_THREADS
from atelier.images.parts import cut_backbone, join
from atelier.images.tuning import Epoch, Figures, Recipe, Tuning

PURPOSE = "backbone"
"""Of the split into photographs that train and photographs that decide when to stop."""

REMEDY = "fine-tune again, or name another backbone"


class FineTuningError(AtelierError):
    """A backbone cannot be fine-tuned on what was given; the message names the remedy."""


class FineTuningConfig(BaseModel):
    """What can be chosen about fine-tuning. Immutable; it travels in the bundle as JSON.

    Attributes:
        share: how many of the last layers are trained, as a share (see :func:`~atelier.images.parts.cut_backbone`);
            None: a quarter of weights that were learned elsewhere, all of seeded ones.
        views: views of each photograph, the first of which is the plain one.
        augmentation: how the others are drawn.
        epochs: passes over the photographs at most; each pass takes one view of each. None: 8 from weights that were
            learned elsewhere, 16 from seeded ones.
        patience: epochs without a better validation score before training stops; None: 3 and 8, likewise.
        batch_size: photographs per step.
        learning_rate: AdamW's largest step for the heads; None: 0.001 from weights that were learned elsewhere, 0.003
            from seeded ones.
        backbone_rate: the last layers' learning rate, as a share of the heads'; None: 0.1 for weights that were learned
            elsewhere, 1 for seeded ones.
        weight_decay: AdamW's decay.
        dropout: share of the vector that the heads do not see in a step.
        label_smoothing: probability mass that the target gives away: retailers' labels are not all right.
        validation_share: share of the styles that decides when to stop.
        min_samples: articles that a value needs to be learned.
        memory_gib: what the kept activations may take. Where it does not suffice, views and then photographs are left
            out.
        seed: of the heads' first weights, the views, the order and the validation split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float | None = Field(default=None, gt=0, le=1)
    views: int = Field(default=3, ge=1)
    augmentation: Augmentation = Augmentation()
    epochs: int | None = Field(default=None, ge=1)
    patience: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=64, ge=3)  # with 2 an odd number of photographs would leave a batch of one
    learning_rate: float | None = Field(default=None, gt=0)
    backbone_rate: float | None = Field(default=None, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    min_samples: int = Field(default=5, ge=1)
    memory_gib: float = Field(default=2.0, gt=0)
    seed: int = Field(default=0, ge=0)

    def for_backbone(self, backbone: Backbone) -> "FineTuningConfig":
        """The config with what suits the backbone where it says None."""
        suits = _SEEDED if backbone.seeded else _LEARNED
        asked = self.model_dump(include=set(suits), exclude_none=True)
        return self.model_copy(update=suits | asked)


#: What suits weights that were learned elsewhere, and random ones.
_LEARNED: dict[str, float] = {"share": 0.25, "epochs": 8, "patience": 3, "learning_rate": 1e-3, "backbone_rate": 0.1}
_SEEDED: dict[str, float] = {"share": 1.0, "epochs": 16, "patience": 8, "learning_rate": 3e-3, "backbone_rate": 1.0}


class _BundleConfig(BaseModel):
    """config.json of a bundle."""

    model_config = ConfigDict(extra="forbid")

    model: Literal["image_backbone"] = "image_backbone"
    format: Literal[1] = 1
    backbone: str
    pool: Literal["avg", "max"]
    cut: str
    config: FineTuningConfig
    history: list[Epoch]
    summary: dict[str, int]


@dataclass(frozen=True)
class FineTuned:
    """A backbone that has learned.

    Attributes:
        backbone: with its new weights.
        cut: the name of the first layer that was trained.
        config: as it was used.
        history: what each epoch gave.
        metrics: attribute, metric, value (float64) on the validation styles' photographs: samples, classes,
            accuracy_before and weighted_f1_before (a linear classifier on the vectors of the backbone as it was),
            accuracy_after and weighted_f1_after (the trained heads); at last the attribute ``mean``. The same styles
            chose the epoch, which favours ``after`` a little.
        articles: the ids of all articles whose labels were read, sorted: of nothing that is learned on the vectors can
            these tell how well it does on unseen articles.
        summary: counts: photographs, unreadable, training, validation, views, labels, attributes, epochs, best_epoch.
    """

    backbone: Backbone
    cut: str
    config: FineTuningConfig
    history: list[Epoch]
    metrics: pd.DataFrame
    articles: list[str]
    summary: dict[str, int]

    def save(self, path: str | Path) -> None:
        """Write the bundle: weights.safetensors in the backbone's own layout, config.json, metrics and articles.

        ``build_backbone(name, weights=PATH)`` reads the weights. The same fine-tuning gives the same bytes.
        """
        folder = Path(path)
        described = _BundleConfig(
            backbone=self.backbone.name,
            pool=self.backbone.pool,
            cut=self.cut,
            config=self.config,
            history=self.history,
            summary=self.summary,
        )
        bundles.write_config(folder, described)
        save_weights(self.backbone, folder / bundles.WEIGHTS)
        bundles.write_table(folder / "metrics.parquet", self.metrics)
        bundles.write_table(folder / "articles.parquet", pa.table({"article_id": pa.array(self.articles, pa.string())}))

    @classmethod
    def load(cls, path: str | Path) -> "FineTuned":
        """Read a bundle.

        Raises:
            BundleError: a file is missing, or made by an incompatible version.
        """
        folder = Path(path)
        described = bundles.read_config(folder, _BundleConfig, remedy=REMEDY)
        metrics, articles = (
            bundles.read_table(folder / f"{name}.parquet", columns, remedy=REMEDY).to_pandas()
            for name, columns in (("metrics", ("attribute", "metric", "value")), ("articles", ("article_id",)))
        )
        with bundles.reading(folder / bundles.WEIGHTS, REMEDY):
            backbone = build_backbone(described.backbone, folder / bundles.WEIGHTS, described.pool)
        learned = articles["article_id"].tolist()
        return cls(backbone, described.cut, described.config, described.history, metrics, learned, described.summary)


def finetune(
    backbone: Backbone,
    photographs: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    root: str | Path | None = None,
    config: FineTuningConfig | None = None,
    device: str | torch.device = "cpu",
    threads: int = DECODE_THREADS,
) -> FineTuned:
    """Train the last layers of a backbone to tell the labels of photographs.

    Args:
        backbone: where it starts from; it is not changed.
        photographs: article_id, path (relative to ``root``); if known product_code (the style: no style is both in
            training and validation) and digest (SHA-256). One row per photograph, in an order that does not change.
        labels: article_id, attribute, value; partial. Give the category as one attribute more. Only labels of articles
            with photographs are read: what must not be learned from must not be among ``photographs``.
        root: the folder of the photographs.
        config: None: the defaults.
        device: where to compute.
        threads: threads that decode.

    Returns:
        The new backbone with what is known about it. The same arguments give the same weights, on the same kind of
        processor and number of threads; on a GPU they may differ in their last bits.

    Raises:
        FineTuningError: no photograph can be read, or no value has enough labels.
        WeightsError: the backbone's layers are no chain.
    """
    config = (config or FineTuningConfig()).for_backbone(backbone)
    device = torch.device(device)
    photographs, known = _labelled(photographs, read_labels(labels))
    heads = Heads.fit(known, config.min_samples)
    if not len(heads):
        raise FineTuningError(
            f"no value has {config.min_samples} labelled articles with photographs; label more, or lower min_samples"
        )
    viewing = Viewing(
        config.views, config.augmentation, config.seed, int(config.memory_gib * 2**30), root=root, threads=threads
    )
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        parts = cut_backbone(backbone, config.share or 1.0)
        activations = keep_activations(parts.frozen, backbone.preprocessing, photographs, viewing, device)
        tuning = _prepare(parts.trained, activations, heads, known, backbone.dimension, config, device)
        before = tuning.probe()
        if backbone.seeded:
            tuning.forget()
        history = tuning.train()
        after = tuning.figures()
    parts.trained.cpu()
    trained = finish(backbone.name, join(backbone, parts), backbone.pool, backbone.preprocessing, seeded=False)
    return FineTuned(
        backbone=trained,
        cut=parts.cut,
        config=config,
        history=history,
        metrics=_table(heads, before, after),
        articles=sorted(known["article_id"].unique().tolist()),
        summary=_summary(tuning, known, history),
    )


def _labelled(photographs: pd.DataFrame, labels: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The photographs that have labels, and the labels that have photographs."""
    chosen = photographs[photographs["article_id"].isin(labels["article_id"])].reset_index(drop=True)
    return chosen, labels[labels["article_id"].isin(chosen["article_id"])].reset_index(drop=True)


def _prepare(
    tail: torch.nn.Module,
    activations: Activations,
    heads: Heads,
    labels: pd.DataFrame,
    dimension: int,
    config: FineTuningConfig,
    device: torch.device,
) -> Tuning:
    """The training, with its photographs divided by style.

    Raises:
        FineTuningError: nothing is left to train on.
    """
    articles = Articles.from_frame(activations.photographs[["article_id"]].drop_duplicates())
    of_articles = np.maximum(heads.encode(labels_of(articles, labels), len(articles)), UNLABELLED)
    targets = of_articles[articles.find(activations.photographs["article_id"])]
    usable = (targets != UNLABELLED).any(axis=1)
    held = _validation(activations.photographs, config)
    training, validation = np.flatnonzero(usable & ~held), np.flatnonzero(usable & held)
    if not len(training):
        raise FineTuningError(
            f"no labelled photograph is left to train on, {activations.unreadable} cannot be read; label more articles,"
            " and look at the table images and its rejected rows"
        )
    recipe = Recipe(**config.model_dump(include=set(Recipe.__dataclass_fields__)))
    return Tuning(tail, activations, targets, heads, training, validation, dimension, recipe, device)


def _validation(photographs: pd.DataFrame, config: FineTuningConfig) -> Mask:
    """Which photographs decide when to stop: bool [photographs], whole styles."""
    columns = [name for name in ("article_id", "product_code") if name in photographs]
    articles = photographs[columns].drop_duplicates("article_id")
    held = holdout(articles, config.validation_share, seed=config.seed, purpose=PURPOSE)
    return photographs["article_id"].isin(articles.loc[held, "article_id"]).to_numpy()


def _table(heads: Heads, before: Figures, after: Figures) -> pd.DataFrame:
    figures = {
        head.attribute: {"samples": old["samples"], "classes": float(len(head.values))}
        | {f"{name}_before": value for name, value in old.items()}
        | {f"{name}_after": value for name, value in new.items()}
        for head, old, new in zip(heads.heads, before, after, strict=True)
    }
    names = [f"{metric}_{when}" for metric in ("accuracy", "weighted_f1") for when in ("before", "after")]
    return figures_table(figures, ("samples", "classes"), names)


def _summary(tuning: Tuning, labels: pd.DataFrame, history: list[Epoch]) -> dict[str, int]:
    scores = [each.validation_weighted_f1 or 0.0 for each in history]
    return {
        "photographs": len(tuning.activations.photographs),
        "unreadable": tuning.activations.unreadable,
        "training": len(tuning.training),
        "validation": len(tuning.validation),
        "views": len(tuning.activations.values),
        "labels": len(labels),
        "attributes": len(tuning.heads),
        "epochs": len(history) - 1,
        "best_epoch": int(np.argmax(scores)) if len(tuning.validation) else len(history) - 1,
    }
