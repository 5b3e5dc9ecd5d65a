"""Tables of product attributes: what photographs are encoded to, what is predicted, and how well.

What belongs here: what the attribute stages make. What does not: the labels (:mod:`resources.tables.raw`), the study
(:mod:`resources.tables.studies`).
"""

from resources.schema import Column, Table
from resources.tables.columns import DIGEST, READ_BY_MODEL, article_id, figure, rank, share, text

ATTRIBUTE = text("attribute", "The attribute.", "annotated_attributes.attribute")

IMAGE_EMBEDDINGS = Table(
    "image_embeddings",
    "derived",
    "The vectors that the photographs of ds need. They themselves lie in the cache.",
    key=("digest", "encoder_id"),
    upstreams=("images",),
    large=True,
    columns=(
        text("digest", "SHA-256 of the image file.", "images.digest", pattern=DIGEST),
        text("encoder_id", "Backbone, digest of its weights and preprocessing."),
        Column("dimension", "INTEGER", "Length of the vector.", low=1),
        Column("norm", "DOUBLE", "Euclidean norm of the vector.", low=0),
    ),
)


ATTRIBUTE_METRICS = Table(
    "attribute_metrics",
    "derived",
    "How well the attribute model does on articles held out of its training.",
    key=("model_id", "attribute", "metric"),
    upstreams=("annotated_attributes", "articles", "image_embeddings"),
    columns=(
        text("model_id", "The bundle that was judged."),
        text("attribute", "The attribute, or `mean` over attributes."),
        text(
            "metric",
            "samples, classes, accuracy, weighted_f1, majority_accuracy, majority_weighted_f1, "
            "expected_calibration_error (and _raw, before the temperature), coverage, set_size, abstained, "
            "calibration_samples; of `mean` also the reliability diagram's bins.",
        ),
        figure("value", "The figure."),
    ),
)


PREDICTED_ATTRIBUTES = Table(
    "predicted_attributes",
    "derived",
    "The complete catalogue: a value for every applicable attribute of every article.",
    key=("article_id", "attribute"),
    upstreams=("annotated_attributes", "articles", "image_embeddings", "images"),
    large=True,
    columns=(
        article_id("The article.", "articles.article_id"),
        ATTRIBUTE,
        text("value", "What was annotated, otherwise the most probable value.", *READ_BY_MODEL),
        share(
            "confidence",
            "The model's probability of its own prediction; where value was annotated it says nothing of the annotation, "
            "and prediction may be another value.",
            nullable=True,
        ),
        text("prediction", "The model's own value, also where one was annotated.", nullable=True),
        text(
            "source",
            "annotated by people; predicted where a single value remains possible and is at least as probable as the "
            "config's least_confidence; otherwise abstained, so that value is only the most probable.",
            values=("annotated", "predicted", "abstained"),
        ),
        Column(
            "alternatives",
            'STRUCT("value" VARCHAR, probability DOUBLE)[]',
            "The values that remain possible with the promised coverage (the conformal set), most probable first.",
            nullable=True,
        ),
        text("model_id", "The bundle that predicted.", nullable=True),
        Column("image_digests", "VARCHAR[]", "The photographs it read.", lineage=("images.digest",)),
        text("text_digest", "SHA-256 of the text it read.", "articles.name", "articles.description", pattern=DIGEST),
    ),
)


CATALOGUE_ERRORS = Table(
    "catalogue_errors",
    "derived",
    "Annotations that are probably wrong, as a model trained without them sees it, for people to go through; none whose "
    "value the article's text states.",
    key=("article_id", "attribute"),
    upstreams=("annotated_attributes", "articles", "image_embeddings", "images"),
    columns=(
        article_id("The article.", "annotated_attributes.article_id"),
        ATTRIBUTE,
        text("annotated_value", "What people wrote.", "annotated_attributes.value"),
        share("annotated_probability", "The model's probability of it, calibrated.", *READ_BY_MODEL),
        text("predicted_value", "What the model, trained without the article's style, says instead.", *READ_BY_MODEL),
        share("confidence", "The model's probability of its own value, calibrated.", *READ_BY_MODEL),
        share(
            "error_probability",
            "How probably the annotation is wrong, calibrated for each attribute on errors that are made up.",
            *READ_BY_MODEL,
        ),
        Column("fold", "INTEGER", "The fold of styles with which the annotation was left out, from 0.", low=0),
        rank("Place among all suspicious annotations of the day, from 1: the largest error_probability first."),
    ),
)


CATALOGUE_ERROR_SHARES = Table(
    "catalogue_error_shares",
    "derived",
    "What to expect of catalogue_errors, attribute by attribute: how many of the listed annotations should be true errors.",
    key=("attribute",),
    upstreams=("annotated_attributes", "articles", "image_embeddings", "images"),
    columns=(
        text("attribute", "The attribute, or `all` together.", "annotated_attributes.attribute"),
        Column("labels", "BIGINT", "Annotations that could be judged.", low=0),
        share("error_rate", "The estimated share of wrong ones among these.", *READ_BY_MODEL),
        Column("listed", "BIGINT", "Annotations in catalogue_errors; none where the model tells too little.", low=0),
        share(
            "expected_share",
            "The expected share of true errors among the listed, the mean of error_probability; null where none is listed.",
            *READ_BY_MODEL,
            nullable=True,
        ),
        share("low", "The lower end of a 90% interval of that share.", *READ_BY_MODEL, nullable=True),
        share("high", "The upper end.", *READ_BY_MODEL, nullable=True),
    ),
)
