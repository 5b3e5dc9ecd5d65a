"""The browser that the tests of this folder drive."""

import shutil

import pytest

from tests.browser.looking import NAMES, Browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """The browser of this machine; the test is skipped where there is none."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    return Browser(program, tmp_path_factory.mktemp("browser") / "look")
