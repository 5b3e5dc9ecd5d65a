"""The map on the page and the page of its own: groups, hostile names, and what is shown of many."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from atelier.report.album import Album
from atelier.report.catalogue_map import MOST_POINTS, OTHERS, catalogue_map_page, catalogue_map_section, grouped
from atelier.report.page import Link

BACK = Link("ds=2025-03-04.html#map", "← The page", "up")
HOSTILE = '</script><script>alert("x")</script><!-- & \u2028'


def places(types: list[str | None]) -> pd.DataFrame:
    ids = [f"a{number}" for number in range(len(types))]
    return pd.DataFrame({"article_id": ids, "x": range(len(types)), "y": 0.5, "product_type": types})


def data_of(page: str) -> dict[str, list[object]]:
    """The data of the page's script."""
    found = re.search(r"const data = (\{.*\});", page)
    assert found is not None
    read: dict[str, list[object]] = json.loads(found.group(1))
    return read


def test_the_most_frequent_types_have_names() -> None:
    types = [name for number, name in enumerate("abcdefgh") for _ in range(10 - number)]
    found = grouped(places([*types, None]))
    assert set(found) == {*"abcdef", OTHERS}
    assert found.iloc[-1] == OTHERS


def test_the_section_has_a_picture_and_the_way_to_the_page() -> None:
    section = catalogue_map_section(places(["Dress", "Top", None]), "ds=2025-03-04-map.html")
    assert "<svg" in section.html
    assert 'href="ds=2025-03-04-map.html"' in section.html
    assert all(name in section.html for name in ("Dress", "Top", OTHERS))
    assert "not been mapped yet" in catalogue_map_section(None).absent


def test_every_point_of_the_page_has_name_and_photograph(tmp_path: Path) -> None:
    Image.new("RGB", (300, 400), (200, 30, 30)).save(tmp_path / "a.jpg")
    names = pd.DataFrame({"article_id": ["a0", "a1"], "name": ["Red dress", "Blue top"]})
    album = Album(names, {"a0": tmp_path / "a.jpg"})
    page = catalogue_map_page(places(["Dress", "Top"]), album, "Map", "2025-03-04", BACK)
    data = data_of(page)
    cards = {card[0]: card[1:] for card in data["cards"]}  # type: ignore[index]
    assert cards["a0"][0] == "Red dress"
    assert str(cards["a0"][1]).startswith("data:image/jpeg;base64,")
    assert cards["a1"] == ["Blue top", None]
    assert [trace["first"] for trace in data["traces"]] == [0, 1]  # type: ignore[index]
    assert "http-equiv" in page
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="http', page), "nothing comes from outside"


def test_no_name_ends_the_script() -> None:
    names = pd.DataFrame({"article_id": ["a0"], "name": [HOSTILE]})
    page = catalogue_map_page(places([HOSTILE]), Album(names), HOSTILE, "2025-03-04", BACK)
    data = data_of(page)
    assert data["cards"][0][1] == HOSTILE  # type: ignore[index]
    assert 'alert("x")</script>' not in page
    assert page.count("<script>") == 2


@pytest.mark.parametrize(("count", "shown"), [(3, 3), (MOST_POINTS + 7, MOST_POINTS)])
def test_many_articles_are_thinned_out(count: int, shown: int) -> None:
    page = catalogue_map_page(places(["Dress"] * count), Album(), "Map", "2025-03-04", BACK)
    assert len(data_of(page)["cards"]) == shown
    assert (f"of {count:,} articles" in page) == (shown < count)
