"""What a page would load from elsewhere is found; what it holds itself, and what a reader follows, is not."""

import pytest

from atelier.report.self_contained import loaded_from_elsewhere


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<img src="https://a.example/b.png">', ["img https://a.example/b.png"]),
        ('<img src="//a.example/b.png"><img src="b.png">', ["img //a.example/b.png", "img b.png"]),
        ('<script src="x.js"></script>', ["script x.js"]),
        ("<script>alert(1)</script>", ["script"]),
        ('<link rel="stylesheet" href="a.css">', ["link a.css"]),
        ('<svg><image xlink:href="http://a.example/b"/></svg>', ["image http://a.example/b"]),
        ("<style>p { background: url('http://a.example/b') }</style>", ["style http://a.example/b"]),
        ('<p style="background: url(b.png)">', ["p b.png"]),
        ('<iframe src="a.html"></iframe>', ["iframe a.html"]),
    ],
)
def test_what_is_loaded_is_named(html: str, found: list[str]) -> None:
    assert loaded_from_elsewhere(f"<!doctype html><html><body>{html}</body></html>") == found


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://a.example">elsewhere</a>',
        '<img src="data:image/png;base64,AAAA">',
        '<svg><use xlink:href="#mark"/><g style="clip-path: url(#clip)"></g></svg>',
        "<style>p { background: url(data:image/png;base64,AAAA) }</style>",
        "<p>url(http://in.a.text) and &lt;script src=x&gt;</p>",
    ],
)
def test_what_a_page_holds_and_what_a_reader_follows_is_not_loaded(html: str) -> None:
    assert loaded_from_elsewhere(f"<!doctype html><html><body>{html}</body></html>") == []
