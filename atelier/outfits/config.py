"""What can be chosen of an outfit model.

What belongs here: fields, bounds, what each means. What does not: what is done with them. Imports nothing heavy.
"""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from atelier.outfits.names import FAMILY, MODALITIES, Draw, Head, Merge, Modality


class OutfitConfig(BaseModel):
    """How an outfit model is made and trained.

    Attributes:
        head: ``set`` reads all articles of an outfit together by attention; ``pair`` is the siamese network, which
            judges each of them with the candidate and takes the mean.
        merge: how a pair's two legs are joined, for ``pair``.
        modalities: what a leg reads of an article.
        statistics: whether counts of training pairs are read beside the legs.
        family: the column that says of which family an article is; a candidate is compared with its own family.
        attributes: the columns that are read as attributes; None: all columns of text but the identifier, the text
            and the photograph's path.
        image_components: principal components of image vectors that are kept.
        text_components: singular vectors of the words' weights (TF-IDF) that are kept.
        attribute_factors: length of the vector of an attribute's value.
        factors: length of an article's vector, a multiple of ``heads``.
        hidden: units of a leg's hidden layer.
        heads: of the attention.
        dropout: share of hidden units dropped in training.
        new_share: share of the articles that a step treats as new: neither their learned embedding nor what was counted
            of them is read, so that the network also learns to do without.
        draw: which articles are drawn as wrong ones in training.
        negatives: how many are drawn, for each family in a batch.
        swap_share: augmentation: the share of an outfit's articles replaced by similar ones.
        image_noise: augmentation: standard deviation of noise added to image components, of which the first has 1.
        feedback_weight: as how many outfits an answer of a person counts, whether it accepts or rejects.
        members: networks that are trained alike from different beginnings; the mean of their scores counts.
        epochs: passes over the training outfits, each of whose articles is masked once in a pass.
        batch_size: masked articles in a step.
        learning_rate: the highest of the cycle.
        weight_decay: of AdamW; the articles' own vectors have none.
        seed: of all that is drawn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: Head = "set"
    merge: Merge = "concatenation"
    modalities: tuple[Modality, ...] = Field(default=MODALITIES, min_length=1)
    statistics: bool = True
    family: str = FAMILY
    attributes: tuple[str, ...] | None = None
    image_components: int = Field(default=128, ge=1, le=2048)
    text_components: int = Field(default=64, ge=1, le=1024)
    attribute_factors: int = Field(default=24, ge=1, le=512)
    factors: int = Field(default=96, ge=4, le=1024)
    hidden: int = Field(default=256, ge=4, le=4096)
    heads: int = Field(default=4, ge=1, le=16)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    new_share: float = Field(default=0.5, ge=0, le=1)
    draw: Draw = "popularity"
    negatives: int = Field(default=48, ge=1, le=1024)
    swap_share: float = Field(default=0.0, ge=0, le=1)
    image_noise: float = Field(default=0.0, ge=0)
    feedback_weight: int = Field(default=5, ge=1, le=1000)
    members: int = Field(default=1, ge=1, le=16)
    epochs: int = Field(default=6, ge=1)
    batch_size: int = Field(default=512, ge=2)
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)

    @model_validator(mode="after")
    def _heads_divide_factors(self) -> Self:
        if self.factors % self.heads:
            raise ValueError(f"factors ({self.factors}) is no multiple of heads ({self.heads})")
        return self
