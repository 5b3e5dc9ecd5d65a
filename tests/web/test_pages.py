"""What each page says of a small home, and how the pages lead to each other."""

import html
import io
from datetime import date, timedelta
from pathlib import Path

import pytest
from PIL import Image

from atelier.report.reasons import WITHOUT_REASONS
from atelier.report.self_contained import loaded_from_elsewhere
from resources.publishing import publish
from tests.web.shop import DAY, ODD, Shop, filled, make_home, serving

PAGES = ["/", "/days", "/customer?id=c", "/article?id=a", "/search?q=coat", "/nothing"]


def test_the_start_page_has_the_newest_figures_and_the_leaderboard(shop: Shop) -> None:
    text = shop.page("").text
    assert "2025-03-09" in text
    assert "recall@10 of als" in text
    assert "0.5000" in text  # the newest value
    assert "0.2500" in text  # the day before
    assert 'action="/search"' in text


def test_a_customer_has_history_lists_and_reasons(shop: Shop) -> None:
    text = html.unescape(shop.page("customer", id="c").text)
    assert "The newest 10 rows" in text  # one purchase on each of ten days
    assert "Served: als" in text
    assert "because colour = red" in text
    assert 'href="/article?id=b"' in text
    assert 'src="/photograph?id=a"' in text
    assert text.index("hybrid, ") < text.index(WITHOUT_REASONS), "of the list that is not served alone"
    assert text.count(WITHOUT_REASONS) == 1


def test_a_customer_sees_nothing_of_another(shop: Shop) -> None:
    text = shop.page("customer", id="c2").text
    assert 'href="/article?id=b"' in text
    assert 'href="/article?id=a"' not in text
    assert "No model has made a list" in text


def test_an_article_has_lineage_sales_and_neighbours(shop: Shop) -> None:
    text = html.unescape(shop.page("article", id="a").text)
    for said in ("bundle1", "75.0%", "model", "Sales by week", "Looks alike", "People also bought", "12.50"):
        assert said in text, said
    assert "2025-02-24" in text  # Monday of the first of two weeks
    assert 'href="/article?id=b"' in text


def test_an_article_without_stock_names_its_replacement(shop: Shop) -> None:
    text = shop.page("article", id="gone").text
    assert "out of stock" in text
    assert 'href="/article?id=a"' in text[text.index('id="replacements"') :]


def test_all_days_are_drawn_and_what_is_chosen_is_shown(shop: Shop) -> None:
    text = shop.page("days", metric="recall", span=30).text
    assert text.count("<svg") >= 5
    assert '<input name="span" type="number" min="1" max="3660" value="30">' in text
    assert "revenue per active customer in 7 days" in text
    assert "customers of the 7 days before who came again" not in text, "it is not known"
    assert "figures by verdict of flagged, usual on 2 days" in text
    assert "No list has been judged" in shop.page("days", metric="none of these").text


def test_any_figure_of_the_data_is_drawn_level_by_level_with_the_days_that_it_was_flagged(shop: Shop) -> None:
    text = shop.page("days", figure="articles: brand").text
    assert "<option selected>articles: brand</option>" in text
    assert "articles: brand of b1, b2 on 2 days" in text
    assert "Days on which it was unlike the days before" not in text
    assert "Days on which it was unlike the days before" in shop.page("days", figure="brands").text
    assert "That figure was not measured" in shop.page("days", figure="none of these").text


def test_days_end_where_it_is_said(shop: Shop) -> None:
    before = DAY - timedelta(days=1)
    text = shop.page("days", until=before.isoformat(), span=7).text
    assert f'value="{before}"' in text
    shown = text[text.index('id="recommenders"') :]
    assert str(before) in shown
    assert f">{DAY}<" not in shown
    assert f">{DAY}<" in shop.page("days").text
    assert shop.page("days", until="0001-01-02").status == 200


@pytest.mark.parametrize(("asked", "page"), [("a", "article"), ("c2", "customer"), ("gone", "article")])
def test_an_exact_identifier_opens_its_page(shop: Shop, asked: str, page: str) -> None:
    answer = shop.page("search", q=asked)
    assert (answer.status, answer.headers["location"]) == (303, f"/{page}?id={asked}")


def test_a_search_finds_beginnings_and_words(shop: Shop) -> None:
    assert 'href="/article?id=gone"' in shop.page("search", q="go").text
    text = shop.page("search", q="sold").text
    assert "1 articles, best match first" in text
    assert 'href="/article?id=gone"' in text
    assert "No article has such words" in shop.page("search", q="zeppelin").text
    assert shop.page("search", q=" ").headers["location"] == "/"


def test_identifiers_of_any_characters_lead_to_their_pages(shop: Shop) -> None:
    assert shop.page("article", id=ODD).status == 200
    text = shop.page("customer", id=ODD).text
    assert "The newest 10 rows" in text
    (link,) = {part.split('"')[0] for part in text.split('href="/article?')[1:]}
    assert shop.ask(f"/article?{html.unescape(link)}").status == 200


@pytest.mark.parametrize("target", PAGES)
def test_no_page_runs_a_script_or_loads_anything_but_its_photographs(shop: Shop, target: str) -> None:
    loaded = loaded_from_elsewhere(shop.ask(target).text)
    assert [each for each in loaded if not each.startswith("img /photograph?")] == []


def test_a_photograph_is_a_new_small_jpeg(shop: Shop) -> None:
    for size, longest in (("small", (150, 200)), ("large", (300, 400))):
        answer = shop.page("photograph", id="a", size=size)
        assert answer.headers["content-type"] == "image/jpeg"
        with Image.open(io.BytesIO(answer.body)) as image:
            assert (image.format, image.size) == ("JPEG", longest)


def test_what_is_not_there_is_said(shop: Shop) -> None:
    for page, identifier in (("customer", "nobody"), ("article", "nothing"), ("photograph", "gone")):
        answer = shop.page(page, id=identifier)
        assert answer.status == 404
        assert identifier in answer.text
    assert shop.ask("/nothing").status == 404


def _champion(model: str, made_on: date, action: str = "kept") -> dict[str, object]:
    said = {"recipe": "r", "action": action, "who": "gates", "why": "it failed"}
    return said | {"model": model, "serving": True, "model_id": "0" * 32, "made_on": made_on}


@pytest.mark.parametrize("run", [True, False])
def test_where_the_gates_failed_or_were_not_run_the_earlier_list_is_the_one_that_is_shown(
    tmp_path: Path, run: bool
) -> None:
    home, before = make_home(tmp_path), DAY - timedelta(days=1)
    store = home.open_store()
    listed = {"model": "als", "seen": "excluded", "customer_id": "c", "fallback": False, "model_id": "m", "score": 1.0}
    earlier = [
        listed | {"rank": rank, "served": True, "article_id": article, "reasons": []}
        for rank, article in enumerate(("gone", "a"), 1)
    ]
    store.write("recommendations", before, filled("recommendations", earlier), part="als")
    store.write("champions", before, filled("champions", [_champion("als", before, "passed")]))
    if run:
        store.write("champions", DAY, filled("champions", [_champion("als", before)]))
    publish(store, home.database)
    with serving(home) as shop:
        shop.upkeep.look()
        text = html.unescape(shop.page("customer", id="c").text)
    assert f"The serving model of {DAY} has not passed its gates: the list of {before} is still shown." in text
    served, others = text[text.index(f"Served: als, {before}") :].split(f"als, {DAY}")
    assert 'href="/article?id=a"' in served
    assert 'href="/article?id=b"' not in served, "tonight's list"
    assert 'href="/article?id=gone"' not in served, "it cannot be bought any more"
    assert 'href="/article?id=b"' in others


@pytest.mark.parametrize("passed", [True, False])
def test_who_has_no_earlier_list_is_shown_the_fallback_if_that_passed(tmp_path: Path, passed: bool) -> None:
    home, before = make_home(tmp_path), DAY - timedelta(days=1)
    store, own = home.open_store(), "1" * 32
    listed = {"model": "als", "seen": "excluded", "customer_id": "c2", "fallback": True, "model_id": own, "score": 1.0}
    row = listed | {"rank": 1, "served": True, "article_id": "a", "reasons": None}
    store.write("recommendations", DAY, filled("recommendations", [row]), part="als")
    of_popular = {"model": "popular", "serving": False, "model_id": own, "made_on": DAY if passed else before}
    store.write("champions", before, filled("champions", [_champion("als", before, "passed")]))
    champions = [_champion("als", before), _champion("popular", DAY) | of_popular]
    store.write("champions", DAY, filled("champions", champions))
    publish(store, home.database)
    with serving(home) as shop:
        text = html.unescape(shop.page("customer", id="c2").text)
    assert (f"Served: als, {DAY}" in text) == passed
    assert ("None of these lists is the one that this customer is shown." in text) != passed


def test_the_start_page_is_about_the_model_that_serves(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    store = home.open_store()
    store.write("champions", DAY, filled("champions", [_champion("hybrid", DAY, "passed")]))
    publish(store, home.database)
    with serving(home) as shop:
        text = shop.page("").text
    assert "recall@10 of als" not in text


def test_the_pages_that_the_daily_job_wrote_are_handed_out_with_their_own_policy(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    with serving(home) as shop:
        assert "No day has a page yet" in shop.page("").text
        assert shop.ask("/reports/index.html").status == 404
        folder = home.reports / f"ds={DAY}-lineage"
        folder.mkdir(parents=True)
        for name in ("index.html", f"ds={DAY}.html", f"ds={DAY}-map.html", f"{folder.name}/a-1.html"):
            (home.reports / name).write_text(f"<p>{name}</p>")
            answer = shop.ask(f"/reports/{name}")
            assert (answer.status, answer.text) == (200, f"<p>{name}</p>")
            assert "img-src data: blob:" in answer.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert 'href="/reports/index.html"' in shop.page("").text
        (home.reports / "ds=2025-01-01.html").symlink_to(home.toml)
        assert shop.ask("/reports/ds=2025-01-01.html").status == 404
        (home.reports / "ds=2025-01-01-lineage").symlink_to(folder)
        assert shop.ask("/reports/ds=2025-01-01-lineage/a-1.html").status == 404
