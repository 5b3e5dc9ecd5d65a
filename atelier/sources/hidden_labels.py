"""Hiding some labels of a complete catalogue, so that predictions can be evaluated on them.

What belongs here: which labels are hidden. What does not: where labels come from.

A label is hidden where the SHA-256 of seed, article and attribute falls below the fraction: the choice is the same on
every day, on every machine, whatever other articles there are.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated

import duckdb
from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
_SEPARATOR = "\x1f"
_DIGITS = 16


class HideLabels(BaseModel):
    """Which share of the labels to hide.

    Attributes:
        fraction: the share, for all attributes or for each by name (those not named are not hidden).
        seed: another seed hides others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fraction: Fraction | dict[str, Fraction]
    seed: int = 0

    def share(self, attribute: str) -> float:
        """The share of this attribute's labels that is hidden."""
        return self.fraction.get(attribute, 0.0) if isinstance(self.fraction, Mapping) else self.fraction


def is_hidden(hide: HideLabels, article_id: str, attribute: str) -> bool:
    """Whether this label is hidden: the definition that :func:`split_labels` follows for whole tables."""
    text = _SEPARATOR.join((str(hide.seed), article_id, attribute))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return int(digest[:_DIGITS], 16) < int(hide.share(attribute) * 16**_DIGITS)


def split_labels(
    connection: duckdb.DuckDBPyConnection, labels: str, attributes: tuple[str, ...], hide: HideLabels
) -> str:
    """Mark the hidden rows of a table of labels.

    Args:
        connection: holds the table.
        labels: its SQL name; it has the columns article_id and attribute.
        attributes: the attributes in it.
        hide: which to hide.

    Returns:
        The SQL name of a new table: the same with the column ``hidden``.
    """
    # Hexadecimal texts of equal length compare as the numbers do; a share of 1 has no bound.
    bounds = [(name, format(int(hide.share(name) * 16**_DIGITS), f"0{_DIGITS}x")) for name in attributes]
    connection.execute("CREATE OR REPLACE TEMP TABLE label_bounds (attribute VARCHAR, bound VARCHAR)")
    connection.executemany(
        "INSERT INTO label_bounds VALUES (?, ?)",
        [(name, "g" if len(bound) > _DIGITS else bound) for name, bound in bounds],
    )
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {labels}_split AS
            SELECT {labels}.*, sha256(concat_ws(chr(31), $seed, article_id, attribute))[:{_DIGITS}] < bound AS hidden
            FROM {labels} JOIN label_bounds USING (attribute)""",  # noqa: S608 — our own names only
        {"seed": str(hide.seed)},
    )
    return f"{labels}_split"
