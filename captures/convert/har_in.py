"""Reads HAR 1.2 in bounded memory, whatever its size.

Usual entries are decoded whole. An entry that is too large for that is walked: its messages go to the tape one by one,
of long texts only the part that is kept is held.
"""

from __future__ import annotations

from typing import Any

from captures.convert.har_bodies import TEXT_LIMIT_BYTES, Bodies, LongText
from captures.convert.har_entry import Entries
from captures.convert.har_fields import storable, to_bytes
from captures.convert.har_sockets import Opened
from captures.convert.inputs import Input
from captures.convert.json_stream import JsonReader, Left
from captures.convert.losses import Losses
from captures.convert.tape import Tape
from captures.errors import CaptureError
from captures.records import EventType

_SMALL_CHARS = 1 << 16
_MAX_PAGES = 1000
_MAX_DEPTH = 6
_MESSAGE_ARRAYS = ("_webSocketMessages", "_webSocketControls")
_SANITIZED = (
    "requests without cookies and authorization: Chrome probably exported this HAR sanitized, and its replay is not"
    ' logged in then; export it again with "Allow to generate HAR with sensitive data" switched on in DevTools'
)
_LONG_TEXTS = {("request", "postData", "text"), ("response", "content", "text")}


class HarImport:
    """One HAR on its way to the tape.

    Attributes:
        facts: what the HAR says about itself: ``format``, ``creator``, ``browser``, ``url``.
    """

    def __init__(self, source: Input, tape: Tape, losses: Losses) -> None:
        self._source = source
        self._tape = tape
        self._losses = losses
        self._entries = Entries(tape, Bodies(source.attachments, losses), losses)
        self._reader = JsonReader(source, "a HAR")
        self._has_entries = False
        self._n_entries = 0
        self._about: dict[str, Any] = {}

    def run(self) -> dict[str, object]:
        """Read all of it and return its facts.

        Raises:
            CaptureError: it is no HAR, cut short, or not JSON.
        """
        reader = self._reader
        if reader.peek() != "{":
            raise self._no_har()
        try:
            for key in reader.members():
                if key == "log" and reader.peek() == "{":
                    for inner in reader.members():
                        self._member(inner)
                else:
                    # Chrome's extension API gives the log without its wrapping.
                    self._member(key)
        except CaptureError as exc:
            raise self._in_entry(exc) from exc
        if reader.peek():
            self._losses.add("data after the end of the HAR", f"byte {reader.offset}")
        if not self._has_entries:
            raise self._no_har()
        if not self._entries.n_used:
            why = "; ".join(self._losses.sentences()) or "log.entries is empty"
            raise CaptureError(self._source.path, f"holds no request: {why}", None, "export it again")
        if self._entries.is_sanitized:
            self._losses.add(_SANITIZED, n=self._entries.n_used)
        self._global_notes()
        return self._facts()

    def _member(self, key: str) -> None:
        reader = self._reader
        if key == "entries" and reader.peek() == "[":
            self._has_entries = True
            for _ in reader.elements():
                self._n_entries += 1
                self._entry()
            self._n_entries = 0
        elif key in ("creator", "browser", "version", "pages", "_rushhour"):
            value = reader.whole(_SMALL_CHARS * 16)
            if isinstance(value, Left):
                reader.skip()
                return
            self._about[key] = value
            if key == "creator":
                self._entries.creator = _name_of(value)
        else:
            reader.skip()

    def _entry(self) -> None:
        reader, opened = self._reader, self._entries.open(self._n_entries)
        entry = reader.whole() if reader.peek() == "{" else None
        if entry is None:
            reader.skip()
            self._entries.refuse(opened, "it is no object")
        elif entry is Left.TOO_LARGE:
            self._large_entry(opened)
        elif isinstance(entry, Left):
            reader.skip()
            self._entries.refuse(opened, f"it holds something {entry.value}")
        else:
            self._entries.put(opened, entry)

    def _large_entry(self, opened: Opened) -> None:
        entry: dict[str, Any] = {}
        for key in self._reader.members():
            if key in _MESSAGE_ARRAYS and self._reader.peek() == "[":
                for _ in self._reader.elements():
                    self._entries.sockets.message(opened, self._value(opened, ("message",)))
            else:
                entry[key] = self._value(opened, (key,))
        self._entries.put(opened, entry)

    def _value(self, opened: Opened, path: tuple[str, ...]) -> Any:
        """The value at a path of an entry; None where it is too large and not wanted."""
        reader = self._reader
        value = reader.whole()
        if not isinstance(value, Left):
            return value
        first = reader.peek()
        if first == "{" and value is Left.TOO_LARGE and len(path) < _MAX_DEPTH:
            return {key: self._value(opened, (*path, key)) for key in reader.members()}
        if first == '"' and (path in _LONG_TEXTS or path == ("message", "data")):
            return self._long_text()
        self._losses.add("values left out", f"{opened.where}: {'.'.join(path)} is {value.value}")
        reader.skip()
        return None

    def _long_text(self) -> LongText:
        kept, size_bytes = bytearray(), 0
        for piece in self._reader.text_pieces():
            data = to_bytes(piece)
            size_bytes += len(data)
            kept += data[: max(0, TEXT_LIMIT_BYTES - len(kept))]
        return LongText(bytes(kept), size_bytes)

    def _global_notes(self) -> None:
        ours = self._about.get("_rushhour")
        notes = ours.get("notes") if isinstance(ours, dict) else None
        for note in notes if isinstance(notes, list) else []:
            match note:
                case [str(name), value, int(wall_ns)] if 0 < wall_ns < 1 << 62:
                    try:
                        self._tape.add(EventType.NOTE, wall_ns, 0, 0, {"name": name, "value": storable(value)})
                    except (TypeError, ValueError):
                        continue

    def _facts(self) -> dict[str, object]:
        facts: dict[str, object] = {"format": f"HAR {str(self._about.get('version', ''))[:20]}".strip()}
        for key in ("creator", "browser"):
            if name := _named(self._about.get(key)):
                facts[key] = name
        facts["url"] = self._page_url()
        ours = self._about.get("_rushhour")
        if isinstance(ours, dict) and len(str(ours.get("facts"))) <= _SMALL_CHARS:
            facts["capture"] = _plain(ours.get("facts"))
        return facts

    def _page_url(self) -> str:
        pages = self._about.get("pages")
        for page in pages[:_MAX_PAGES] if isinstance(pages, list) else []:
            title = page.get("title") if isinstance(page, dict) else None
            if isinstance(title, str) and title.startswith(("http://", "https://")) and " " not in title:
                return title[:4096]
        return self._entries.document_url

    def _in_entry(self, exc: CaptureError) -> CaptureError:
        if not self._n_entries:
            return exc
        return CaptureError(exc.path, f"{exc.problem}, in entry {self._n_entries},", exc.offset, exc.hint)

    def _no_har(self) -> CaptureError:
        hint = "a HAR is a JSON object with log.entries: save the network panel's content as HAR again"
        return CaptureError(self._source.path, self._source.damage or "is not a HAR", None, hint)


def _plain(value: Any) -> object:
    try:
        return storable(value)
    except (TypeError, ValueError):
        return None


def _name_of(value: Any) -> str:
    name = value.get("name") if isinstance(value, dict) else value
    return name if isinstance(name, str) else ""


def _named(value: Any) -> str:
    version = value.get("version") if isinstance(value, dict) else ""
    return f"{_name_of(value)} {version if isinstance(version, str) else ''}".strip()[:200]
