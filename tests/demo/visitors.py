"""A visitor of the target for tests: logs in over real sockets and keeps what it was given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from demo.target.accounts import PASSWORD

ORDER = {"symbol": "BRK", "side": "buy", "quantity": 250, "price": 12}
CHANNELS = ["quotes", "indices", "foreign", "derivatives", "prices"]
TIMEOUT_S = 10.0


class Visitor:
    """One browser's worth of state."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.Client(base_url=url, trust_env=False, timeout=TIMEOUT_S)
        self.grant: dict[str, Any] = {}

    def log_in(self, user: str = "demo001", password: str = PASSWORD) -> httpx.Response:
        """Log in; what the server grants is used from then on."""
        answer = self.client.post("/api/login", json={"user": user, "password": password})
        if answer.status_code == 200:
            self.take(answer.json())
        return answer

    def refresh(self) -> httpx.Response:
        """Trade the refresh token for fresh ones."""
        answer = self.client.post("/api/refresh", json={"refresh_token": self.grant["refresh_token"]})
        if answer.status_code == 200:
            self.take(answer.json())
        return answer

    def take(self, grant: dict[str, Any]) -> None:
        """Use a grant."""
        self.grant = grant
        self.client.headers["Authorization"] = f"Bearer {grant['access_token']}"

    def get(self, path: str) -> httpx.Response:
        """GET a path."""
        return self.client.get(path)

    def csrf(self) -> str:
        """Fetch the order form and give the token in it."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.get("/orders/new").text)
        assert found is not None
        return found[1]

    def place(self, csrf: str, **changes: object) -> httpx.Response:
        """Place an order."""
        return self.client.post("/api/orders", json=ORDER | changes, headers={"X-CSRF-Token": csrf})

    @contextmanager
    def socket(self, ticket: str | None = None, *, deflate: bool = False) -> Iterator[ClientConnection]:
        """Open the socket with one's ticket, or with another one."""
        token = self.grant.get("ws_ticket", "") if ticket is None else ticket
        address = f"{self.url.replace('http', 'ws', 1)}/ws/market?token={token}"
        with connect(address, proxy=None, open_timeout=TIMEOUT_S, compression="deflate" if deflate else None) as socket:
            yield socket

    def close(self) -> None:
        """Close all connections."""
        self.client.close()


def send(socket: ClientConnection, **message: object) -> None:
    """Send a JSON message."""
    socket.send(json.dumps(message))


def receive(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """Give the next message of a kind; pings before it are answered, others are skipped."""
    while True:
        message: dict[str, Any] = json.loads(socket.recv(TIMEOUT_S))
        if message["type"] == "ping":
            send(socket, type="pong", id=message["id"])
        if message["type"] == kind:
            return message


@contextmanager
def visiting(url: str) -> Iterator[Visitor]:
    """Visit a target."""
    visitor = Visitor(url)
    try:
        yield visitor
    finally:
        visitor.close()
