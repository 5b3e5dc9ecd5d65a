"""The ASGI application: which address is which page, and what is answered where a page cannot be made.

What belongs here: routes, errors, whose Host header is believed. What does not: pages
(:mod:`dagster_project.web.pages`), listening (:mod:`dagster_project.commands.serve`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import duckdb
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from atelier.report import parts
from atelier.report.served.frame import served_page
from dagster_project.web.guard import Guard
from dagster_project.web.pages import Page, Pages
from dagster_project.web.reports import written_page
from resources.published import NotPublished, TookTooLong

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
UNPUBLISHED = "There is no database that can be read; `atelier publish` makes it."
UNREADABLE = (
    "A file of the store cannot be read; publish again with `atelier publish`, or ask `atelier doctor` what is broken."
)


def application(pages: Pages, hosts: Sequence[str], tell: Callable[[str], None]) -> "ASGIApp":
    """The application.

    Args:
        pages: what it shows.
        hosts: the names under which it may be asked for, without a port; every other Host header is refused, so that no
            page of the web can reach it under a name of its own that resolves to this machine (DNS rebinding).
        tell: is given what went wrong, for whoever runs the server; the answer does not name files.
    """
    shown: dict[str, Page] = {
        "/": pages.start,
        "/days": pages.days,
        "/search": pages.search,
        "/customer": pages.customer,
        "/article": pages.article,
        "/photograph": pages.photograph,
        "/reports/{name:path}": partial(written_page, pages.reports),
        "/favicon.ico": _no_icon,
    }

    async def failed(request: "Request", error: Exception) -> Response:
        tell(f"{type(error).__name__}: {error}")
        if isinstance(error, TookTooLong):
            return _explained(503, str(error))
        return _explained(503, UNPUBLISHED if isinstance(error, NotPublished) else UNREADABLE)

    app = Starlette(
        routes=[Route(path, _in_thread(page), methods=["GET"]) for path, page in shown.items()],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)],
        exception_handlers={HTTPException: _refused, NotPublished: failed, TookTooLong: failed, duckdb.Error: failed},
    )
    return Guard(app)  # outside of all, so that the answer to an error that nobody foresaw carries the headers as well


def _in_thread(page: Page) -> Callable[["Request"], "object"]:
    """A page is made in a thread: DuckDB and the drawing of plots would keep all other requests waiting."""

    async def made(request: "Request") -> Response:
        return await run_in_threadpool(page, request)

    return made


def _no_icon(request: "Request") -> Response:
    return Response(status_code=204)


async def _refused(request: "Request", error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    said = error.detail if isinstance(error, HTTPException) else "It failed."
    return _explained(status, said)


def _explained(status: int, said: str) -> HTMLResponse:
    """A page that says what is wrong."""
    title = {400: "Not understood", 404: "Not found", 503: "Not now"}.get(status, f"Error {status}")
    body = parts.Section(title, "error", parts.note(said))
    return HTMLResponse(served_page(title, "", [body]), status)
