"""The section on the attribute study, its plots, and plots as files of their own."""

import html
import re
from datetime import date
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.report.attribute_plots import confusion_matrix, f1_by_variant, final, study_drawings
from atelier.report.attribute_study import attribute_study_section
from atelier.report.figures import _density, density_plot, matrix_plot, palettes, standalone
from atelier.report.page import render_page

DAY = date(2025, 5, 1)
F1 = {  # of neckline, colour, <b>: by variant
    "all": (0.9, 0.8, 0.7),
    "without_text": (0.5, 0.8, 0.6),
    "without_images": (0.9, 0.4, 0.7),
    "without_metadata": (0.88, 0.79, 0.71),
    "text_only": (0.9, 0.4, 0.5),
    "images_only": (0.4, 0.75, 0.5),
    "linear_text": (0.85, 0.45, 0.5),
    "linear_images": (0.4, 0.5, 0.5),
    "linear_joined": (0.8, 0.7, 0.71),
}
ATTRIBUTES = ("neckline", "colour", "<b>kind</b>")


def text(markup: str) -> str:
    """What a reader sees, blanks joined."""
    bare = re.sub(r"<[^>]*>", " ", re.sub(r"<svg.*?</svg>", "", markup, flags=re.DOTALL))
    return re.sub(r"\s+", " ", html.unescape(bare))


def study(splits: tuple[str, ...] = ("random", "style"), variants: dict[str, tuple[float, ...]] = F1) -> pd.DataFrame:
    rows = []
    for split in splits:
        for variant, values in variants.items():
            for attribute, value in [*zip(ATTRIBUTES, values, strict=True), ("mean", float(np.mean(values)))]:
                figures = {
                    "samples": 100.0,
                    "classes": 4.0,
                    "weighted_f1": value,
                    "accuracy": value + 0.01,
                    "majority_weighted_f1": 0.1,
                    "majority_accuracy": 0.2,
                }
                rows += [(split, variant, attribute, name, "test", 40, figure) for name, figure in figures.items()]
                if variant == "all":
                    rows += [
                        (split, variant, attribute, "weighted_f1_by_step", side, step, value * step / 40)
                        for side in ("train", "test")
                        for step in (0, 20, 40)
                    ]
    columns = ["split", "variant", "attribute", "metric", "side", "step", "value"]
    return pd.DataFrame(rows, columns=columns).astype({"value": "Float64"})


def confusions() -> pd.DataFrame:
    rows = [
        ("style", "colour", "red", "red", 3),
        ("style", "colour", "red", "a<b", 1),
        ("style", "neckline", "v", "v", 2),
    ]
    frame = pd.DataFrame(rows, columns=["split", "attribute", "actual", "predicted", "articles"])
    return frame.assign(share=frame["articles"] / frame.groupby(["attribute", "actual"])["articles"].transform("sum"))


def test_a_study_that_was_not_made_names_the_command() -> None:
    page = render_page("x", DAY, [attribute_study_section(None)])
    assert "<code>dg launch --job attribute_study --partition 2025-05-01</code>" in page


def test_the_section_says_of_which_day_it_is_and_shows_every_part() -> None:
    page = attribute_study_section(study(), confusions(), DAY)
    shown = text(page.html)
    assert "Study of 2025-05-01" in shown
    for heading in (
        "Evaluation",
        "What each input brings",
        "F1 by training step",
        "Against linear classifiers",
        "What is taken for what",
    ):
        assert f"<h3>{heading}</h3>" in page.html
    assert "<b>kind" not in page.html, "names are escaped"
    assert page.html.count("<svg ") == len(study_drawings(study(), confusions()))
    assert page == attribute_study_section(study(), confusions(), DAY), "the same bytes for the same input"


def test_a_remark_stands_before_the_figures() -> None:
    shown = text(attribute_study_section(study(), confusions(), DAY, remark="It has seen <them>.").html)
    assert shown.index("It has seen <them>.") < shown.index("Evaluation")


def test_the_tables_hold_the_figures() -> None:
    shown = text(attribute_study_section(study(("style",)), confusions(), DAY).html)
    assert "neckline 4 100 0.900 0.910 0.100" in shown
    assert "mean – 100 0.800 0.810 0.100" in shown
    # without text: behind by 0.4, 0 and 0.1, of which the standard error is 0.120.
    assert "without text 0.633 −0.167 ± 0.236 0 of 3" in shown
    assert "without metadata 0.793 −0.007 ± 0.017 1 of 3" in shown
    assert "Reading images, the network is ahead of the linear classifier on 1 of 3 attributes" in shown
    assert "the mean differs by +0.083 ± 0.163" in shown
    assert "the mean differs by 0.000 ± 0.057" in shown
    assert "neckline 0.900 0.850 network 0.400 0.400 equal 0.880 0.800 network" in shown
    assert "colour 0.400 0.450 linear 0.750 0.500 network 0.790 0.700 network" in shown


@pytest.mark.parametrize("variants", [["all"], ["linear_text"], ["text_only", "linear_text"], ["published", "all"]])
def test_a_smaller_study_shows_what_there_is(variants: list[str]) -> None:
    chosen = {name: F1.get(name, F1["all"]) for name in variants}
    shown = text(attribute_study_section(study(("random",), chosen), None, DAY).html)
    assert ("Against linear classifiers" in shown) == ("text_only" in variants)
    assert ("Evaluation" in shown) == ("all" in variants)
    assert "What is taken for what" not in shown


def test_attributes_that_could_not_be_judged_are_left_out() -> None:
    frame = study(("style",))
    frame.loc[(frame["attribute"] == "colour") & (frame["metric"] != "samples"), "value"] = None
    assert f1_by_variant(frame, "style").index.tolist() == ["<b>kind</b>", "neckline"]
    assert "colour – 100 – – –" in text(attribute_study_section(frame, None, DAY).html)
    assert final(frame, "style", "all").loc["neckline", "classes"] == 4


# ---- confusion matrices


def test_a_matrix_of_many_values_shows_the_most_frequent() -> None:
    pairs = pd.DataFrame(
        [(f"v{n}", f"v{n}", 100 - n) for n in range(30)] + [("v0", "v29", 100), ("v25", "v1", 5)],
        columns=["actual", "predicted", "articles"],
    )
    matrix = confusion_matrix(pairs)
    assert matrix.index.tolist() == matrix.columns.tolist()
    assert len(matrix) == 21
    assert matrix.columns[-1] == "10 others"
    assert matrix.index[0] == "v0"
    assert matrix.loc["v0", ["v0", "10 others"]].tolist() == [0.5, 0.5]
    others = pairs[~pairs["actual"].isin(matrix.index)]["articles"].sum()
    assert matrix.loc["10 others", "v1"] == pytest.approx(5 / others)


PAIRS = st.lists(
    st.tuples(st.sampled_from([f"v{n}" for n in range(8)]), st.sampled_from([f"v{n}" for n in range(9)])), min_size=1
)


@settings(max_examples=40)
@given(PAIRS, st.integers(1, 9))
def test_rows_of_a_matrix_sum_to_one_however_many_are_shown(said: list[tuple[str, str]], most: int) -> None:
    pairs = pd.DataFrame(said, columns=["actual", "predicted"]).value_counts().rename("articles").reset_index()
    matrix = confusion_matrix(pairs, most)
    assert np.allclose(matrix.sum(axis=1), 1)
    assert len(matrix.columns) <= most + 1
    whole = confusion_matrix(pairs, 9)
    for value in set(matrix.index) & set(whole.index):
        shared = matrix.columns.intersection(whole.columns)
        assert np.allclose(matrix.loc[value, shared], whole.loc[value, shared])


def test_values_that_nobody_annotated_are_columns_only() -> None:
    matrix = confusion_matrix(pd.DataFrame([("a", "b", 2)], columns=["actual", "predicted", "articles"]))
    assert matrix.index.tolist() == ["a"]
    assert matrix.columns.tolist() == ["a", "b"]
    assert matrix.to_numpy().tolist() == [[0.0, 1.0]]


# ---- plots


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=12))
def test_a_density_holds_everything_between_0_and_1(values: list[float]) -> None:
    grid = np.linspace(0, 1, 4001)
    density = _density(np.array(values), grid)
    if len(density):
        spread = np.std(values) * len(values) ** -0.2
        if 0.005 < spread < 0.3:  # narrower than the grid can see, or so wide that it is mirrored twice
            assert np.trapezoid(density, grid) == pytest.approx(1, abs=0.02)
    else:
        assert np.ptp(values) < 1e-9


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.6], [0.5] * 5, [np.nan, 0.2, 0.4, 0.9]])
def test_any_number_of_values_can_be_drawn(values: list[float]) -> None:
    drawn = density_plot(["a panel"], [{"one": np.array(values), "two": np.array([0.1, 0.3, 0.9])}], "share")
    assert drawn.startswith("<svg")
    assert "one" in drawn
    assert "two" in drawn


def test_cells_without_articles_are_not_drawn() -> None:
    empty, full = (
        matrix_plot("m", ["a", "b"], ["a", "b"], np.array(cells), "predicted", "annotated").count("opacity")
        for cells in ([[0.9, 0.0], [np.nan, 0.9]], [[0.5, 0.5], [0.5, 0.5]])
    )
    assert empty == 2
    assert full == 4


COLOURS = ("ink", "line", "card", *(f"series-{number}" for number in range(1, 7)))


def test_a_plot_alone_has_the_colours_of_the_page() -> None:
    page = render_page("", "", [])
    light, dark = (
        dict(re.findall(r"--([\w-]+): ([^;]+);", block)) for block in re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    )
    assert palettes() == [{name: page_colours[name] for name in COLOURS} for page_colours in (light, dark)]
    for drawing in study_drawings(study(), confusions()):
        alone = standalone(drawing.svg)
        ElementTree.fromstring(alone)  # noqa: S314 - it is our own
        assert set(re.findall(r"var\(--([\w-]+)\)", alone)) <= set(COLOURS)
        assert re.fullmatch(r"[a-z0-9_]+", drawing.name)
