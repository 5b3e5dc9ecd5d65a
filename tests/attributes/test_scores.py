"""The arithmetic of figures, and the one table of them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.attributes.labels import Head
from atelier.attributes.scores import figures_table, label_figures, positions_of

TEXTS = st.lists(st.one_of(st.none(), st.sampled_from("abcxyz")), max_size=12)


@given(st.lists(st.sampled_from("abc"), unique=True), TEXTS, TEXTS)
def test_equal_texts_have_equal_positions_and_classes_come_first(
    classes: list[str], one: list[str | None], other: list[str | None]
) -> None:
    found = positions_of(classes, np.array(one, dtype=object), pd.Series(other, dtype="str"))
    assert [len(part) for part in found] == [len(one), len(other)]
    named = list(zip([*one, *other], np.concatenate(found).tolist(), strict=True))
    assert len(set(named)) == len({text for text, _ in named}) == len({place for _, place in named})
    order = [text for text, _ in sorted(set(named), key=lambda pair: pair[1])]
    known = [text for text in classes if text in order]
    others = sorted(text for text in order if text is not None and text not in classes)
    assert order == [*known, *others, *([None] if None in order else [])]
    assert all(classes[place] == text for text, place in named if text in classes)


def test_a_value_that_was_never_learned_and_a_missing_guess_are_misses() -> None:
    head = Head("neck", np.array(["round", "v"], dtype=object), np.array([9, 3]))
    found = label_figures(head, ["v", "round", "odd", "odd"], np.array(["v", None, "round", None], dtype=object))
    assert (found["samples"], found["classes"], found["accuracy"]) == (4, 2, 0.25)
    assert found["weighted_f1"] == pytest.approx(0.25 * 1.0)  # v: precision and recall 1, a quarter of the labels
    assert found["majority_accuracy"] == 0.25
    assert label_figures(None, ["v"], [None]) == {"samples": 1, "classes": 0}
    assert label_figures(head, [], []) == {"samples": 0, "classes": 2}


def test_counts_are_summed_and_scores_averaged_where_the_first_is_known() -> None:
    figures = {
        "b": {"samples": 4.0, "score": 0.5, "other": 1.0},
        "a": {"samples": 2.0, "score": 1.0},
        "c": {"samples": 1.0, "other": 7.0},
    }
    table = figures_table(figures, ("samples",), ("score", "other"))
    assert table["attribute"].tolist() == [name for name in ("b", "a", "c", "mean") for _ in range(3)]
    assert table["metric"].tolist() == ["samples", "score", "other"] * 4
    wide = table.pivot(index="attribute", columns="metric", values="value")
    assert wide.loc["mean"].to_dict() == {"samples": 7.0, "score": 0.75, "other": 1.0}
    assert np.isnan(wide.loc["a", "other"])
    assert np.isnan(wide.loc["c", "score"])


def test_a_table_of_nothing_has_means_of_nothing() -> None:
    table = figures_table({}, ("samples",), ("score",))
    assert table["attribute"].tolist() == ["mean", "mean"]
    assert table["value"].iloc[0] == 0
    assert np.isnan(table["value"].iloc[1])
    assert table.dtypes["value"] == np.float64
