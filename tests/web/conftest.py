"""The server that the tests of this folder share."""

from collections.abc import Iterator

import pytest

from tests.web.shop import Shop, make_home, serving


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A server of its own home for each module, with everything beside the database made."""
    with serving(make_home(tmp_path_factory.mktemp("shop"))) as running:
        running.upkeep.look()
        yield running
