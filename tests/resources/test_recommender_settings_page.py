"""The page of recommenders and their settings is current and complete."""

from atelier.recommenders import MODELS
from resources.recommender_settings_page import PAGE, markdown


def test_the_page_in_the_docs_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run make docs"


def test_every_field_of_every_model_is_on_it() -> None:
    for name, model in MODELS.items():
        section = markdown().split(f"\n## {name}\n")[1].split("\n## ")[0]
        fields = [line.split(" | ")[0].strip("| ") for line in section.splitlines() if line.startswith("| ")]
        assert fields == ["field", *model.config.model_fields]


def test_bounds_are_shown_in_words() -> None:
    page = markdown()
    assert "| dropout | number ≥ 0, < 1 | `0.3` |" in page
    assert "| factors | whole number ≥ 1 or empty | `null` |" in page
    assert "| hidden | list of: whole number > 0 | `[256]` |" in page
