"""A visit without a browser: the page's own traffic, sent by httpx and websockets through the recorder's proxy.

The timeline is that of ``page/visitor.js``: log in, watch, open two quotes, place an order and read it back, leave.
"""

from __future__ import annotations

import asyncio
import json
import re
from urllib.parse import quote

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

USER = "demo042"
ASSETS = ("style.css", "market.js", "app.js", "visitor.js", "icon.svg")
CHANNELS = ["quotes", "indices", "foreign", "derivatives", "prices"]
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')
_ORDERED = {"symbol": "BRK", "side": "buy", "quantity": 250, "price": 12}
_POLLS = (("/api/foreign-flow", 2.0), ("/api/indices", 3.0))


def visit(url: str, *, proxy: str, password: str, seconds: float) -> None:
    """Visit a target as its page does.

    Args:
        url: ``http://127.0.0.1:PORT`` of the target.
        proxy: ``http://127.0.0.1:PORT`` of the recorder.
        seconds: how long the visit lasts.

    Raises:
        httpx.HTTPError: the target or the proxy did not answer as they should.
    """
    asyncio.run(_visit(url, proxy, password, seconds))


async def _visit(url: str, proxy: str, password: str, seconds: float) -> None:
    async with httpx.AsyncClient(base_url=url, proxy=proxy, trust_env=False) as client:
        visitor = _Visitor(client, seconds)
        await visitor.open_page()
        ticket = await visitor.log_in(password)
        address = f"{url.replace('http', 'ws', 1)}/ws/market?token={quote(ticket, safe='')}"
        async with connect(address, proxy=proxy, origin=Origin(url)) as socket:
            await visitor.watch(socket)
            await socket.close(1000, "goodbye")


class _Visitor:
    """One visitor with a browser's habits."""

    def __init__(self, client: httpx.AsyncClient, seconds: float) -> None:
        self._client = client
        self._seconds = seconds
        self._start_s = asyncio.get_running_loop().time()
        self._n_subscribed = 0

    async def open_page(self) -> None:
        await self._ask("GET", "/")
        await asyncio.gather(*(self._ask("GET", f"/page/{name}") for name in ASSETS))

    async def log_in(self, password: str) -> str:
        """Log in and give the ticket for the socket."""
        await self._until(0.1)
        answer = await self._ask("POST", "/api/login", json={"user": USER, "password": password})
        grant = answer.json()
        self._client.headers["Authorization"] = f"Bearer {grant['access_token']}"
        return str(grant["ws_ticket"])

    async def watch(self, socket: ClientConnection) -> None:
        """Everything that happens while the socket is open."""
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(socket))
            await self._subscribe(socket, CHANNELS)
            paths = ("/api/quotes", "/api/indices", "/api/foreign-flow")
            await asyncio.gather(*(self._ask("GET", path) for path in paths))
            polling = [tasks.create_task(self._poll(path, every_s)) for path, every_s in _POLLS]
            await self._trade(socket)
            await self._until(0.97)
            for task in (reading, *polling):
                task.cancel()

    async def _trade(self, socket: ClientConnection) -> None:
        for share, symbol in ((0.34, "KIT"), (0.5, "BRK")):
            await self._until(share)
            await self._ask("GET", f"/api/quotes/{symbol}")
            await self._subscribe(socket, [f"depth:{symbol}"])
        await self._until(0.58)
        form = (await self._ask("GET", "/orders/new")).text
        found = _CSRF.search(form)
        csrf = found[1] if found else ""
        await self._until(0.72)
        order = await self._ask("POST", "/api/orders", headers={"X-CSRF-Token": csrf}, json=_ORDERED)
        await asyncio.sleep(0.5)
        await self._ask("GET", f"/api/orders/{order.json()['id']}")

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "ping":
                await socket.send(json.dumps({"type": "pong", "id": message["id"]}))

    async def _poll(self, path: str, every_s: float) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            due_s += every_s
            await asyncio.sleep(due_s - loop.time())
            await self._ask("GET", path)

    async def _subscribe(self, socket: ClientConnection, channels: list[str]) -> None:
        self._n_subscribed += 1
        await socket.send(json.dumps({"type": "subscribe", "id": self._n_subscribed, "channels": channels}))

    async def _ask(self, method: str, path: str, **options: object) -> httpx.Response:
        answer = await self._client.request(method, path, **options)  # type: ignore[arg-type]
        return answer.raise_for_status()

    async def _until(self, share: float) -> None:
        due_s = self._start_s + share * self._seconds
        await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))
