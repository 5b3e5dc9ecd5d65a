"""Tables of the studies on demand.

What belongs here: figures of comparisons that no nightly job makes. What does not: the daily evaluation
(:mod:`resources.tables.evaluation`).
"""

from resources.schema import Column, Table
from resources.tables.columns import COSINE, CUSTOMERS, METRIC, MODEL, K, article_id, count, figure, rank, share, text

ATTRIBUTE_STUDY = Table(
    "attribute_study",
    "derived",
    "The attribute network taken apart: by split, without a modality, by training step, against linear classifiers.",
    key=("split", "variant", "attribute", "metric", "side", "step"),
    upstreams=("annotated_attributes", "articles", "image_embeddings"),
    job="attribute_study",
    columns=(
        text(
            "split",
            "random: a tenth of the articles, as published; style: no style on both sides.",
            values=("random", "style"),
        ),
        text(
            "variant",
            "What was trained: all (the network on all inputs), published (the same, trained the "
            "published way), without_text, without_images, without_metadata, text_only, images_only; linear_text, "
            "linear_images, linear_joined.",
        ),
        text("attribute", "The attribute, or `mean` over attributes."),
        text(
            "metric",
            "samples, classes, accuracy, weighted_f1, majority_accuracy, majority_weighted_f1; "
            "weighted_f1_by_step: with the weights as they were at that step.",
        ),
        text("side", "Which articles were judged.", values=("train", "test")),
        count(
            "step",
            "Steps of the optimiser until then; but for weighted_f1_by_step those of the whole training, "
            "and 0 for a linear classifier.",
        ),
        figure("value", "The figure."),
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
        text("split", "As in attribute_study.", values=("random", "style")),
        text("attribute", "The attribute."),
        text("actual", "The annotated value."),
        text("predicted", "The network's value."),
        count("articles", "Held-out articles with both.", "articles", low=1),
        share("share", "The same, over all with that annotated value."),
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
        share("share", "The share of the training interactions that was kept; which ones, by seed."),
        text(
            "model",
            "popularity, collaborative, content, hybrid, als, repeat; ceiling: the sample retailer's own "
            "probabilities of choice.",
        ),
        text(
            "segment", "Whom or what it covers, as in offline_metrics, of all training interactions; `all` is everyone."
        ),
        METRIC,
        K,
        figure("value", "Mean over the seeds; null where it is undefined."),
        figure("deviation", "Standard deviation over the seeds; null for one.", low=0),
        figure(
            "standard_error", "Over customers, of their means over the seeds; null where that has no meaning.", low=0
        ),
        CUSTOMERS,
        Column("seeds", "INTEGER", "Seeds it was computed from; 1 where nothing is random.", low=1),
    ),
)


SEQUENCE_STUDY = Table(
    "sequence_study",
    "derived",
    "Sequence models side by side, and variants of one of them: lists of ds − horizon, judged by (ds − horizon, ds].",
    key=("part", "variant", "metric", "k"),
    upstreams=("interactions", "articles", "article_vectors"),
    job="sequence_study",
    columns=(
        text("part", "The question: models, customer_embedding, article_embedding, order, history."),
        text("variant", "The model (sequencer:gru has the cell gru), the length, or the order."),
        METRIC,
        K,
        figure("value", "Mean over the seeds; null where it is undefined."),
        figure("deviation", "Standard deviation over the seeds; null for one.", low=0),
        figure(
            "standard_error", "Over customers, of their means over the seeds; null where that has no meaning.", low=0
        ),
        CUSTOMERS,
        Column("seeds", "INTEGER", "Seeds it was computed from; 1 where nothing is random.", low=1),
        figure("seconds", "Processor seconds of a fit, mean over the seeds.", low=0),
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
        share("share", "The share of the training interactions that was kept."),
        text(
            "unit",
            "What is paired: customers, by their means over the seeds, or seeds, by their means over customers.",
            values=("customers", "seeds"),
        ),
        MODEL,
        text("against", "The recommender it is held against."),
        figure("difference", "Mean of model − against."),
        figure("relative", "The same over the mean of against; null where that is 0."),
        figure("standard_error", "Of the difference, over the pairs.", low=0),
        share("p_value", "Two-sided paired t-test; null where nothing differs.", nullable=True),
        share("p_holm", "The same, Holm-corrected within share and unit.", nullable=True),
        count("pairs", "Customers, or seeds, compared."),
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
        text("model", "The recommender, as in recommender_study."),
        article_id("The article that is asked about."),
        text(
            "popularity",
            "Its place among the articles that training interactions hold.",
            values=("most", "median", "least"),
        ),
        rank("Place among the neighbours, from 1."),
        text("similar_article_id", "The neighbour, in stock."),
        COSINE,
    ),
)


TUNING_TRIALS = Table(
    "tuning_trials",
    "derived",
    "Settings of a recommender that the job `tune` tried: fitted on the days before the validation days, of which ds is the last, and judged by these.",
    key=("model", "trial"),
    upstreams=("interactions", "articles", "article_vectors"),
    part="model",
    job="tune",
    columns=(
        MODEL,
        text(
            "study", "The id of the study; the same settings tried on the same data with the same code have the same."
        ),
        count("trial", "Number of the trial; 0 has the default settings."),
        text(
            "state",
            "complete; pruned: ended early, because its epochs were worse than the median of the others'; diverged: its numbers became infinite; lost: each process of a cluster that ran it died.",
            values=("complete", "pruned", "diverged", "lost"),
        ),
        text(
            "origin",
            "Where its settings come from: the model's defaults, given in the run's config, or drawn.",
            values=("default", "given", "drawn"),
        ),
        METRIC,
        K,
        figure("value", "The metric over all customers; null where the trial was not complete."),
        figure("standard_error", "Over customers; null where it is undefined.", low=0),
        CUSTOMERS,
        Column("epochs", "INTEGER", "Passes over the data; null for a model without epochs.", nullable=True, low=0),
        text("settings", "What the model was told, as JSON; all else is its default."),
        Column("best", "BOOLEAN", "Whether it is the best of its study: the one that the preset is written from."),
    ),
)


TUNING_PARAMETERS = Table(
    "tuning_parameters",
    "derived",
    "What the job `tune` searched of each setting, what was best, and how much the setting mattered.",
    key=("model", "parameter"),
    upstreams=("interactions", "articles", "article_vectors"),
    part="model",
    job="tune",
    columns=(
        MODEL,
        text("study", "The id of the study, as in tuning_trials."),
        text("parameter", "The field of the model's config."),
        text("searched", "Which values were tried."),
        text("default_value", "Its default, as JSON; null: the model chooses."),
        text("best_value", "Its value in the best trial, as JSON."),
        share(
            "importance",
            "Share of what the metric varies by between complete trials (fANOVA); null where they were too few to tell.",
            nullable=True,
        ),
    ),
)
