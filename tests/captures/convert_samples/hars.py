"""HARs in the dialects of those who write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

STARTED = "2024-05-01T10:00:00.250Z"
STARTED_NS = 1_714_557_600_250_000_000

Entry = dict[str, Any]


def entry(url: str = "https://shop.example/api/items?page=2", started: str = STARTED, **other: Any) -> Entry:
    """A GET with an answer, as Chrome writes it; ``request`` and ``response`` are merged, the rest is put in."""
    request = {
        "method": "GET",
        "url": url,
        "httpVersion": "http/2.0",
        "headers": [{"name": ":authority", "value": "shop.example"}, {"name": "accept", "value": "*/*"}],
        "queryString": [],
        "cookies": [],
        "headersSize": -1,
        "bodySize": 0,
    }
    response = {
        "status": 200,
        "statusText": "",
        "httpVersion": "http/2.0",
        "headers": [{"name": "content-type", "value": "application/json"}],
        "cookies": [],
        "content": {"size": 11, "mimeType": "application/json", "text": '{"ok":true}'},
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": -1,
        "_transferSize": 80,
        "_error": None,
    }
    timings = {"blocked": 1.5, "dns": -1, "ssl": -1, "connect": -1, "send": 0.5, "wait": 20, "receive": 3}
    return {
        "startedDateTime": started,
        "time": 25,
        "request": {**request, **other.pop("request", {})},
        "response": {**response, **other.pop("response", {})},
        "cache": {},
        "timings": timings,
        "connection": "4711",
        **other,
    }


def socket(messages: list[Any], **other: Any) -> Entry:
    """A WebSocket, as Chrome writes it."""
    response = {"status": 101, "content": {"size": 0, "mimeType": "x-unknown"}, "headers": []}
    made = entry("wss://shop.example/live", response=response, **other)
    return {"_resourceType": "websocket", "_webSocketMessages": messages, **made}


def message(after_s: float, data: Any, kind: str = "receive", opcode: int = 1, **other: Any) -> dict[str, Any]:
    """An element of ``_webSocketMessages``, so many seconds after ``STARTED``."""
    return {"type": kind, "time": STARTED_NS / 1e9 + after_s, "opcode": opcode, "data": data, **other}


def document(*entries: Any, creator: str = "WebInspector", **log: Any) -> dict[str, Any]:
    """A whole HAR."""
    return {"log": {"version": "1.2", "creator": {"name": creator, "version": "1"}, "entries": list(entries), **log}}


def write_har(path: Path, *entries: Any, creator: str = "WebInspector", **log: Any) -> Path:
    """Write a HAR and return where it is."""
    path.write_text(json.dumps(document(*entries, creator=creator, **log)), encoding="utf-8")
    return path
