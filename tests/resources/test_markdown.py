"""Words from data in Markdown show themselves, and nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.markdown import markdown_cell

pytestmark = pytest.mark.hostile


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("neck_line", "neck_line"),
        ("![x](http://other/a.png)", r"!\[x\](http://other/a.png)"),
        ("<img src=x>", r"\<img src=x\>"),
        ("a|b\nc", r"a\|b c"),
        ("__a__ *b* `c` ~~d~~ &lt;", r"\_\_a\_\_ \*b\* \`c\` \~\~d\~\~ \&lt;"),
        (3, "3"),
    ],
)
def test_what_markdown_gives_a_meaning_is_escaped(text: object, cell: str) -> None:
    assert markdown_cell(text) == cell


@given(st.text())
def test_a_cell_is_one_line_without_a_bare_bar_and_says_the_text(text: str) -> None:
    cell = markdown_cell(text)
    assert re.sub(r"\\([\\`*_\[\]<>|~&])", r"\1", cell) == re.sub(r"\s+", " ", text)
    assert not re.search(r"(?<!\\)(\\\\)*\|", cell)
    assert len(cell.splitlines()) <= 1
