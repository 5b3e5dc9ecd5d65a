"""What every request has to satisfy, and what every answer carries.

What belongs here: the ASGI middleware around all pages, reading parameters within bounds. What does not: any page.
"""

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

from atelier.report.served.frame import LONGEST_QUERY

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: A page has no script, loads nothing but photographs of this server, is framed by nobody and sends its forms here.
#: Styles stand in the page and in its plots, hence 'unsafe-inline' for them alone.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",  # identifiers of customers stand in addresses
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
METHODS = ("GET", "HEAD")
LONGEST_TARGET = 4_096
"""Bytes of a path with its query string, at most."""
MOST_HEADERS = 16_384
"""Bytes of all headers of a request, at most."""


class Guard:
    """Refuses every method but GET and HEAD, and what is overlong; puts the same headers on every answer."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":  # the server's own start and end
            await self._app(scope, receive, send)
            return

        async def with_headers(message: "Message") -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (_refusal(scope) or self._app)(scope, receive, with_headers)


def _refusal(scope: "Scope") -> PlainTextResponse | None:
    """The answer to a request that is not let in; None: it is."""
    if scope["method"] not in METHODS:
        return PlainTextResponse("This server can only be read: GET and HEAD.", 405, {"allow": ", ".join(METHODS)})
    if len(scope["query_string"]) + len(scope.get("raw_path") or b"") > LONGEST_TARGET:
        return PlainTextResponse("The address is too long.", 414)
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADERS:
        return PlainTextResponse("The headers are too long.", 431)
    return None


def text_of(request: "Request", name: str, default: str | None = None) -> str:
    """A parameter of the address.

    Raises:
        HTTPException: 400, where it is missing and has no default, or is too long.
    """
    value = request.query_params.get(name, default)
    if value is None:
        raise HTTPException(400, f"the address lacks {name}=…")
    if len(value) > LONGEST_QUERY:
        raise HTTPException(400, f"{name} may have {LONGEST_QUERY} characters at most")
    return value


def number_of(request: "Request", name: str, default: int, highest: int) -> int:
    """A parameter that is a whole number from 0 to ``highest``.

    Raises:
        HTTPException: 400, where it is none.
    """
    text = text_of(request, name, str(default))
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or int(text) > highest:
        raise HTTPException(400, f"{name} must be a whole number from 0 to {highest:,}")
    return int(text)


def day_of(request: "Request", name: str) -> date | None:
    """A parameter that is a day, as 2025-04-16; None: it is missing or empty.

    Raises:
        HTTPException: 400, where it is none.
    """
    text = text_of(request, name, "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise HTTPException(400, f"{name} must be a day such as 2025-04-16") from error


def one_of(request: "Request", name: str, default: str, allowed: Iterable[str]) -> str:
    """A parameter that is one of a few words.

    Raises:
        HTTPException: 400, where it is none of them.
    """
    text, words = text_of(request, name, default), sorted(allowed)
    if text not in words:
        raise HTTPException(400, f"{name} must be one of {', '.join(words)}")
    return text
