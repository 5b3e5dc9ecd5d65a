"""Tables of what the source delivers: the catalogue, customers, interactions, labels, photographs, outfits.

What belongs here: what is ingested, and the rows that were rejected. What does not: anything computed from it.
"""

from atelier.answers import ANSWERS, FEEDBACK
from resources.schema import Column, Table
from resources.tables.columns import DIGEST, INTERACTION_KINDS, article_id, count, customer_id, money, text

ARTICLES = Table(
    "articles",
    "snapshot",
    "What is sold, as known on ds.",
    key=("article_id",),
    job="ingest",
    columns=(
        article_id("The article: one style in one colour, as sold."),
        text("product_code", "The style; several articles may share one.", nullable=True),
        text("name", "The title shown to customers.", nullable=True),
        text("description", "The running text shown to customers.", nullable=True),
        text("product_type", "What kind of garment it is, for example Dress.", nullable=True),
        text("brand", "The brand.", nullable=True),
        text("division", "The part of the range, for example Womenswear.", nullable=True),
        money("price", "The current price.", nullable=True),
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
        customer_id(),
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
        count("ordinal", "The row's place in that day of the source, from 0."),
        customer_id(),
        article_id(),
        Column("occurred_at", "TIMESTAMP", "When, in the retailer's time zone; its date is ds."),
        text("kind", "What was done.", values=INTERACTION_KINDS),
        money("price", "The price of the unit then.", nullable=True),
        text("channel", "Where: a shop, the web, the app.", nullable=True),
        text("session_id", "The visit to which it belongs.", nullable=True),
    ),
)


ANNOTATED_ATTRIBUTES = Table(
    "annotated_attributes",
    "snapshot",
    "What people labelled; partial.",
    key=("article_id", "attribute"),
    job="ingest",
    columns=(
        article_id(),
        text("attribute", "The attribute, for example neckline."),
        text("value", "The value that was annotated."),
    ),
)


IMAGES = Table(
    "images",
    "snapshot",
    "The photographs that could be decoded.",
    key=("article_id", "shot"),
    job="ingest",
    columns=(
        article_id(),
        Column("shot", "INTEGER", "The photograph's place among the article's, from 0.", low=0),
        text("path", "The file, relative to the source's folder of images."),
        text("digest", "SHA-256 of the file.", pattern=DIGEST),
        Column("width", "INTEGER", "Width.", unit="pixels", low=1),
        Column("height", "INTEGER", "Height.", unit="pixels", low=1),
    ),
)


OUTFITS = Table(
    "outfits",
    "snapshot",
    "Articles that people put together.",
    key=("outfit_id", "article_id"),
    job="ingest",
    columns=(
        text("outfit_id", "The outfit."),
        article_id(),
        text("role", "The article's part in it, for example top.", nullable=True),
    ),
)


OUTFIT_FEEDBACK = Table(
    FEEDBACK,
    "snapshot",
    "What people answered, up to ds, when they were asked whether articles go together; a pair is an outfit of two.",
    key=("outfit_id", "article_id"),
    job="ingest",
    columns=(
        text("outfit_id", "The answer's name, the same in all rows of one answer."),
        article_id(),
        text("answer", "Whether the articles go together.", values=ANSWERS),
    ),
)


REJECTED = Table(
    "rejected",
    "derived",
    "What came in wrong, and why: named, never dropped in silence. One row for each row of a file that was not stored, and"
    " one for each optional value that a stored row is without.",
    key=("source_table", "source_file", "row", "column_name", "reason"),
    part="source_table",
    job="ingest",
    columns=(
        text("source_table", "The table it was meant for."),
        text("source_file", "The file, relative to the source's folder."),
        count("row", "The row in that file, from 1 after any header; for photographs the place in the day's listing."),
        text("column_name", "The column at fault."),
        text("reason", "What is wrong with it."),
        Column(
            "row_kept", "BOOLEAN", "Whether the row is stored without the value; where false, the row is not stored."
        ),
        text("record", "The row as it came, as JSON.", nullable=True),
    ),
)
