"""Every block of Python and SQL in the README and in docs runs as it stands, in a home of the sample retailer."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from resources.publishing import publish
from tests.conftest import REPOSITORY
from tests.end_to_end.house import House
from tests.end_to_end.programs import Programs, programs

pytestmark = pytest.mark.end_to_end

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: Blocks of these languages are shown, not run: commands are what other tests run, the others are examples of output.
SHOWN = {"sh", "yaml", "text", "toml", "mermaid"}


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def pages_with(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


@pytest.fixture(scope="module")
def folder(house: House, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as after `make demo`: the home is called var, and the retailer lies in it."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(house.home.root, folder / "var")
    shutil.copytree(Path(house.home.settings.path), folder / "var" / "retailer")
    publish(house.store, folder / "var" / "atelier.duckdb")
    return folder


@pytest.fixture(scope="module")
def readers(folder: Path) -> Iterator[Programs]:
    """People who run what they have read, in that folder."""
    environment = os.environ | {"ATELIER_HOME": str(folder / "var"), "PYTHONPATH": str(REPOSITORY)}
    with programs(folder, environment) as started:
        yield started


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_language_of_every_block_is_named(page: Path) -> None:
    fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(fences[::2]) <= SHOWN | {"python", "sql"}
    assert set(fences[1::2]) <= {""}


@pytest.mark.parametrize("page", pages_with("python"), ids=lambda page: page.name)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: Path, readers: Programs) -> None:
    status, said = readers.run(page.stem, "\n\n".join(blocks(page, "python")))
    assert status == 0, f"{page.name}\n{said[-3000:]}"


@pytest.mark.parametrize("page", pages_with("sql"), ids=lambda page: page.name)
def test_the_sql_of_a_page_runs(page: Path, folder: Path) -> None:
    with duckdb.connect(str(folder / "var" / "atelier.duckdb"), read_only=True) as connection:
        for query in blocks(page, "sql"):
            assert connection.execute(query).description, query


def test_the_queries_find_something(folder: Path) -> None:
    """All but those that ask for what a small, sound retailer may not have."""
    empty = []
    with duckdb.connect(str(folder / "var" / "atelier.duckdb"), read_only=True) as connection:
        for number, query in enumerate(blocks(REPOSITORY / "docs" / "queries.md", "sql"), start=1):
            if not connection.execute(query).fetchall():
                empty.append(number)
    assert set(empty) <= {3, 5, 7, 9, 10}
