"""The attribute network taken apart: what each modality brings, how fast it learns, and what linear classifiers reach.

What belongs here: which trainings a study is made of, running them, and keeping what each gave, so that a study that is
killed goes on where it was. What does not: one training and its judgement (:mod:`atelier.attributes.study_fits`), plots
(:mod:`atelier.report.attribute_study`), the daily model's evaluation (:mod:`atelier.attributes.evaluation`).

Source: Cardoso, Daolio and Vargas, "Product Characterisation towards Personalisation" (KDD 2018), section 4: the
evaluation table, F1 by training step, confusion matrices and the ablation.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self, get_args

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from atelier.attributes.config import AttributeConfig
from atelier.attributes.errors import ArticlesError
from atelier.attributes.study_fits import NETWORKS, PEERS, Fit, FitResult, Sides, Split, run_fit
from atelier.kept import Kept, made_with, once
from atelier.progress import progress

#: What belongs to a way of training, and not to the network.
RECIPE = (
    "training",
    "batch_size",
    "learning_rate",
    "evaluate_every",
    "max_epochs",
    "dropout",
    "modality_dropout",
    "word_dropout",
)


class StudyPlan(BaseModel):
    """What a study is made of. Immutable.

    Attributes:
        network: the network and its training, joint, the same for every variant of it but ``published``.
        published: the same of the variant ``published``; it predicts the same values, so ``min_samples`` is the same.
        splits: ``random`` holds articles out, as published; ``style`` holds styles out, so that none is on both sides.
        variants: names of ``NETWORKS`` and ``PEERS`` in :mod:`atelier.attributes.study_fits`.
        test_share: share of the articles, or of the styles, held out (published: 0.1).
        seed: of the splits.
        follow_every: steps of the optimiser between two looks at F1; 0: none; None: about as often as training looks at
            its validation score (published: every 1,000, otherwise after each pass), on small data more often.
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

    @model_validator(mode="after")
    def _same_values(self) -> Self:
        if self.published and self.published.min_samples != self.network.min_samples:
            raise ValueError(
                f"published.min_samples is {self.published.min_samples}, network.min_samples "
                f"{self.network.min_samples}: all variants are judged on the same values, so take one for both"
            )
        return self

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
    code = made_with([Path(__file__).parent], ("numpy", "scikit-learn", "torch"))

    @lru_cache(maxsize=1)  # one split at a time in memory
    def sides(split: Split) -> Sides:
        return Sides.of(articles, labels, plan, split)

    def result(fit: Fit) -> FitResult:
        parts = {"plan": plan.identity(fit), "made_by": {**code, "device": device}}
        return once(kept, data, parts, FitResult, lambda: run_fit(fit, sides(fit.split), plan, device=device))

    return [result(fit) for fit in progress(plan.fits(), "attribute study", unit="fit")]


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
