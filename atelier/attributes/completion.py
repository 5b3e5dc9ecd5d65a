"""The complete catalogue: a value for every applicable attribute of every article.

What belongs here: putting annotations and predictions together as the table ``predicted_attributes`` holds them. What
does not: predicting (:mod:`atelier.attributes.model`), writing.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from atelier.articles.frames import Frame, column, identifiers
from atelier.articles.text import article_text, text_digests
from atelier.attributes.labels import read_labels
from atelier.attributes.model import AttributeModel, Probabilities

NEGLIGIBLE = 0.001  # of a whole distribution, values less probable than this are left out
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


def complete(
    model: AttributeModel, articles: Frame, labels: Frame, *, model_id: str | None = None, whole: bool = False
) -> pa.Table:
    """The rows of the table ``predicted_attributes``.

    An article has a row for each attribute that applies to its product type and for each that is annotated. ``value``
    is the annotation, or else the model's most probable value; ``prediction`` and ``confidence`` are the model's own in
    both cases, and null where the annotated attribute has no head. ``alternatives`` is the prediction set. ``source``
    is ``annotated``; otherwise ``predicted`` where the set is a single value, and ``abstained`` where several, or all,
    remain possible: people should look before they rely on ``value``.

    Args:
        model: fitted.
        articles: as for :meth:`AttributeModel.predict`, plus, where known, ``image_digests`` (list of str): the
            photographs behind ``embeddings``.
        labels: article_id, attribute, value: what people annotated. Labels of other articles are left out.
        model_id: the bundle, recorded beside each prediction.
        whole: ``alternatives`` are not the set, but the whole distribution: the most probable value and all that have a
            probability of at least 0.001.

    Returns:
        A table with :data:`SCHEMA`, sorted by article_id and attribute.

    Raises:
        ArticlesError: as :meth:`AttributeModel.predict_proba`.
    """
    found = model.predict_proba(articles)
    annotated = read_labels(labels)
    places = pd.Index(found.article_ids).get_indexer(pd.Index(annotated["article_id"]))
    annotated = annotated.assign(place=places)[places >= 0]
    parts = [
        _predicted_rows(found, place, annotated[annotated["attribute"] == attribute], whole)
        for place, attribute in enumerate(found.attributes)
    ]
    headless = annotated[~annotated["attribute"].isin(found.attributes)]
    table = pa.concat_tables([*parts, _annotated_rows(headless)])
    return _finish(table, articles, model_id)


def _predicted_rows(found: Probabilities, place: int, annotated: pd.DataFrame, whole: bool) -> pa.Table:
    """The rows of one attribute that has a head; column ``place`` is the article's row in the frame of articles."""
    applies = found.applies[:, place].copy()
    applies[annotated["place"]] = True
    chosen = np.flatnonzero(applies)
    matrix, sets, names = found.matrices[place][chosen], found.sets[place][chosen], found.values[place]
    own = pa.array(np.where(sets.sum(axis=1) == 1, "predicted", "abstained"), pa.string())
    best = matrix.argmax(axis=1)
    prediction = pa.array(names[best], pa.string())
    labels = np.full(len(applies), None, dtype=object)
    labels[annotated["place"]] = annotated["value"]
    label = pa.array(labels[chosen], pa.string(), from_pandas=True)
    return pa.table(
        {
            "place": pa.array(chosen, pa.int64()),
            "attribute": pa.repeat(pa.scalar(found.attributes[place], pa.string()), len(chosen)),
            "value": pc.coalesce(label, prediction),
            "confidence": pa.array(matrix.max(axis=1).astype(np.float64).clip(0.0, 1.0), pa.float64()),
            "prediction": prediction,
            "source": pc.if_else(pc.is_valid(label), "annotated", own),
            "alternatives": alternatives(matrix, names, _telling(matrix) if whole else sets),
        }
    )


def _telling(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which probabilities are not negligible; the largest of a row never is."""
    telling: npt.NDArray[np.bool_] = matrix >= np.minimum(NEGLIGIBLE, matrix.max(axis=1, keepdims=True))
    return telling


def _annotated_rows(annotated: pd.DataFrame) -> pa.Table:
    """The rows of annotations that the model cannot predict."""
    count = len(annotated)
    return pa.table(
        {
            "place": pa.array(annotated["place"], pa.int64()),
            "attribute": pa.array(annotated["attribute"], pa.string()),
            "value": pa.array(annotated["value"], pa.string()),
            "confidence": pa.nulls(count, pa.float64()),
            "prediction": pa.nulls(count, pa.string()),
            "source": pa.repeat(pa.scalar("annotated"), count),
            "alternatives": pa.nulls(count, pa.list_(ALTERNATIVE)),
        }
    )


def alternatives(matrix: npt.NDArray[np.float32], names: npt.NDArray[np.object_], sets: npt.NDArray[np.bool_]) -> Any:
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


def _finish(table: pa.Table, articles: Frame, model_id: str | None) -> pa.Table:
    """Add what is known of each article and bundle, and sort."""
    place = table["place"].combine_chunks()
    ids = identifiers(articles)
    digests = pc.fill_null(column(articles, "image_digests", DIGESTS), pa.scalar([], DIGESTS))
    bundle = pa.repeat(pa.scalar(model_id, pa.string()), table.num_rows)
    table = table.drop_columns(["place"])
    table = table.append_column("article_id", ids.take(place))
    predicted = pc.is_valid(table["prediction"].combine_chunks())
    table = table.append_column("model_id", pc.if_else(predicted, bundle, pa.scalar(None, pa.string())))
    table = table.append_column("image_digests", digests.take(place))
    table = table.append_column("text_digest", text_digests(article_text(articles)).take(place))
    return table.select(SCHEMA.names).cast(SCHEMA).sort_by([("article_id", "ascending"), ("attribute", "ascending")])
