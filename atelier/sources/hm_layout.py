"""The H&M Kaggle files: their columns, what each becomes, and the options of reading them.

What belongs here: the mapping (see the table in docs/sources.md) and :class:`HmOptions`. What does not: reading
(:mod:`atelier.sources.hm`).
"""

import re
from datetime import date
from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from atelier.sources.columns import MONEY, Field, Layout
from atelier.sources.hidden_labels import HideLabels
from atelier.sources.reading import ROW, EngineOptions, literal, sql_identifier

ALL_ATTRIBUTES = (
    "product_type_name",
    "product_group_name",
    "graphical_appearance_name",
    "colour_group_name",
    "perceived_colour_value_name",
    "perceived_colour_master_name",
    "index_group_name",
    "section_name",
    "garment_group_name",
)
"""What people labelled. The other columns are numbers of the same, or say which department looks after an article."""

CHANNELS = ("store", "online")
"""What sales_channel_id 1 and 2 mean."""
_CHANNEL = f"CASE {{0}} WHEN 1 THEN '{CHANNELS[0]}' WHEN 2 THEN '{CHANNELS[1]}' END"

# Kaggle's article ids have ten digits; whoever reads them as numbers loses the leading zero.
_TEN_DIGITS = "CASE WHEN length({0}) < 10 AND regexp_full_match({0}, '[0-9]+') THEN lpad({0}, 10, '0') ELSE {0} END"
_ARTICLE = Field("article_id", required=True, identifier=True, transform=_TEN_DIGITS)


class HmOptions(EngineOptions):
    """Options of the H&M source. A column of articles is metadata or attribute, never both.

    Attributes:
        product_type: the column that becomes ``product_type``; None leaves it null.
        division: the column that becomes ``division``; None leaves it null.
        attributes: the columns that become annotated attributes; ``"all"`` means all nine, and no product type or
            division unless they are named too.
        hide_labels: which labels to keep aside; a number is a fraction with seed 0.
        first_day: the first day of interest, which rows without a readable date are rejected on; None takes the first
            of the file.
        last_day: the last day the files hold; None takes the last of the file.
        after_last_day: what becomes of transactions after a given ``last_day``: they are wrong and rejected on it, or,
            for trying a part of the files' history, ignored.
    """

    product_type: str | None = "product_type_name"
    division: str | None = "index_name"
    attributes: tuple[str, ...] = ALL_ATTRIBUTES[1:]
    hide_labels: HideLabels | None = None
    first_day: date | None = None
    last_day: date | None = None
    after_last_day: Literal["reject", "ignore"] = "reject"

    @model_validator(mode="before")
    @classmethod
    def _all_attributes(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("attributes") == "all":
            return {"product_type": None, "division": None, **values, "attributes": ALL_ATTRIBUTES}
        return values

    @field_validator("hide_labels", mode="before")
    @classmethod
    def _fraction_alone(cls, value: Any) -> Any:
        return {"fraction": value} if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _one_role_each(self) -> Self:
        named = [*self.attributes, *filter(None, (self.product_type, self.division))]
        twice = sorted({column for column in named if named.count(column) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)}: a column is metadata or attribute, and only once")
        if isinstance(hidden := self.hide_labels and self.hide_labels.fraction, dict) and set(hidden) - {
            *self.attributes
        }:
            raise ValueError(f"hide_labels names {sorted(set(hidden) - {*self.attributes})}, which are no attributes")
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise ValueError(f"first_day {self.first_day} is after last_day {self.last_day}")
        return self


def articles_layout(options: HmOptions) -> Layout:
    """The layout of articles: the columns of the table, then one for each attribute."""
    metadata = tuple(
        Field(name, source=source) if source else Field(name, expression="CAST(NULL AS VARCHAR)")
        for name, source in (("product_type", options.product_type), ("division", options.division))
    )
    return Layout(
        "articles",
        (
            _ARTICLE,
            Field("product_code", may_lack=True, identifier=True),
            Field("name", source="prod_name", may_lack=True),
            Field("description", source="detail_desc", may_lack=True),
            *metadata,
            *(Field(f"attribute:{column}", source=column) for column in options.attributes),
        ),
        key=("article_id",),
    )


def index_columns(types: dict[str, str]) -> list[str]:
    """The columns that pandas adds when it writes a frame with its index: numbers of rows, which say nothing."""
    return [name for name in types if re.fullmatch(r"__index_level_\d+__|Unnamed: \d+|column0", name)]


def customers_layout(types: dict[str, str]) -> Layout:
    """The layout of customers: id and age; every other column goes into the profile where it is not empty."""
    own = {"customer_id", "age", *index_columns(types)}
    others = [name for name in types if name not in own and name.casefold() not in own]
    entries = ", ".join(
        f"{{'k': {literal(name)}, 'v': nullif(CAST({sql_identifier(name)} AS VARCHAR), '')}}" for name in others
    )
    said = f"list_filter([{entries}], lambda entry: entry.v IS NOT NULL)"
    profile = f"CASE WHEN len({said}) > 0 THEN map_from_entries({said}) END"
    return Layout(
        "customers",
        (
            Field("customer_id", required=True, identifier=True),
            Field("age", "SMALLINT", may_lack=True, low=0, high=130),
            Field("profile", expression=profile if others else "CAST(NULL AS MAP(VARCHAR, VARCHAR))"),
        ),
        key=("customer_id",),
    )


_SALE = (
    Field("customer_id", required=True, identifier=True),
    _ARTICLE,
    Field("occurred_at", "DATE", required=True, source="t_dat", transform="CAST({0} AS TIMESTAMP)"),
    Field("kind", expression="'purchase'"),
    Field("price", MONEY, may_lack=True, low=0),
    Field("channel", "INTEGER", may_lack=True, low=1, high=2, source="sales_channel_id", transform=_CHANNEL),
    Field("session_id", expression="CAST(NULL AS VARCHAR)"),
)
_REFERENCES = (("article_id", "articles"), ("customer_id", "customers"))
# Rows without a readable date belong to no day: they are numbered apart, and so shift no ordinal of a day.
_ORDINAL = f"row_number() OVER (PARTITION BY TRY_CAST(t_dat AS DATE) ORDER BY {ROW}) - 1"

SALES = Layout("interactions", _SALE, references=_REFERENCES)
"""transactions_train as one stream, days mixed."""

SALES_OF_A_DAY = Layout(
    "interactions", (Field("ordinal", expression=_ORDINAL), *_SALE), references=_REFERENCES, day="occurred_at"
)
"""The transactions of one day, with their ordinals in it."""
