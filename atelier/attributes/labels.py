"""Labels as numbers: which values an attribute can take, and to which product types it applies.

What belongs here: reading the frame of labels, the heads (one for each attribute), applicability and their files. What
does not: the network that predicts them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from atelier.arrays import Int64s, Mask, Objects
from atelier.articles.errors import ArticlesError
from atelier.articles.table import Articles
from atelier.bundles import read_table, write_table
from atelier.frames import Frame, column, require, warn_nothing_in_common
from atelier.ids import texts as identifiers

UNLABELLED = -1
RARE = -2
"""Stands for a label whose value has no class, because it was too rare to be learned."""

COLUMNS = ("article_id", "attribute", "value")
RESERVED = "mean"
"""No attribute's name: it stands for the mean over attributes (:data:`atelier.attributes.scores.MEAN`)."""


def read_labels(labels: Frame) -> pd.DataFrame:
    """The labels as a DataFrame of str columns article_id, attribute, value; rows with a null among them are left out.

    Raises:
        ArticlesError: a column is missing, ``article_id`` is not text, an article has two labels for one attribute, or
            an attribute is called ``mean``.
    """
    require(labels, COLUMNS, ArticlesError, "the frame of labels")
    texts = {name: column(labels, name, pa.string(), ArticlesError) for name in COLUMNS[1:]}
    texts = {"article_id": identifiers(labels["article_id"], "article_id", ArticlesError, nulls=True), **texts}
    frame = pd.DataFrame({name: values.to_pandas().astype("str") for name, values in texts.items()}).dropna()
    twice = frame.duplicated(["article_id", "attribute"])
    if twice.any():
        examples = frame.loc[twice, ["article_id", "attribute"]].head(3).to_numpy().tolist()
        raise ArticlesError(f"Articles have two labels for one attribute, for example {examples}; keep one.")
    if (frame["attribute"] == RESERVED).any():
        raise ArticlesError(
            f"an attribute is called {RESERVED!r}, as the rows of means in tables of figures are: give it another name"
        )
    return frame.reset_index(drop=True)


def labels_of(articles: Articles, labels: pd.DataFrame) -> pd.DataFrame:
    """Those of the labels that are of these articles, and in the column ``row`` (int64) the row of each one's article.

    Args:
        articles: of which articles.
        labels: as :func:`read_labels` gives them.
    """
    rows = articles.find(labels["article_id"])
    if len(rows) and len(articles) and not (rows >= 0).any():
        warn_nothing_in_common(
            f"no labelled article is among the articles (the one is for example {labels['article_id'].iloc[0]!r}, the "
            f"other {articles.names[0]!r}): nothing is known of them. Look at how the identifiers are written"
        )
    return labels.assign(row=rows)[rows >= 0].reset_index(drop=True)


@dataclass(frozen=True)
class Head:
    """The values of one attribute that can be predicted.

    Attributes:
        attribute: its name.
        values: its values in alphabetical order, str [classes]; with a single value it is predicted with certainty.
        samples: labels of each value among the articles trained on, int64 [classes].
    """

    attribute: str
    values: Objects
    samples: Int64s

    @property
    def majority(self) -> int:
        """The position of the value with most labels; ties go to the first in the alphabet."""
        return int(np.argmax(self.samples))


@dataclass(frozen=True)
class Heads:
    """All attributes that can be predicted, in alphabetical order.

    Attributes:
        heads: one for each attribute of which a value has enough labels.
    """

    heads: tuple[Head, ...]

    @classmethod
    def fit(cls, labels: pd.DataFrame, min_samples: int) -> "Heads":
        """Keep the values with at least ``min_samples`` labels, and the attributes that have any."""
        classes = labels.groupby(["attribute", "value"], sort=True).size().rename("samples").reset_index()
        return cls._of(classes[classes["samples"] >= min_samples])

    @classmethod
    def _of(cls, classes: pd.DataFrame) -> "Heads":
        """Heads from attribute, value and samples, the values of an attribute in alphabetical order."""
        return cls(
            tuple(
                Head(str(name), group["value"].to_numpy(dtype=object), group["samples"].to_numpy(dtype=np.int64))
                for name, group in classes.groupby("attribute", sort=True)
            )
        )

    def __len__(self) -> int:
        return len(self.heads)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes' names."""
        return tuple(head.attribute for head in self.heads)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of classes of each attribute."""
        return tuple(len(head.values) for head in self.heads)

    def encode(self, labels: pd.DataFrame, articles: int) -> Int64s:
        """Labels as positions of classes.

        Args:
            labels: row, attribute, value, as :func:`labels_of` gives them; those of attributes without a head are
                left out.
            articles: how many articles there are.

        Returns:
            int64 [articles, attributes]: −1 where unlabelled, −2 where labelled with a value that has no class.
        """
        matrix = np.full((articles, len(self)), UNLABELLED, dtype=np.int64)
        columns = pd.Index(self.attributes, dtype=object).get_indexer(pd.Index(labels["attribute"], dtype=object))
        classes = labels[["attribute", "value"]].merge(self.table(), "left", ["attribute", "value"])["position"]
        keep = columns >= 0
        matrix[labels["row"][keep], columns[keep]] = classes.fillna(RARE).astype(np.int64)[keep]
        return matrix

    def table(self) -> pd.DataFrame:
        """One row for each class: attribute, position, value, samples."""
        classes = [
            (head.attribute, position, value, head.samples[position])
            for head in self.heads
            for position, value in enumerate(head.values)
        ]
        kinds = {"attribute": "str", "position": "int64", "value": "str", "samples": "int64"}
        return pd.DataFrame(classes, columns=list(kinds)).astype(kinds)

    def save(self, path: Path) -> None:
        """Write the classes as Parquet."""
        write_table(path, self.table())

    @classmethod
    def load(cls, path: Path) -> "Heads":
        """Read what :meth:`save` wrote."""
        return cls._of(read_table(path, ("attribute", "value", "samples")).to_pandas())


@dataclass(frozen=True)
class Applicability:
    """To which product types each attribute applies.

    Attributes:
        types: the product types seen in training, in alphabetical order, str [types].
        attributes: the attributes, in the order of the heads.
        applies: bool [types, attributes].
    """

    types: Objects
    attributes: tuple[str, ...]
    applies: Mask

    @classmethod
    def fit(
        cls,
        type_codes: Int64s,
        types: Objects,
        labelled: Mask,
        attributes: tuple[str, ...],
        share: float,
        override: Mapping[str, tuple[str, ...]] | None = None,
    ) -> "Applicability":
        """Learn from annotations.

        An attribute applies to a type if the share of the type's articles labelled with it is at least ``share`` times
        the share over all types that have any such label. So an attribute that is labelled on few articles still
        applies, and a few stray labels do not make one apply.

        Args:
            type_codes: int64 [n], −1 without a type.
            types: the names behind the codes.
            labelled: bool [n, attributes].
            attributes: the attributes' names.
            share: see above; 0 lets one label suffice.
            override: product types by attribute, which replace what is learned.
        """
        typed = type_codes >= 0
        totals = np.bincount(type_codes[typed], minlength=len(types)).astype(np.float64)
        counts = np.zeros((len(types), len(attributes)))
        np.add.at(counts, type_codes[typed], labelled[typed])
        some = counts > 0
        common = counts.sum(axis=0) / np.maximum((totals[:, None] * some).sum(axis=0), 1)
        applies = some & (counts >= share * common * totals[:, None])
        for number, attribute in enumerate(attributes):
            if override and attribute in override:
                applies[:, number] = np.isin(types, np.array(override[attribute], dtype=object))
        return cls(types, attributes, applies)

    def of(self, type_codes: Int64s) -> Mask:
        """Which attributes apply to articles of these types, bool [n, attributes].

        Every attribute applies to an article without a type, or with one that was not there in training (code −1).
        """
        table = np.vstack([self.applies, np.ones((1, len(self.attributes)), dtype=bool)])
        return table[type_codes]

    def save(self, path: Path) -> None:
        """Write the pairs that apply as Parquet: attribute, product_type."""
        type_rows, attribute_rows = np.nonzero(self.applies)
        names = np.array(self.attributes, dtype=object)
        pairs = {"attribute": names[attribute_rows], "product_type": self.types[type_rows]}
        write_table(path, pa.table({name: pa.array(values, pa.string()) for name, values in pairs.items()}))

    @classmethod
    def load(cls, path: Path, types: Objects, attributes: tuple[str, ...]) -> "Applicability":
        """Read what :meth:`save` wrote; types and attributes come from the rest of the bundle."""
        pairs = read_table(path, ("attribute", "product_type"))
        applies = np.zeros((len(types), len(attributes)), dtype=bool)
        type_rows = pd.Index(types, dtype=object).get_indexer(pd.Index(pairs["product_type"].to_pylist(), dtype=object))
        columns = pd.Index(attributes, dtype=object).get_indexer(pd.Index(pairs["attribute"].to_pylist(), dtype=object))
        applies[type_rows, columns] = True
        return cls(types, attributes, applies)
