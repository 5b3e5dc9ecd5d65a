"""The registry: every table of the feature store, once.

What belongs here: tables and their columns. From it come the cast on write, Dagster's schema and lineage metadata, the
Great Expectations suites and the data dictionary. What does not: code that reads or writes data.
"""

from resources.schema import Column, Table

MONEY = "DECIMAL(18,9)"
DIGEST = "^[0-9a-f]{64}$"
INTERACTION_KINDS = ("view", "save", "bag", "purchase")
SEEN = ("excluded", "allowed")


def _article_id(description: str = "The article.", *lineage: str) -> Column:
    return Column("article_id", "VARCHAR", description, lineage=lineage)


def _customer_id(description: str = "The customer.", *lineage: str) -> Column:
    return Column("customer_id", "VARCHAR", description, lineage=lineage)


def _rank(description: str) -> Column:
    return Column("rank", "INTEGER", description, low=1)


#: What the attribute network reads of an article, and learns from.
_READ_BY_MODEL = (
    "annotated_attributes.value",
    "articles.name",
    "articles.description",
    "articles.product_type",
    "articles.brand",
    "articles.division",
    "images.digest",
)

_SEEN = Column(
    "seen",
    "VARCHAR",
    "Whether the lists leave out what the customer had purchased (excluded) or may repeat it (allowed).",
    values=SEEN,
)

ARTICLES = Table(
    "articles",
    "snapshot",
    "What is sold, as known on ds.",
    key=("article_id",),
    job="ingest",
    columns=(
        _article_id("The article: one style in one colour, as sold."),
        Column("product_code", "VARCHAR", "The style; several articles may share one.", nullable=True),
        Column("name", "VARCHAR", "The title shown to customers.", nullable=True),
        Column("description", "VARCHAR", "The running text shown to customers.", nullable=True),
        Column("product_type", "VARCHAR", "What kind of garment it is, for example Dress.", nullable=True),
        Column("brand", "VARCHAR", "The brand.", nullable=True),
        Column("division", "VARCHAR", "The part of the range, for example Womenswear.", nullable=True),
        Column("price", MONEY, "The current price.", unit="the retailer's currency", nullable=True, low=0),
        Column("available_from", "DATE", "First day on sale; null where it was never seen on sale.", nullable=True),
        Column(
            "available_until", "DATE", "Last day on sale, as known on ds; null while no end is known.", nullable=True
        ),
        Column("in_stock", "BOOLEAN", "Whether it can be bought on ds."),
    ),
)

CUSTOMERS = Table(
    "customers",
    "snapshot",
    "Who buys, as known on ds.",
    key=("customer_id",),
    job="ingest",
    columns=(
        _customer_id(),
        Column("age", "SMALLINT", "Age.", unit="years", nullable=True, low=0, high=130),
        Column("profile", "MAP(VARCHAR, VARCHAR)", "Whatever else the retailer knows, by name.", nullable=True),
    ),
)

INTERACTIONS = Table(
    "interactions",
    "event",
    "What customers did on ds, one row for each unit.",
    key=("ordinal",),
    large=True,
    job="ingest",
    columns=(
        Column("ordinal", "BIGINT", "The row's place in that day of the source, from 0.", low=0),
        _customer_id(),
        _article_id(),
        Column("occurred_at", "TIMESTAMP", "When, in the retailer's time zone; its date is ds."),
        Column("kind", "VARCHAR", "What was done.", values=INTERACTION_KINDS),
        Column("price", MONEY, "The price of the unit then.", unit="the retailer's currency", nullable=True, low=0),
        Column("channel", "VARCHAR", "Where: a shop, the web, the app.", nullable=True),
        Column("session_id", "VARCHAR", "The visit to which it belongs.", nullable=True),
    ),
)

ANNOTATED_ATTRIBUTES = Table(
    "annotated_attributes",
    "snapshot",
    "What people labelled; partial.",
    key=("article_id", "attribute"),
    job="ingest",
    columns=(
        _article_id(),
        Column("attribute", "VARCHAR", "The attribute, for example neckline."),
        Column("value", "VARCHAR", "The value that was annotated."),
    ),
)

IMAGES = Table(
    "images",
    "snapshot",
    "The photographs that could be decoded.",
    key=("article_id", "shot"),
    job="ingest",
    columns=(
        _article_id(),
        Column("shot", "INTEGER", "The photograph's place among the article's, from 0.", low=0),
        Column("path", "VARCHAR", "The file, relative to the source's folder of images."),
        Column("digest", "VARCHAR", "SHA-256 of the file.", pattern=DIGEST),
        Column("width", "INTEGER", "Width.", unit="pixels", low=1),
        Column("height", "INTEGER", "Height.", unit="pixels", low=1),
    ),
)

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

OUTFITS = Table(
    "outfits",
    "snapshot",
    "Articles that people put together.",
    key=("outfit_id", "article_id"),
    job="ingest",
    columns=(
        Column("outfit_id", "VARCHAR", "The outfit."),
        _article_id(),
        Column("role", "VARCHAR", "The article's part in it, for example top.", nullable=True),
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

PREDICTED_ATTRIBUTES = Table(
    "predicted_attributes",
    "derived",
    "The complete catalogue: a value for every applicable attribute of every article.",
    key=("article_id", "attribute"),
    upstreams=("annotated_attributes", "articles", "image_embeddings", "images"),
    large=True,
    columns=(
        _article_id("The article.", "articles.article_id"),
        Column("attribute", "VARCHAR", "The attribute.", lineage=("annotated_attributes.attribute",)),
        Column("value", "VARCHAR", "What was annotated, otherwise the most probable value.", lineage=_READ_BY_MODEL),
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
        _article_id("The article.", "annotated_attributes.article_id"),
        Column("attribute", "VARCHAR", "The attribute.", lineage=("annotated_attributes.attribute",)),
        Column("annotated_value", "VARCHAR", "What people wrote.", lineage=("annotated_attributes.value",)),
        Column(
            "annotated_probability",
            "DOUBLE",
            "The model's probability of it, calibrated.",
            low=0,
            high=1,
            lineage=_READ_BY_MODEL,
        ),
        Column(
            "predicted_value",
            "VARCHAR",
            "What the model, trained without the article's style, says instead.",
            lineage=_READ_BY_MODEL,
        ),
        Column(
            "confidence",
            "DOUBLE",
            "The model's probability of its own value, calibrated.",
            low=0,
            high=1,
            lineage=_READ_BY_MODEL,
        ),
        Column("fold", "INTEGER", "The fold of styles with which the annotation was left out, from 0.", low=0),
        _rank(
            "Place among all suspicious annotations of the day, from 1: the largest confidence against annotated_probability."
        ),
    ),
)

ARTICLE_FEATURES = Table(
    "article_features",
    "derived",
    "What sales tell of an article, up to ds.",
    key=("article_id",),
    upstreams=("articles", "interactions"),
    columns=(
        _article_id("The article.", "articles.article_id"),
        Column("sales", "BIGINT", "Units sold.", unit="units", low=0, lineage=("interactions.ordinal",)),
        Column("first_sale", "DATE", "Day of the first sale.", nullable=True, lineage=("interactions.occurred_at",)),
        Column("last_sale", "DATE", "Day of the last sale.", nullable=True, lineage=("interactions.occurred_at",)),
        Column(
            "distinct_customers",
            "BIGINT",
            "Customers who bought it.",
            unit="customers",
            low=0,
            lineage=("interactions.customer_id",),
        ),
        Column(
            "price_mean",
            "DOUBLE",
            "Mean price per unit.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "price_std",
            "DOUBLE",
            "Sample standard deviation of the price; null below two units.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "price_median",
            "DOUBLE",
            "Median price per unit.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "most_common_channel",
            "VARCHAR",
            "Where most units were sold; ties go to the first in the alphabet.",
            nullable=True,
            lineage=("interactions.channel",),
        ),
        Column(
            "sales_30d",
            "BIGINT",
            "Units sold in the window that ends with ds.",
            unit="units",
            low=0,
            lineage=("interactions.ordinal",),
        ),
        Column(
            "distinct_customers_30d",
            "BIGINT",
            "Customers who bought it in the window that ends with ds.",
            unit="customers",
            low=0,
            lineage=("interactions.customer_id",),
        ),
    ),
)

CUSTOMER_FEATURES = Table(
    "customer_features",
    "derived",
    "What purchases tell of a customer, up to ds.",
    key=("customer_id",),
    upstreams=("customers", "interactions"),
    large=True,
    columns=(
        _customer_id("The customer.", "customers.customer_id"),
        Column("transactions", "BIGINT", "Units bought.", unit="units", low=0, lineage=("interactions.ordinal",)),
        Column(
            "first_purchase", "DATE", "Day of the first purchase.", nullable=True, lineage=("interactions.occurred_at",)
        ),
        Column(
            "last_purchase", "DATE", "Day of the last purchase.", nullable=True, lineage=("interactions.occurred_at",)
        ),
        Column(
            "price_mean",
            "DOUBLE",
            "Mean price per unit.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "price_std",
            "DOUBLE",
            "Sample standard deviation of the price; null below two units.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "price_min",
            MONEY,
            "Lowest price paid.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "price_max",
            MONEY,
            "Highest price paid.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "total_spend",
            "DECIMAL(38,9)",
            "Everything ever paid.",
            unit="the retailer's currency",
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "distinct_articles",
            "BIGINT",
            "Different articles bought.",
            unit="articles",
            low=0,
            lineage=("interactions.article_id",),
        ),
        Column(
            "most_used_channel",
            "VARCHAR",
            "Where most units were bought; ties go to the first in the alphabet.",
            nullable=True,
            lineage=("interactions.channel",),
        ),
        Column(
            "days_active",
            "BIGINT",
            "Days from the first purchase to the last, both counted.",
            unit="days",
            low=0,
            lineage=("interactions.occurred_at",),
        ),
        Column(
            "purchase_frequency",
            "DOUBLE",
            "Units bought per active day.",
            unit="units per day",
            low=0,
            lineage=("interactions.occurred_at",),
        ),
        Column(
            "purchases_30d",
            "BIGINT",
            "Units bought in the window that ends with ds.",
            unit="units",
            low=0,
            lineage=("interactions.ordinal",),
        ),
        Column(
            "price_mean_30d",
            "DOUBLE",
            "Mean price in the window that ends with ds.",
            unit="the retailer's currency",
            nullable=True,
            low=0,
            lineage=("interactions.price",),
        ),
        Column(
            "spend_30d",
            "DECIMAL(38,9)",
            "Everything paid in the window that ends with ds.",
            unit="the retailer's currency",
            low=0,
            lineage=("interactions.price",),
        ),
    ),
)

ARTICLE_VECTORS = Table(
    "article_vectors",
    "derived",
    "The vector that content models read; its positions are named in its bundle.",
    key=("article_id",),
    upstreams=("articles", "article_features", "predicted_attributes", "image_embeddings", "images"),
    large=True,
    columns=(
        _article_id("The article.", "articles.article_id"),
        Column(
            "vector",
            "FLOAT[]",
            "Unit length.",
            lineage=(
                "articles.product_type",
                "articles.price",
                "articles.available_from",
                "articles.name",
                "articles.description",
                "article_features.sales_30d",
                "predicted_attributes.value",
                "predicted_attributes.model_id",
                "image_embeddings.digest",
            ),
        ),
    ),
)

RECOMMENDATIONS = Table(
    "recommendations",
    "derived",
    "What each model recommends to each customer on ds.",
    key=("model", "seen", "customer_id", "rank"),
    upstreams=("articles", "customers", "interactions", "article_vectors"),
    part="model",
    large=True,
    columns=(
        Column("model", "VARCHAR", "The recommender."),
        _SEEN,
        _customer_id("The customer.", "customers.customer_id"),
        _rank("Place in the list, from 1."),
        _article_id("What is recommended.", "articles.article_id"),
        Column("score", "FLOAT", "The model's own score; comparable within a list only."),
        Column("fallback", "BOOLEAN", "The model could not serve this customer: the list is popular's."),
        Column("model_id", "VARCHAR", "The bundle that made the list."),
        Column(
            "reasons",
            'STRUCT(kind VARCHAR, "value" VARCHAR, weight DOUBLE)[]',
            "Why, for the first 10 places of lists by models that can tell (als: articles of the history; hybrid: those and"
            " attributes of the article): what raised the score most, weight in units of the score. Else null.",
            nullable=True,
            lineage=("interactions.article_id", "article_vectors.vector"),
        ),
    ),
)

SIMILAR_ARTICLES = Table(
    "similar_articles",
    "derived",
    "The nearest articles by each model.",
    key=("model", "article_id", "rank"),
    upstreams=("articles", "interactions", "article_vectors"),
    part="model",
    large=True,
    columns=(
        Column("model", "VARCHAR", "The recommender."),
        _article_id("The article.", "articles.article_id"),
        _rank("Place among the neighbours, from 1."),
        Column("similar_article_id", "VARCHAR", "The neighbour.", lineage=("articles.article_id",)),
        Column("similarity", "DOUBLE", "Cosine of the two vectors.", low=-1.000001, high=1.000001),
        Column("model_id", "VARCHAR", "The bundle that compared them."),
    ),
)

COMPLEMENTARY_ARTICLES = Table(
    "complementary_articles",
    "derived",
    "What goes with an article.",
    key=("article_id", "rank"),
    upstreams=("articles", "outfits", "article_vectors"),
    large=True,
    columns=(
        _article_id(),
        _rank("Place among the complements, from 1."),
        Column("complement_article_id", "VARCHAR", "What goes with it."),
        Column("score", "DOUBLE", "The model's own score."),
    ),
)

OFFLINE_METRICS = Table(
    "offline_metrics",
    "derived",
    "The recommendations made on ds − horizon, judged by what customers did in (ds − horizon, ds].",
    key=("model", "seen", "metric", "k", "segment"),
    upstreams=("recommendations", "interactions", "articles"),
    part="model",
    job="judge",
    columns=(
        Column("model", "VARCHAR", "The recommender."),
        _SEEN,
        Column("metric", "VARCHAR", "The metric, for example precision."),
        Column("k", "INTEGER", "Length of the list, or the rank for metrics by rank.", low=1),
        Column("segment", "VARCHAR", "Whom or what it covers; `all` is everyone."),
        Column("value", "DOUBLE", "The figure; null where it is undefined.", nullable=True),
        Column("standard_error", "DOUBLE", "Over customers; null where that has no meaning.", nullable=True, low=0),
        Column("customers", "BIGINT", "Customers it was computed from.", unit="customers", low=0),
    ),
)

CUSTOMER_METRICS = Table(
    "customer_metrics",
    "derived",
    "The values per customer behind offline_metrics, for paired tests.",
    key=("model", "seen", "customer_id", "metric", "k"),
    upstreams=("recommendations", "interactions"),
    part="model",
    large=True,
    job="judge",
    columns=(
        Column("model", "VARCHAR", "The recommender."),
        _SEEN,
        _customer_id(),
        Column("metric", "VARCHAR", "The metric."),
        Column("k", "INTEGER", "Length of the list.", low=1),
        Column("value", "DOUBLE", "The figure.", low=0),
    ),
)

MODEL_COMPARISONS = Table(
    "model_comparisons",
    "derived",
    "Every pair of recommenders, by a paired test on the same customers with history.",
    key=("seen", "metric", "k", "model", "baseline"),
    upstreams=("customer_metrics",),
    job="judge",
    columns=(
        _SEEN,
        Column("metric", "VARCHAR", "The metric."),
        Column("k", "INTEGER", "Length of the list.", low=1),
        Column("model", "VARCHAR", "The recommender."),
        Column("baseline", "VARCHAR", "The recommender it is held against."),
        Column("difference", "DOUBLE", "Mean over customers of model − baseline."),
        Column("standard_error", "DOUBLE", "Of the difference.", nullable=True, low=0),
        Column(
            "p_value", "DOUBLE", "Two-sided paired t-test; null where nobody differs.", nullable=True, low=0, high=1
        ),
        Column("p_holm", "DOUBLE", "The same, Holm-corrected within seen, metric and k.", nullable=True, low=0, high=1),
        Column("customers", "BIGINT", "Customers compared.", unit="customers", low=0),
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
        _article_id("The article that is asked about."),
        Column(
            "popularity",
            "VARCHAR",
            "Its place among the articles that training interactions hold.",
            values=("most", "median", "least"),
        ),
        _rank("Place among the neighbours, from 1."),
        Column("similar_article_id", "VARCHAR", "The neighbour, in stock."),
        Column("similarity", "DOUBLE", "Cosine of the two vectors.", low=-1.000001, high=1.000001),
    ),
)

REJECTED = Table(
    "rejected",
    "derived",
    "What came in wrong, and why: kept and named, never dropped in silence.",
    key=("source_table", "source_file", "row", "column_name", "reason"),
    part="source_table",
    job="ingest",
    columns=(
        Column("source_table", "VARCHAR", "The table it was meant for."),
        Column("source_file", "VARCHAR", "The file, relative to the source's folder."),
        Column(
            "row",
            "BIGINT",
            "The row in that file, from 1 after any header; for photographs the place in the day's listing.",
            low=0,
        ),
        Column("column_name", "VARCHAR", "The column at fault."),
        Column("reason", "VARCHAR", "What is wrong with it."),
        Column("record", "VARCHAR", "The row as it came, as JSON.", nullable=True),
    ),
)

REGISTRY: dict[str, Table] = {
    table.name: table
    for table in (
        ARTICLES,
        CUSTOMERS,
        INTERACTIONS,
        ANNOTATED_ATTRIBUTES,
        IMAGES,
        OUTFITS,
        IMAGE_EMBEDDINGS,
        ATTRIBUTE_METRICS,
        ATTRIBUTE_STUDY,
        ATTRIBUTE_CONFUSIONS,
        PREDICTED_ATTRIBUTES,
        CATALOGUE_ERRORS,
        ARTICLE_FEATURES,
        CUSTOMER_FEATURES,
        ARTICLE_VECTORS,
        RECOMMENDATIONS,
        SIMILAR_ARTICLES,
        COMPLEMENTARY_ARTICLES,
        OFFLINE_METRICS,
        CUSTOMER_METRICS,
        MODEL_COMPARISONS,
        RECOMMENDER_STUDY,
        RECOMMENDER_STUDY_TESTS,
        RECOMMENDER_NEIGHBOURS,
        REJECTED,
    )
}


def table(name: str) -> Table:
    """The registered table of that name.

    Raises:
        KeyError: there is none; the message lists those there are.
    """
    try:
        return REGISTRY[name]
    except KeyError:
        raise KeyError(f"no table {name!r} in the registry; there are {', '.join(REGISTRY)}") from None
