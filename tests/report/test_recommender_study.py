"""The section on the recommender study, its plots, and the picture of nearest neighbours."""

import html
import re
from datetime import date
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from atelier.metrics.segments import ACTIVITY_SEGMENTS, ALL, ARTICLE_SEGMENTS
from atelier.report.album import Album
from atelier.report.figures import standalone
from atelier.report.neighbours_picture import neighbours_drawings
from atelier.report.page import render_page
from atelier.report.recommender_plots import ranked, recommender_drawings, turned
from atelier.report.recommender_study import better_first, recommender_study_section

DAY = date(2025, 5, 1)
PRECISION = {"popularity": 0.02, "collaborative": 0.05, "content": 0.03, "hybrid": 0.06}
SHARES = (1.0, 0.1)
ARTICLES = pd.DataFrame({"article_id": ["a", "b", "c"], "name": ["Red <b>dress</b>", "Skirt & belt", None]})


def text(markup: str) -> str:
    """What a reader sees, blanks joined."""
    bare = re.sub(r"<[^>]*>", " ", re.sub(r"<svg.*?</svg>", "", markup, flags=re.DOTALL))
    return re.sub(r"\s+", " ", html.unescape(bare))


def study(
    precision: dict[str, float] = PRECISION,
    shares: tuple[float, ...] = SHARES,
    ceiling: bool = True,
    ks: tuple[int, ...] = (10,),
) -> pd.DataFrame:
    rows = []
    for share in shares:
        models = precision | ({"ceiling": 0.2} if ceiling and share == 1 else {})
        for model, value in models.items():
            once = model == "ceiling"
            for segment in (ALL, *ACTIVITY_SEGMENTS, *ARTICLE_SEGMENTS):
                for k in ks:
                    for metric, times in (("precision", 1), ("recall", 2), ("hit_rate", 3)):
                        figure = value * times * share * 10 / k
                        error, customers = figure / 10, 100 if segment == ALL else 40
                        spread = None if once else figure / 100
                        seeds = 1 if once else 10
                        rows.append((share, model, segment, metric, k, figure, spread, error, customers, seeds))
    columns = ["share", "model", "segment", "metric", "k", "value", "deviation", "standard_error", "customers", "seeds"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype(dict.fromkeys(("value", "deviation", "standard_error"), "Float64"))


def paired(precision: dict[str, float] = PRECISION, p: float = 0.01) -> pd.DataFrame:
    rows = [
        (
            share,
            unit,
            model,
            against,
            d := (precision[model] - precision[against]) * share,
            d / (precision[against] * share),
            0.001,
            p,
            p,
            100 if unit == "customers" else 10,
        )
        for share in SHARES
        for unit in ("customers", "seeds")
        for against, model in combinations(precision, 2)
    ]
    columns = [
        "share",
        "unit",
        "model",
        "against",
        "difference",
        "relative",
        "standard_error",
        "p_value",
        "p_holm",
        "pairs",
    ]
    return pd.DataFrame(rows, columns=columns)


def neighbours() -> pd.DataFrame:
    rows = [
        (model, article, popularity, rank, other, 0.9 - 0.1 * rank)
        for model in ("collaborative", "hybrid", "content")
        for article, popularity in (("a", "most"), ("b", "median"), ("c", "least"))
        for rank, other in enumerate([x for x in "abc" if x != article], start=1)
    ]
    columns = ["model", "article_id", "popularity", "rank", "similar_article_id", "similarity"]
    return pd.DataFrame(rows, columns=columns)


def test_a_study_that_was_not_made_names_the_command() -> None:
    page = render_page("x", DAY, [recommender_study_section(None)])
    assert "<code>dg launch --job recommender_study --partition 2025-05-01</code>" in page


def test_the_section_says_of_which_day_it_is_and_shows_every_part() -> None:
    section = recommender_study_section(
        study(),
        paired(),
        neighbours(),
        day=DAY,
        period="made on 2025-04-24, judged by 2025-04-25 … 2025-05-01",
        album=Album(ARTICLES),
    )
    shown = text(section.html)
    assert "Study of 2025-05-01" in shown
    assert "Lists made on 2025-04-24, judged by 2025-04-25 … 2025-05-01." in shown
    for heading in (
        "Precision and recall",
        "Which differences are real",
        "With fewer interactions",
        "For whom, and for which articles",
        "Nearest neighbours",
    ):
        assert f"<h3>{heading}</h3>" in section.html
    assert "<b>dress" not in section.html, "names are escaped"
    assert section.html.count("<svg ") == 4 + 3


def test_the_tables_hold_the_figures() -> None:
    shown = text(recommender_study_section(study(), paired(), neighbours(), day=DAY, album=Album(ARTICLES)).html)
    # precision with half an interval, its deviation, recall likewise, seeds, customers; best first, the ceiling last.
    assert "hybrid 0.0600 ± 0.0118 0.0006 0.1200 ± 0.0235 0.0012 10 100 collaborative 0.0500" in shown
    assert "ceiling 0.2000 ± 0.0392 – 0.4000 ± 0.0784 – 1 100" in shown
    assert "hybrid over collaborative 0.0100 ± 0.0020 20.0% 0.010 0.010 100 10 hybrid is better" in shown
    assert "hybrid 0.0600 ± 0.0118 0.0060 ± 0.0012" in shown, "with all and with a tenth of the interactions"
    assert "Red <b>dress</b> (a) most hybrid 1 Skirt & belt (b) 0.80" in shown


def test_a_pair_is_told_from_the_better_side() -> None:
    shown = text(recommender_study_section(study(), paired(), day=DAY).html)
    assert "collaborative over content 0.0200 ± 0.0020 66.7% 0.010 0.010 100 10 collaborative is better" in shown
    assert "content over collaborative" not in shown


@pytest.mark.parametrize(
    ("by_customers", "by_seeds", "better"),
    [(0.01, 0.01, True), (0.2, 0.01, False), (0.01, 0.2, False), (0.01, None, True), (None, None, False)],
)
def test_a_verdict_needs_every_test_that_could_be_made(
    by_customers: float | None, by_seeds: float | None, better: bool
) -> None:
    pairs = paired().astype({"p_holm": "Float64"})
    pairs.loc[pairs["unit"] == "customers", "p_holm"] = by_customers
    pairs.loc[pairs["unit"] == "seeds", "p_holm"] = by_seeds
    assert ("hybrid is better" in text(recommender_study_section(study(), pairs, day=DAY).html)) == better


def test_seeds_that_say_the_opposite_are_no_verdict() -> None:
    pairs = paired()
    pairs.loc[pairs["unit"] == "seeds", "difference"] *= -1
    assert "is better" not in text(recommender_study_section(study(), pairs, day=DAY).html)


VALUES = st.floats(1e-3, 1)


@settings(max_examples=50)
@given(st.lists(VALUES, min_size=2, max_size=4))
def test_turning_a_pair_is_the_test_the_other_way_round(values: list[float]) -> None:
    named = {f"m{n}": value for n, value in enumerate(values)}
    pairs = paired(named)
    other = paired(dict(reversed(named.items())))
    other = other.sort_values(["share", "unit", "model", "against"], ignore_index=True)
    round_turned = turned(pairs, np.ones(len(pairs), bool))
    found = round_turned.sort_values(["share", "unit", "model", "against"], ignore_index=True)
    pd.testing.assert_frame_equal(found, other)
    pd.testing.assert_frame_equal(turned(round_turned, np.ones(len(pairs), bool)), pairs)
    assert (better_first(pairs)["difference"] >= 0).all()


def test_the_best_of_everyone_come_first_and_the_ceiling_is_no_model() -> None:
    assert ranked(study()) == ["hybrid", "collaborative", "content", "popularity"]


# ---- plots


def test_plots_stand_alone_and_are_the_same_each_time() -> None:
    drawings = recommender_drawings(study(), paired())
    assert [drawing.name for drawing in drawings] == ["accuracy", "gain_by_share", "by_customers", "by_articles"]
    for drawing in drawings:
        ElementTree.fromstring(standalone(drawing.svg))  # noqa: S314 - our own
    assert drawings == recommender_drawings(study(), paired())
    accuracy, gain = drawings[0].svg, drawings[1].svg
    assert "ceiling" in accuracy
    assert "over collaborative" in gain
    assert "10% kept" in gain
    assert "ceiling" not in recommender_drawings(study(ceiling=False), paired())[0].svg


def test_a_smaller_study_shows_what_there_is() -> None:
    one = study({"popularity": 0.02}, (0.5,), ceiling=False)
    one[["deviation", "standard_error"]] = None
    assert [drawing.name for drawing in recommender_drawings(one, paired().iloc[:0])] == [
        "accuracy",
        "by_customers",
        "by_articles",
    ]
    shown = text(recommender_study_section(one, None, None, day=DAY).html)
    assert "50% of the interactions." in shown
    assert "popularity 0.0100 – 0.0200 – 10 100" in shown
    assert "Which differences are real" not in shown
    assert "Nearest neighbours" not in shown


def test_a_study_of_less_shows_its_models_beside_the_ceiling() -> None:
    """The ceiling stands at share 1, where a study of half of the interactions has no model."""
    whole = study()
    half = pd.concat([study(shares=(0.5,)), whole[whole["model"] == "ceiling"]], ignore_index=True)
    assert ranked(half) == ["hybrid", "collaborative", "content", "popularity"]
    section = recommender_study_section(half, day=DAY).html
    shown = text(section)
    assert "50% of the interactions." in shown
    assert "hybrid 0.0300 ± 0.0059" in shown
    assert "ceiling 0.2000 ± 0.0392" in shown
    assert "100% kept" not in shown
    assert "ceiling" in recommender_drawings(half, paired())[0].svg


def test_segments_that_nobody_was_judged_on_are_left_out() -> None:
    frame = study()
    new = frame["segment"] == "article:new"
    frame.loc[new, ["value", "deviation", "standard_error"]] = None
    drawn = {drawing.name: drawing.svg for drawing in recommender_drawings(frame, paired())}
    assert "cold (1 to 4)" in drawn["by_articles"]
    assert "new (none)" not in drawn["by_articles"]
    assert "new (none) 40 – – – –" in text(recommender_study_section(frame, paired(), day=DAY).html)


def test_of_several_list_lengths_that_of_the_comparison_is_shown() -> None:
    shown = text(recommender_study_section(study(ks=(10, 20)), paired(), day=DAY).html)
    assert "Precision@10" in shown
    assert "hybrid 0.0600 ± 0.0118" in shown


# ---- the picture


def test_the_picture_holds_photographs_names_and_cosines(tmp_path: Path) -> None:
    Image.new("RGB", (30, 40), "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    photographs = {"a": Path("a.png"), "b": Path("b.png"), "c": Path("../c.png")}
    models = ["hybrid", "als", "content", "collaborative"]
    drawings = neighbours_drawings(neighbours(), models, Album(ARTICLES, photographs, tmp_path))
    assert [drawing.name for drawing in drawings] == ["neighbours_most", "neighbours_median", "neighbours_least"]
    root = ElementTree.fromstring(standalone(drawings[0].svg))  # noqa: S314 - our own
    said = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert said[0] == "most popular"
    assert [word for word in said if word in models] == ["hybrid", "content", "collaborative"], "als has none"
    assert said.count("no photograph") == 3 * 2, "two neighbours by each of three models, neither can be read"
    assert said.count("cosine 0.80") == 3
    images = list(root.iter("{http://www.w3.org/2000/svg}image"))
    assert [image.get("href", "")[:23] for image in images] == ["data:image/jpeg;base64,"]
    assert "Red <b>dress</b>" in drawings[0].caption
    width, height = (float(root.get(name, "").removesuffix("pt")) for name in ("width", "height"))
    boxes = list(root.iter("{http://www.w3.org/2000/svg}rect"))
    assert len(boxes) == 1 + 3 * 2
    for box in boxes:
        x, y, wide, high = (float(box.get(name, "nan")) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= width, "nothing is cut off"
        assert 0 <= y <= y + high <= height


def test_an_article_without_a_name_shows_its_id() -> None:
    assert "Skirt &amp; belt" in neighbours_drawings(neighbours(), ["hybrid"], Album(ARTICLES))[0].svg
    for nameless in (Album(), Album(ARTICLES)):
        assert ">c</text>" in neighbours_drawings(neighbours(), ["hybrid"], nameless)[0].svg
