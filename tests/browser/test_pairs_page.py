"""The page of pairs in a real headless browser: what is ticked is what is saved."""

from pathlib import Path

import pandas as pd
import pytest

from atelier.report.album import Album
from atelier.report.pairs import render_pairs
from resources.outfit_answers import read_answers
from tests.browser.looking import Browser

pytestmark = pytest.mark.browser

TICK = """<script>
const boxes = document.querySelectorAll("input");
boxes[0].click();
boxes[5].click();
URL.createObjectURL = blob => { blob.text().then(text => { document.body.dataset.saved = text; }); return "#"; };
document.getElementById("save").click();
</script></body>"""


def test_the_answers_that_were_ticked_are_saved(browser: Browser, tmp_path: Path) -> None:
    names = ['a,"1"', "<b>", "c"]
    pairs = pd.DataFrame({"article_id": names, "complement_article_id": ["d", "e", "f"]})
    page = render_pairs(pairs, Album(), "What goes together", "2026-03-01", "answers.csv")
    (tmp_path / "page.html").write_text(page.replace("</body>", TICK), encoding="utf-8")
    seen = browser.look((tmp_path / "page.html").as_uri(), expecting=["data-saved"])
    assert "2 answered" in seen.dom
    saved = (
        pd.Series([seen.dom.split('data-saved="')[1].split('">')[0]])
        .str.replace("&quot;", '"')
        .str.replace("&lt;", "<")
    )
    (tmp_path / "answers.csv").write_text(saved.str.replace("&gt;", ">").item())
    rows = read_answers(tmp_path / "answers.csv").to_numpy().tolist()
    assert rows == [['a,"1"', "d", "accepted"], ["c", "f", "rejected"]]
