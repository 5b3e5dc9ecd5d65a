"""The browser that the tests of this folder drive."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.browser.looking import FLAGS, NAMES, SECONDS, Browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """The browser of this machine; the test is skipped where there is none."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    return Browser(program, tmp_path_factory.mktemp("browser") / "look")


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """A tab of the browser, which reaches loopback only."""
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=browser.program, args=list(FLAGS))
        page = started.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(1000 * SECONDS)
        yield page
        started.close()
