"""The page as a whole: self-contained, escaped, repeatable, and never an exception for want of data."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup
from PIL import Image

from atelier.metrics import compare, evaluate, per_customer
from atelier.report.album import Album
from atelier.report.attributes import attributes_section
from atelier.report.checks import checks_section
from atelier.report.diversity import diversity_section
from atelier.report.ingest import ingest_section
from atelier.report.leaderboard import leaderboard_section
from atelier.report.neighbours import neighbours_section
from atelier.report.page import render_page
from atelier.report.parts import Section
from atelier.report.recommendations import recommendations_section
from atelier.report.search import search_section

pytestmark = pytest.mark.hostile

HOSTILE = "<script>alert('$x$')</script> & \"x\" $\\frac{"
MODELS = ("popular", "als")
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Outline(HTMLParser):
    """Collects tags, ids and references, and insists that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def outline(html: str) -> Outline:
    parser = Outline()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def measured() -> tuple[pd.DataFrame, pd.DataFrame]:
    """offline_metrics and model_comparisons of two models, with a hostile product type."""
    rng = np.random.default_rng(0)
    customers, articles = [f"c{i}" for i in range(30)], [f"a{i:02d}" for i in range(40)]
    catalogue = pd.DataFrame(
        {
            "article_id": articles,
            "product_type": ["Dress", "Socks", HOSTILE, None] * 10,
            "price": 1.0 + np.arange(40),
            "available_from": pd.Timestamp("2024-01-01"),
        }
    )
    train = pd.DataFrame({"customer_id": rng.choice(customers[:25], 150), "article_id": rng.choice(articles, 150)})
    train["occurred_at"] = pd.Timestamp("2024-02-01")
    truth = pd.DataFrame({"customer_id": rng.choice(customers, 60), "article_id": rng.choice(articles, 60)})
    figures, tests = [], []
    for seen in ("allowed", "excluded"):
        values = {}
        for model in MODELS:
            lists = [rng.permutation(articles)[:12] for _ in customers] if model == "als" else [articles[:12]] * 30
            recs = pd.DataFrame(
                {
                    "customer_id": np.repeat(customers, 12),
                    "article_id": np.concatenate(lists),
                    "rank": np.tile(np.arange(1, 13), 30),
                }
            )
            options: dict[str, Any] = {"train": train, "exclude_seen": seen == "excluded"}
            table = evaluate(
                recs, truth, (5, 12), catalogue=catalogue, restricted_recs={"article:cold": recs}, **options
            )
            figures.append(table.assign(model=model, seen=seen))
            values[model] = per_customer(recs, truth, (5, 12), **options)
        tests.append(compare(values).assign(seen=seen))
    return pd.concat(figures, ignore_index=True), pd.concat(tests, ignore_index=True)


def frame(rows: list[Any], columns: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns.split())


def everything(folder: Path) -> list[Section]:
    """Every section from data in which every text is hostile."""
    Image.new("RGB", (900, 1200), (200, 30, 90)).save(folder / "a.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 not really")
    metrics, comparisons = measured()
    attributes = [
        ("m", name, metric, figure)
        for name, samples in ((HOSTILE, 120), ("neckline", 9), ("mean", 129))
        for metric, figure in (
            ("samples", samples),
            ("classes", 3),
            ("accuracy", 0.5),
            ("weighted_f1", 0.4),
            ("majority_accuracy", 0.45),
            ("majority_weighted_f1", 0.41),
        )
    ]
    similar = frame(
        [(HOSTILE, "a", 1, "b", 0.9), (HOSTILE, "a", 2, HOSTILE, 0.8), ("als", "a", 1, "b", 0.7)],
        "model article_id rank similar_article_id similarity",
    )
    checks = frame(
        [
            ("articles", "unique", True, True, None),
            (HOSTILE, HOSTILE, False, True, HOSTILE),
            ("images", "share", False, False, "97%"),
        ],
        "table check success blocking observed",
    )
    counts = frame(
        [(HOSTILE, 12345, 12340, 5, 2), ("images", 3, 1, 1, 0)],
        "table rows_in rows_stored rows_rejected values_dropped",
    )
    rejected = frame(
        [("images", HOSTILE, 3, "path", HOSTILE, True, "{}"), ("images", "x", 0, "path", "not an image", False, None)],
        "source_table source_file row column_name reason row_kept record",
    )
    photographs = {"a": folder / "a.jpg", "b": folder / "broken.jpg"}
    reasons = [
        {"kind": kind, "value": value, "weight": 0.5}
        for kind, value in (
            ("article", HOSTILE),
            ("article", "b"),
            ("attribute", f"{HOSTILE}={HOSTILE}"),
            ("attribute", HOSTILE),
            ("attribute", f"text={HOSTILE}"),
        )
    ]
    lists = frame(
        [(HOSTILE, HOSTILE, 1, HOSTILE, reasons), ("als", HOSTILE, 1, "b", [])],
        "model customer_id rank article_id reasons",
    )
    curve = frame([(HOSTILE, 10, True, 0.5, 9), ("cosine", 100, False, 0.9, 9)], "metric nodes used recall queries")
    return [
        ingest_section(counts, rejected, {HOSTILE: ["2024-01-03"], "quiet": []}),
        checks_section(checks),
        attributes_section(frame(attributes, "model_id attribute metric value"), remark=HOSTILE),
        leaderboard_section(metrics, comparisons, period=HOSTILE),
        diversity_section(metrics),
        neighbours_section(similar, Album(frame([("a", HOSTILE)], "article_id name"), photographs)),
        recommendations_section(lists, Album(frame([("b", HOSTILE)], "article_id name"), photographs)),
        search_section(curve),
    ]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render_page(HOSTILE, "2024-02-08", everything(tmp_path_factory.mktemp("photographs")))


def test_well_formed_with_unique_ids_and_a_table_of_contents(page: str) -> None:
    tags = outline(page).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(a["xlink:href"])[1:] for _, a in tags if "xlink:href" in a} <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= set(ids)
    wanted = ["ingest", "checks", "attributes", "leaderboard", "diversity", "neighbours", "recommendations", "search"]
    assert [a["href"] for tag, a in tags if tag == "a"] == [f"#{anchor}" for anchor in wanted]
    assert set(wanted) <= set(ids)


def test_nothing_from_outside_is_code(page: str) -> None:
    tags = outline(page).tags
    names = {tag for tag, _ in tags}
    assert not names & {"script", "iframe", "object", "embed", "link", "base", "form", "frac"}
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert "<script" not in page.lower()
    assert page.count("&lt;script&gt;alert(") > 10  # it is shown, as text


def test_no_external_resource(page: str) -> None:
    for tag, attributes in outline(page).tags:
        for name in ("src", "href", "xlink:href", "data", "action"):
            reference = attributes.get(name)
            assert reference is None or reference.startswith(("#", "data:image/jpeg;base64,")), (tag, reference)
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page


def test_pictures_have_alternatives_and_are_small(page: str) -> None:
    tags = outline(page).tags
    images = [attributes for tag, attributes in tags if tag == "img"]
    assert len(images) == 2  # "a" with each of two models; the broken one is not shown
    assert all(attributes["alt"] and len(str(attributes["src"])) < 20_000 for attributes in images)
    assert "no photograph" in page
    plots = [attributes for tag, attributes in tags if tag == "svg"]
    assert len(plots) == 5
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in plots)


def test_same_input_same_bytes(page: str, tmp_path: Path) -> None:
    assert render_page(HOSTILE, "2024-02-08", everything(tmp_path)) == page


def test_plots_follow_the_page_colours(page: str) -> None:
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert "var(--series-1)" in drawings
    assert "var(--ink)" in drawings
    assert not re.search(r"#0[14a]0[25b]0\d", drawings)
    assert "<dc:date>" not in drawings


def test_numbers_stand_to_the_right(page: str) -> None:
    assert '<td class="number">12,345</td>' in page


def test_absent_data_name_the_command() -> None:
    made_by = {
        "daily_retrain": (
            checks_section,
            attributes_section,
            neighbours_section,
            recommendations_section,
            search_section,
        ),
        "ingest": (ingest_section,),
        "judge": (leaderboard_section, diversity_section),
    }
    page = render_page("x", "2024-02-08", [make(None) for sections in made_by.values() for make in sections])
    outline(page)
    for job, sections in made_by.items():
        assert page.count(f"Run <code>dg launch --job {job} --partition 2024-02-08</code>.") == len(sections)
    empty = measured()[0].iloc[:0]
    assert "not been judged" in leaderboard_section(empty).absent
    assert "not been judged" in diversity_section(empty).absent
    hostile = render_page("x", "2024-02-08", [Section("t", "t", absent=HOSTILE, job=HOSTILE)])
    assert "<script" not in hostile


def test_plain_text_in_a_section_is_escaped_and_markup_kept() -> None:
    html = render_page(
        "x", "2024-02-08", [Section("a", "a", "<b>plain</b>"), Section("b", "b", Markup("<b>meant</b>"))]
    )
    assert "&lt;b&gt;plain" in html
    assert "<b>meant</b>" in html


@pytest.mark.parametrize("anchors", [("a", "a"), ("a b",), ("",), ('"x',), ("é",)])
def test_anchors_are_checked(anchors: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="anchor"):
        render_page("x", "2024-02-08", [Section("t", anchor, "") for anchor in anchors])
