"""The way in: every request and upgrade passes here, is written into the ledger, and meets the faults in force.

Pure ASGI, no Starlette middleware: it adds no task and no copy to a request.
"""

from __future__ import annotations

import asyncio
import time

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.target.house import House
from demo.target.ledger import Entry

ENTRY = "demo.entry"
ADMIN = "/admin/"
_API = ("/api/", "/orders/")
_PLAIN = frozenset(
    {
        "/",
        "/api/foreign-flow",
        "/api/indices",
        "/api/login",
        "/api/orders",
        "/api/quotes",
        "/api/refresh",
        "/orders/new",
        "/ws/market",
    }
)
_TEMPLATES = {
    "/api/quotes/": "/api/quotes/{symbol}",
    "/api/orders/": "/api/orders/{id}",
    "/page/": "/page/{file}",
}


class Gate:
    """Wraps the application of one target."""

    def __init__(self, app: ASGIApp, house: House) -> None:
        self._app = app
        self._house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of ASGI."""
        if scope["type"] == "lifespan" or scope["path"].startswith(ADMIN):
            await self._app(scope, receive, send)
            return
        house = self._house
        started_ns = time.monotonic_ns()
        method = "WS" if scope["type"] == "websocket" else scope["method"]
        entry = house.ledger.open(method, template_of(scope["path"]), house.wall_ms())
        scope[ENTRY] = entry

        async def answer(message: Message) -> None:
            if entry.status == 0 and (status := _status_of(message)):
                entry.status = status
                entry.taken_us = (time.monotonic_ns() - started_ns) // 1000
                house.ledger.close(entry)
            await send(message)

        delay_ns = house.faults.delay_ns(started_ns)
        if delay_ns:
            await asyncio.sleep(delay_ns / 1e9)
        if self._fails(scope):
            await JSONResponse({"error": "a fault ordered by DEMO_ERROR_RATE"}, 500)(scope, receive, answer)
            return
        await self._app(scope, receive, answer)

    def _fails(self, scope: Scope) -> bool:
        rate = self._house.faults.faults.error_rate
        is_api = scope["type"] == "http" and scope["path"].startswith(_API)
        return bool(rate) and is_api and self._house.dice.random() < rate


def template_of(path: str) -> str:
    """Give the route of a path as the ledger names it, ``(none)`` for a stranger."""
    if path in _PLAIN:
        return path
    head, slash, tail = path.rpartition("/")
    return _TEMPLATES.get(head + slash, "(none)") if tail else "(none)"


def entry_of(scope: Scope) -> Entry:
    """Give the ledger's entry of a request or upgrade."""
    entry: Entry = scope[ENTRY]
    return entry


def _status_of(message: Message) -> int:
    match message["type"]:
        case "http.response.start" | "websocket.http.response.start":
            return int(message["status"])
        case "websocket.accept":
            return 101
        case "websocket.close":
            return 403
    return 0
