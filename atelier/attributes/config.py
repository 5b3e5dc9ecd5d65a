"""The configuration of the attribute model: sizes, training, and the named presets.

What belongs here: every number that can be chosen. What does not: what is learned from data (classes, vocabulary).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class AttributeConfig(BaseModel):
    """What can be chosen about an attribute model. Immutable; it travels in the bundle as JSON.

    The sizes follow Cardoso, Daolio and Vargas, "Product Characterisation towards Personalisation" (KDD 2018), figure
    3; :meth:`published` gives theirs, :meth:`small` suits thousands of articles, :meth:`for_data` chooses.

    Attributes:
        shots: photographs read per article; further ones are left out when concatenated, and included in a mean.
        image_pooling: ``concatenate`` the shots, as published, or take their ``mean``.
        image_units: width of the image branch.
        tokens: words read per text.
        token_dim: length of a word's embedding.
        filters: filters of the convolution over words.
        kernel: words that a filter spans.
        text_units: width of the text branch.
        brand_dim: length of a brand's embedding.
        division_dim: length of a division's embedding.
        joint_units: width of the layer that joins all branches.
        dropout: share of units dropped after each dense layer in training.
        modality_dropout: share of articles that lose their photographs, their text, their product type, their brand or
            their division in a training step (each drawn apart), so that lacking one is ordinary.
        word_dropout: share of words that read as unknown in a training step; it also teaches what an unknown word is.
        vocabulary_size: words that are known, the most frequent first.
        min_word_count: how often a word must occur to be known.
        min_samples: labels that a value needs to be predicted; None suits the data.
        applicability_share: an attribute applies to a product type where the share of its articles that are labelled is
            at least this part of the share over all types that have labels.
        applies: product types to which an attribute applies, by attribute; overrides what is learned.
        training: how it is trained. ``joint``: one forward pass per batch serves all attributes.
        batch_size: articles per step.
        learning_rate: AdamW's largest step; it falls to zero along a cosine.
        weight_decay: AdamW's decay.
        max_epochs: passes over the labelled articles at most.
        patience: epochs without a better validation score before training stops.
        validation_share: share of the styles that decides when to stop and calibrates.
        class_weighting: a class that holds the share s of an attribute's labels weighs s to the power of minus this.
        attribute_balance: an attribute labelled on the share r of articles weighs r to the power of minus this.
        label_smoothing: probability mass that the target gives away to all classes.
        precision: ``bfloat16`` or ``float32`` for the products of matrices in training; ``auto`` takes bfloat16 where
            the processor has instructions for it. Prediction is always float32.
        seed: for the weights, the order of the articles, dropout and the validation split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shots: int = Field(default=4, ge=1)
    image_pooling: Literal["concatenate", "mean"] = "mean"
    image_units: int = Field(default=256, ge=1)
    tokens: int = Field(default=50, ge=1)
    token_dim: int = Field(default=64, ge=1)
    filters: int = Field(default=512, ge=1)
    kernel: int = Field(default=3, ge=1)
    text_units: int = Field(default=256, ge=1)
    brand_dim: int = Field(default=16, ge=1)
    division_dim: int = Field(default=2, ge=1)
    joint_units: int = Field(default=512, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    modality_dropout: float = Field(default=0.05, ge=0, lt=1)
    word_dropout: float = Field(default=0.2, ge=0, lt=1)

    vocabulary_size: int = Field(default=20_000, ge=0)
    min_word_count: int = Field(default=2, ge=1)
    min_samples: int | None = Field(default=None, ge=1)
    applicability_share: float = Field(default=0.1, ge=0, le=1)
    applies: dict[str, tuple[str, ...]] | None = None

    training: Literal["joint"] = "joint"
    batch_size: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    max_epochs: int = Field(default=30, ge=1)
    patience: int = Field(default=6, ge=1)
    validation_share: float = Field(default=0.1, ge=0, lt=1)
    class_weighting: float = Field(default=0.1, ge=0, le=1)
    attribute_balance: float = Field(default=0.5, ge=0, le=1)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0

    @classmethod
    def published(cls, **changes: object) -> "AttributeConfig":
        """The published sizes (KDD 2018, figure 3): 4 shots, 50 tokens, 2,048 filters, a joint layer of 8,192."""
        sizes: dict[str, object] = {
            "image_pooling": "concatenate", "image_units": 1024, "filters": 2048, "text_units": 1024,
            "brand_dim": 32, "joint_units": 8192, "dropout": 0.0, "modality_dropout": 0.0, "word_dropout": 0.0,
            "min_samples": 500,
        }  # fmt: skip
        return cls.model_validate(sizes | changes)

    @classmethod
    def small(cls, **changes: object) -> "AttributeConfig":
        """Sizes for thousands of articles: the defaults."""
        return cls.model_validate(changes)

    @classmethod
    def for_data(cls, articles: int) -> "AttributeConfig":
        """The sizes that suit a number of labelled articles.

        Args:
            articles: labelled articles to train on.
        """
        if articles < 3_000:
            # Chosen on the sample retailer: with few labels, more noise and more steps.
            return cls.small(
                filters=256, dropout=0.4, modality_dropout=0.2, word_dropout=0.1, batch_size=32, patience=10
            )
        if articles < 30_000:
            return cls.small()
        return cls.small(filters=256, batch_size=512, max_epochs=6, patience=3, min_word_count=3)

    def samples_needed(self, articles: int) -> int:
        """Labels that a value needs to be predicted: ``min_samples``, or 2 to 5 growing with the catalogue.

        Args:
            articles: articles in the catalogue.
        """
        return self.min_samples if self.min_samples is not None else max(2, min(5, articles // 400))
