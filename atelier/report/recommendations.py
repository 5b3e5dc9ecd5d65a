"""The section on recommendations: a few customers' lists, with photographs and the reasons of each recommendation.

What belongs here: showing rows of recommendations. What does not: choosing the customers, computing reasons
(:mod:`atelier.recommenders`), reasons in words (:mod:`atelier.report.reasons`).
"""

from collections.abc import Iterator

import pandas as pd

from atelier.report import parts
from atelier.report.album import Album, strip
from atelier.report.reasons import sentences

CHOSEN = 6
"""Articles shown of what a customer chose before, at most: those that weighed most."""
ATTENDED = 8
"""Interactions shown of what a model attended to, at most."""


@parts.section(
    "Recommendations and their reasons", "recommendations", "No recommendations with reasons have been made yet."
)
def recommendations_section(
    lists: pd.DataFrame, album: Album | None = None, attention: pd.DataFrame | None = None, kept: str = ""
) -> Iterator[str]:
    """What a few customers are recommended, and why; all but the first are folded away.

    Args:
        lists: model, customer_id, rank, article_id, reasons (a list of kind, value and weight): every row is shown.
        album: names and photographs.
        attention: model, customer_id, article_id, position, share: what models that attend to histories look at.
        kept: which lists customers are shown in place of tonight's, in words; empty: tonight's.
    """
    if kept:
        yield parts.note(f"Nobody is shown these lists, which have not passed the gates: {kept}.", "bad")
    album = album or Album()
    attended = pd.DataFrame(columns=["model", "customer_id"]) if attention is None else attention
    yield parts.paragraph(
        "A few customers: what they chose before, as far as it explains something, and the first places of each"
        " model's list. A reason is an article of their history, a property of the recommended article, or, of"
        " two_stage, the source that found it and a feature, that raised its score; the strongest stand first."
    )
    ordered = lists.sort_values(["customer_id", "model", "rank"]).groupby("customer_id", sort=True)
    for place, (customer, theirs) in enumerate(ordered):
        own = attended[attended["customer_id"] == customer]
        if place == 0:
            yield parts.heading(f"Customer {customer}")
            yield from _customer(theirs, own, album)
        else:
            yield parts.details(f"Customer {customer}", *_customer(theirs, own, album))


def _customer(theirs: pd.DataFrame, attended: pd.DataFrame, album: Album) -> Iterator[str]:
    """What one customer chose before, the list of each model, and what of the history it looked at."""
    yield parts.paragraph("Chosen before")
    yield strip(map(album.card, _chosen(theirs)))
    for model, rows in theirs.groupby("model", sort=True):
        pairs = zip(rows["article_id"].astype(str), rows["reasons"], strict=True)
        yield parts.paragraph(f"{model} recommends")
        yield strip(album.card(article, sentences(article, reasons, album.name)) for article, reasons in pairs)
        looked = attended[attended["model"] == model]
        if len(looked):
            yield from _attended(str(model), looked, album)


def _attended(model: str, rows: pd.DataFrame, album: Album) -> Iterator[str]:
    """The interactions that a model attended to most, the oldest first, each with its share."""
    most = rows.nlargest(ATTENDED, "share", keep="first").sort_values("position", ascending=False)
    rest = parts.percent_text(1 - float(most["share"].sum()))
    more = f"; {len(rows) - len(most):,} more share {rest}" if len(rows) > len(most) else ""
    yield parts.paragraph(f"What {model} looked at in the history, the oldest first, with its share of attention{more}")
    cells = zip(most["article_id"].astype(str), most["share"], most["position"].astype(int), strict=True)
    yield strip(album.card(article, [f"{parts.percent_text(share)}, {_place(at)}"]) for article, share, at in cells)


def _place(position: int) -> str:
    return "the last interaction" if position == 1 else f"{position - 1:,} before the last"


def _chosen(rows: pd.DataFrame) -> list[str]:
    """The articles of the history that the reasons name, by the summed share of their row's strongest reason."""
    weights: dict[str, float] = {}
    for reasons in rows["reasons"]:
        own = [reason for reason in reasons if reason["kind"] == "article"]
        strongest = max((reason["weight"] for reason in own), default=1.0)  # models have scores of their own size
        for reason in own:
            weights[reason["value"]] = weights.get(reason["value"], 0.0) + reason["weight"] / strongest
    return sorted(weights, key=lambda article: (-weights[article], article))[:CHOSEN]
