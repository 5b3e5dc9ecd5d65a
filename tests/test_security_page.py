"""SECURITY.md names tests: each of them is there."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(named) > 10
    assert not [name for name in named if not (REPOSITORY / name).is_file()]


def test_hostile_tests_are_those_of_the_tables() -> None:
    rows = [line for line in (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", "\n".join(rows)))
    files = {path.relative_to(REPOSITORY).as_posix(): path for path in (REPOSITORY / "tests").rglob("test_*.py")}
    marked = re.compile(r"^pytestmark = .*pytest\.mark\.hostile\b", re.MULTILINE)
    assert {name for name, path in files.items() if marked.search(path.read_text(encoding="utf-8"))} == named
