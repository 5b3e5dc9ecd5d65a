"""What looks alike is kept apart from what the same people buy, and sold-out articles are shown with replacements."""

import pandas as pd

from atelier.images.replacement import COLUMNS, REASONS
from atelier.report.neighbours import neighbours_section, replacements_section
from tests.report.test_sections import text


def similar(*models: str) -> pd.DataFrame:
    rows = [(model, "a", 1, f"near by {model}", 0.5) for model in models]
    return pd.DataFrame(rows, columns=["model", "article_id", "rank", "similar_article_id", "similarity"])


def test_photographs_and_purchases_have_headings_of_their_own() -> None:
    shown = text(neighbours_section(similar("als", "hybrid", "image")).html)
    alike, bought = shown.index("Looks alike"), shown.index("Bought by the same people")
    assert alike < shown.index("near by image") < bought < shown.index("near by als") < shown.index("near by hybrid")
    assert "Looks alike" not in text(neighbours_section(similar("als")).html)
    assert "Bought by" not in text(neighbours_section(similar("image")).html)


def test_what_goes_together_has_a_heading_and_each_list_a_name_where_there_is_anything() -> None:
    rows = [
        ("a", "people also bought", 1, "belt"),
        ("a", "complete the look", 2, "shoe"),
        ("a", "complete the look", 1, "bag"),
        ("a", "complete the look", 7, "beyond"),
        ("z", "complete the look", 1, "scarf"),
    ]
    complements = pd.DataFrame(rows, columns=["article_id", "list", "rank", "complement_article_id"])
    shown = text(neighbours_section(similar("als"), complements=complements).html)
    wanted = ("near by als", "Goes together", "Complete the look", "bag", "shoe", "People also bought", "belt")
    places = [shown.index(each) for each in wanted]
    assert places == sorted(places)
    assert "scarf" not in shown
    assert "beyond" not in shown
    looks = text(neighbours_section(similar("als"), complements=complements[1:]).html)
    assert "People also bought" not in looks
    other = complements[complements["article_id"] == "z"]
    assert "scarf" in text(neighbours_section(similar("als"), complements=other).html), "else nobody saw the list"
    assert "scarf" not in text(neighbours_section(similar("als"), complements=other, shown=["a"]).html)
    assert "Goes together" not in text(neighbours_section(similar("als"), complements=complements.head(0)).html)


def test_what_replaces_sold_out_articles_is_counted_and_shown() -> None:
    rows = [
        ("a", 1, "b", "image_type_price", 0.75, 1.25),
        ("a", 2, "c", "type_price", None, None),
        ("x", 1, "b", "image_type_price", 0.5, 1.0),
        ("y", 1, None, "nothing", None, None),
    ]
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "reason"])
    table = table.assign(reason=table["basis"].map(REASONS))
    shown = text(replacements_section(table).html)
    assert "The 3 articles without stock" in shown
    assert f"{REASONS['image_type_price']} 2 66.7%" in shown
    assert f"{REASONS['nothing']} 1 33.3%" in shown
    assert "b cosine 0.75 1.25 × the price" in shown
    assert "c no photograph to compare price not known" in shown
    assert replacements_section(table.head(0)).absent.startswith("Nothing is out of stock")
    assert replacements_section(None).absent
