"""The section on catalogue errors: the most suspicious annotations, with photographs.

What belongs here: choosing the first rows of catalogue_errors and showing them. What does not: finding them.
"""

from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd
from markupsafe import Markup

from atelier.report import parts
from atelier.report.album import Album, strip

SHOWN = 12
EVERY = "all"
"""The row of catalogue_error_shares that holds all attributes together."""
ANNOTATION = Markup(
    "<span>{}. {}: <s>{}</s></span><span>model: <strong>{}</strong> {}</span><span class=soft>probably wrong: {}</span>"
)


@parts.section(
    "Catalogue errors", "catalogue-errors", "Nobody has looked for wrong annotations yet.", may_be_empty=True
)
def catalogue_errors_section(
    errors: pd.DataFrame, album: Album | None = None, *, shares: pd.DataFrame | None = None, remark: str | None = None
) -> Iterator[str]:
    """The annotations that are most probably wrong, each with the photograph, and how many there are of which.

    Args:
        errors: the table catalogue_errors.
        album: names and photographs.
        shares: the table catalogue_error_shares; None: it is not there.
        remark: what a reader must know, for example that the vectors have seen the labels.
    """
    album = album or Album()
    first = [] if errors.empty else errors.sort_values("rank").head(SHOWN).to_dict("records")
    if first:
        yield parts.paragraph(
            f"{parts.count_text(len(errors))} annotations are probably wrong, as a model sees them that was trained "
            f"without the article's style{_expected(shares)}; the {len(first)} most suspicious are shown, the others "
            "stand in catalogue_errors."
        )
    if remark:
        yield parts.note(remark)
    if not first:
        yield parts.paragraph("No annotation is probably wrong.")
        return
    yield strip(
        album.card(
            str(row["article_id"]),
            above=ANNOTATION.format(
                *(row[name] for name in ("rank", "attribute", "annotated_value", "predicted_value")),
                *(parts.percent_text(row[name]) for name in ("confidence", "error_probability")),
            ),
        )
        for row in first
    )
    counts = errors.groupby("attribute").size().reset_index(name="doubted")
    counts = counts.sort_values(["doubted", "attribute"], ascending=[False, True], kind="stable")
    told = {} if shares is None else {row["attribute"]: row for row in shares.to_dict("records")}
    rows = [
        [name, parts.count_text(doubted), *_share_texts(told.get(name))]
        for name, doubted in counts.itertuples(index=False)
    ]
    caption = (
        "How many annotations of each attribute are listed, and which share of these should be true errors; an "
        "attribute of which the model knows too little has none."
    )
    heads = ["Attribute", "Listed", "Expected errors", "90% interval"]
    yield parts.details("By attribute", parts.table(caption, heads, rows))


def _share_texts(row: dict[Hashable, Any] | None) -> list[str]:
    """The expected share and its interval; dashes where they are unknown."""
    if row is None or pd.isna(row["expected_share"]):
        return ["–", "–"]
    low, high = (parts.percent_text(row[name]) for name in ("low", "high"))
    return [parts.percent_text(row["expected_share"]), f"{low} to {high}"]


def _expected(shares: pd.DataFrame | None) -> str:
    """What to expect of the whole list; empty where that is unknown."""
    every = [] if shares is None else shares[shares["attribute"] == EVERY].to_dict("records")
    if not every or pd.isna(every[0]["expected_share"]):
        return ""
    expected, interval = _share_texts(every[0])
    return f" ({expected} of them should be true errors, with a 90% interval of {interval})"
