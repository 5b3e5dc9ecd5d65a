"""The plan of the attribute study: which variants of the network are trained, and on which splits.

What belongs here: the plan and the names of its variants. What does not: one fit and its scores
(:mod:`atelier.studies.attribute_fits`), running and caching the fits (:mod:`atelier.studies.attribute_study`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from atelier.articles.errors import ArticlesError
from atelier.articles.table import Modality
from atelier.attributes.config import AttributeConfig
from atelier.studies.linear_baselines import Kind

Split = Literal["random", "style"]


#: The modalities that each variant of the network does not see. ``published`` sees all, trained in the published way.
NETWORKS: Mapping[str, tuple[Modality, ...]] = {
    "all": (),
    "published": (),
    "without_text": ("text",),
    "without_images": ("images",),
    "without_metadata": ("metadata",),
    "text_only": ("images", "metadata"),
    "images_only": ("text", "metadata"),
}


LINEAR_BASELINES: Mapping[str, Kind] = {"linear_text": "text", "linear_images": "image", "linear_joined": "joined"}


@dataclass(frozen=True)
class AttributeFit:
    """One training of a study.

    Attributes:
        split: how test articles are held out.
        variant: what is trained, of :data:`NETWORKS` or :data:`LINEAR_BASELINES`.
    """

    split: Split
    variant: str


#: The fields of AttributeConfig that belong to a way of training, and not to the network.
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


class AttributeStudyPlan(BaseModel):
    """What a study is made of. Immutable.

    Attributes:
        network: the network and its training, joint, the same for every variant of it but ``published``.
        published: the same of the variant ``published``; it predicts the same values, so ``min_samples`` is the same.
        splits: ``random`` holds articles out, as published; ``style`` holds styles out, so that none is on both sides.
        variants: names of ``NETWORKS`` and ``LINEAR_BASELINES``.
        test_share: share of the articles, or of the styles, held out (published: 0.1).
        seed: of the splits.
        follow_every: steps of the optimiser between two looks at F1; 0: none; None: about as often as training looks at
            its validation score (published: every 1,000, otherwise after each pass), on small data more often.
        follow_articles: how many articles of each side such a look evaluates at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: AttributeConfig
    published: AttributeConfig | None = None
    splits: tuple[Split, ...] = get_args(Split)
    variants: tuple[str, ...] = (*(name for name in NETWORKS if name != "published"), *LINEAR_BASELINES)
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

    def fits(self) -> list[AttributeFit]:
        """Every training of the study, split by split.

        Raises:
            ArticlesError: a variant that does not exist.
        """
        unknown = [name for name in self.variants if name not in {*NETWORKS, *LINEAR_BASELINES}]
        if unknown:
            raise ArticlesError(
                f"There is no variant {unknown[0]!r} of the attribute network; take some of "
                f"{', '.join([*NETWORKS, *LINEAR_BASELINES])}."
            )
        return [AttributeFit(split, variant) for split in self.splits for variant in self.variants]

    def config_of(self, variant: str) -> AttributeConfig:
        """The config of a variant of the network."""
        if variant != "published":
            return self.network
        return self.published or trained_as(self.network, "published")

    def identity(self, fit: AttributeFit) -> dict[str, object]:
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
