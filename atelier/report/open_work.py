"""The three things that need a person: likely catalogue errors, abstained values that sell, articles in no list.

What belongs here: their cards on the first screen, and their section. What does not: finding them (SQL,
:mod:`assets.open_work`), the photographs of catalogue errors (:mod:`atelier.report.catalogue_errors`).
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from atelier.report import parts
from atelier.report.album import Album
from atelier.report.parts import count_text, percent_text

#: How many rows a card and a table show.
ON_CARD, SHOWN = 3, 10
SECTION = "open-work"
Row = Mapping[Hashable, Any]


@dataclass(frozen=True)
class OpenWork:
    """What needs a person on a day; of each the first rows. None: what it is found in was not made.

    Attributes:
        window: the days of sales that count.
        errors: article_id, attribute, annotated_value, predicted_value, error_probability, the likeliest error first.
        errors_total: how many there are.
        abstained: total, article_id, attribute, value, confidence, units: values that the model left open, of
            articles that sold, the best seller first.
        unlisted: total, total_nowhere, article_id, product_type, price, available_from, nowhere: articles on
            sale that no customer's list shows; ``nowhere``: no list beside another article shows it either.
    """

    window: int
    errors: pd.DataFrame | None
    errors_total: int
    abstained: pd.DataFrame | None
    unlisted: pd.DataFrame | None

    def __len__(self) -> int:
        """How many of the three are known."""
        return sum(each is not None for each in (self.errors, self.abstained, self.unlisted))


def total(frame: pd.DataFrame | None, column: str = "total") -> int | None:
    """How many there are of what ``frame`` shows the first rows; None: not known."""
    if frame is None:
        return None
    return int(frame[column].iloc[0]) if len(frame) else 0


def cards(work: OpenWork, album: Album) -> Markup:
    """The three as cards: how many, where more is said, the first rows."""
    errors = None if work.errors is None else work.errors_total
    made = [
        _card(errors, "likely catalogue errors", "catalogue-errors", _lines(work.errors, _error_line, album)),
        _card(
            total(work.abstained),
            "abstained values of articles that sell",
            f"{SECTION}-abstained",
            _lines(work.abstained, _abstained_line, album),
        ),
        _card(
            total(work.unlisted),
            "articles in no customer's list",
            f"{SECTION}-unlisted",
            _lines(work.unlisted, _unlisted_line, album),
        ),
    ]
    return Markup('<h3>What needs a person</h3>\n<ul class="cards">{}</ul>\n').format(Markup("").join(made))


def _card(number: int | None, name: str, anchor: str, lines: Markup) -> Markup:
    said = (
        lines if number else Markup("<p class=soft>{}</p>").format("None." if number == 0 else "Not made on this day.")
    )
    return Markup('<li><a href="#{}"><strong>{}</strong> {}</a>{}</li>').format(anchor, count_text(number), name, said)


def _lines(frame: pd.DataFrame | None, line: Callable[[Row, Album], str], album: Album) -> Markup:
    rows = [] if frame is None else frame.head(ON_CARD).to_dict("records")
    items = Markup("").join(Markup("<li>{}</li>").format(line(row, album)) for row in rows)
    return Markup("<ol>{}</ol>").format(items)


def _error_line(row: Row, album: Album) -> str:
    return f"{_named(row, album)}: {row['attribute']} {row['annotated_value']}, or {row['predicted_value']}?"


def _abstained_line(row: Row, album: Album) -> str:
    return f"{_named(row, album)}: {row['attribute']} {row['value']}? {count_text(row['units'])} sold"


def _unlisted_line(row: Row, album: Album) -> str:
    where = "in no list at all" if row["nowhere"] else "only beside other articles"
    return f"{_named(row, album)}: {where}"


def _named(row: Row, album: Album) -> str:
    return album.named(str(row["article_id"]))


@parts.section("What needs a person", SECTION, "Neither values nor lists were made on this day.")
def open_work_section(work: OpenWork, album: Album) -> Iterator[str]:
    """The abstained values of articles that sell and the articles nobody sees, each with its first rows.

    Args:
        work: what was found.
        album: the names of articles.
    """
    yield parts.paragraph("Likely catalogue errors have a section of their own, with photographs.")
    yield _heading("Abstained values of articles that sell", "abstained")
    yield from _abstained(work, album)
    yield _heading("Articles in no customer's list", "unlisted")
    yield from _unlisted(work, album)


def _heading(text: str, name: str) -> Markup:
    return Markup('<h3 id="{}-{}">{}</h3>\n').format(SECTION, name, text)


def _abstained(work: OpenWork, album: Album) -> Iterator[str]:
    found = work.abstained
    if found is None:
        yield parts.paragraph("No values were predicted on this day.")
        return
    if found.empty:
        yield parts.paragraph(f"Every value of every article that sold in the last {work.window} days is settled.")
        return
    yield parts.paragraph(
        f"{count_text(total(found))} values of articles that sold in the last {work.window} days are only the most "
        "probable of several. Annotating them, the best sellers first, helps most customers most."
    )
    rows = [
        [
            str(row["article_id"]),
            album.name(str(row["article_id"])),
            row["attribute"],
            row["value"],
            percent_text(row["confidence"]),
            count_text(row["units"]),
        ]
        for row in found.head(SHOWN).to_dict("records")
    ]
    heads = ["Article", "Name", "Attribute", "Most probable", "Probability", "Sold"]
    yield parts.table(f"The first {len(rows)}.", heads, rows, heads[:4])
    first = rows[0]
    yield parts.joined(
        Markup('<p class="explain">{}</p>\n').format(
            parts.with_code(f"`atelier lineage {first[0]} {first[2]}` says what the model saw and which values remain.")
        )
    )


def _unlisted(work: OpenWork, album: Album) -> Iterator[str]:
    found = work.unlisted
    if found is None:
        yield parts.paragraph("No lists were made on this day.")
        return
    if found.empty:
        yield parts.paragraph("Every article on sale is in some customer's list.")
        return
    yield parts.paragraph(
        f"{count_text(total(found))} articles on sale are in no customer's list; "
        f"{count_text(total(found, 'total_nowhere'))} of them stand in no list of similar or complementary articles "
        "either, so that no list leads to them. These come first, the newest before the others."
    )
    rows = [
        [
            str(row["article_id"]),
            album.name(str(row["article_id"])),
            parts.plain(row["product_type"]),
            parts.plain(None if pd.isna(row["available_from"]) else pd.Timestamp(row["available_from"]).date()),
            "in no list" if row["nowhere"] else "beside other articles",
            parts.figure_text(None if pd.isna(row["price"]) else float(row["price"]), 2),
        ]
        for row in found.head(SHOWN).to_dict("records")
    ]
    heads = ["Article", "Name", "Type", "On sale since", "Where it stands", "Price"]
    yield parts.table(f"The first {len(rows)}.", heads, rows, heads[:5])
