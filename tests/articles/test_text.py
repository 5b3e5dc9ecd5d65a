"""Text as numbers."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from atelier.articles.text import Vocabulary, article_text, split_words, text_digests


def test_words_are_lower_case_runs_of_letters_and_digits_of_any_script() -> None:
    words = split_words(pa.array(["Röhren-Jeans, 7/8", None, "", " ¡Олá! ﬁne"]))
    assert words.values.to_pylist() == ["röhren", "jeans", "7", "8", "олá", "fine"]
    assert words.rows.tolist() == [0, 0, 0, 0, 3, 3]
    assert words.positions.tolist() == [0, 1, 2, 3, 0, 1]


def test_vocabulary_takes_the_most_frequent_words_and_ties_by_the_alphabet() -> None:
    words = split_words(pa.array(["b a c c", "a b c d"]))
    assert Vocabulary.fit(words, size=10, min_count=2).words.to_pylist() == ["c", "a", "b"]
    assert Vocabulary.fit(words, size=2, min_count=1).words.to_pylist() == ["c", "a"]
    assert len(Vocabulary.fit(words, size=0, min_count=1)) == 0


def test_tokens_are_padded_at_the_end_and_unknown_words_are_one() -> None:
    vocabulary = Vocabulary(pa.array(["red", "dress"]))
    tokens = vocabulary.encode(split_words(pa.array(["A red dress", None, "dress dress dress red red"])), 4)
    assert tokens.tolist() == [[1, 2, 3, 0], [0, 0, 0, 0], [3, 3, 3, 2]]


@given(st.lists(st.one_of(st.none(), st.text("ab C,", max_size=20)), max_size=8), st.integers(1, 5))
def test_tokens_equal_the_obvious_version(texts: list[str | None], length: int) -> None:
    vocabulary = Vocabulary(pa.array(["a", "ab", "c"]))
    tokens = vocabulary.encode(split_words(pa.array(texts, pa.string())), length)
    ids = {"a": 2, "ab": 3, "c": 4}
    for row, text in zip(tokens, texts, strict=True):
        expected = [ids.get(word, 1) for word in re.findall(r"[a-z]+", (text or "").lower())][:length]
        assert row.tolist() == expected + [0] * (length - len(expected))


def test_vocabulary_survives_its_file(tmp_path: Path) -> None:
    vocabulary = Vocabulary(pa.array(["zebra", "äpfel"]))
    vocabulary.save(tmp_path / "v.parquet")
    assert Vocabulary.load(tmp_path / "v.parquet").words.to_pylist() == ["zebra", "äpfel"]


def test_text_is_name_and_description_unless_it_is_given() -> None:
    frame = pd.DataFrame({"name": ["Top", None, "Hat", None], "description": ["Soft.", "Only this.", None, None]})
    assert article_text(frame).to_pylist() == ["Top Soft.", "Only this.", "Hat", ""]
    assert article_text(frame.assign(text=["x", None, "y", ""])).to_pylist() == ["x", "", "y", ""]
    assert article_text(pd.DataFrame({"article_id": ["a"]})).to_pylist() == [""]


def test_digests_are_sha256_of_the_text() -> None:
    digests = text_digests(pa.array(["é", None, "é"])).to_pylist()
    assert digests == [hashlib.sha256(text.encode()).hexdigest() for text in ("é", "", "é")]


def test_words_of_no_texts() -> None:
    words = split_words(pa.array([], pa.string()))
    assert words.texts == 0
    assert Vocabulary(pa.array(["a"])).encode(words, 3).shape == (0, 3)
    assert words.positions.dtype.kind == np.dtype(np.int64).kind
