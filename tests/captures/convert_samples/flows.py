"""Flows as mitmproxy writes them: a writer of tnetstrings, and the states of flows."""

from __future__ import annotations

from typing import Any

START_S = 1_700_000_000.25


def tnetstring(value: Any) -> bytes:
    """Encode a value."""
    if value is None:
        return b"0:~"
    if isinstance(value, bool):
        return _framed(b"true" if value else b"false", b"!")
    if isinstance(value, int):
        return _framed(str(value).encode(), b"#")
    if isinstance(value, float):
        return _framed(repr(value).encode(), b"^")
    if isinstance(value, bytes):
        return _framed(value, b",")
    if isinstance(value, str):
        return _framed(value.encode(), b";")
    if isinstance(value, dict):
        return _framed(b"".join(tnetstring(key) + tnetstring(item) for key, item in value.items()), b"}")
    return _framed(b"".join(map(tnetstring, value)), b"]")


def _framed(payload: bytes, kind: bytes) -> bytes:
    return str(len(payload)).encode() + b":" + payload + kind


def flow(number: int = 1, **other: Any) -> dict[str, Any]:
    """A flow of version 21; ``request`` and ``response`` are merged, the rest is put in."""
    at_s = START_S + number
    request = {
        "method": b"POST",
        "scheme": b"https",
        "host": "shop.example",
        "port": 443,
        "path": b"/api/orders",
        "authority": b"",
        "http_version": b"HTTP/1.1",
        "headers": [[b"Host", b"shop.example"]],
        "content": b'{"n":1}',
        "trailers": None,
        "timestamp_start": at_s,
        "timestamp_end": at_s + 0.001,
    }
    response = {
        "status_code": 201,
        "reason": b"Created",
        "http_version": b"HTTP/1.1",
        "headers": [[b"Content-Type", b"application/json"]],
        "content": b'{"id":7}',
        "trailers": None,
        "timestamp_start": at_s + 0.030,
        "timestamp_end": at_s + 0.031,
    }
    answer = other.pop("response", {})
    client = {
        "id": "c1",
        "peername": ["127.0.0.1", 50000],
        "sockname": ["127.0.0.1", 8080],
        "timestamp_start": START_S,
        "proxy_mode": "regular",
        "tls_version": "TLSv1.3",
        "alpn": b"http/1.1",
    }
    server = {"address": ["shop.example", 443], "timestamp_start": None}
    return {
        "version": 21,
        "type": "http",
        "id": f"flow-{number}",
        "metadata": {},
        "error": None,
        "websocket": None,
        "client_conn": {**client, **other.pop("client_conn", {})},
        "server_conn": {**server, **other.pop("server_conn", {})},
        "request": {**request, **other.pop("request", {})},
        "response": None if answer is None else {**response, **answer},
        **other,
    }


def socket_flow(number: int, messages: list[Any], **close: Any) -> dict[str, Any]:
    """A WebSocket flow of version 21."""
    headers = [[b"Upgrade", b"websocket"], [b"Sec-WebSocket-Protocol", b"v1"]]
    data = {"messages": messages, "closed_by_client": None, "close_code": None, "close_reason": None}
    return flow(
        number,
        request={"method": b"GET", "content": b""},
        response={"status_code": 101, "headers": headers, "content": b""},
        websocket={**data, "timestamp_end": None, **close},
    )
