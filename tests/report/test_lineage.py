"""The page of one value and the section that leads to it: complete, escaped, self-contained, loud where it must be."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from atelier.report.lineage import LineageExample, lineage_page, lineage_section
from atelier.report.page import Link, render_page
from tests.report.lineages import BACKBONE, BUNDLE, DAY, explanation, lineage, unpredicted
from tests.report.test_page import HOSTILE, outline


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (900, 1200), (200, 30, 90)).save(tmp_path / "a1_0.jpg")
    return tmp_path


def text_of(html: str) -> str:
    """What a reader sees, roughly."""
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL).split())


def test_the_page_tells_everything(folder: Path) -> None:
    seen = text_of(lineage_page(lineage(), folder))
    for told in (
        "neckline of a1 · Tunic",
        str(DAY),
        "round",
        "predicted by the model",
        "0.7500",
        "Top",
        "Decided by the text: without it, round falls from 0.750 to 0.250, and the model would say v.",
        "gave the stored value",
        "brand (it has none)",
        "+0.5000",
        "−0.1250",
        "A further 3 words of the text are not",
        "d" * 64,
        "e" * 64,
        "no such file",
        "not on the newest day",
        "f" * 64,
        "is what was read",
        BUNDLE,
        "2025-04-01",
        "c0de",
        "torch",
        "2.15.0",
        "1" * 64,
        "written again since",
        "run-1",
        "/runs/run-1",
        "2025-04-02 04:30:00 UTC",
        "3" * 64,
        "articles.name , images.digest",
        "2025-03-31",
    ):
        assert told in seen, told


def test_the_page_names_the_backbone_that_read_the_photographs() -> None:
    seen = text_of(lineage_page(lineage(backbone_id=BACKBONE.model_id, backbone=BACKBONE), None))
    for told in ("fine-tuned backbone that had read the photographs", BACKBONE.model_id, "2025-03-25", "b0de"):
        assert told in seen, told
    gone = text_of(lineage_page(lineage(backbone_id=BACKBONE.model_id, backbone=None), None))
    assert BACKBONE.model_id in gone
    assert "The bundle is no longer on disk" in gone
    assert "not read by a backbone that was fine-tuned here" in text_of(lineage_page(lineage(), None))


def test_the_page_is_self_contained(folder: Path) -> None:
    page = lineage_page(lineage(), folder)
    tags = outline(page).tags
    images = [attributes for tag, attributes in tags if tag == "img"]
    assert len(images) == 1
    assert str(images[0]["src"]).startswith("data:image/jpeg;base64,")
    assert len(str(images[0]["src"])) < 40_000
    assert images[0]["alt"]
    for tag, attributes in tags:
        for name in ("src", "href"):
            assert str(attributes.get(name, "#")).startswith(("#", "data:image/jpeg")), tag
    assert "<script" not in page
    assert lineage_page(lineage(), folder) == page
    assert "data:image" not in lineage_page(lineage(), None)


def test_a_photograph_that_is_no_longer_what_was_read_is_not_shown(folder: Path) -> None:
    (first, _) = lineage().photographs
    changed = replace(first, problem="the file has changed since")
    page = lineage_page(lineage(photographs=(changed,)), folder)
    assert "data:image" not in page
    assert "the file has changed since" in page


def test_hostile_photographs_are_not_shown(folder: Path) -> None:
    (folder / "a1_0.jpg").write_bytes(b"\xff\xd8 not really")
    page = lineage_page(lineage(), folder)
    assert "it cannot be shown" in page
    outside = replace(lineage().photographs[0], path="../a1_0.jpg")
    (folder / "in").mkdir()
    assert "data:image" not in lineage_page(lineage(photographs=(outside,)), folder / "in")


def test_texts_from_outside_are_text(folder: Path) -> None:
    hostile = lineage(
        article_id=HOSTILE,
        attribute=HOSTILE,
        name=HOSTILE,
        product_type=HOSTILE,
        alternatives=((HOSTILE, 1.0),),
        unexplained=None,
        stored=replace(lineage().stored, value=HOSTILE, prediction=HOSTILE),
        text=replace(lineage().text, text=HOSTILE),
        differences=(HOSTILE,),
        photographs=(replace(lineage().photographs[1], path=HOSTILE, problem=HOSTILE),),
        explanation=explanation(value=HOSTILE, words=(HOSTILE,)),
        earlier=(replace(lineage().stored, value=HOSTILE),),
    )
    page = lineage_page(hostile, folder)
    names = {tag for tag, _ in outline(page).tags}
    assert not names & {"script", "iframe", "object", "embed", "link", "base", "form"}
    assert page.count("&lt;script&gt;alert(") > 10
    section = lineage_section([LineageExample(HOSTILE, hostile, 'x"y.html')])
    assert "<script" not in section.html
    assert 'href="x&#34;y.html"' in section.html


def test_what_does_not_reproduce_is_loud(folder: Path) -> None:
    found = lineage(differences=("the text of 2025-04-01 is another one",))
    said = "does not reproduce what is stored: the text of 2025-04-01 is another one"
    page = lineage_page(found, folder)
    assert re.search(rf'<p class="note bad">[^<]*{said}', page)
    assert "gave the stored value" not in page
    assert re.search(rf'<p class="note bad">[^<]*{said}', lineage_section([LineageExample("x", found, "y")]).html)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"explanation": None, "unexplained": "The bundle has gone."}, "The bundle has gone."),
        ({"model": None}, "The bundle is no longer on disk."),
        ({"gone_since": DAY}, "no longer in the catalogue of 2025-04-01"),
        ({"photographs": ()}, "It read no photograph."),
        ({"earlier": ()}, "first day that has a value"),
        ({"explanation": explanation(words=(), weights=())}, "The article has no text."),
    ],
)
def test_what_is_lacking_is_said(folder: Path, changes: dict[str, object], said: str) -> None:
    page = lineage_page(lineage(**changes), folder)
    outline(page)
    assert said in page


def test_an_annotation_that_no_model_predicts(folder: Path) -> None:
    seen = text_of(lineage_page(unpredicted(), folder))
    assert "annotated by people" in seen
    assert "No model predicted it." in seen
    assert "no model predicts this attribute" in seen
    assert "Confidence in it" not in seen


def test_where_people_and_model_disagree_it_is_marked(folder: Path) -> None:
    found = lineage(stored=replace(lineage().stored, value="v", source="annotated"))
    assert found.contradicted
    page = lineage_page(found, folder)
    assert "annotated by people, against the model" in page
    assert '<span class="badge warn">annotated</span>' in page
    agreed = lineage(stored=replace(lineage().stored, source="annotated"))
    assert not agreed.contradicted
    assert '<span class="badge good">annotated</span>' in lineage_page(agreed, folder)


@pytest.mark.parametrize(("confidence", "kind"), [(0.5, "good"), (0.49, "warn"), (0.16, "warn"), (None, "warn")])
def test_a_prediction_that_is_more_probably_wrong_has_no_green_badge(
    folder: Path, confidence: float | None, kind: str
) -> None:
    found = lineage(stored=replace(lineage().stored, confidence=confidence))
    assert f'<span class="badge {kind}">predicted</span>' in lineage_page(found, folder)
    example = LineageExample("the least certain", found, "x.html")
    assert f'<span class="badge {kind}">predicted</span>' in lineage_section([example]).html


def test_the_page_leads_back_to_the_page_that_led_to_it(folder: Path) -> None:
    back = Link("../ds=2025-04-01.html#lineage", "← The page of 2025-04-01", "up")
    assert '<a rel="up" href="../ds=2025-04-01.html#lineage">← The page of 2025-04-01</a>' in lineage_page(
        lineage(), folder, back
    )
    assert "rel=" not in lineage_page(lineage(), folder)


def test_an_abstention_is_marked(folder: Path) -> None:
    found = lineage(stored=replace(lineage().stored, source="abstained"))
    page = lineage_page(found, folder)
    assert '<span class="badge warn">abstained</span>' in page
    assert "the model abstains" in page


def test_no_modality_alone_may_decide() -> None:
    level = explanation(removals=tuple(replace(each, weight=0.0) for each in explanation().removals))
    assert level.decided is None
    assert "Nothing alone decided round" in lineage(explanation=level).decision
    assert lineage(explanation=None).decision == ""


def test_the_section_leads_to_the_pages() -> None:
    section = lineage_section(
        [
            LineageExample("the least certain", lineage(), "ds=2025-04-01-lineage/x.html"),
            LineageExample("people say otherwise", unpredicted(), "ds=2025-04-01-lineage/y.html"),
        ]
    )
    links = [a["href"] for tag, a in outline(section.html).tags if tag == "a"]
    assert links == ["ds=2025-04-01-lineage/x.html", "ds=2025-04-01-lineage/y.html"]
    assert "Decided by the text" in section.html
    assert "No model predicted it." in section.html
    outline(render_page("x", DAY, [section]))


@pytest.mark.parametrize("examples", [None, []])
def test_without_examples_the_command_is_named(examples: list[LineageExample] | None) -> None:
    page = render_page("x", DAY, [lineage_section(examples)])
    assert "<code>dg launch --job daily_retrain --partition 2025-04-01</code>" in page
