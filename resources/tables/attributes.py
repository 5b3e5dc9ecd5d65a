"""Tables of product attributes: what photographs are encoded to, what is predicted, and how well.

What belongs here: what the attribute stages make. What does not: the labels (:mod:`resources.tables.raw`), the study
(:mod:`resources.tables.studies`).
"""

from resources.schema import Column, Table
from resources.tables.columns import DIGEST, READ_BY_MODEL, article_id, rank

IMAGE_EMBEDDINGS = Table(
    "image_embeddings",
    "derived",
    "The vectors that the photographs of ds need. They themselves lie in the cache.",
    key=("digest", "encoder_id"),
    upstreams=("images",),
    large=True,
    columns=(
        Column("digest", "VARCHAR", "SHA-256 of the image file.", pattern=DIGEST, lineage=("images.digest",)),
        Column("encoder_id", "VARCHAR", "Backbone, digest of its weights and preprocessing."),
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
        Column("model_id", "VARCHAR", "The bundle that was judged."),
        Column("attribute", "VARCHAR", "The attribute, or `mean` over attributes."),
        Column(
            "metric",
            "VARCHAR",
            "samples, classes, accuracy, weighted_f1, majority_accuracy, majority_weighted_f1, "
            "expected_calibration_error (and _raw, before the temperature), coverage, set_size, abstained, "
            "calibration_samples; of `mean` also the reliability diagram's bins.",
        ),
        Column("value", "DOUBLE", "The figure.", nullable=True),
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
        Column("attribute", "VARCHAR", "The attribute.", lineage=("annotated_attributes.attribute",)),
        Column("value", "VARCHAR", "What was annotated, otherwise the most probable value.", lineage=READ_BY_MODEL),
        Column("confidence", "DOUBLE", "The model's probability of its own prediction.", nullable=True, low=0, high=1),
        Column("prediction", "VARCHAR", "The model's own value, also where one was annotated.", nullable=True),
        Column(
            "source",
            "VARCHAR",
            "annotated by people; predicted where a single value remains possible; abstained where "
            "several do, so that value is only the most probable.",
            values=("annotated", "predicted", "abstained"),
        ),
        Column(
            "alternatives",
            'STRUCT("value" VARCHAR, probability DOUBLE)[]',
            "The values that remain possible with the promised coverage (the conformal set), most probable first.",
            nullable=True,
        ),
        Column("model_id", "VARCHAR", "The bundle that predicted.", nullable=True),
        Column("image_digests", "VARCHAR[]", "The photographs it read.", lineage=("images.digest",)),
        Column(
            "text_digest",
            "VARCHAR",
            "SHA-256 of the text it read.",
            pattern=DIGEST,
            lineage=("articles.name", "articles.description"),
        ),
    ),
)


CATALOGUE_ERRORS = Table(
    "catalogue_errors",
    "derived",
    "Annotations that a model trained without them confidently contradicts, for people to go through.",
    key=("article_id", "attribute"),
    upstreams=("annotated_attributes", "articles", "image_embeddings", "images"),
    columns=(
        article_id("The article.", "annotated_attributes.article_id"),
        Column("attribute", "VARCHAR", "The attribute.", lineage=("annotated_attributes.attribute",)),
        Column("annotated_value", "VARCHAR", "What people wrote.", lineage=("annotated_attributes.value",)),
        Column(
            "annotated_probability",
            "DOUBLE",
            "The model's probability of it, calibrated.",
            low=0,
            high=1,
            lineage=READ_BY_MODEL,
        ),
        Column(
            "predicted_value",
            "VARCHAR",
            "What the model, trained without the article's style, says instead.",
            lineage=READ_BY_MODEL,
        ),
        Column(
            "confidence",
            "DOUBLE",
            "The model's probability of its own value, calibrated.",
            low=0,
            high=1,
            lineage=READ_BY_MODEL,
        ),
        Column("fold", "INTEGER", "The fold of styles with which the annotation was left out, from 0.", low=0),
        rank(
            "Place among all suspicious annotations of the day, from 1: the largest confidence against annotated_probability."
        ),
    ),
)
