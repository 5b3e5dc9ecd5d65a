"""Which columns a landing zone's files have, and which values are valid in them.

What belongs here: the layouts of the Parquet landing zone (which are the registry's raw tables, since this package
may not import the registry; a test holds the two together). What does not: the H&M layout
(:mod:`atelier.sources.hm_layout`), the checking itself (:mod:`atelier.sources.validation`).
"""

from dataclasses import dataclass

from atelier.answers import ANSWERS, FEEDBACK
from atelier.kinds import KINDS

INTERACTION_KINDS = KINDS
MONEY = "DECIMAL(18,9)"


@dataclass(frozen=True)
class Field:
    """One column of a file and the rules for its values.

    Attributes:
        name: the column of the table that it becomes.
        type: the DuckDB type that its values have to parse to.
        required: null, or blank text, is a fault. A row with a fault in a required value is rejected; any other value
            at fault becomes null, and the row is kept.
        may_lack: the file may be without the column; it is null then.
        low: the smallest valid value of a number.
        high: the largest valid value of a number.
        values: the valid texts, where they are few.
        identifier: what became a number with decimals on its way (``108775015.0``) is a fault.
        open_ended: a date after :data:`~atelier.sources.validation.LATEST` means that no end is known, and is null.
        source: the column's name in the file, where it differs.
        transform: SQL that turns the parsed value, written ``{0}``, into the table's.
        expression: SQL over the file's columns that gives the value; nothing is parsed or checked then.
    """

    name: str
    type: str = "VARCHAR"
    required: bool = False
    may_lack: bool = False
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] | None = None
    identifier: bool = False
    open_ended: bool = False
    source: str | None = None
    transform: str | None = None
    expression: str | None = None

    @property
    def column(self) -> str:
        """The column's name in the file."""
        return self.source or self.name


@dataclass(frozen=True)
class Layout:
    """The rules for one kind of file.

    Attributes:
        table: the table that it becomes.
        fields: its columns.
        key: columns that together may occur once; the first row is kept.
        references: columns whose values have to be known, with the table that knows them.
        day: the column whose date has to be the day on which the row came.
        whole: the column whose value is the same in rows that count together: once one of them is wrong, all are
            rejected.
    """

    table: str
    fields: tuple[Field, ...]
    key: tuple[str, ...] = ()
    references: tuple[tuple[str, str], ...] = ()
    day: str | None = None
    whole: str | None = None


def _optional(name: str, kind: str = "VARCHAR", low: float | None = None, high: float | None = None) -> Field:
    return Field(name, kind, may_lack=True, low=low, high=high)


_ARTICLE = Field("article_id", required=True, identifier=True)
_CUSTOMER = Field("customer_id", required=True, identifier=True)
_KNOWN_ARTICLE = ("article_id", "articles")

LAYOUTS: dict[str, Layout] = {
    layout.table: layout
    for layout in (
        Layout(
            "articles",
            (
                _ARTICLE,
                Field("product_code", may_lack=True, identifier=True),
                *map(_optional, ("name", "description", "product_type", "brand", "division")),
                _optional("price", MONEY, low=0),
                _optional("available_from", "DATE"),
                Field("available_until", "DATE", may_lack=True, open_ended=True),
                Field("in_stock", "BOOLEAN", required=True),
            ),
            key=("article_id",),
        ),
        Layout(
            "customers",
            (_CUSTOMER, _optional("age", "SMALLINT", low=0, high=130), _optional("profile", "MAP(VARCHAR, VARCHAR)")),
            key=("customer_id",),
        ),
        Layout(
            "interactions",
            (
                _CUSTOMER,
                _ARTICLE,
                Field("occurred_at", "TIMESTAMP", required=True),
                Field("kind", required=True, values=INTERACTION_KINDS),
                _optional("price", MONEY, low=0),
                _optional("channel"),
                _optional("session_id"),
            ),
            references=(_KNOWN_ARTICLE, ("customer_id", "customers")),
            day="occurred_at",
        ),
        Layout(
            "annotated_attributes",
            (_ARTICLE, Field("attribute", required=True), Field("value", required=True)),
            key=("article_id", "attribute"),
            references=(_KNOWN_ARTICLE,),
        ),
        Layout(
            "images",
            (_ARTICLE, Field("shot", "INTEGER", required=True, low=0), Field("path", required=True)),
            key=("article_id", "shot"),
            references=(_KNOWN_ARTICLE,),
        ),
        Layout(
            "outfits",
            (Field("outfit_id", required=True, identifier=True), _ARTICLE, _optional("role")),
            key=("outfit_id", "article_id"),
            references=(_KNOWN_ARTICLE,),
        ),
        Layout(
            FEEDBACK,
            (
                Field("outfit_id", required=True, identifier=True),
                _ARTICLE,
                Field("answer", required=True, values=ANSWERS),
            ),
            key=("outfit_id", "article_id"),
            references=(_KNOWN_ARTICLE,),
            whole="outfit_id",  # an answer about three articles says nothing about two of them
        ),
    )
}
