"""The list of those who asked to be forgotten: keyed hashes, and a key that only its owner may read."""

import hashlib
import hmac
import stat
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.retailer import Home
from resources.suppression import KEY, LIST, Suppression, SuppressionError, add_requests, suppression_of

DAY, LATER = date(2025, 4, 1), date(2025, 4, 2)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    add_requests(Home(tmp_path), ["c1", "c2"], {"c1": {"als_model": DAY}}, DAY)
    return Home(tmp_path)


def test_nobody_asked(tmp_path: Path) -> None:
    assert not suppression_of(Home(tmp_path))


def test_the_list_holds_hashes_and_no_identifier(home: Home) -> None:
    key = bytes.fromhex((home.root / KEY).read_text())
    expected = {hmac.new(key, each.encode(), hashlib.sha256).hexdigest() for each in ("c1", "c2")}
    assert suppression_of(home).requests.keys() == expected
    assert '"c1"' not in (home.root / LIST).read_text()


@given(st.lists(st.text(max_size=12), unique=True, max_size=8), st.lists(st.text(max_size=12), unique=True, max_size=8))
def test_it_recognises_those_on_it_and_nobody_else(listed: list[str], asked: list[str]) -> None:
    key = Suppression({}, b"k" * 32)
    suppression = Suppression({key.hash_of(each): None for each in listed}, key.key)  # type: ignore[dict-item, misc]
    found = suppression.is_forgotten(pa.array(asked, pa.string()))
    assert found.tolist() == [each in listed for each in asked]


def test_the_key_is_its_owners_alone(home: Home) -> None:
    assert stat.S_IMODE((home.root / KEY).stat().st_mode) == 0o600
    (home.root / KEY).chmod(0o644)
    with pytest.raises(SuppressionError, match="chmod 600"):
        suppression_of(home)


def test_two_homes_have_two_keys(home: Home, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Home(tmp_path_factory.mktemp("other"))
    add_requests(other, ["c1"], {}, DAY)
    assert not suppression_of(other).requests.keys() & suppression_of(home).requests.keys()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda home: (home.root / KEY).unlink(), "is gone: put it back"),
        (lambda home: (home.root / KEY).write_text("no key"), "is no key"),
        (lambda home: (home.root / KEY).write_text("ab" * 32), "is not the key of"),
        (lambda home: (home.root / KEY).write_text("ab"), "1 bytes and not 32"),
        (lambda home: (home.root / LIST).write_text("{"), "is no list of requests"),
    ],
)
def test_without_the_list_and_its_key_nothing_is_ingested(home: Home, damage: object, said: str) -> None:
    """A list that cannot be read must stop an ingest: taken for empty, it would bring the customers back."""
    damage(home)  # type: ignore[operator]
    with pytest.raises(SuppressionError, match=said):
        suppression_of(home)


def test_a_second_request_keeps_the_day_and_learns_of_later_models(home: Home) -> None:
    assert add_requests(home, ["c1", "c3"], {"c1": {"als_model": LATER, "popular_model": DAY}}, LATER) == 1
    suppression = suppression_of(home)
    assert suppression.requests[suppression.hash_of("c1")].requested_on == DAY
    assert suppression.requests[suppression.hash_of("c1")].learned == {"als_model": LATER, "popular_model": DAY}
    assert suppression.requests[suppression.hash_of("c3")].requested_on == LATER
    assert add_requests(home, ["c1"], {"c1": {"als_model": DAY}}, LATER) == 0
    assert suppression_of(home).requests == suppression.requests
