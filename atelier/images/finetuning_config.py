"""The configuration of fine-tuning: what can be chosen about it.

What belongs here: every number that can be chosen. What does not: fine-tuning (:mod:`atelier.images.finetuning`).
Nothing heavy is imported: the launchpad reads these classes while the code location loads.
"""

from pydantic import BaseModel, ConfigDict, Field, PositiveInt


class Augmentation(BaseModel):
    """How far views may differ from the plain one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    smallest: float = Field(
        default=0.65, gt=0, le=1, description="Share of the plain view's area that a view shows at least."
    )
    aspect: float = Field(
        default=1.15, ge=1, description="A view is at most so many times wider or narrower than the plain one."
    )
    flip: float = Field(default=0.5, ge=0, le=1, description="Probability of a mirrored view.")
    # Hue, saturation and contrast are left alone, because colours are among the attributes, and so are their shades.
    brightness: float = Field(
        default=0.08, ge=0, lt=1, description="Brightness is multiplied by up to 1 ± this; no other colour changes."
    )


class FineTuningConfig(BaseModel):
    """What can be chosen about fine-tuning. Immutable; it travels in the bundle as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="How many of the last layers are trained, as a share; empty: a quarter with pretrained weights, "
        "all with seeded ones.",
    )
    views: int = Field(default=3, ge=1, description="Views of each photograph, the first of which is the plain one.")
    augmentation: Augmentation = Field(default=Augmentation(), description="How the other views are drawn.")
    epochs: int | None = Field(
        default=None,
        ge=1,
        description="Passes over the photographs at most; each takes one view of each. Empty: 8 with pretrained "
        "weights, 16 with seeded ones.",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="Epochs without a better validation score before training stops; empty: 3 with pretrained weights, "
        "8 with seeded ones.",
    )
    # With batches of 2 an odd number of photographs would leave a batch of one.
    batch_size: int = Field(default=64, ge=3, description="Photographs per step.")
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="AdamW's largest learning rate for the heads; empty: 0.001 with pretrained weights, 0.003 "
        "with seeded ones.",
    )
    backbone_rate: float | None = Field(
        default=None,
        gt=0,
        description="The last layers' learning rate, as a share of the heads'; empty: 0.1 with pretrained weights, "
        "1 with seeded ones.",
    )
    weight_decay: float = Field(default=0.05, ge=0, description="AdamW's weight decay.")
    dropout: float = Field(
        default=0.3,
        ge=0,
        lt=1,
        description="Share of the vector, and of what each dense layer gives, that is not seen in a step.",
    )
    dense: tuple[PositiveInt, ...] = Field(
        default=(),
        description="Widths of dense layers between the vector and the heads; empty: there are none. They "
        "are trained with the last layers and not kept: an article's vector is the backbone's.",
    )
    label_smoothing: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="Share of the target's probability that is spread over all values, as some labels are wrong.",
    )
    validation_share: float = Field(
        default=0.1, gt=0, lt=1, description="Share of the styles that decides when to stop."
    )
    min_samples: int = Field(default=5, ge=1, description="Articles that a value needs to be learned.")
    memory_gib: float = Field(
        default=2.0,
        gt=0,
        description="Memory for the activations; where it does not suffice, views and then photographs are left out.",
    )
    seed: int = Field(
        default=0, ge=0, description="Seed of the heads' first weights, the views, the order and the validation split."
    )

    def for_backbone(self, *, seeded: bool) -> "FineTuningConfig":
        """The config whose fields that are None are set to the defaults for seeded or for pretrained weights."""
        defaults = _SEEDED if seeded else _PRETRAINED
        chosen = self.model_dump(include=set(defaults), exclude_none=True)
        return self.model_copy(update=defaults | chosen)


#: Defaults for pretrained weights, and for random ones.
_PRETRAINED: dict[str, float] = {"share": 0.25, "epochs": 8, "patience": 3, "learning_rate": 1e-3, "backbone_rate": 0.1}
_SEEDED: dict[str, float] = {"share": 1.0, "epochs": 16, "patience": 8, "learning_rate": 3e-3, "backbone_rate": 1.0}
