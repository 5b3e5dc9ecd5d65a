"""Heads and applicability."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from atelier.articles.errors import ArticlesError
from atelier.articles.table import Articles
from atelier.attributes.labels import RARE, Applicability, Heads, labels_of, read_labels


def _labels(*rows: tuple[str, str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["article_id", "attribute", "value"])


LABELS = _labels(
    ("a", "neck", "v"),
    ("b", "neck", "v"),
    ("c", "neck", "round"),
    ("d", "neck", "round"),
    ("e", "neck", "odd"),
    ("a", "colour", "red"),
    ("b", "colour", "red"),
    ("a", "rare", "one"),
)


def test_values_with_too_few_labels_have_no_class_and_attributes_without_values_no_head() -> None:
    heads = Heads.fit(LABELS, min_samples=2)
    assert heads.attributes == ("colour", "neck")
    assert [head.values.tolist() for head in heads.heads] == [["red"], ["round", "v"]]
    assert heads.heads[1].samples.tolist() == [2, 2]
    assert heads.heads[1].majority == 0


def test_labels_of_articles_know_their_rows() -> None:
    articles = Articles.from_frame(pd.DataFrame({"article_id": ["e", "stranger", "a"]}))
    found = labels_of(articles, read_labels(LABELS))
    assert found["row"].tolist() == [2, 0, 2, 2]
    assert found["value"].tolist() == ["v", "odd", "red", "one"]


def test_encode_puts_positions_where_they_belong() -> None:
    heads = Heads.fit(LABELS, min_samples=2)
    articles = Articles.from_frame(pd.DataFrame({"article_id": ["e", "b", "stranger", "c"]}))
    encoded = heads.encode(labels_of(articles, LABELS), len(articles))
    assert encoded.tolist() == [[-1, RARE], [0, 1], [-1, -1], [-1, 0]]


def test_nothing_to_predict() -> None:
    heads = Heads.fit(LABELS, min_samples=100)
    assert len(heads) == 0
    assert heads.encode(LABELS.assign(row=0), 1).shape == (1, 0)


@pytest.mark.parametrize("min_samples", [1, 2, 100])
def test_heads_survive_their_file(tmp_path: Path, min_samples: int) -> None:
    heads = Heads.fit(LABELS, min_samples)
    heads.save(tmp_path / "classes.parquet")
    loaded = Heads.load(tmp_path / "classes.parquet")
    pd.testing.assert_frame_equal(heads.table(), loaded.table())
    assert loaded.attributes == heads.attributes


def test_labels_are_checked() -> None:
    assert len(read_labels(_labels(("a", "neck", None), ("a", "neck", "v")))) == 1
    with pytest.raises(ArticlesError, match="two labels"):
        read_labels(_labels(("a", "neck", "v"), ("a", "neck", "round")))
    with pytest.raises(ArticlesError, match="'value'"):
        read_labels(LABELS.drop(columns="value"))


def _learn(counts: list[int], sizes: list[int], **changes: object) -> list[bool]:
    """Applicability of one attribute to types of the given sizes, so many of whose articles are labelled."""
    codes = np.repeat(np.arange(len(sizes)), sizes)
    labelled = np.concatenate([np.arange(size) < count for count, size in zip(counts, sizes, strict=True)])[:, None]
    types = np.array([f"t{place}" for place in range(len(sizes))], dtype=object)
    override = changes.get("override")
    share = changes.get("share", 0.1)
    assert isinstance(share, float)
    assert override is None or isinstance(override, dict)
    learned = Applicability.fit(codes, types, labelled, ("neck",), share, override)
    return learned.of(np.array([*range(len(sizes)), -1]))[:, 0].tolist()


def test_an_attribute_applies_where_it_is_labelled_and_to_articles_of_no_known_type() -> None:
    assert _learn([30, 0], [100, 100]) == [True, False, True]


def test_a_stray_label_does_not_make_an_attribute_apply() -> None:
    # Type 1 has 1 label in 100 articles where the types with labels have 31 in 200: 1% < 10% of 15.5%.
    assert _learn([30, 1], [100, 100]) == [True, False, True]
    assert _learn([30, 1], [100, 100], share=0.0) == [True, True, True]


def test_few_labels_everywhere_still_count() -> None:
    assert _learn([1, 2, 0], [1000, 1500, 1000]) == [True, True, False, True]


def test_applicability_can_be_overridden() -> None:
    assert _learn([30, 0], [100, 100], override={"neck": ("t1",)}) == [False, True, True]
    assert _learn([30, 0], [100, 100], override={"other": ("t1",)}) == [True, False, True]


def test_applicability_survives_its_file(tmp_path: Path) -> None:
    types = np.array(["s", "t", "u"], dtype=object)
    applies = np.array([[True, False], [False, False], [True, True]])
    Applicability(types, ("a", "b"), applies).save(tmp_path / "x.parquet")
    assert Applicability.load(tmp_path / "x.parquet", types, ("a", "b")).applies.tolist() == applies.tolist()
