"""The attribute network taken apart: what each modality brings, how fast it learns, and what linear classifiers reach.

What belongs here: which trainings a study is made of, running them, and keeping what each gave, so that a study that is
killed goes on where it was. What does not: one training and its judgement (:mod:`atelier.attributes.study_fits`), plots
(:mod:`atelier.report.attribute_study`), the daily model's evaluation (:mod:`atelier.attributes.evaluation`).

Source: Cardoso, Daolio and Vargas, "Product Characterisation towards Personalisation" (KDD 2018), section 4: the
evaluation table, F1 by training step, confusion matrices and the ablation.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from atelier.attributes.config import AttributeConfig
from atelier.attributes.errors import ArticlesError
from atelier.attributes.study_fits import NETWORKS, PEERS, Fit, FitResult, Sides, Split, run_fit
from atelier.kept import Kept, digest
from atelier.progress import progress

#: What belongs to a way of training, and not to the network.
RECIPE = (
    "training", "batch_size", "learning_rate", "evaluate_every", "max_epochs", "dropout", "modality_dropout",
    "word_dropout",
)  # fmt: skip


class StudyPlan(BaseModel):
    """What a study is made of. Immutable.

    Attributes:
        network: the network and its training, joint, the same for every variant of it but ``published``.
        published: the same of the variant ``published``.
        splits: ``random`` holds articles out, as published; ``style`` holds styles out, so that none is on both sides.
        variants: names of ``NETWORKS`` and ``PEERS`` in :mod:`atelier.attributes.study_fits`.
        test_share: share of the articles, or of the styles, held out (published: 0.1).
        seed: of the splits.
        follow_every: steps of the optimiser between two looks at F1; 0: none; None: as often as training looks at its
            validation score (published: every 1,000, otherwise after each pass), on small data more often.
        follow_articles: articles of each side that such a look judges, at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: AttributeConfig
    published: AttributeConfig | None = None
    splits: tuple[Split, ...] = get_args(Split)
    variants: tuple[str, ...] = (*(name for name in NETWORKS if name != "published"), *PEERS)
    test_share: float = Field(default=0.1, gt=0, lt=1)
    seed: int = 0
    follow_every: int | None = Field(default=None, ge=0)
    follow_articles: int = Field(default=2_000, ge=1)

    def fits(self) -> list[Fit]:
        """Every training of the study, split by split.

        Raises:
            ArticlesError: a variant that does not exist.
        """
        unknown = [name for name in self.variants if name not in {*NETWORKS, *PEERS}]
        if unknown:
            raise ArticlesError(
                f"There is no variant {unknown[0]!r} of the attribute network; take some of "
                f"{', '.join([*NETWORKS, *PEERS])}."
            )
        return [Fit(split, variant) for split in self.splits for variant in self.variants]

    def config_of(self, variant: str) -> AttributeConfig:
        """The config of a variant of the network."""
        if variant != "published":
            return self.network
        return self.published or trained_as(self.network, "published")

    def identity(self, fit: Fit) -> dict[str, object]:
        """What of the plan one training depends on: other trainings may come or go."""
        shared = self.model_dump(mode="json", exclude={"network", "published", "splits", "variants"})
        config = self.config_of(fit.variant).model_dump(mode="json")
        return {**shared, "config": config, "split": fit.split, "variant": fit.variant}


def trained_as(config: AttributeConfig, training: Literal["joint", "published"]) -> AttributeConfig:
    """The same network, trained in the other way: with that way's batches, steps, passes and dropout.

    The published training is of one network: an ensemble becomes one of its members.
    """
    if config.training == training:
        return config
    recipe = AttributeConfig.published(training=training)
    members = {"members": 1} if training == "published" else {}
    return config.model_copy(update={name: getattr(recipe, name) for name in RECIPE} | members)


def run_study(
    articles: pd.DataFrame,
    labels: pd.DataFrame,
    plan: StudyPlan,
    *,
    kept: Kept | None = None,
    data: Mapping[str, str] | None = None,
    device: str = "cpu",
) -> list[FitResult]:
    """Run every training of a study, or read what an earlier run, perhaps a killed one, kept of it.

    Args:
        articles: as for :meth:`AttributeModel.fit`; ``product_code`` says what a style is.
        labels: as for :meth:`AttributeModel.fit`.
        plan: which trainings.
        kept: where results are kept; None keeps none.
        data: what identifies articles and labels, for example the versions of their tables: kept results are read
            again only where this, the plan, the code, the libraries and the device are the same.
        device: where to compute, as PyTorch names it.

    Returns:
        One result for each of ``plan.fits()``, in that order.

    Raises:
        ArticlesError: as :meth:`AttributeModel.fit`; a variant that does not exist.
        KeptResultError: a kept file is damaged.
        ValueError: ``kept`` without ``data``.
    """
    if kept and not data:
        raise ValueError("results can be kept only with data that identifies what they were computed from")
    sides: dict[Split, Sides] = {}
    results = []
    for fit in progress(plan.fits(), "attribute study", unit="fit"):
        key = digest({"plan": plan.identity(fit), "data": dict(data or {}), "made_by": _made_by(device)})
        found = kept.get(key, FitResult) if kept else None
        if found is None:
            if fit.split not in sides:
                sides = {fit.split: Sides.of(articles, labels, plan, fit.split)}  # one split at a time in memory
            found = run_fit(fit, sides[fit.split], plan, device=device)
            if kept:
                kept.put(key, found)
        results.append(found)
    return results


def scores_of(results: Sequence[FitResult]) -> pd.DataFrame:
    """The scores of all trainings: split, variant, attribute, metric, side, step, value."""
    return _stacked([(result, result.scores) for result in results])


def confusions_of(results: Sequence[FitResult]) -> pd.DataFrame:
    """The confusions of all trainings: split, attribute, actual, predicted, articles, share.

    ``share`` is ``articles`` over all test articles with that annotated value: the rows of a matrix sum to 1.
    """
    told = [(result, result.confusions) for result in results if result.confusions]
    if not told:
        return pd.DataFrame(columns=["split", "attribute", "actual", "predicted", "articles", "share"])
    pairs = _stacked(told).drop(columns="variant")
    totals = pairs.groupby(["split", "attribute", "actual"])["articles"].transform("sum")
    return pairs.assign(share=pairs["articles"] / totals)


def _stacked(parts: Sequence[tuple[FitResult, dict[str, list[Any]]]]) -> pd.DataFrame:
    frames = [pd.DataFrame(columns).assign(split=fit.split, variant=fit.variant) for fit, columns in parts]
    return pd.concat(frames, ignore_index=True)


def _made_by(device: str) -> dict[str, object]:
    import torch

    libraries = {name: version(name) for name in ("numpy", "scikit-learn", "torch")}
    return {"code": code_digest(), "device": device, "threads": torch.get_num_threads(), **libraries}


@cache
def code_digest() -> str:
    """A digest of the package's code: results that other code made are computed again."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
