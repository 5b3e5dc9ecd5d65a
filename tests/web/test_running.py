"""A server that runs: a database replaced under it, what it makes beside it, and what it says where it cannot."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from dagster_project.cli import cli
from dagster_project.commands.serve import is_loopback
from resources.publishing import publish
from tests.web.shop import DAY, Shop, interactions, make_home, serving


def test_pages_are_answered_while_the_database_is_replaced(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    targets = ["/", "/customer?id=c", "/article?id=a", "/search?q=coat", "/photograph?id=a"] * 8
    with serving(home) as shop, ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(shop.ask, target) for target in targets]
        store = home.open_store()
        for ahead in range(1, 4):
            store.write("interactions", DAY + timedelta(days=ahead), interactions(DAY + timedelta(days=ahead)))
            publish(store, home.database)
            shop.upkeep.look()
        assert {answer.result().status for answer in answers} == {200}
        assert "The newest 13 rows" in shop.page("customer", id="c").text


def test_words_are_searched_once_they_are_indexed(tmp_path: Path) -> None:
    with serving(make_home(tmp_path)) as shop:
        assert "being indexed" in shop.page("search", q="coat").text
        assert not (shop.home.root / "serve").exists()
        shop.upkeep.look()
        assert "articles, best match first" in shop.page("search", q="coat").text
        assert (shop.home.root / "serve" / "histories.duckdb").exists()


def test_a_home_without_a_database_says_what_makes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = make_home(tmp_path)
    home.database.unlink()
    with serving(home) as shop:
        answer = shop.page("customer", id="c")
        assert answer.status == 503
        assert "atelier publish" in answer.text
        assert str(tmp_path) not in answer.text
        shop.upkeep.look()
        publish(home.open_store(), home.database)
        assert shop.page("customer", id="c").status == 200
    assert str(home.database) in capsys.readouterr().err


def test_a_damaged_store_is_said_without_its_files(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    for file in (home.store / "interactions").rglob("*.parquet"):
        file.unlink()
    with serving(home) as shop:
        answer = shop.page("customer", id="c")
        assert answer.status == 503
        assert "atelier doctor" in answer.text
        assert str(tmp_path) not in answer.text
        assert shop.page("customer", id="c", q="again").status == 503


def test_an_empty_home_has_pages(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    home.database.unlink()
    empty = type(home)(tmp_path / "empty")
    empty.root.mkdir()
    empty.toml.write_text(home.toml.read_text())
    publish(empty.open_store(), empty.database)
    with serving(empty) as shop:
        shop.upkeep.look()
        for target in ("/", "/days"):
            assert shop.ask(target).status == 200, target
        assert shop.page("customer", id="c").status == 404


def test_more_requests_than_are_served_at_once_are_turned_away_and_later_served(tmp_path: Path) -> None:
    with serving(make_home(tmp_path)) as shop:
        barrier = threading.Barrier(8)

        def ask(shop: Shop) -> int:
            barrier.wait()
            return shop.ask("/customer?id=c").status

        with ThreadPoolExecutor(8) as pool:
            assert {done.result() for done in [pool.submit(ask, shop) for _ in range(8)]} == {200}


def test_an_address_that_others_reach_needs_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(make_home(tmp_path).root))
    done = CliRunner().invoke(cli, ["serve", "--listen", "0.0.0.0", "--port", "0"])  # noqa: S104 - it is refused
    assert done.exit_code == 1
    assert "--name" in str(done.exception)


@pytest.mark.parametrize(
    ("listen", "alone"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)],  # noqa: S104
)
def test_which_addresses_this_machine_alone_reaches(listen: str, alone: bool) -> None:
    assert is_loopback(listen) is alone
