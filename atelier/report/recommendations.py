"""The section on recommendations: a few customers' lists, with photographs and with what they owe their place to.

What belongs here: showing rows of recommendations and saying their reasons in words. What does not: choosing the
customers, computing reasons (:mod:`atelier.recommenders`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from atelier.report.neighbours import inline_picture, names_of, photograph
from atelier.report.parts import Section, heading, joined, missing, paragraph, plain

COMMAND = "dg launch --job daily_retrain --partition <day>"
CHOSEN = 6
"""Articles shown of what a customer chose before, at most: those that weighed most."""
BLOCKS = {
    "image": "its photograph",
    "price": "its price",
    "recency": "how long it has been on sale",
    "popularity": "how much it sells",
}
"""What a reason is called that is a whole block of the article's vector."""


def recommendations_section(
    lists: pd.DataFrame | None,
    photographs: Mapping[str, Path | str] | None = None,
    articles: pd.DataFrame | None = None,
    *,
    command: str = COMMAND,
    root: Path | None = None,
) -> Section:
    """What a few customers are recommended, and why.

    Args:
        lists: model, customer_id, rank, article_id, reasons (a list of kind, value and weight): every row is shown.
        photographs: the image file of an article.
        articles: article_id, name, for captions.
        command: what to run where there are none.
        root: the folder that must hold the photographs, and that relative paths start from. None: any place.
    """
    title, anchor = "Recommendations and their reasons", "recommendations"
    if lists is None or lists.empty:
        return Section(title, anchor, missing("No recommendations with reasons have been made yet.", command))
    names = names_of(articles)
    cards = _Cards(names, photographs or {}, root)
    parts = [
        paragraph(
            "A few customers: what they chose before, as far as it explains something, and the first places of each"
            " model's list. A reason is an article of their history or a property of the recommended article that"
            " raised its score; the strongest stand first."
        )
    ]
    for customer, theirs in lists.sort_values(["customer_id", "model", "rank"]).groupby("customer_id", sort=True):
        chosen = [cards.card(article, []) for article in _chosen(theirs)]
        parts += [heading(f"Customer {customer}"), paragraph("Chosen before"), cards.strip(chosen)]
        for model, rows in theirs.groupby("model", sort=True):
            pairs = zip(rows["article_id"].astype(str), rows["reasons"], strict=True)
            shown = [cards.card(article, _because(article, found, names)) for article, found in pairs]
            parts += [paragraph(f"{model} recommends"), cards.strip(shown)]
    return Section(title, anchor, joined(*parts))


def _chosen(rows: pd.DataFrame) -> list[str]:
    """The articles of the history that the reasons name, by the summed share of their row's strongest reason."""
    weights: dict[str, float] = {}
    for reasons in rows["reasons"]:
        own = [reason for reason in reasons if reason["kind"] == "article"]
        strongest = max((reason["weight"] for reason in own), default=1.0)  # models have scores of their own size
        for reason in own:
            weights[reason["value"]] = weights.get(reason["value"], 0.0) + reason["weight"] / strongest
    return sorted(weights, key=lambda article: (-weights[article], article))[:CHOSEN]


def _because(article: str, reasons: Sequence[Mapping[str, Any]], names: Mapping[str, object]) -> list[str]:
    """The reasons of an article in words: one line for its history, one for each property."""
    own = [str(reason["value"]) for reason in reasons if reason["kind"] == "article"]
    chosen = ["it before" if other == article else f"{plain(names.get(other))} ({other})" for other in own]
    lines = [f"because you chose {' and '.join(chosen)}"] if chosen else []
    return lines + [_property(str(reason["value"])) for reason in reasons if reason["kind"] == "attribute"]


def _property(value: str) -> str:
    name, separator, said = value.partition("=")
    if not separator:
        return f"because of {BLOCKS.get(value, value)}"
    return f"because its text says “{said}”" if name == "text" else f"because {name.replace('_', ' ')} = {said}"


class _Cards:
    """Articles as cards; each photograph is read once."""

    def __init__(self, names: Mapping[str, object], photographs: Mapping[str, Path | str], root: Path | None) -> None:
        self._names, self._photographs, self._root = names, photographs, root
        self._pictures: dict[str, str | None] = {}

    def strip(self, cards: Sequence[Markup]) -> Markup:
        """Cards side by side; nothing where there are none."""
        return Markup('<ul class="neighbours">{}</ul>\n').format(Markup("").join(cards)) if cards else Markup("")

    def card(self, article: str, lines: Sequence[str]) -> Markup:
        """An article, and lines below it."""
        if article not in self._pictures:
            self._pictures[article] = inline_picture(self._photographs.get(article), self._root)
        picture, name = self._pictures[article], plain(self._names.get(article))
        below = Markup("<span>{}</span><span class=soft>{}</span>").format(name, article)
        below += Markup("").join(Markup("<span class=soft>{}</span>").format(line) for line in lines)
        return Markup("<li>{}{}</li>").format(photograph(picture, name, article), below)
