"""Articles as they are read: once, checked once, in any kind of frame; rows and modalities of them."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.articles import table as table_module
from atelier.articles.errors import ArticlesError
from atelier.articles.table import CATEGORIES, MODALITIES, Articles
from atelier.attributes import AttributeConfig, AttributeModel, complete, evaluate

WORDS = st.lists(st.sampled_from(["red", "blue", "Silk", "Öl"]), max_size=4).map(" ".join)
ROW = st.fixed_dictionaries(
    {
        "text": st.one_of(st.none(), WORDS),
        "product_type": st.one_of(st.none(), st.sampled_from(["Top", "Dress"])),
        "brand": st.one_of(st.none(), st.just("b")),
        "division": st.none(),
        "product_code": st.one_of(st.none(), st.sampled_from(["p1", "p2"])),
        "embeddings": st.one_of(st.none(), st.lists(st.just([1.0, 2.0]), max_size=3)),
    }
)


def frames(rows: list[dict[str, Any]]) -> list[Any]:
    """The same articles as a DataFrame, a table, and a record batch."""
    named = [{"article_id": f"a{place}", **row} for place, row in enumerate(rows)]
    kinds = {name: pa.string() for name in ("article_id", "text", *CATEGORIES, "product_code")}
    schema = pa.schema([*kinds.items(), ("embeddings", pa.list_(pa.list_(pa.float32())))])
    arrow = pa.Table.from_pylist(named, schema=schema)
    frame = pd.DataFrame({name: [row[name] for row in named] for name in schema.names}, dtype=object)
    return [frame, arrow, pa.RecordBatch.from_pylist(named, schema=schema)]


def told(articles: Articles) -> dict[str, Any]:
    """Everything that is read of articles, as lists."""
    return {
        "ids": articles.ids.to_pylist(),
        "names": articles.names.tolist(),
        "texts": articles.texts.to_pylist(),
        "words": list(zip(articles.words.rows.tolist(), articles.words.values.to_pylist(), strict=True)),
        "texts with words": articles.words.texts,
        "vectors": articles.image_vectors.vectors.tolist(),
        "counts": articles.image_vectors.counts.tolist(),
        "categories": {name: values.to_pylist() for name, values in articles.categories.items()},
        "styles": articles.styles.tolist(),
    }


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=6), st.data())
def test_rows_are_read_as_if_there_were_no_others(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    kept = [row for row, mine in zip(rows, chosen, strict=True) if mine]
    expected = None
    for whole, alone in zip(frames(rows), frames(kept), strict=True):
        found = told(Articles.from_frame(whole).rows(chosen))
        own = told(Articles.from_frame(alone))
        numbers = [f"a{place}" for place in np.flatnonzero(chosen)]
        names = dict(zip(own["ids"], numbers, strict=True))
        own |= {"ids": numbers, "names": numbers}
        own["styles"] = [f"article {names[s.split()[1]]}" if s.startswith("article ") else s for s in own["styles"]]
        assert found == own
        expected = expected or found
        assert found == expected


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_a_hidden_modality_is_as_if_nothing_were_known_of_it(kind: int) -> None:
    row = {"text": "red silk", "product_type": "Top", "brand": "b", "division": None, "product_code": "p"}
    articles = Articles.from_frame(frames([{**row, "embeddings": [[1.0, 2.0]]}])[kind])
    whole = told(articles)
    nothing: dict[str, dict[str, Any]] = {
        "text": {"texts": [""], "words": []},
        "images": {"vectors": [], "counts": [0]},
        "metadata": {"categories": {name: [None] for name in CATEGORIES}},
    }
    for modality in MODALITIES:
        assert told(articles.without(modality)) == whole | nothing[modality]
    assert told(articles.without(*MODALITIES)) == whole | nothing["text"] | nothing["images"] | nothing["metadata"]
    assert told(articles) == whole


def test_hiding_name_and_description_hides_the_text_too() -> None:
    articles = Articles.from_frame(pd.DataFrame({"article_id": ["a"], "name": ["Top"], "description": ["Soft."]}))
    assert articles.texts.to_pylist() == ["Top Soft."]
    assert articles.without("text").texts.to_pylist() == [""]


def test_rows_of_rows_and_find() -> None:
    frame = pd.DataFrame({"article_id": list("abcd"), "text": ["one", "two words", "", "four"]})
    last = Articles.from_frame(frame).rows(np.array([False, True, True, True])).rows(np.array([True, False, True]))
    assert last.words.values.to_pylist() == ["two", "words", "four"]
    assert last.words.rows.tolist() == [0, 0, 1]
    assert last.find(["d", "a", "b"]).tolist() == [1, -1, 0]
    assert last.find([]).tolist() == []


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"id": ["a"]}), r"no column 'article_id'; it has id"),
        (pa.table({"article_id": pa.array(["a", None])}), "null in 1 of 2"),
        (pd.DataFrame({"article_id": ["a", "b", "a"]}), r"more than once.*'a'"),
        ([{"article_id": "a"}], "not list"),
    ],
)
def test_what_cannot_be_read_is_refused_at_the_door(frame: Any, message: str) -> None:
    with pytest.raises(ArticlesError, match=message):
        Articles.from_frame(frame)


def test_a_column_of_another_type_is_named() -> None:
    articles = Articles.from_frame(pd.DataFrame({"article_id": ["a"], "price": ["dear"]}))
    with pytest.raises(ArticlesError, match=r"column price .* cannot be read as double"):
        articles.column("price", pa.float64())
    assert articles.column("sales_30d", pa.float64()).to_pylist() == [None]


def test_a_day_reads_and_splits_the_catalogue_once(planted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"split_words": 0, "article_text": 0}

    def counted(name: str) -> Any:
        read = getattr(table_module, name)

        def counting(*arguments: Any) -> Any:
            counts[name] += 1
            return read(*arguments)

        return counting

    for name in counts:
        monkeypatch.setattr(table_module, name, counted(name))
    config = AttributeConfig(
        image_units=4, filters=4, text_units=4, token_dim=4, joint_units=8, tokens=6, max_epochs=1, precision="float32"
    )
    articles = Articles.from_frame(planted.articles)
    assert Articles.from_frame(articles) is articles
    model = AttributeModel(config).fit(articles, planted.labels)
    model.predict(articles)
    evaluate(model, articles.rows(np.arange(len(articles)) % 2 == 0), planted.truth)
    complete(model, articles, planted.labels)
    assert counts == {"split_words": 1, "article_text": 1}


def test_an_article_table_gives_what_its_frame_gives(planted: Any) -> None:
    config = AttributeConfig(
        image_units=4, filters=4, text_units=4, token_dim=4, joint_units=8, tokens=6, max_epochs=1, precision="float32"
    )
    one, other = (
        AttributeModel(config).fit(given, planted.labels).predict(given)
        for given in (planted.articles, Articles.from_frame(planted.articles))
    )
    pd.testing.assert_frame_equal(one, other)
