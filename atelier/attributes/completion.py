"""The complete catalogue: a value for every applicable attribute of every article.

What belongs here: putting annotations and predictions together as the table ``predicted_attributes`` holds them. What
does not: predicting (:mod:`atelier.attributes.model`), writing.
"""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from atelier.arrays import Float32s, Mask, Objects
from atelier.articles.table import Articles
from atelier.articles.text import text_digests
from atelier.attributes.labels import labels_of, read_labels
from atelier.attributes.model import AttributeModel, Probabilities
from atelier.attributes.prediction_sets import decided
from atelier.frames import Frame

NEGLIGIBLE = 0.001  # less probable values are left out of a whole distribution
ALTERNATIVE = pa.struct([("value", pa.string()), ("probability", pa.float64())])
DIGESTS = pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        ("article_id", pa.string()),
        ("attribute", pa.string()),
        ("value", pa.string()),
        ("confidence", pa.float64()),
        ("prediction", pa.string()),
        ("source", pa.string()),
        ("alternatives", pa.list_(ALTERNATIVE)),
        ("model_id", pa.string()),
        ("image_digests", DIGESTS),
        ("text_digest", pa.string()),
    ]
)

#: The columns that an attribute's rows have before what is known of the article is added.
ROWS = pa.schema(
    [
        ("row", pa.int64()),
        *(SCHEMA.field(name) for name in ("attribute", "value", "source", "confidence", "prediction", "alternatives")),
    ]
)


def complete(
    model: AttributeModel,
    articles: Frame | Articles,
    labels: Frame,
    *,
    model_id: str | None = None,
    whole: bool = False,
) -> pa.Table:
    """The rows of the table ``predicted_attributes``.

    An article has a row for each attribute that applies to its product type and for each that is annotated. ``value``
    is the annotation, or else the model's most probable value; ``prediction`` and ``confidence`` are the model's own in
    both cases, and null where the annotated attribute has no head. ``alternatives`` is the prediction set. ``source``
    is ``annotated``; or else ``predicted`` where the set is a single value which is at least as probable as the
    config's ``least_confidence``, and ``abstained`` where several or all values remain possible or the only one is
    improbable, so that people should check ``value`` before they rely on it. ``confidence`` is never that of an
    annotation: where ``value`` was annotated it says how probable the model's own ``prediction`` is, which may be
        another value.

    Args:
        model: fitted.
        articles: as for :meth:`AttributeModel.predict`, plus, where known, ``image_digests`` (list of str): the
            photographs behind ``embeddings``.
        labels: article_id, attribute, value: what people annotated. Labels of other articles are left out.
        model_id: the bundle, recorded beside each prediction.
        whole: whether ``alternatives`` is the whole distribution instead of the set: the most probable value, and all
            that have a probability of at least 0.001.

    Returns:
        A table with :data:`SCHEMA`, sorted by article_id and attribute.

    Raises:
        ArticlesError: as :meth:`AttributeModel.predict_proba`.
    """
    articles = Articles.from_frame(articles)
    found = model.predict_proba(articles)
    annotated = labels_of(articles, read_labels(labels))
    least = model.config.least_confidence if model.config else 0.0
    parts = [
        _predicted_rows(found, number, annotated[annotated["attribute"] == attribute], whole, least)
        for number, attribute in enumerate(found.attributes)
    ]
    without_head = annotated[~annotated["attribute"].isin(found.attributes)].assign(
        source="annotated", confidence=None, prediction=None, alternatives=None
    )
    others = pa.Table.from_pandas(without_head, ROWS, preserve_index=False)
    return _finish(pa.concat_tables([*parts, others]), articles, model_id)


def _predicted_rows(found: Probabilities, number: int, annotated: pd.DataFrame, whole: bool, least: float) -> pa.Table:
    """The rows of an attribute that has a head, by its number; the column ``row`` is the row of the article."""
    labels = np.full(len(found.article_ids), None, dtype=object)
    labels[annotated["row"]] = annotated["value"]
    chosen = np.flatnonzero(found.applies[:, number] | pd.notna(labels))
    label = pa.array(labels[chosen], pa.string())
    matrix, sets, names = found.matrices[number][chosen], found.sets[number][chosen], found.values[number]
    own = pa.array(np.where(decided(sets, matrix, least), "predicted", "abstained"), pa.string())
    prediction = pa.array(names[matrix.argmax(axis=1)], pa.string())
    # The largest probability of a row is never negligible.
    telling = matrix >= np.minimum(NEGLIGIBLE, matrix.max(axis=1, keepdims=True)) if whole else sets
    return pa.table(
        {
            "row": pa.array(chosen, pa.int64()),
            "attribute": pa.repeat(pa.scalar(found.attributes[number], pa.string()), len(chosen)),
            "value": pc.coalesce(label, prediction),
            "source": pc.if_else(pc.is_valid(label), "annotated", own),
            "confidence": pa.array(matrix.max(axis=1).astype(np.float64).clip(0.0, 1.0), pa.float64()),
            "prediction": prediction,
            "alternatives": alternatives(matrix, names, telling),
        },
        schema=ROWS,
    )


def alternatives(matrix: Float32s, names: Objects, sets: Mask) -> Any:
    """The values of each row that are in its set, most probable first.

    Args:
        matrix: [n, classes]: probabilities.
        names: str [classes].
        sets: [n, classes]: which values to name.

    Returns:
        ``pa.ListArray [n]`` of :data:`ALTERNATIVE`; equal probabilities stand in alphabetical order.
    """
    order = np.argsort(-matrix, axis=1, kind="stable")
    ranked = np.take_along_axis(matrix, order, axis=1).astype(np.float64)
    kept = np.take_along_axis(sets, order, axis=1)
    offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    values = pa.DictionaryArray.from_arrays(pa.array(order[kept], pa.int32()), pa.array(names, pa.string()))
    structs = pa.StructArray.from_arrays(
        [values.cast(pa.string()), pa.array(ranked[kept].clip(0.0, 1.0), pa.float64())], fields=list(ALTERNATIVE)
    )
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), structs)


def _finish(table: pa.Table, articles: Articles, model_id: str | None) -> pa.Table:
    """Add what is known of each article and bundle, and sort."""
    row, predicted = table["row"], pc.is_valid(table["prediction"])
    digests = pc.fill_null(articles.column("image_digests", DIGESTS), pa.scalar([], DIGESTS))
    bundle, none = pa.scalar(model_id, pa.string()), pa.scalar(None, pa.string())
    added = {
        "article_id": articles.ids.take(row),
        "model_id": pc.if_else(predicted, bundle, none),
        "image_digests": digests.take(row),
        "text_digest": text_digests(articles.texts).take(row),
    }
    for name, values in added.items():
        table = table.append_column(name, values)
    return table.select(SCHEMA.names).cast(SCHEMA).sort_by([("article_id", "ascending"), ("attribute", "ascending")])
