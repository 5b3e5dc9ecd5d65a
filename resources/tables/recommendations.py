"""Tables of what is shown to customers: recommendations, similar and complementary articles.

What belongs here: lists with their scores and reasons. What does not: how good they were
(:mod:`resources.tables.evaluation`).
"""

from atelier.complement_lists import LISTS, TABLE
from resources.schema import Column, Table
from resources.tables.columns import COSINE, MODEL, SEEN_COLUMN, article_id, customer_id, rank, text

RECOMMENDATIONS = Table(
    "recommendations",
    "derived",
    "What each model recommends to each customer on ds.",
    key=("model", "seen", "customer_id", "rank"),
    upstreams=("articles", "customers", "interactions", "article_vectors"),
    part="model",
    large=True,
    columns=(
        MODEL,
        SEEN_COLUMN,
        customer_id("The customer.", "customers.customer_id"),
        rank("Place in the list, from 1."),
        Column(
            "served",
            "BOOLEAN",
            "Whether the customer is shown this list: the model is the serving one of ds, with the policy it serves by.",
        ),
        article_id("What is recommended.", "articles.article_id"),
        Column("score", "FLOAT", "The model's own score; comparable within a list only."),
        Column("fallback", "BOOLEAN", "The model could not serve this customer: the list is popular's."),
        text("model_id", "The bundle that made the list."),
        Column(
            "reasons",
            'STRUCT(kind VARCHAR, "value" VARCHAR, weight DOUBLE)[]',
            "Why, for the first 10 places of lists by models that can tell (als: articles of the history; hybrid and"
            " transformer: those and attributes of the article; two_stage: the source of the candidate and its features):"
            " what raised the score most, weight in units of the score, of two_stage of its ranker's. Else null, and null"
            " where a list is not served and the customer is not one of the 10,000 whose other lists have reasons.",
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
    upstreams=("articles", "interactions", "article_vectors", "images", "image_embeddings"),
    part="model",
    large=True,
    columns=(
        text("model", "The recommender, or `image`: what looks alike, by photographs."),
        article_id("The article.", "articles.article_id"),
        rank("Place among the neighbours, from 1."),
        text("similar_article_id", "The neighbour.", "articles.article_id"),
        COSINE,
        text("model_id", "The bundle that compared them."),
    ),
)


OUT_OF_STOCK_REPLACEMENT = Table(
    "out_of_stock_replacement",
    "derived",
    "For every article without stock the best available ones: what looks like it, of its type, at a similar price.",
    key=("article_id", "rank"),
    upstreams=("articles", "images", "image_embeddings"),
    large=True,
    columns=(
        article_id("The article without stock.", "articles.article_id", "articles.in_stock"),
        rank("Place among its replacements, from 1."),
        text(
            "replacement_article_id",
            "What is offered in its place, in stock; null where there is nothing.",
            "articles.article_id",
            nullable=True,
        ),
        text(
            "basis",
            "How it was found, in the order of preference: by photographs within the product type and at a similar price, "
            "by photographs within the type, by type and nearest price, by photographs alone; nothing: there is none.",
            "articles.product_type",
            "articles.price",
            "images.digest",
            values=("image_type_price", "image_type", "type_price", "image", "nothing"),
        ),
        Column(
            "similarity",
            "DOUBLE",
            "Cosine of the vectors of the photographs, where they were compared.",
            low=-1.000001,
            high=1.000001,
            nullable=True,
            lineage=("images.digest",),
        ),
        Column(
            "price_ratio",
            "DOUBLE",
            "The replacement's price over the article's, where both are known.",
            low=0,
            nullable=True,
            lineage=("articles.price",),
        ),
        text("reason", "The same in a sentence for people."),
    ),
)


COMPLEMENTARY_ARTICLES = Table(
    TABLE,
    "derived",
    "What goes with an article: what completes the look, and what its buyers also bought.",
    key=("article_id", "list", "rank"),
    upstreams=(
        "articles",
        "outfits",
        "outfit_feedback",
        "interactions",
        "predicted_attributes",
        "images",
        "image_embeddings",
    ),
    large=True,
    columns=(
        article_id("The article.", "articles.article_id"),
        text(
            "list",
            "What is listed: what the outfit model adds to complete the look, at most one article of a product type; or"
            " what buyers of the article bought with it or later, more often than by chance.",
            values=LISTS,
        ),
        rank("Place in the list, from 1."),
        text(
            "complement_article_id",
            "What goes with it: in stock, of another product type and style, and not rejected by people beside it.",
            "articles.article_id",
            "articles.product_type",
            "articles.product_code",
            "articles.in_stock",
            "outfits.article_id",
            "outfit_feedback.answer",
            "interactions.article_id",
        ),
        Column(
            "score",
            "DOUBLE",
            "The log of how much likelier the two are together than by chance; comparable within a list only.",
            lineage=("outfits.article_id", "interactions.article_id", "images.digest", "predicted_attributes.value"),
        ),
        text("model_id", "The outfit model; null for what people also bought, which is counted.", nullable=True),
        text("reason", "Why, in a sentence for people.", "outfits.article_id", "interactions.article_id"),
    ),
)
