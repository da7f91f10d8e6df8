"""Writes a capture as HAR 1.2, one exchange in memory at a time, in order of their start."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from typing import IO

from captures.assembly import Assembler
from captures.convert.har_document import PAGE_ID, HarDocument, is_json, plain
from captures.convert.har_fields import iso_of
from captures.convert.losses import Losses
from captures.convert.spool import Row, Spool
from captures.convert.tape import Counts
from captures.errors import ConfigError
from captures.format.index import Note
from captures.format.reader import Reader
from captures.records import Event, EventType

_MAX_NOTES = 10_000
# What of an exchange comes first: all but messages, then messages, then pings and pongs.
_LATER = {EventType.MESSAGE: 1, EventType.CONTROL: 2}
_ARRAYS = {EventType.MESSAGE: "_webSocketMessages", EventType.CONTROL: "_webSocketControls"}
_ABOUT_CONNECTIONS = (EventType.CONNECTION_OPEN, EventType.CONNECTION_CLOSE, EventType.SESSION)
_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class HarExport:
    """One capture on its way into a HAR.

    Args:
        reader: the capture; a damaged one gives what is good in it.
        spool: empty.
    """

    def __init__(self, reader: Reader, spool: Spool, losses: Losses, version: str) -> None:
        self._reader = reader
        self._spool = spool
        self._losses = losses
        self._version = version
        self._document = HarDocument(reader.anchor.wall_ns, losses)
        self._notes: list[Note] = []
        self._starts: dict[int, int] = {}
        self.counts = Counts()

    def run(self, out: str) -> None:
        """Write all of it to a new file.

        Raises:
            ConfigError: ``out`` exists or cannot be written; a part of it is not left behind.
        """
        self._sort()
        try:
            fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except (OSError, ValueError) as exc:
            problem = exc.strerror if isinstance(exc, OSError) else exc
            raise ConfigError(f"{out} cannot be written: {problem}", "choose another OUT") from exc
        try:
            with open(fd, "w", encoding="utf-8", newline="\n") as file:
                self._write(file)
                file.flush()
                os.fsync(fd)
        except BaseException as exc:
            os.unlink(out)
            if isinstance(exc, OSError):
                raise ConfigError(f"{out} cannot be written: {exc.strerror}", "make room for it") from exc
            raise

    # Sorting

    def _sort(self) -> None:
        for event in self._reader.events():
            if event.type in _ABOUT_CONNECTIONS:
                continue
            if event.type is EventType.REQUEST_HEAD:
                self._starts.setdefault(event.exchange, event.t_ns)
            if not event.exchange:
                self._global_note(event)
            elif event.exchange in self._starts:
                key = (self._starts[event.exchange], event.exchange * 3 + _LATER.get(event.type, 0), event.seq)
                self._spool.add(key, event.type, event.t_ns, event.connection, event.exchange, event.fields)
            else:
                self._losses.add("events of exchanges whose request is missing", f"event {event.seq}")
        self._losses.add("connections: who connected, TLS, ALPN")

    def _global_note(self, event: Event) -> None:
        if event.type is EventType.NOTE and len(self._notes) < _MAX_NOTES:
            self._notes.append(Note(event.t_ns, str(event.fields["name"]), event.fields["value"]))

    # Writing

    def _write(self, file: IO[str]) -> None:
        file.write('{"log":{"version":"1.2",' + f'"creator":{_dump({"name": "rushhour", "version": self._version})},')
        file.write(f'"pages":{_dump([self._page()])},"entries":[')
        separator = "\n"
        for _, rows in groupby(self._spool.rows(), key=lambda row: row[3]):
            if self._entry(file, separator, rows):
                separator = ",\n"
        file.write(f'\n],"_rushhour":{_dump(self._about())}' + "}}\n")

    def _page(self) -> dict[str, object]:
        url = self._reader.header.get("url")
        started = iso_of(self._reader.anchor.wall_ns)
        return {"startedDateTime": started, "id": PAGE_ID, "title": plain(str(url or "")), "pageTimings": {}}

    def _about(self) -> dict[str, object]:
        """What the capture says about itself; what is not JSON of it is left out and said."""
        header = self._reader.header.items()
        facts = {name: value for name, value in header if name != "anchor" and is_json(value)}
        wall_ns = self._reader.anchor.wall_ns
        notes = [[plain(note.name), note.value, wall_ns + note.t_ns] for note in self._notes if is_json(note.value)]
        if len(notes) < len(self._notes):
            self._losses.add("notes about the recording that hold bytes", n=len(self._notes) - len(notes))
        return {"facts": facts, "notes": notes}

    def _entry(self, file: IO[str], separator: str, rows: Iterable[Row]) -> bool:
        """Write one exchange; False where its request is unusable."""
        assembler = Assembler()
        rest = self._assemble(assembler, rows)
        sessions = assembler.sessions()
        if not sessions:
            self._losses.add("exchanges whose request is unusable")
            return False
        (exchange,) = sessions[0].exchanges
        bindings = self._reader.index().bindings
        session = bindings.session_of(exchange.connection, exchange.id)
        entry = self._document.entry(exchange, session, bindings.rule_of(session), assembler.notes)
        file.write(separator + _dump(entry)[:-1])
        if exchange.socket is not None:
            self.counts.sockets += 1
            self._messages(file, rest)
        file.write("}")
        self.counts.exchanges += 1
        self.counts.sessions.add(session)
        return True

    def _assemble(self, assembler: Assembler, rows: Iterable[Row]) -> Iterator[Row]:
        """Put an exchange together, and leave what its socket carried."""
        rows = iter(rows)
        for row in rows:
            if row[0] in _LATER:
                return chain((row,), rows)
            assembler.add(_event_of(row))
            self.counts.last_ns = max(self.counts.last_ns, row[1])
        return rows

    def _messages(self, file: IO[str], rows: Iterator[Row]) -> None:
        found = dict.fromkeys(_ARRAYS, 0)
        for event_type, group in groupby(rows, key=lambda row: row[0]):
            separator = f',"{_ARRAYS[event_type]}":['
            for _, t_ns, _, _, fields in group:
                self.counts.last_ns = max(self.counts.last_ns, t_ns)
                if fields.get("dropped"):
                    self._losses.add("messages that never reached the other side")
                    continue
                file.write(separator + _dump(self._document.message(fields, t_ns)))
                separator = ","
                found[event_type] += 1
            if found[event_type]:
                file.write("]")
        if not found[EventType.MESSAGE]:
            file.write(',"_webSocketMessages":[]')
        self.counts.messages += found[EventType.MESSAGE]


def _event_of(row: Row) -> Event:
    event_type, t_ns, connection, exchange, fields = row
    return Event(type=event_type, seq=0, t_ns=t_ns, connection=connection, exchange=exchange, fields=fields)
