"""HARs as browsers export them, made up: what importing is measured with.

Headers only is the hardest kind for its size: all of it is structure, no long text to be copied.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.capture_traffic import json_document

_SENT = {
    "Host": "market.example",
    "Connection": "keep-alive",
    "sec-ch-ua": '"Chromium";v="131", "Not_A Brand";v="24"',
    "Accept": "application/json, text/plain, */*",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "cors",
    "Referer": "https://market.example/",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-US,en;q=0.9",
}
_RECEIVED = {
    "Content-Type": "application/json",
    "Server": "nginx",
    "Cache-Control": "no-store",
    "Vary": "Accept-Encoding",
    "Strict-Transport-Security": "max-age=31536000",
}
_HEAD = '{"log":{"version":"1.2","creator":{"name":"WebInspector","version":"537.36"},"pages":[],"entries":['
_TIMINGS = {"blocked": 1.2, "dns": -1, "ssl": -1, "connect": -1, "send": 0.1, "wait": 10.4, "receive": 0.9}
_BODY_BYTES = 16 * 1024
_BODY_EVERY = 4


def write_har(path: Path, size_bytes: int, *, has_bodies: bool, seed: int = 1) -> None:
    """Write a HAR of about this size; with bodies, every fourth answer has one of 16 KiB of JSON."""
    random = Random(seed)
    bodies = [json_document(random, _BODY_BYTES).decode() for _ in range(100)]
    with path.open("w", encoding="utf-8") as file:
        file.write(_HEAD)
        number = n_chars = 0
        while n_chars < size_bytes:
            text = random.choice(bodies) if has_bodies and number % _BODY_EVERY == 0 else ""
            entry = json.dumps(_entry(random, number, text))
            file.write(entry if number == 0 else f",{entry}")
            number, n_chars = number + 1, n_chars + len(entry)
        file.write("]}}")


def _entry(random: Random, number: int, text: str) -> dict[str, Any]:
    session = f"{random.getrandbits(128):032x}"
    second, millisecond = divmod(number, 1000)
    content = {"size": len(text), "mimeType": "application/json", **({"text": text} if text else {})}
    received = {**_RECEIVED, "X-Request-Id": f"{random.getrandbits(128):032x}"}
    return {
        "_connectionId": str(number % 6),
        "_initiator": {"type": "script"},
        "_priority": "High",
        "_resourceType": "fetch",
        "cache": {},
        "connection": "443",
        "request": {
            "method": "GET",
            "url": f"https://market.example/api/items/{number}?at={random.random()}",
            "httpVersion": "http/2.0",
            "headers": _pairs({**_SENT, "Cookie": f"sid={session}"}),
            "queryString": [{"name": "at", "value": "0"}],
            "cookies": [{"name": "sid", "value": session, "path": "/", "httpOnly": True, "secure": True}],
            "headersSize": -1,
            "bodySize": 0,
        },
        "response": {
            "status": 200,
            "statusText": "",
            "httpVersion": "http/2.0",
            "headers": _pairs(received),
            "cookies": [],
            "content": content,
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
            "_transferSize": 300,
            "_error": None,
        },
        "serverIPAddress": "127.0.0.1",
        "startedDateTime": f"2026-11-24T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{millisecond:03}Z",
        "time": 12.6,
        "timings": _TIMINGS,
    }


def _pairs(headers: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers.items()]
