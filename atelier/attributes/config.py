"""The configuration of the attribute model: sizes, training, and the named presets.

What belongs here: every number that can be chosen. What does not: what is learned from data (classes, vocabulary).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


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
        pair_units: width of the bag of words and pairs of neighbouring words beside the convolution; 0: none.
        pair_slots: rows of its embedding that pairs share by a hash.
        members: networks, from different random weights, whose mean predicts; they are trained side by side.
        dropout: share of units dropped after each dense layer in training.
        modality_dropout: share of articles that lose their photographs, their text, their product type, their brand or
            their division in a training step (each drawn apart), so that lacking one is ordinary.
        mention_dropout: share of articles of which the network is not told in a training step what their texts name, so
            that it learns to read them itself as well.
        word_dropout: share of words that read as unknown in a training step; it also teaches what an unknown word is.
        vocabulary_size: words that are known, the most frequent first.
        min_word_count: how often a word must occur to be known.
        mentions: whether the network is told which values the text names, by the value's own words, by given synonyms
            and by words that labels teach (:mod:`atelier.attributes.mention_features`); joint training only. The
            validation labels of each attribute decide whether it heeds them (:mod:`atelier.attributes.mention_trust`).
        synonyms: what else texts call values, by attribute and value: ``{"material": {"wool": ("merino",
            "lambswool")}}``.
        min_samples: labels that a value needs to be predicted; None suits the data.
        applicability_share: an attribute applies to a product type where the share of its articles that are labelled is
            at least this part of the share over all types that have labels.
        applies: product types to which an attribute applies, by attribute; overrides what is learned.
        training: how it is trained. ``joint``: one forward pass per batch serves all attributes. ``published``: one
            batch of one attribute's labelled articles at a time, plain SGD, no weights; it ignores ``mentions``,
            ``weight_decay``, ``class_weighting``, ``attribute_balance`` and ``label_smoothing``.
        batch_size: articles per step.
        learning_rate: AdamW's at its highest, from where it falls to zero along a cosine; in published training SGD's.
        weight_decay: AdamW's decay.
        max_epochs: at most this many passes over the labelled articles (published: over as many labels as there are).
        evaluate_every: steps of the optimiser between two looks at the validation score; None: one pass.
        patience: after this many looks without a better validation score training stops.
        validation_share: share of the labelled styles by which training is stopped and the model calibrated.
        coverage: the probability with which a prediction set is to hold the true value.
        least_confidence: a value is called predicted, and not abstained from, if its probability is at least this and
            no other value remains possible.
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
    pair_units: int = Field(default=0, ge=0)
    pair_slots: int = Field(default=20_000, ge=1)
    members: int = Field(default=1, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    modality_dropout: float = Field(default=0.05, ge=0, lt=1)
    mention_dropout: float = Field(default=0.2, ge=0, lt=1)
    word_dropout: float = Field(default=0.2, ge=0, lt=1)

    vocabulary_size: int = Field(default=20_000, ge=0)
    min_word_count: int = Field(default=2, ge=1)
    mentions: bool = True
    synonyms: dict[str, dict[str, tuple[str, ...]]] | None = None
    min_samples: int | None = Field(default=None, ge=1)
    applicability_share: float = Field(default=0.1, ge=0, le=1)
    applies: dict[str, tuple[str, ...]] | None = None

    training: Literal["joint", "published"] = "joint"
    batch_size: int = Field(default=128, ge=3)  # with 2 an odd number of articles would leave a batch of one
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    max_epochs: int = Field(default=30, ge=1)
    evaluate_every: int | None = Field(default=None, ge=1)
    patience: int = Field(default=6, ge=1)
    validation_share: float = Field(default=0.1, ge=0, lt=1)
    coverage: float = Field(default=0.9, gt=0, lt=1)
    least_confidence: float = Field(default=0.5, ge=0, le=1)
    class_weighting: float = Field(default=0.1, ge=0, le=1)
    attribute_balance: float = Field(default=0.5, ge=0, le=1)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0

    @property
    def words_read(self) -> int:
        """Words read per text: ``tokens``, but no fewer than a filter spans."""
        return max(self.tokens, self.kernel)

    @property
    def reads_mentions(self) -> bool:
        """Whether the network is told which values the text names; the published one is not."""
        return self.mentions and self.training == "joint"

    @model_validator(mode="after")
    def _published_training_is_of_one_network(self) -> "AttributeConfig":
        if self.training == "published" and self.members > 1:
            raise ValueError(f"training 'published' trains one network, not members={self.members}; use 'joint'")
        return self

    @classmethod
    def published(cls, **changes: object) -> "AttributeConfig":
        """The published network and training (KDD 2018, section 3 and figure 3).

        Four shots, 50 tokens, 2,048 filters, a joint layer of 8,192; batches of 64 articles of one attribute, steps of
        plain SGD 0.01 long, F1 looked at every 1,000. With ``training="joint"`` the sizes are the published ones, and
        the training is ours.
        """
        sizes: dict[str, object] = {
            "image_pooling": "concatenate",
            "image_units": 1024,
            "filters": 2048,
            "text_units": 1024,
            "brand_dim": 32,
            "joint_units": 8192,
            "min_samples": 500,
            "mentions": False,
        }
        training: dict[str, object] = {
            "training": "published",
            "batch_size": 64,
            "learning_rate": 0.01,
            "evaluate_every": 1_000,
            "max_epochs": 100,
            "dropout": 0.0,
            "modality_dropout": 0.0,
            "word_dropout": 0.0,
        }
        recipe = training if changes.get("training", "published") == "published" else {}
        return cls.model_validate(sizes | recipe | changes)

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
            # Chosen on the sample retailer: with few labels more noise, more steps, and three small networks, not a
            # large one.
            return cls.small(
                image_units=128,
                filters=64,
                text_units=64,
                joint_units=256,
                members=3,
                dropout=0.4,
                modality_dropout=0.2,
                mention_dropout=0.2,
                word_dropout=0.1,
                batch_size=32,
                patience=10,
            )
        if articles < 30_000:
            # Chosen on validation styles of H&M's photographed articles: benchmarks/hm_attributes.py --ablation.
            return cls.small(
                image_units=512,
                filters=256,
                joint_units=1024,
                pair_units=128,
                members=3,
                dropout=0.5,
                modality_dropout=0.1,
                word_dropout=0.1,
                label_smoothing=0.1,
                max_epochs=20,
                patience=8,
                mention_dropout=0.5,
            )
        return cls.small(filters=256, batch_size=512, max_epochs=6, patience=3, min_word_count=3, mention_dropout=0.5)

    def samples_needed(self, articles: int) -> int:
        """Labels that a value needs to be predicted: ``min_samples``, or 2 to 5 growing with the catalogue.

        Args:
            articles: articles in the catalogue.
        """
        return self.min_samples if self.min_samples is not None else max(2, min(5, articles // 400))
