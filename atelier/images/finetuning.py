"""Fine-tuning: the last layers of a backbone are trained to predict the retailer's own attributes.

What belongs here: the split of photographs into training and validation, the result, and its files. What does not:
which photographs may be trained on, which the caller decides (:mod:`atelier.attributes.leakage_guard`); the training
loop (:mod:`atelier.images.tuning`).

The frozen layers run once over every view of a photograph; their activations are stored in memory, and the last layers
are trained on them for several epochs. The vector feeds one softmax for each attribute (as in Cardoso, Daolio and
Vargas, "Product Characterisation towards Personalisation", KDD 2018, whose network shares its weights between
attributes in the same way); missing labels are masked.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from pydantic import BaseModel, ConfigDict

from atelier import bundles
from atelier.arrays import Mask
from atelier.articles.splits import holdout
from atelier.articles.table import Articles
from atelier.attributes.labels import UNLABELLED, Heads, labels_of, read_labels
from atelier.attributes.scores import figures_table
from atelier.devices import choose_device, own_random_state
from atelier.errors import AtelierError
from atelier.images.activations import Activations, Viewing, compute_activations
from atelier.images.backbones import Backbone, build_backbone, finish, save_weights
from atelier.images.finetuning_config import FineTuningConfig
from atelier.images.loading import DECODE_THREADS
from atelier.images.parts import cut_backbone, join
from atelier.images.tuning import Figures, Recipe, Tuning
from atelier.nn.training_loop import Epoch
from atelier.nn.training_state import fingerprint

PURPOSE = "backbone"
"""Names the split of photographs into training and validation, so that other splits of the same styles differ."""

REMEDY = "fine-tune again, or name another backbone"


class FineTuningError(AtelierError):
    """A backbone cannot be fine-tuned on the given photographs and labels; the message names the remedy."""


class _BundleConfig(BaseModel):
    """config.json of a bundle."""

    model_config = ConfigDict(extra="forbid")

    model: Literal["image_backbone"] = "image_backbone"
    format: Literal[1] = 1
    backbone: str
    pool: Literal["avg", "max"]
    cut: str
    config: FineTuningConfig
    history: list[dict[str, float | int | None]]
    summary: dict[str, int]


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned backbone, with the record of its training.

    Attributes:
        backbone: with its new weights.
        cut: the name of the first layer that was trained.
        config: as it was used.
        history: the losses and validation scores of each epoch.
        metrics: attribute, metric, value (float64) on the validation styles' photographs: samples, classes,
            accuracy_before and weighted_f1_before (heads fitted to the vectors of the backbone as it was, on dense
            layers where there are any), accuracy_after and weighted_f1_after (the trained heads); last, the attribute
            ``mean``. The epoch was chosen on the same styles, which favours ``after`` a little.
        articles: the ids of all articles whose labels were read, sorted. A model trained on the vectors must not be
            tested on these articles.
        summary: counts: photographs, unreadable, training, validation, views, labels, attributes, epochs, best_epoch.
    """

    backbone: Backbone
    cut: str
    config: FineTuningConfig
    history: list[Epoch]
    metrics: pd.DataFrame
    articles: list[str]
    summary: dict[str, int]

    @property
    def gain(self) -> float:
        """What fine-tuning added to the mean weighted F1 on the validation styles; nan where none was held out."""
        mean = self.metrics[self.metrics["attribute"] == "mean"].set_index("metric")["value"]
        return float(mean["weighted_f1_after"] - mean["weighted_f1_before"])

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
            history=[_row(epoch) for epoch in self.history],
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
        with bundles.reading(folder, REMEDY):
            backbone = build_backbone(described.backbone, folder / bundles.WEIGHTS, described.pool)
            history = [_epoch(row) for row in described.history]
        learned = articles["article_id"].tolist()
        return cls(backbone, described.cut, described.config, history, metrics, learned, described.summary)


def finetune(
    backbone: Backbone,
    photographs: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    root: str | Path | None = None,
    config: FineTuningConfig | None = None,
    device: str | torch.device = "cpu",
    threads: int = DECODE_THREADS,
    training_state: Path | None = None,
) -> FineTuned:
    """Train the last layers of a backbone to predict the labels of photographs.

    Args:
        backbone: the backbone to start from; it is not changed.
        photographs: article_id, path (relative to ``root``); if known product_code (the style: no style is both in
            training and validation) and digest (SHA-256). One row per photograph; another order gives other weights.
        labels: article_id, attribute, value; partial. The category can be given as a further attribute. Only labels of
            articles with photographs are read, so articles held out must not be among ``photographs``.
        root: the folder of the photographs.
        config: None: the defaults.
        device: where to compute, as PyTorch names it, or ``auto``.
        threads: threads that decode.
        training_state: a file in which training saves its state, so that the same call resumes where the process was
            killed; None: it is not saved.

    Returns:
        The new backbone with the record of its training. The same arguments give the same weights, on the same kind of
        processor and number of threads; on a GPU they may differ in their last bits.

    Raises:
        FineTuningError: no photograph can be read, or no value has enough labels.
        WeightsError: the backbone's layers form no chain.
    """
    config = (config or FineTuningConfig()).for_backbone(seeded=backbone.seeded)
    device = choose_device(device)
    photographs, known = _labelled(photographs, read_labels(labels))
    heads = Heads.fit(known, config.min_samples)
    if not len(heads):
        raise FineTuningError(
            f"no value has {config.min_samples} labelled articles with photographs; label more, or lower min_samples"
        )
    viewing = Viewing(
        config.views, config.augmentation, config.seed, int(config.memory_gib * 2**30), root=root, threads=threads
    )
    with own_random_state(device, config.seed):
        parts = cut_backbone(backbone, config.share or 1.0)
        activations = compute_activations(parts.frozen, backbone.preprocessing, photographs, viewing, device)
        tuning = _prepare(parts.trained, activations, heads, known, backbone.dimension, config, device)
        before = tuning.probe()
        if backbone.seeded:
            tuning.forget()
        inputs = activations.photographs.to_json(), known.to_json(), config.model_dump_json(), backbone.weights_digest
        history = tuning.train(training_state, fingerprint(*inputs) if training_state else "")
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


def _row(epoch: Epoch) -> dict[str, float | int | None]:
    """An epoch as the bundle stores it: without its step, and null where there was no validation."""
    row = epoch.as_row()
    return {name: None if value != value else value for name, value in row.items() if name != "step"}


def _epoch(row: dict[str, float | int | None]) -> Epoch:
    """The epoch of a row that :func:`_row` made."""
    undefined = {name: float("nan") for name, value in row.items() if value is None and name.startswith("validation_")}
    return Epoch.from_row(row | undefined)


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
    """The training, with its photographs split by style into training and validation.

    Raises:
        FineTuningError: no labelled photograph is left for training.
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
    """Which photographs are for validation: bool [photographs], whole styles."""
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
    scores = [each.validation["weighted_f1"] for each in history]
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
