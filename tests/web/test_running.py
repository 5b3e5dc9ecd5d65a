"""A server that runs: a database replaced under it, what it makes beside it, and what it says where it cannot."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from dagster_project.cli import cli
from dagster_project.commands.serve import is_loopback
from resources.publishing import publish
from resources.retailer import Home
from tests.web.shop import DAY, interactions, make_home, serving

pytestmark = pytest.mark.hostile


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One home for all; a test that takes something away puts it back."""
    return make_home(tmp_path_factory.mktemp("running"))


@contextmanager
def without(path: Path) -> Iterator[None]:
    """A file or folder is gone meanwhile."""
    away = path.with_name(f"{path.name}.away")
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


def test_pages_are_answered_while_the_database_is_replaced(home: Home) -> None:
    targets = ["/", "/customer?id=c", "/article?id=a", "/search?q=coat", "/photograph?id=a"] * 4
    with serving(home) as shop, ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(shop.ask, target) for target in targets]
        store = home.open_store()
        for ahead in (1, 2):
            store.write("interactions", DAY + timedelta(days=ahead), interactions(DAY + timedelta(days=ahead)))
            publish(store, home.database)
            shop.upkeep.look()
        assert {answer.result().status for answer in answers} == {200}
        assert "The newest 12 rows" in shop.page("customer", id="c").text


def test_words_are_searched_once_they_are_indexed(home: Home) -> None:
    with serving(home) as shop:
        assert "being indexed" in shop.page("search", q="coat").text
        shop.upkeep.look()
        assert "articles, best match first" in shop.page("search", q="coat").text
        assert (shop.home.root / "serve" / "histories.duckdb").exists()


def test_a_home_without_a_database_says_what_makes_it(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(home) as shop:
        with without(home.database):
            answer = shop.page("customer", id="c")
            shop.upkeep.look()
        assert answer.status == 503
        assert "atelier publish" in answer.text
        assert str(home.root) not in answer.text
        assert shop.page("customer", id="c").status == 200
    assert str(home.database) in capsys.readouterr().err


def test_a_damaged_store_is_said_without_its_files(home: Home) -> None:
    with serving(home) as shop:
        with without(home.store / "recommendations"):
            answer = shop.page("customer", id="c")
        assert answer.status == 503
        assert "atelier doctor" in answer.text
        assert str(home.root) not in answer.text
        assert shop.page("customer", id="c").status == 200


def test_an_empty_home_has_pages(home: Home, tmp_path: Path) -> None:
    empty = Home(tmp_path)
    empty.toml.write_text(home.toml.read_text())
    publish(empty.open_store(), empty.database)
    with serving(empty) as shop:
        shop.upkeep.look()
        for target in ("/", "/days"):
            assert shop.ask(target).status == 200, target
        assert shop.page("customer", id="c").status == 404


def test_requests_at_the_same_time_are_answered_each_with_its_own(home: Home) -> None:
    customers = ["c", "c2"] * 8
    with serving(home) as shop, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda customer: shop.page("customer", id=customer).text, customers))
    for customer, text in zip(customers, answers, strict=True):
        assert f"<h1>Customer {customer}</h1>" in text
        assert ('href="/article?id=a"' in text) == (customer == "c")


def test_an_address_that_others_reach_needs_a_name(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(home.root))
    done = CliRunner().invoke(cli, ["serve", "--listen", "0.0.0.0", "--port", "0"])  # noqa: S104 - it is refused
    assert done.exit_code == 1
    assert "--name" in str(done.exception)


@pytest.mark.parametrize(
    ("listen", "alone"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)],  # noqa: S104
)
def test_which_addresses_this_machine_alone_reaches(listen: str, alone: bool) -> None:
    assert is_loopback(listen) is alone
