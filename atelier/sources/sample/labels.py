"""What people annotated of the sample retailer's articles: partial, now and then wrong, in a taxonomy that changes.

What belongs here: which article was annotated when and with what, and the table `annotated_attributes` on a day. What
does not: the truth itself (:mod:`~atelier.sources.sample.catalogue`).

The rates follow Cardoso et al., "Product Characterisation towards Personalisation" (KDD 2018): labels missing for 13 to
99.9% of the catalogue depending on the attribute, for 70–75% of the articles within a product type, and two attributes
labelled together on about 5%.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from atelier.sources.sample import taxonomy
from atelier.sources.sample.catalogue import Articles, Codes, names_of
from atelier.sources.sample.config import SampleConfig

REANNOTATED = 0.8  # share of a split value's labels that people went through again; the others are withdrawn
WITHIN_TYPE_SPREAD = 0.025


@dataclass(frozen=True)
class Labels:
    """Every annotation ever made; arrays of length n, sorted by article and attribute.

    Attributes:
        articles: index of the article.
        attributes: index into taxonomy.ATTRIBUTES.
        truth: code of the true value.
        values: code of the annotated value; differs from truth where the label is wrong.
        annotated_on: the day on which it was made.
        withdrawn: whether it is withdrawn when the taxonomy changes.
    """

    articles: Codes
    attributes: Codes
    truth: Codes
    values: Codes
    annotated_on: Codes
    withdrawn: NDArray[np.bool_]

    def __len__(self) -> int:
        """How many annotations there are."""
        return len(self.articles)


def taxonomy_change_day(config: SampleConfig) -> int:
    """The day from which the new taxonomy holds: the first snapshot day of the week in the middle of the history."""
    return config.days // 2 // 7 * 7


def draw_labels(config: SampleConfig, articles: Articles, rng: np.random.Generator) -> Labels:
    """Draw who labelled what.

    Args:
        config: the share of wrong labels, and the days.
        articles: the catalogue.
        rng: where chance comes from.

    Returns:
        The annotations. An article is annotated within days of its launch; before the history if it was on sale then.
    """
    missing = _missing_rates(rng)[articles.types]  # [n, attributes]
    labelled = (articles.attributes >= 0) & (rng.random(missing.shape) >= missing)
    rows, columns = np.nonzero(labelled)
    truth = articles.attributes[rows, columns]
    values = np.where(rng.random(len(rows)) < config.wrong_labels, _another_value(rng, columns, truth), truth)
    annotated_on = articles.launched[rows] + rng.integers(0, 4, size=len(rows))
    changed = columns == taxonomy.ATTRIBUTE_NAMES.index(taxonomy.CHANGED_ATTRIBUTE)
    was_split = np.isin(values, _split_codes()) & changed & (annotated_on < taxonomy_change_day(config))
    withdrawn = was_split & (rng.random(len(rows)) >= REANNOTATED)
    return Labels(rows, columns, truth, values, annotated_on, withdrawn)


def _missing_rates(rng: np.random.Generator) -> NDArray[np.float64]:
    """Float [types, attributes]: how often each attribute is not annotated; it varies a little between types."""
    rates = np.array([attribute.missing for attribute in taxonomy.ATTRIBUTES])
    spread = rng.uniform(-WITHIN_TYPE_SPREAD, WITHIN_TYPE_SPREAD, size=(len(taxonomy.TYPES), len(rates)))
    return np.where((rates > 0.5) & (rates < 0.9), rates + spread, rates)


def _another_value(rng: np.random.Generator, attributes: Codes, truth: Codes) -> Codes:
    """For each a value of the attribute that is not the true one."""
    counts = taxonomy.VALUE_COUNTS[attributes]
    step = 1 + np.floor(rng.random(len(truth)) * (counts - 1)).astype(np.int64)
    return np.asarray((truth + step) % counts)


def _split_codes() -> Codes:
    """Codes of the values that came from one older value by a split."""
    old = list(taxonomy.OLD_VALUES.values())
    names = taxonomy.attribute(taxonomy.CHANGED_ATTRIBUTE).names
    return np.array([names.index(new) for new, former in taxonomy.OLD_VALUES.items() if old.count(former) > 1])


def value_names(attributes: Codes, values: Codes, *, old: bool = False) -> Any:
    """Arrow strings [n]: the names of values; with ``old`` those of the taxonomy before it changed."""
    starts = np.concatenate([[0], np.cumsum(taxonomy.VALUE_COUNTS)[:-1]])
    names = [
        taxonomy.OLD_VALUES.get(name, name) if old and attribute.name == taxonomy.CHANGED_ATTRIBUTE else name
        for attribute in taxonomy.ATTRIBUTES
        for name in attribute.names
    ]
    return pa.array(names, pa.string()).take(pa.array(starts[attributes] + values))


def snapshot(config: SampleConfig, articles: Articles, labels: Labels, day: int) -> pa.Table:
    """The table `annotated_attributes` as it stands on a day.

    Before the change of the taxonomy it holds the old names. On that day labels of a renamed value take the new name;
    labels of a split value were gone through again for most articles, and the others are withdrawn, since nobody
    knows which of the new values they mean. No old name survives the change.

    Args:
        config: the days.
        articles: the catalogue.
        labels: every annotation.
        day: the day.

    Returns:
        Columns article_id, attribute, value.
    """
    changed = day >= taxonomy_change_day(config)
    shown = (labels.annotated_on <= day) & (articles.launched[labels.articles] <= day) & ~(labels.withdrawn & changed)
    rows = np.flatnonzero(shown)
    attributes = labels.attributes[rows]
    return pa.table(
        {
            "article_id": pa.array(articles.ids[labels.articles[rows]], pa.string()),
            "attribute": names_of(taxonomy.ATTRIBUTE_NAMES, attributes),
            "value": value_names(attributes, labels.values[rows], old=not changed),
        }
    )


def truth_table(articles: Articles) -> pa.Table:
    """Every true value: article_id, attribute, value, old_value (its name before the taxonomy changed)."""
    rows, columns = np.nonzero(articles.attributes >= 0)
    values = articles.attributes[rows, columns]
    return pa.table(
        {
            "article_id": pa.array(articles.ids[rows], pa.string()),
            "attribute": names_of(taxonomy.ATTRIBUTE_NAMES, columns),
            "value": value_names(columns, values),
            "old_value": value_names(columns, values, old=True),
        }
    )


def planted_errors(articles: Articles, labels: Labels, first_day: Any) -> pa.Table:
    """Every annotation: article_id, attribute, value, truth, wrong, annotated_on, withdrawn."""
    seconds = pa.array(labels.annotated_on * 86_400, pa.duration("s"))
    return pa.table(
        {
            "article_id": pa.array(articles.ids[labels.articles], pa.string()),
            "attribute": names_of(taxonomy.ATTRIBUTE_NAMES, labels.attributes),
            "value": value_names(labels.attributes, labels.values),
            "truth": value_names(labels.attributes, labels.truth),
            "wrong": pa.array(labels.values != labels.truth),
            "annotated_on": pc.add(pa.scalar(first_day), seconds).cast(pa.date32()),
            "withdrawn": pa.array(labels.withdrawn),
        }
    )
