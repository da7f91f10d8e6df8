"""Bodies of a HAR as bytes: text or Base64, in the document or, by name, in a file that belongs to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from captures.convert.attachments import Attachments
from captures.convert.har_fields import (
    bytes_to_text,
    form_of,
    from_base64,
    multipart_of,
    text_to_bytes,
    to_bytes,
)
from captures.convert.json_stream import WHOLE_CHARS
from captures.convert.losses import Losses
from captures.convert.tape import KEPT_BYTES, new_body, new_decoded_body
from captures.records import Body

# Base64 of a body that is kept whole.
TEXT_LIMIT_BYTES = KEPT_BYTES * 4 // 3 + 4

_BOUNDARY = re.compile(r"boundary=\"?([A-Za-z0-9'()+_,./:=? -]{1,70})", re.IGNORECASE)
_ATTACHED = re.compile(r"[0-9a-f]{40}(?:\.[A-Za-z0-9]{1,10})?")
_ATTACHED_MESSAGES = re.compile(r"[0-9a-f]{32}\.jsonl")
_UPLOAD = "content-"
_UPLOAD_HEADERS = re.compile(
    r"(?:content-(?:type|length|disposition|transfer-encoding):[^\r\n]*\r\n)+\r\n", re.IGNORECASE
)
_DIGEST = re.compile(r"(?:[0-9a-f]{2}){1,32}")
_REPLACEMENT = b"\xef\xbf\xbd"
_DEFAULT_BOUNDARY = "----rushhour"
# An exporter may have dropped a byte order mark.
_MARK_BYTES = 3


@dataclass(slots=True)
class LongText:
    """A text too large for memory: its first bytes in UTF-8, and how many there are."""

    data: bytes
    size_bytes: int

    @property
    def is_cut(self) -> bool:
        """Whether ``data`` is not all of it."""
        return self.size_bytes > len(self.data)


class Bodies:
    """Reads the bodies of one HAR.

    Args:
        attachments: Playwright may put bodies into files there, named by their hash.
    """

    def __init__(self, attachments: Attachments, losses: Losses) -> None:
        self._attachments = attachments
        self._losses = losses

    def response(self, content: dict[str, Any], encoding: str, wire_bytes: int, where: str) -> Body:
        """The body of a response.

        Args:
            encoding: the content-encodings that its headers name; a HAR holds bodies with those undone.
            wire_bytes: its size before that, or 0 where the HAR does not say.
        """
        ours = _map(content.get("_rushhour"))
        stated_bytes = _size(content.get("size"))
        text, media_type = content.get("text"), str(content.get("mimeType") or "")
        if text is not None:
            data, total_bytes = self._data(text, content.get("encoding"), media_type, where)
        elif isinstance(name := content.get("_file"), str):
            data, total_bytes = self._attached(name, where)
        else:
            data = b""
            total_bytes = stated_bytes
            if stated_bytes:
                self._losses.add("response bodies that the HAR does not hold", where)
        if total_bytes > len(data) or stated_bytes > len(data) + _MARK_BYTES:
            total_bytes = max(stated_bytes, len(data) + 1)
        return self._body(data, total_bytes, "" if ours.get("isWire") is True else encoding, wire_bytes, ours, where)

    def request(self, post: dict[str, Any], encoding: str, where: str) -> Body:
        """The body of a request; ``encoding`` as for ``response``."""
        ours = _map(post.get("_rushhour"))
        media_type = str(post.get("mimeType") or "")
        text, params = post.get("text"), post.get("params")
        if isinstance(text, str) and text[: len(_UPLOAD)].lower() == _UPLOAD:
            # Firefox writes the headers of a form's upload stream before the form.
            text = _UPLOAD_HEADERS.sub("", text, count=1)
        coding = post.get("encoding") or post.get("_encoding")
        if (text is None or text == "") and isinstance(params, list) and params:
            data = self._of_params(params, media_type, where)
            total_bytes = len(data)
        elif not text and isinstance(name := post.get("_file"), str):
            data, total_bytes = self._attached(name, where)
        elif text is None:
            return Body()
        else:
            data, total_bytes = self._data(text, coding, media_type, where)
        if _REPLACEMENT in data and coding is None:
            self._losses.add("request bodies that the exporter spoiled, taking binary data for text", where)
        if coding is not None and not ours.get("encoding"):
            # What is Base64 was left as it was on the wire.
            encoding = ""
        return self._body(data, total_bytes, encoding, 0, ours, where)

    def _body(
        self, data: bytes, total_bytes: int, encoding: str, wire_bytes: int, ours: dict[str, Any], where: str
    ) -> Body:
        """A body of ``total_bytes`` that begins with ``data``; our own export says more."""
        size_bytes = _size(ours.get("size"))
        if encoding and data:
            body = new_decoded_body(data, encoding, size_bytes or wire_bytes, is_whole=total_bytes <= len(data))
            if 0 < _size(ours.get("kept")) <= body.size_bytes:
                body.kept_bytes = _size(ours.get("kept"))
        else:
            body = new_body(data, size_bytes or total_bytes)
            if 0 < _size(ours.get("kept")) <= size_bytes:  # Redacted: the data need not be as long as what was sent.
                body.size_bytes, body.kept_bytes = size_bytes, _size(ours.get("kept"))
        if len(data) > KEPT_BYTES or (total_bytes > len(data) >= KEPT_BYTES):
            self._losses.add(f"bodies of which only the first {KEPT_BYTES >> 20} MiB are kept", where)
        digest = ours.get("hash")
        if isinstance(digest, str) and _DIGEST.fullmatch(digest):
            body.hash = bytes.fromhex(digest)
        return body

    def message(self, data: Any, opcode_is_text: bool, encoding: Any, where: str) -> tuple[bytes, int]:
        """The data of a message and its size; binary data is Base64."""
        if opcode_is_text and encoding != "base64":
            return self._data(data, None, "", where)
        return self._data(data, "base64", "", where)

    def attached_messages(self, content: dict[str, Any], where: str) -> Iterator[Any] | None:
        """The messages of a socket that Playwright put into a file beside the HAR, or None where it did not."""
        name = content.get("_file")
        if not isinstance(name, str) or not _ATTACHED_MESSAGES.fullmatch(name):
            return None
        return self._lines(name, where)

    def _data(self, text: Any, encoding: Any, media_type: str, where: str) -> tuple[bytes, int]:
        """Bytes and size of a text; of a wrong Base64 no bytes and about the size."""
        long = text if isinstance(text, LongText) else None
        is_cut = long is not None and long.is_cut
        if isinstance(encoding, str) and encoding.lower() == "base64":
            raw = long.data if long is not None else text if isinstance(text, str) else ""
            try:
                data = from_base64(raw[: len(raw) // 4 * 4] if is_cut else raw)
            except ValueError:
                self._losses.add("bodies and messages whose Base64 is wrong, left empty", where)
                return b"", max(1, len(raw) * 3 // 4)
            return data, long.size_bytes * 3 // 4 if long is not None and is_cut else len(data)
        if long is not None:
            codec_text = None if is_cut else bytes_to_text(long.data, "")
            data = long.data if codec_text is None else text_to_bytes(codec_text, media_type)
            return data, max(len(data), long.size_bytes) if is_cut else len(data)
        if not isinstance(text, str):
            self._losses.add("bodies and messages that are no text but JSON, written anew", where)
            text = json.dumps(text, separators=(",", ":"), ensure_ascii=False)
        data = text_to_bytes(text, media_type)
        return data, len(data)

    def _of_params(self, params: list[Any], media_type: str, where: str) -> bytes:
        if not media_type.lower().startswith("multipart/"):
            return form_of(params)
        if any(isinstance(param, dict) and param.get("fileName") and not param.get("value") for param in params):
            self._losses.add("files of forms whose content the HAR does not hold", where)
        match = _BOUNDARY.search(media_type)
        return multipart_of(params, match[1].strip() if match else _DEFAULT_BOUNDARY)

    def _attached(self, name: str, where: str) -> tuple[bytes, int]:
        """A body in a file beside the HAR. Only names that Playwright makes are looked at."""
        if not _ATTACHED.fullmatch(name):
            self._losses.add("bodies in other files", f"{where}: {to_bytes(name[:80])!r}")
            return b"", 1
        try:
            file, size_bytes = self._attachments.open(name)
            with file:
                data = file.read(KEPT_BYTES)
                return data, max(size_bytes, len(data))
        except OSError as exc:
            self._losses.add("bodies in files that cannot be read", f"{where}: {name}: {exc.strerror}")
            return b"", 1

    def _lines(self, name: str, where: str) -> Iterator[Any]:
        """The messages in a file beside the HAR, one a line; None for what is no JSON or too long a line."""
        try:
            file, _ = self._attachments.open(name)
            with file:
                while line := file.readline(WHOLE_CHARS):
                    is_whole = line.endswith(b"\n") or len(line) < WHOLE_CHARS
                    while not is_whole and (rest := file.readline(WHOLE_CHARS)):
                        is_whole, line = rest.endswith(b"\n"), b""
                    yield _json_of(line)
        except OSError as exc:
            self._losses.add("messages in files that cannot be read", f"{where}: {name}: {exc.strerror}")


def _json_of(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _size(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 1 << 48 else 0


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
