"""How right somebody can be about the sample retailer's articles who sees every photograph and reads every text.

The reader knows an article's product type, how often each value occurs in it, how often texts mislead, and looks at one
article at a time. So:

* What is drawn of a photographed article is taken as seen, whatever the noise: exact where the drawings of two values
  cannot be confused, otherwise an upper bound. Two drawings never coincide, but fits differ by an eighth of a garment's
  width, and colours carry noise.
* A word for a value is weighed by Bayes' rule, with the generator's own rate of misleading words. For an attribute that
  is not drawn this is exact.
* Where nothing shows, the reader says the value that is most frequent in the product type. The frequencies are those of
  the truth at hand, which favours the reader a little in a small catalogue.

Division, brand and the other articles of a style tell a little more about what does not show: over attributes that are
not drawn, a model that uses them could come out above the ceiling.

What belongs here: what shows of an article, and the reader. What does not: figures (:mod:`benchmarks.hidden_labels`,
:mod:`benchmarks.planted_errors`).
"""

import re

import numpy as np
import numpy.typing as npt
import pandas as pd

from atelier.sources.sample import taxonomy
from atelier.sources.sample.text import MISLEADING

#: What is drawn of a garment (:mod:`atelier.sources.sample.drawing`); fit as its width.
DRAWN = frozenset({"colour", "pattern", "neckline", "sleeve_length", "length", "fit", "heel"})
KEY = ["article_id", "attribute"]

Booleans = npt.NDArray[np.bool_]


def seen(labels: pd.DataFrame) -> Booleans:
    """Whether a photograph shows the attribute: bool [n]; columns attribute, photographed (bool, null for unknown)."""
    return np.asarray(labels["attribute"].isin(DRAWN) & labels["photographed"].eq(True), dtype=bool)


def mentioned(labels: pd.DataFrame) -> Booleans:
    """Whether name or description has a word for the value: bool [n].

    Args:
        labels: attribute, value (in the taxonomy's names before or after it changed), name, description.
    """
    text = (labels["name"].fillna("") + " " + labels["description"].fillna("")).str.lower()
    said = np.zeros(len(labels), dtype=bool)
    for (attribute, value), words in _vocabulary().items():
        rows = np.flatnonzero((labels["attribute"] == attribute) & (labels["value"] == value))
        pattern = r"\b(?:" + "|".join(re.escape(word.lower()) for word in words) + r")\b"
        said[rows] = text.iloc[rows].str.contains(pattern, regex=True).to_numpy(bool)
    return said


def _vocabulary() -> dict[tuple[str, str], tuple[str, ...]]:
    """The words for each attribute and value; an older value has those of all that came from it."""
    words: dict[tuple[str, str], tuple[str, ...]] = {}
    for attribute in taxonomy.ATTRIBUTES:
        words |= {(attribute.name, value): said for value, said in attribute.words.items()}
    for new, old in taxonomy.OLD_VALUES.items():
        key = (taxonomy.CHANGED_ATTRIBUTE, old)
        words[key] = words.get(key, ()) + words[taxonomy.CHANGED_ATTRIBUTE, new]
    return words


def read(truth: pd.DataFrame, articles: pd.DataFrame) -> pd.DataFrame:
    """What the reader says: article_id, attribute, read; one row for each of ``truth``.

    Args:
        truth: article_id, attribute, value: every true value, of which the reader knows the shares within a product
            type and what shows.
        articles: article_id, product_type, name, description, photographed (bool). Every article of ``truth``.
    """
    labels = truth.merge(articles, on="article_id", validate="many_to_one")
    kinds = ["product_type", "attribute"]
    shares = labels.groupby([*kinds, "value"]).size().rename("weight").reset_index()
    visible = seen(labels)
    asked = labels.loc[~visible].drop(columns="value").merge(shares, on=kinds)
    asked["weight"] *= np.where(mentioned(asked), asked["attribute"].map(_trust()), 1.0)
    best = asked.sort_values([*KEY, "weight", "value"], ascending=[True, True, False, True]).drop_duplicates(KEY)
    said = pd.concat([labels.loc[visible], best])[[*KEY, "value"]]
    return said.rename(columns={"value": "read"}).sort_values(KEY, ignore_index=True)


def _trust() -> dict[str, float]:
    """By attribute, how much likelier a word is where its value is true than where another is.

    A share :data:`MISLEADING` of words is for any of the k values, the true one among them: (1 − m + m/k) / (m/k).
    """
    counts = {attribute.name: len(attribute.values) for attribute in taxonomy.ATTRIBUTES}
    return {name: 1.0 + count * (1.0 - MISLEADING) / MISLEADING for name, count in counts.items()}
