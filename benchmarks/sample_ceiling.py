"""How right somebody can be about the sample retailer's articles who sees every photograph and reads every text.

The reader knows an article's product type, division and brand, the generator's shares of values for them and how often
texts mislead, and looks at one article at a time. So:

* What is drawn of a photographed article is taken as seen, whatever the noise: exact where the drawings of two values
  cannot be confused, otherwise an upper bound. No two outlines coincide, but widths of neighbouring fits differ by an
  eighth to a fifth, on a few dozen pixels, and colours carry noise.
* A word for a value is weighed by Bayes' rule against the shares. For an attribute that is not drawn this is exact.
* Where nothing shows, the reader says the most probable value. This is exact too.

Other articles of a style, which share all values but the colour, tell more. A model that reads them by name or style
code could come out above the ceiling where an attribute is not drawn.

What belongs here: the generator's own files, what shows of an article, and the reader. What does not: figures
(:mod:`benchmarks.hidden_labels`, :mod:`benchmarks.planted_errors`).
"""

import re
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from atelier.errors import SourceError
from atelier.sources.sample import SampleConfig, taxonomy
from atelier.sources.sample.catalogue import tilted_shares
from atelier.sources.sample.labels import taxonomy_change_day
from atelier.sources.sample.text import MISLEADING

#: What is drawn of a garment (:mod:`atelier.sources.sample.drawing`); fit as its width.
DRAWN = frozenset({"colour", "pattern", "neckline", "sleeve_length", "length", "fit", "heel"})
KEY = ["article_id", "attribute"]
KIND = ["product_type", "division", "brand"]

Booleans = npt.NDArray[np.bool_]


def truth_file(folder: Path, name: str) -> Path:
    """A file of the generator's folder ``truth``.

    Raises:
        SourceError: it is absent.
    """
    file = folder / name
    if not file.is_file():
        raise SourceError(f"{file} is absent, so no labels are kept aside; generate the sample retailer again")
    return file


def renamed(folder: Path, day: date) -> bool:
    """Whether values have the names of after the change of the taxonomy on ``day``; ``folder``: the truth's.

    Raises:
        SourceError: the generator's config is absent.
    """
    config = SampleConfig.model_validate_json(truth_file(folder, "config.json").read_bytes())
    return day >= config.first_day + timedelta(days=taxonomy_change_day(config))


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
        truth: article_id, attribute, value: true values, which say what the drawings show; all in the taxonomy's names
            before it changed, or all in those after.
        articles: article_id, product_type, division, brand, name, description, photographed (bool): every one of
            ``truth``.
    """
    labels = truth.merge(articles, on="article_id", validate="many_to_one")
    visible = seen(labels)
    old = bool(truth["value"].isin(set(taxonomy.OLD_VALUES.values())).any())
    asked = labels.loc[~visible].drop(columns="value").merge(shares(old=old), on=[*KIND, "attribute"])
    asked["share"] *= np.where(mentioned(asked), asked["attribute"].map(_trust()), 1.0)
    best = asked.sort_values([*KEY, "share", "value"], ascending=[True, True, False, True]).drop_duplicates(KEY)
    said = pd.concat([labels.loc[visible], best])[[*KEY, "value"]]
    return said.rename(columns={"value": "read"}).sort_values(KEY, ignore_index=True)


def shares(*, old: bool) -> pd.DataFrame:
    """How probable each value is: product_type, division, brand, attribute, value, share.

    Args:
        old: name the values as before the taxonomy changed.
    """
    kinds = pd.MultiIndex.from_product([taxonomy.TYPE_NAMES, taxonomy.DIVISIONS, taxonomy.BRANDS], names=KIND)
    sizes = (len(taxonomy.TYPES), len(taxonomy.DIVISIONS), len(taxonomy.BRANDS))
    types, divisions, brands = (codes.ravel() for codes in np.indices(sizes))
    tables = []
    for index, attribute in enumerate(taxonomy.ATTRIBUTES):
        weights = tilted_shares(index, types, divisions, brands)
        share = pd.DataFrame(weights / weights.sum(axis=1, keepdims=True), index=kinds, columns=attribute.names)
        if old and attribute.name == taxonomy.CHANGED_ATTRIBUTE:
            share = share.rename(columns=taxonomy.OLD_VALUES).T.groupby(level=0).sum().T
        long = share.reset_index().melt(KIND, var_name="value", value_name="share")
        tables.append(long.assign(attribute=attribute.name))
    return pd.concat(tables, ignore_index=True)


def _trust() -> dict[str, float]:
    """By attribute, how much likelier a word is where its value is true than where another is.

    A share :data:`MISLEADING` of words is for any of the k values, the true one among them: (1 − m + m/k) / (m/k).
    """
    counts = {attribute.name: len(attribute.names) for attribute in taxonomy.ATTRIBUTES}
    return {name: 1.0 + count * (1.0 - MISLEADING) / MISLEADING for name, count in counts.items()}
