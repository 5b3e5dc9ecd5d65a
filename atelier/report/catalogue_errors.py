"""The section on catalogue errors: the most suspicious annotations, with photographs.

What belongs here: choosing the first rows of catalogue_errors and showing them. What does not: finding them.
"""

from collections.abc import Iterator

import pandas as pd
from markupsafe import Markup

from atelier.report import parts
from atelier.report.album import Album, strip

SHOWN = 12
ANNOTATION = Markup(
    "<span>{}. {}: <s>{}</s></span><span>model: <strong>{}</strong> {}</span><span class=soft>annotated: {}</span>"
)


@parts.section(
    "Catalogue errors", "catalogue-errors", "Nobody has looked for wrong annotations yet.", may_be_empty=True
)
def catalogue_errors_section(
    errors: pd.DataFrame, album: Album | None = None, *, remark: str | None = None
) -> Iterator[str]:
    """The annotations that the model contradicts most, each with the photograph, and how many there are of which.

    Args:
        errors: the table catalogue_errors.
        album: names and photographs.
        remark: what a reader must know, for example that the vectors have seen the labels.
    """
    album = album or Album()
    first = [] if errors.empty else errors.sort_values("rank").head(SHOWN).to_dict("records")
    if first:
        yield parts.paragraph(
            f"{parts.count_text(len(errors))} annotations are confidently contradicted by a model that was trained "
            f"without the article's style; the {len(first)} most suspicious are shown, the others stand in "
            "catalogue_errors."
        )
    if remark:
        yield parts.note(remark)
    if not first:
        yield parts.paragraph("The model confidently contradicts no annotation.")
        return
    yield strip(
        album.card(
            str(row["article_id"]),
            above=ANNOTATION.format(
                *(row[name] for name in ("rank", "attribute", "annotated_value", "predicted_value")),
                *(parts.percent_text(row[name]) for name in ("confidence", "annotated_probability")),
            ),
        )
        for row in first
    )
    counts = errors.groupby("attribute").size().reset_index(name="doubted")
    counts = counts.sort_values(["doubted", "attribute"], ascending=[False, True], kind="stable")
    rows = [[name, parts.count_text(doubted)] for name, doubted in counts.itertuples(index=False)]
    caption = "How many annotations of each attribute are doubted."
    yield parts.details("By attribute", parts.table(caption, ["Attribute", "Doubted"], rows))
