"""A page of pairs for people to answer: do these two go together?

What belongs here: the page, which stands alone and gives the answers as a file. What does not: which pairs are asked
(:mod:`atelier.outfits.worth_asking`), what becomes of the answers (:mod:`resources.outfit_answers`).
"""

import pandas as pd

from atelier.answers import ACCEPTED, REJECTED
from atelier.report import parts
from atelier.report.album import Album


def render_pairs(questions: pd.DataFrame, album: Album, title: str, ds: str, file: str) -> str:
    """The page as one HTML document: photographs inside, no external resource.

    A script of its own saves what was answered as a CSV file of the columns ``article_id``, ``complement_article_id``
    and ``answer``; without scripts the page shows the pairs, and the CSV that is written beside it can be filled in.

    Args:
        questions: ``article_id``, ``complement_article_id``, in the order in which they are asked.
        album: names and photographs.
        title: the page's heading.
        ds: the day of the lists that the pairs are from.
        file: the name of the file of answers.
    """
    columns = ("article_id", "complement_article_id")
    pairs = [
        {"ids": ids, "cards": [album.card(article) for article in ids]}
        for ids in questions[list(columns)].astype(str).itertuples(index=False, name=None)
    ]
    return (
        parts.environment()
        .get_template("pairs.html.j2")
        .render(title=title, ds=ds, pairs=pairs, file=file, accepted=ACCEPTED, rejected=REJECTED)
    )
