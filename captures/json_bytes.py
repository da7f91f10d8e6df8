"""JSON as it comes over a wire: bytes into a document, as the standard library reads them but sooner. Pure."""

from __future__ import annotations

import json
from json.scanner import make_scanner
from typing import Any

_scan = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]  # The stub asks for a scanner.


def read_json(data: bytes) -> Any:
    """As ``json.loads``; an object in UTF-8, as nearly all are, is read without asking how it is encoded.

    Source: RFC 4627 §3: what begins with a brace and no NUL behind it is UTF-8.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    if data[:1] == b"{" and data[1:2] != b"\0":
        try:
            text = data.decode()
            document, end = _scan(text, 0)
        except (UnicodeDecodeError, StopIteration):
            return json.loads(data)
        if end == len(text):
            return document
    return json.loads(data)
