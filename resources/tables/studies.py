"""Tables of the studies on demand.

What belongs here: figures of comparisons that no nightly job makes. What does not: the daily evaluation
(:mod:`resources.tables.evaluation`).
"""

from resources.schema import Column, Table
from resources.tables.columns import article_id, rank

ATTRIBUTE_STUDY = Table(
    "attribute_study",
    "derived",
    "The attribute network taken apart: by split, without a modality, by training step, against linear classifiers.",
    key=("split", "variant", "attribute", "metric", "side", "step"),
    upstreams=("annotated_attributes", "articles", "image_embeddings"),
    job="attribute_study",
    columns=(
        Column(
            "split",
            "VARCHAR",
            "random: a tenth of the articles, as published; style: no style on both sides.",
            values=("random", "style"),
        ),
        Column(
            "variant",
            "VARCHAR",
            "What was trained: all (the network on all inputs), published (the same, trained the "
            "published way), without_text, without_images, without_metadata, text_only, images_only; linear_text, "
            "linear_images, linear_joined.",
        ),
        Column("attribute", "VARCHAR", "The attribute, or `mean` over attributes."),
        Column(
            "metric",
            "VARCHAR",
            "samples, classes, accuracy, weighted_f1, majority_accuracy, majority_weighted_f1; "
            "weighted_f1_by_step: with the weights as they were at that step.",
        ),
        Column("side", "VARCHAR", "Which articles were judged.", values=("train", "test")),
        Column(
            "step",
            "BIGINT",
            "Steps of the optimiser until then; but for weighted_f1_by_step those of the whole training, "
            "and 0 for a linear classifier.",
            low=0,
        ),
        Column("value", "DOUBLE", "The figure.", nullable=True),
    ),
)


ATTRIBUTE_CONFUSIONS = Table(
    "attribute_confusions",
    "derived",
    "What the attribute network takes for what, on articles held out.",
    key=("split", "attribute", "actual", "predicted"),
    upstreams=("annotated_attributes", "articles", "image_embeddings"),
    job="attribute_study",
    columns=(
        Column("split", "VARCHAR", "As in attribute_study.", values=("random", "style")),
        Column("attribute", "VARCHAR", "The attribute."),
        Column("actual", "VARCHAR", "The annotated value."),
        Column("predicted", "VARCHAR", "The network's value."),
        Column("articles", "BIGINT", "Held-out articles with both.", unit="articles", low=1),
        Column("share", "DOUBLE", "The same, over all with that annotated value.", low=0, high=1),
    ),
)


RECOMMENDER_STUDY = Table(
    "recommender_study",
    "derived",
    "Recommenders of one vector size on the same interactions, all of them and a share, "
    "over several seeds: lists of ds − horizon, judged by (ds − horizon, ds].",
    key=("share", "model", "segment", "metric", "k"),
    upstreams=("interactions", "articles", "article_vectors"),
    job="recommender_study",
    columns=(
        Column(
            "share",
            "DOUBLE",
            "The share of the training interactions that was kept; which ones, by seed.",
            low=0,
            high=1,
        ),
        Column(
            "model",
            "VARCHAR",
            "popularity, collaborative, content, hybrid, als, repeat; ceiling: the sample retailer's own "
            "probabilities of choice.",
        ),
        Column(
            "segment",
            "VARCHAR",
            "Whom or what it covers, as in offline_metrics, of all training interactions; `all` is everyone.",
        ),
        Column("metric", "VARCHAR", "The metric, for example precision."),
        Column("k", "INTEGER", "Length of the list.", low=1),
        Column("value", "DOUBLE", "Mean over the seeds; null where it is undefined.", nullable=True),
        Column("deviation", "DOUBLE", "Standard deviation over the seeds; null for one.", nullable=True, low=0),
        Column(
            "standard_error",
            "DOUBLE",
            "Over customers, of their means over the seeds; null where that has no meaning.",
            nullable=True,
            low=0,
        ),
        Column("customers", "BIGINT", "Customers it was computed from.", unit="customers", low=0),
        Column("seeds", "INTEGER", "Seeds it was computed from; 1 where nothing is random.", low=1),
    ),
)


RECOMMENDER_STUDY_TESTS = Table(
    "recommender_study_tests",
    "derived",
    "Pairs of the recommenders of recommender_study, by paired tests of precision.",
    key=("share", "unit", "model", "against"),
    upstreams=("interactions", "articles", "article_vectors"),
    job="recommender_study",
    columns=(
        Column("share", "DOUBLE", "The share of the training interactions that was kept.", low=0, high=1),
        Column(
            "unit",
            "VARCHAR",
            "What is paired: customers, by their means over the seeds, or seeds, by their means over customers.",
            values=("customers", "seeds"),
        ),
        Column("model", "VARCHAR", "The recommender."),
        Column("against", "VARCHAR", "The recommender it is held against."),
        Column("difference", "DOUBLE", "Mean of model − against.", nullable=True),
        Column("relative", "DOUBLE", "The same over the mean of against; null where that is 0.", nullable=True),
        Column("standard_error", "DOUBLE", "Of the difference, over the pairs.", nullable=True, low=0),
        Column(
            "p_value", "DOUBLE", "Two-sided paired t-test; null where nothing differs.", nullable=True, low=0, high=1
        ),
        Column("p_holm", "DOUBLE", "The same, Holm-corrected within share and unit.", nullable=True, low=0, high=1),
        Column("pairs", "BIGINT", "Customers, or seeds, compared.", low=0),
    ),
)


RECOMMENDER_NEIGHBOURS = Table(
    "recommender_neighbours",
    "derived",
    "What each recommender with vectors holds to be most like an article that many, "
    "some and few customers chose, on ds − horizon.",
    key=("popularity", "model", "rank"),
    upstreams=("interactions", "articles", "article_vectors"),
    job="recommender_study",
    columns=(
        Column("model", "VARCHAR", "The recommender, as in recommender_study."),
        article_id("The article that is asked about."),
        Column(
            "popularity",
            "VARCHAR",
            "Its place among the articles that training interactions hold.",
            values=("most", "median", "least"),
        ),
        rank("Place among the neighbours, from 1."),
        Column("similar_article_id", "VARCHAR", "The neighbour, in stock."),
        Column("similarity", "DOUBLE", "Cosine of the two vectors.", low=-1.000001, high=1.000001),
    ),
)
