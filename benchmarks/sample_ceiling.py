"""The accuracy of an ideal reader who sees every photograph and reads every text of the sample retailer: the ceiling.

The reader knows an article's product type, division and brand, the generator's shares of values for them and the share
of misleading texts, and sees one article at a time. So:

* Values that are drawn in a photograph are taken as recognised, whatever the noise: exact where the drawings of two
  values cannot be confused, otherwise an upper bound. No two outlines coincide, but widths of neighbouring fits differ
  by an eighth to a fifth, on a few dozen pixels, and colours have noise.
* A word for a value is combined with the shares by Bayes' rule. For an attribute that is not drawn this is exact.
* Where neither shows the value, the reader predicts the most probable value. This is exact too.

The reader does not use other articles of a style, which share all values but the colour. A model that recognises them
by name or style code could exceed the ceiling where an attribute is not drawn.

What belongs here: the generator's own files, what an article's photograph and text show, and the reader. What does not:
metrics
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
    """The path of a file in the generator's folder ``truth``.

    Raises:
        SourceError: it is absent.
    """
    file = folder / name
    if not file.is_file():
        raise SourceError(f"{file} is absent, so the truth is unknown; generate the sample retailer again")
    return file


def renamed(folder: Path, day: date) -> bool:
    """Whether the taxonomy's values have their new names on ``day``; ``folder``: the generator's ``truth``.

    Raises:
        SourceError: the generator's config is absent.
    """
    config = SampleConfig.model_validate_json(truth_file(folder, "config.json").read_bytes())
    return day >= config.first_day + timedelta(days=taxonomy_change_day(config))


def seen(labels: pd.DataFrame) -> Booleans:
    """Whether a photograph shows the attribute: bool [n]; columns attribute, photographed (bool, null for unknown)."""
    return np.asarray(labels["attribute"].isin(DRAWN) & labels["photographed"].eq(True), dtype=bool)


def mentioned(labels: pd.DataFrame) -> Booleans:
    """Whether the name or the description contains a word for the value: bool [n].

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
    """The words by attribute and value; an old value has the words of all new values that replaced it."""
    words: dict[tuple[str, str], tuple[str, ...]] = {}
    for attribute in taxonomy.ATTRIBUTES:
        words |= {(attribute.name, value): said for value, said in attribute.words.items()}
    for new, old in taxonomy.OLD_VALUES.items():
        key = (taxonomy.CHANGED_ATTRIBUTE, old)
        words[key] = words.get(key, ()) + words[taxonomy.CHANGED_ATTRIBUTE, new]
    return words


def read(truth: pd.DataFrame, articles: pd.DataFrame) -> pd.DataFrame:
    """The reader's predictions: article_id, attribute, read; one row for each of ``truth``.

    Args:
        truth: article_id, attribute, value: the true values, which the drawings show; all with the names before the
            taxonomy changed, or all with those after.
        articles: article_id, product_type, division, brand, name, description, photographed (bool): every one of
            ``truth``.
    """
    labels = truth.merge(articles, on="article_id", validate="many_to_one")
    visible = seen(labels)
    old = bool(truth["value"].isin(set(taxonomy.OLD_VALUES.values())).any())
    hidden = labels.loc[~visible].drop(columns="value").merge(shares(old=old), on=[*KIND, "attribute"])
    hidden["share"] *= np.where(mentioned(hidden), hidden["attribute"].map(_trust()), 1.0)
    best = hidden.sort_values([*KEY, "share", "value"], ascending=[True, True, False, True]).drop_duplicates(KEY)
    said = pd.concat([labels.loc[visible], best])[[*KEY, "value"]]
    return said.rename(columns={"value": "read"}).sort_values(KEY, ignore_index=True)


def shares(*, old: bool) -> pd.DataFrame:
    """How probable each value is: product_type, division, brand, attribute, value, share.

    Args:
        old: whether the values have the names before the taxonomy changed.
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
    """The likelihood ratio of a word, by attribute: its probability if its value is true over that if another is.

    A share m of words (:data:`MISLEADING`) is for a random one of the k values: (1 − m + m/k) / (m/k).
    """
    counts = {attribute.name: len(attribute.names) for attribute in taxonomy.ATTRIBUTES}
    return {name: 1.0 + count * (1.0 - MISLEADING) / MISLEADING for name, count in counts.items()}
