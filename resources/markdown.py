"""Words that come from data, in Markdown.

What belongs here: escaping. What does not: any table (:mod:`resources.contracts`, :mod:`assets.catalogue_errors`).
"""

import re

#: What Markdown or the HTML in it gives a meaning: an image in a name would be fetched from wherever it says. An
#: underscore between letters or digits has none.
SPECIAL = re.compile(r"([\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_]))")


def markdown_cell(text: object) -> str:
    """A text as a cell of a Markdown table that shows exactly this text, on one line.

    Args:
        text: any text, or what has one.
    """
    return SPECIAL.sub(r"\\\1", re.sub(r"\s+", " ", str(text)))
