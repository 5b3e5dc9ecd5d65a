"""The section on catalogue errors: the most suspicious annotations, with photographs.

What belongs here: choosing the first rows of catalogue_errors and showing them. What does not: finding them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from atelier.report.neighbours import inline_picture, names_of, photograph
from atelier.report.parts import (
    Section,
    count_text,
    details,
    joined,
    missing,
    note,
    paragraph,
    percent_text,
    plain,
    table,
)

COMMAND = "dg launch --job daily_retrain --partition <day>"
SHOWN = 12


def catalogue_errors_section(
    errors: pd.DataFrame | None,
    photographs: Mapping[str, Path] | None = None,
    articles: pd.DataFrame | None = None,
    *,
    command: str = COMMAND,
    root: Path | None = None,
    remark: str | None = None,
) -> Section:
    """The annotations that the model contradicts most, each with the photograph, and how many there are of which.

    Args:
        errors: the table catalogue_errors.
        photographs: the image file of each article that has one.
        articles: article_id, name, for captions.
        command: what to run where there is no table.
        root: the folder that must hold the photographs, as in :func:`~atelier.report.neighbours.neighbours_section`.
        remark: what a reader must know, for example that the vectors have seen the labels.
    """
    title, anchor = "Catalogue errors", "catalogue-errors"
    if errors is None:
        return Section(title, anchor, missing("Nobody has looked for wrong annotations yet.", command))
    said = note(remark) if remark else ""
    if errors.empty:
        return Section(title, anchor, joined(said, paragraph("The model confidently contradicts no annotation.")))
    names = names_of(articles)
    first = errors.sort_values("rank").head(SHOWN)
    cards = [_card(row, names, photographs or {}, root) for row in first.to_dict("records")]
    parts = [
        paragraph(
            f"{count_text(len(errors))} annotations are confidently contradicted by a model that was trained without "
            f"the article's style; the {len(cards)} most suspicious are shown, the others stand in catalogue_errors."
        ),
        said,
        Markup('<ul class="neighbours">{}</ul>\n').format(Markup("").join(cards)),
        details("By attribute", _by_attribute(errors)),
    ]
    return Section(title, anchor, joined(*parts))


def _card(
    row: Mapping[Any, Any], names: Mapping[str, object], photographs: Mapping[str, Path], root: Path | None
) -> Markup:
    article = str(row["article_id"])
    name, picture = plain(names.get(article)), inline_picture(photographs.get(article), root)
    return Markup(
        "<li>{}<span>{}. {}: <s>{}</s></span><span>model: <strong>{}</strong> {}</span>"
        '<span class="soft">annotated: {}</span><span>{}</span><span class="soft">{}</span></li>'
    ).format(
        photograph(picture, name, article),
        row["rank"],
        row["attribute"],
        row["annotated_value"],
        row["predicted_value"],
        percent_text(row["confidence"]),
        percent_text(row["annotated_probability"]),
        name,
        article,
    )


def _by_attribute(errors: pd.DataFrame) -> Markup:
    counts = errors.groupby("attribute").size().reset_index(name="doubted")
    counts = counts.sort_values(["doubted", "attribute"], ascending=[False, True], kind="stable")
    rows = [[name, count_text(doubted)] for name, doubted in counts.itertuples(index=False)]
    return table("How many annotations of each attribute are doubted.", ["Attribute", "Doubted"], rows, ["Doubted"])
