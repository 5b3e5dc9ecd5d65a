"""The page of one customer: what they did, and what each model recommends to them and why.

What belongs here: turning the rows of one customer into sections. What does not: finding them (``sql/pages``).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from atelier.report import parts
from atelier.report.album import Album, strip
from atelier.report.reasons import WITHOUT_REASONS, are_without_reasons, sentences
from atelier.report.served.frame import article_link, day, facts

CARDS = 12
"""Articles of the history that are shown as cards: those of the newest rows."""
KINDS = {"purchase": "good", "return": "bad"}


@parts.section("Customer", "customer", "The newest day has no such customer.", "")
def customer_section(customer: Mapping[str, Any]) -> Iterator[str]:
    """What the retailer knows of a customer.

    Args:
        customer: ds, customer_id, age, profile (a mapping of names to values; may be null).
    """
    profile = customer.get("profile") or {}
    yield facts(f"As known on {day(customer['ds'])}.", [("Age", customer.get("age")), *sorted(dict(profile).items())])


@parts.section("What they did", "history", "No interaction of this customer is stored.", "")
def history_section(history: pd.DataFrame, totals: pd.DataFrame, album: Album) -> Iterator[str]:
    """The newest interactions as cards and as a table, with how many there are of each kind.

    Args:
        history: ds, occurred_at, kind, article_id, price, channel; the newest first.
        totals: kind, units, days, first_day, last_day, total (money).
        album: names and photographs.
    """
    heads = ("Kind", "Units", "Days", "First day", "Last day", "Sum of prices")
    yield parts.table(
        "Everything that is stored of this customer.",
        heads,
        [
            (
                row["kind"],
                parts.count_text(row["units"]),
                parts.count_text(row["days"]),
                day(row["first_day"]),
                day(row["last_day"]),
                parts.money_text(row["total"]),
            )
            for row in totals.to_dict("records")
        ],
    )
    newest = history.drop_duplicates("article_id").head(CARDS)
    pairs = zip(newest["article_id"].astype(str), newest["kind"], newest["ds"], strict=True)
    yield strip(album.card(article, [f"{kind}, {day(ds)}"]) for article, kind, ds in pairs)
    yield parts.details(f"The newest {len(history):,} rows", _rows(history, album))


def _rows(history: pd.DataFrame, album: Album) -> Markup:
    text = ("When", "Kind", "Article", "Channel")
    rows = [
        (
            str(row["occurred_at"])[:16],
            parts.Badge(row["kind"], KINDS.get(row["kind"], "none")),
            article_link(row["article_id"], album.named(row["article_id"])),
            parts.plain(row["channel"]),
            parts.money_text(row["price"]),
        )
        for row in history.to_dict("records")
    ]
    return parts.table("The newest rows, the last one first.", (*text, "Price"), rows, text)


@parts.section("Recommendations", "lists", "No model has made a list for this customer.")
def lists_section(lists: pd.DataFrame, album: Album) -> Iterator[str]:
    """The newest list of each model, the served one open and the others folded away.

    Args:
        lists: ds, model, seen, served, rank, article_id, fallback, reasons (a list); those of one model and ``seen``
            together.
        album: names and photographs.
    """
    shown, newest = lists.loc[lists["served"], "ds"], lists["ds"].max()
    if shown.empty:
        yield parts.note("None of these lists is the one that this customer is shown.")
    elif shown.iloc[0] != newest:
        stays = f"the list of {day(shown.iloc[0])} is still shown"
        yield parts.note(f"The serving model of {day(newest)} has not passed its gates: {stays}.")
    for (model, seen, _), rows in lists.groupby(["model", "seen", "ds"], sort=False):
        cards = strip(
            album.card(article, sentences(article, reasons, album.name))
            for article, reasons in zip(rows["article_id"].astype(str), rows["reasons"], strict=True)
        )
        said = f"{model}, {day(rows['ds'].iloc[0])}, articles bought before {seen}"
        fallback = [parts.note("The model knows too little of this customer: the list is popular's.", "none")]
        told = fallback if rows["fallback"].any() else []
        told += [parts.note(WITHOUT_REASONS, "none")] if are_without_reasons(rows) else []
        if rows["served"].any():
            yield parts.heading(f"Served: {said}")
            yield from (*told, cards)
        else:
            yield parts.details(said, *told, cards)
