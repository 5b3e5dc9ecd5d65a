"""The pieces of sections: commands in text, columns of verdicts, plots in their own size."""

import html
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from atelier.report import parts
from atelier.report.figures import bar_plot, line_plot
from tests.report.test_page import HOSTILE, outline


def test_commands_stand_between_backquotes() -> None:
    assert parts.with_code("run `dg launch`, then `x`.") == "run <code>dg launch</code>, then <code>x</code>."
    assert parts.with_code("a ` alone") == "a ` alone"
    assert parts.with_code("`a` and `b") == "<code>a</code> and `b"
    assert parts.with_code(Markup("<b>`</b>")) == "<b>`</b>"


@given(st.text(alphabet="`<&\"'ab "))
def test_no_text_becomes_anything_but_text_and_code(text: str) -> None:
    shown = parts.with_code(text)
    outline(shown)
    bare = re.sub(r"</?code>", "`", shown)
    assert "<" not in bare
    assert html.unescape(bare) == text


def test_a_column_of_badges_is_a_column_of_verdicts() -> None:
    good = parts.Badge("yes", "good")
    shown = parts.table("c", ["a", "b", "d"], [["x", good, good], ["y", parts.NONE, "no"]], ("a", "b", "d"))
    assert '<th scope="col" class="verdict">b</th>' in shown
    assert shown.count('<td class="verdict">') == 2
    assert '<th scope="col">d</th>' in shown, "a column that holds other text as well may be wide"


def test_a_plot_has_its_own_size_and_scrolls_in_its_box() -> None:
    x = np.array([0.0, 1.0])
    small = parts.figure(line_plot(["y"], [{"a": (x, x)}], "x"), HOSTILE, "c")
    wide = parts.figure(bar_plot(["a"], {"s": x[1:]}, "x"), "alt", "c")
    for figure in (small, wide):
        outline(figure)
        width = re.search(r'<svg [^>]*?width="([\d.]+pt)"', figure)
        assert width
        assert f'style="min-width:min({parts.WIDEST},{width[1]})"' in figure
        assert '<div class="scroll" tabindex="0" role="region"' in figure
    assert "<script" not in small
