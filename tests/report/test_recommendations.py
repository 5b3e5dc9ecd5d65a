"""The sections on recommendations and on approximate search: what they say."""

import html
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from atelier.recommenders.two_stage.ranking_features import feature_names
from atelier.recommenders.two_stage.snapshot import WINDOWS
from atelier.recommenders.two_stage.two_stage_config import GROUPS
from atelier.report.album import Album
from atelier.report.reasons import FEATURES, SOURCES
from atelier.report.recommendations import recommendations_section
from atelier.report.search import search_section


def text(markup: str) -> str:
    """What a reader sees, blanks joined."""
    bare = re.sub(r"<[^>]*>", " ", re.sub(r"<svg.*?</svg>", "", markup, flags=re.DOTALL))
    return re.sub(r"\s+", " ", html.unescape(bare))


def reason(kind: str, value: str, weight: float = 1.0) -> dict[str, Any]:
    return {"kind": kind, "value": value, "weight": weight}


def lists(*rows: tuple[str, str, int, str, list[dict[str, Any]]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["model", "customer_id", "rank", "article_id", "reasons"])


NAMES = pd.DataFrame({"article_id": ["a", "b", "h1", "h2"], "name": ["Red dress", None, "Blue skirt", "Hat"]})


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("article", "h1", "because you chose Blue skirt (h1)"),
        ("article", "gone", "because you chose – (gone)"),
        ("article", "a", "because you chose it before"),
        ("attribute", "pattern=floral", "because pattern = floral"),
        ("attribute", "sleeve_length=long", "because sleeve length = long"),
        ("attribute", "product_type=Dress", "because product type = Dress"),
        ("attribute", "text=floral", "because its text says “floral”"),
        ("attribute", "image", "because of its photograph"),
        ("attribute", "price", "because of its price"),
        ("source", "own", "because it is among what you chose last"),
        ("source", "popular", "because it sells"),
        ("source", "popular_1", "because it sold most on the last day"),
        ("source", "popular_30", "because it sold most in the last 30 days"),
        ("source", "popular_age", "because it sells to people of your age"),
        ("source", "neighbours", "because it is new and like what you chose"),
        ("source", "als", "because als lists it"),
        ("feature", "sold_7", "because of how it sold in the last 7 days"),
        ("feature", "sold_in_channels", "because of how it sells where you buy"),
        ("feature", "own_not_bought", "because of how often you showed interest in it without buying it"),
        ("feature", "a_new_one", "because of a new one"),
    ],
)
def test_reasons_in_words(kind: str, value: str, said: str) -> None:
    section = recommendations_section(lists(("m", "c", 1, "a", [reason(kind, value)])), album=Album(NAMES))
    assert f"Red dress a {said} " in text(section.html)


def test_two_articles_are_one_line() -> None:
    found = [reason("article", "h1"), reason("article", "h2", 0.5), reason("attribute", "image", 0.2)]
    shown = text(recommendations_section(lists(("m", "c", 1, "a", found)), album=Album(NAMES)).html)
    assert "because you chose Blue skirt (h1) and Hat (h2) because of its photograph" in shown


def test_customers_models_and_what_was_chosen_before() -> None:
    rows = lists(
        ("hybrid", "c2", 1, "b", [reason("article", "h1", 0.1), reason("attribute", "pattern=floral")]),
        ("als", "c1", 2, "b", [reason("article", "h2", 9.0)]),
        ("als", "c1", 1, "a", [reason("article", "h1", 5.0), reason("article", "h2", 4.0)]),
        ("hybrid", "c1", 1, "a", [reason("article", "h2", 0.2)]),
    )
    shown = text(recommendations_section(rows, album=Album(NAMES)).html)
    order = [
        "Customer c1",
        "Hat h2",
        "Blue skirt h1",
        "als recommends",
        "Red dress a",
        "– b",
        "hybrid recommends",
        "Customer c2",
        "Blue skirt h1",
        "hybrid recommends",
        "– b",
    ]
    places = [0]
    for words in order:
        places.append(shown.index(words, places[-1] + 1))
    assert shown.count("als recommends") == 1


def test_lists_that_have_not_passed_the_gates_are_called_so() -> None:
    rows = lists(("als", "c1", 1, "a", [reason("article", "h1")]))
    said = "Nobody is shown these lists, which have not passed the gates: those of als of 2025-03-01 stay."
    assert said in text(recommendations_section(rows, Album(NAMES), kept="those of als of 2025-03-01 stay").html)
    assert "Nobody is shown" not in text(recommendations_section(rows, Album(NAMES)).html)


def test_photographs_only_from_within_the_root(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    for path in (tmp_path / "shop" / "a.jpg", tmp_path / "h.jpg"):
        Image.new("RGB", (30, 40)).save(path)
    rows = lists(("als", "c", 1, "a", [reason("article", "h1")]))
    pictures = {"a": Path("a.jpg"), "h1": Path("../h.jpg")}
    shown = recommendations_section(rows, Album(NAMES, pictures, tmp_path / "shop")).html
    assert shown.count("<img") == 1
    assert shown.count("no photograph") == 1


def test_search_tells_the_effort_that_is_used() -> None:
    curve = pd.DataFrame(
        [("cosine", 100, False, 0.5, 7), ("cosine", 5000, True, 0.953, 7), ("inner_product", 5000, True, 0.99, 8)],
        columns=["metric", "nodes", "used", "recall", "queries"],
    )
    section = search_section(curve)
    shown = text(section.html)
    assert "similar articles (cosine) 5,000 95.3% 7 " in shown
    assert "recommendations (inner product) 5,000 99.0% 8 " in shown
    assert section.html.count("<svg") == 1
    assert ">1,000<" in section.html
    assert "mathdefault" not in section.html


def test_what_a_model_looked_at_is_shown_with_its_shares() -> None:
    rows = lists(
        ("transformer", "c", 1, "a", [reason("article", "h1")]), ("als", "c", 1, "a", [reason("article", "h1")])
    )
    shares = [0.5, 0.2, 0.1, 0.06, 0.05, 0.04, 0.03, 0.015, 0.005]
    attention = pd.DataFrame(
        {
            "model": "transformer",
            "customer_id": "c",
            "article_id": ["h1", "h2", *(f"x{place}" for place in range(7))],
            "position": range(9, 0, -1),
            "share": shares,
        }
    )
    shown = text(recommendations_section(rows, Album(NAMES), attention).html)
    assert shown.count("looked at in the history") == 1
    assert (
        "What transformer looked at in the history, the oldest first, with its share of attention; 1 more share"
        in shown
    )
    assert "Blue skirt h1 50.0%, 8 before the last" in shown
    assert "20.0%, 7 before the last" in shown
    assert "the last interaction" not in shown  # its share is the smallest of nine, and eight are shown
    assert "looked at" not in text(recommendations_section(rows, Album(NAMES)).html)


def test_every_source_and_feature_has_words() -> None:
    """The sources and features of two_stage, but for windows of sales, which are made up from their names."""
    named = feature_names(("own", "style", "together", "popular_age"), GROUPS)
    features = {name for name in named if not name.startswith(("rank_", "score_"))}
    windows = {f"sold_{days}" for days in WINDOWS}
    assert features - windows == set(FEATURES)
    assert set(SOURCES) == {"own", "style", "together", "popular_age", "popular", "neighbours"}
