"""The page of one article: what it is and who says so, how it sells, and what is near it.

What belongs here: turning the rows of one article into sections. What does not: finding them (``sql/pages``), the
lineage of one value in full (:mod:`atelier.report.lineage`).
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.report import parts
from atelier.report.album import Album, strip
from atelier.report.neighbours import LISTS
from atelier.report.served.frame import address, day, facts
from atelier.report.served.plots import days_plot

LARGE = "large"
"""The size of photographs that is asked for on an article's own page."""
IN_STOCK, SOLD_OUT = parts.Badge("in stock", "good"), parts.Badge("out of stock", "warn")
SOURCES = {
    "annotated": parts.Badge("people", "good"),
    "predicted": parts.Badge("model", "none"),
    "abstained": parts.Badge("left open", "warn"),
}


@parts.section("Article", "article", "The newest day has no such article.", "")
def article_section(article: Mapping[str, Any], shots: Sequence[int]) -> Iterator[str]:
    """The photographs and what the catalogue says.

    Args:
        article: a row of ``articles`` with sales_30d.
        shots: the numbers of its photographs.
    """
    name = parts.plain(article["name"])
    images = (
        Markup('<li><img src="{}" alt="{}"></li>').format(
            address("photograph", id=article["article_id"], shot=shot, size=LARGE),
            f"{name}, article {article['article_id']}, photograph {place}",
        )
        for place, shot in enumerate(shots, 1)
    )
    shown = Markup("").join(images)
    if shown:
        yield Markup('<ul class="shots" tabindex="0" aria-label="The photographs of this article">{}</ul>\n').format(
            shown
        )
    yield facts(
        f"As known on {day(article['ds'])}.",
        [
            ("Name", article["name"]),
            ("Stock", (IN_STOCK if article["in_stock"] else SOLD_OUT).html()),
            ("Price", parts.money_text(article["price"])),
            ("Sold in 30 days", parts.count_text(article["sales_30d"])),
            ("Product type", article["product_type"]),
            ("Brand", article["brand"]),
            ("Division", article["division"]),
            ("Style", article["product_code"]),
            ("On sale from", day(article["available_from"])),
            ("On sale until", day(article["available_until"])),
        ],
    )
    if parts.plain(article["description"]) != parts.NONE:
        yield parts.paragraph(article["description"])


@parts.section("Attributes", "attributes", "No attribute of this article has been predicted or annotated.")
def attributes_section(attributes: pd.DataFrame) -> Iterator[str]:
    """Every attribute with who says so: people or a model, which one, trained when, and how sure.

    Args:
        attributes: ds, article_id, attribute, value, source, confidence, prediction, alternatives (value and
            probability each), model_id, training_day.
    """
    text = ("Attribute", "Value", "Said by", "Model's own value", "Remains possible", "Bundle", "Trained on")
    rows = [
        (
            row["attribute"],
            row["value"],
            SOURCES[row["source"]],
            parts.plain(row["prediction"]),
            parts.percent_text(row["confidence"]),
            _alternatives(row["alternatives"]),
            Markup("<code>{}</code>").format(parts.plain(row["model_id"])),
            Markup('<span class="keep">{}</span>').format(day(row["training_day"])),
        )
        for row in attributes.to_dict("records")
    ]
    yield parts.table(
        "Probability is the model's of its own value, also where people annotated another one. Where more than one"
        " value remains possible, the value is left open and only the most probable.",
        (*text[:4], "Probability", *text[4:]),
        rows,
        text,
    )
    command = shlex.join(["atelier", "lineage", *attributes[["article_id", "attribute"]].iloc[0].astype(str)])
    yield parts.note(f"`{command}` shows what the model read, and why it decided so.", "none")


def _alternatives(values: Any) -> str:
    """The values that remain possible, the most probable first."""
    if not isinstance(values, (list, np.ndarray)):
        return parts.NONE
    return ", ".join(f"{each['value']} {parts.percent_text(each['probability'])}" for each in values) or parts.NONE


@parts.section("Sales by week", "sales", "Nothing of this article was sold.", "")
def sales_section(weeks: pd.DataFrame) -> Iterator[str]:
    """Units sold in each week, from the first sale to the last; weeks without one are 0.

    Args:
        weeks: week (its Monday), units, revenue.
    """
    starts = pd.to_datetime(weeks["week"])
    whole = pd.date_range(starts.min(), starts.max(), freq="7D")
    units = weeks["units"].astype("float64").set_axis(starts).reindex(whole, fill_value=0.0)
    if len(whole) > 1:
        sold = np.asarray(units, dtype=np.float64)
        yield parts.figure(
            days_plot("units sold", {"units": ([each.date() for each in whole], sold)}),
            f"Units sold in each of {len(whole)} weeks; the table gives the numbers.",
            "Units sold in each week, by its Monday; the first and the last week may be cut short.",
        )
    rows = [
        (day(row["week"]), parts.count_text(row["units"]), parts.money_text(row["revenue"]))
        for row in weeks.iloc[::-1].to_dict("records")
    ]
    table = parts.table("Weeks with a sale, the newest first.", ("Week from", "Units", "Sum of prices"), rows)
    yield parts.details("The numbers", table) if len(whole) > 1 else table


@parts.section("Goes together", "complements", "No list says what goes with this article.")
def complements_section(complements: pd.DataFrame, album: Album) -> Iterator[str]:
    """What goes with the article: each list with its reasons.

    Args:
        complements: list, rank, complement_article_id, reason.
        album: names and photographs.
    """
    for name, rows in complements.groupby("list", sort=True):
        yield parts.paragraph(LISTS[str(name)])
        pairs = zip(rows["complement_article_id"].astype(str), rows["reason"], strict=True)
        yield strip(album.card(article, [reason]) for article, reason in pairs)


@parts.section("In its place", "replacements", "It is in stock, or no replacement has been computed.")
def replacement_section(replacements: pd.DataFrame, album: Album) -> Iterator[str]:
    """What is offered in place of the article.

    Args:
        replacements: rank, replacement_article_id (null: nothing), reason.
        album: names and photographs.
    """
    offered = replacements[replacements["replacement_article_id"].notna()]
    if offered.empty:
        yield parts.paragraph(str(replacements["reason"].iloc[0]))
    pairs = zip(offered["replacement_article_id"].astype(str), offered["reason"], strict=True)
    yield strip(album.card(article, [reason]) for article, reason in pairs)
