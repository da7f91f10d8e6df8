"""Reads the files of GoReplay, gzipped or not.

A record is ``TYPE ID TIMESTAMP [LATENCY]``, a line break, raw HTTP/1, and a separator of three monkeys; types are 1
request, 2 response, 3 response of a replay; times are nanoseconds. There are no lengths, so a body may hold the
separator: what follows one and does not begin as a record does belongs to the record before.
Source: GoReplay's protocol.go and its documentation of the middleware.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from captures.bodies import header
from captures.convert.har_fields import method_of, place_of
from captures.convert.http_text import parse_request, parse_response
from captures.convert.inputs import Input
from captures.convert.losses import Losses
from captures.convert.people import RULE, People
from captures.convert.tape import KEPT_BYTES, LAST_WALL_NS, Tape, new_body
from captures.errors import CaptureError
from captures.records import Body, Exchange

SEPARATOR = "\n🐵🙈🙉\n".encode()

_HEAD = re.compile(rb"([123]) ([0-9A-Za-z_-]{1,128}) (\d{1,19})(?: (-?\d{1,19}))?[ \r]*\n")
_READ_BYTES = 1 << 20
_RECORD_BYTES = KEPT_BYTES + (1 << 20)
_MAX_WAITING = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record; ``data`` may be the first part of it."""

    number: int
    type: bytes
    id: bytes
    wall_ns: int
    latency_ns: int
    data: bytes
    size_bytes: int

    @property
    def where(self) -> str:
        """For people."""
        return f"record {self.number}"


class GorImport:
    """One file on its way to the tape.

    Attributes:
        damage: what is wrong with the file, one sentence each; the records before are good.
    """

    def __init__(self, source: Input, tape: Tape, losses: Losses) -> None:
        self._source = source
        self._tape = tape
        self._losses = losses
        self._people = People()
        self._connections: dict[int, int] = {}
        self._asked: dict[bytes, tuple[Exchange, int]] = {}
        self._answers: dict[bytes, Record] = {}
        self._n_used = 0
        self.damage: list[str] = []

    def run(self) -> dict[str, object]:
        """Read all of it and return its facts.

        Raises:
            CaptureError: it is no file of GoReplay, or holds no request.
        """
        for record in self._records():
            if record.type == b"1":
                self._request(record)
            elif record.type == b"2":
                self._response(record)
            else:
                self._losses.add("responses of a replay, which are no recording", record.where)
        for exchange, _ in self._asked.values():
            self._losses.add("requests without a response", exchange.target[:80])
            self._tape.put_exchange(exchange)
        for record in self._answers.values():
            self._losses.add("responses without a request", record.where)
        if self._source.damage:
            self.damage.append(self._source.damage)
        if not self._n_used:
            why = "; ".join([*self.damage, *self._losses.sentences()]) or "the file is empty"
            raise CaptureError(self._source.path, f"holds no request: {why}", None, "record again with --output-file")
        return {"format": "GoReplay", "url": ""}

    # Records

    def _records(self) -> Iterator[Record]:
        number, pending, size_bytes = 0, b"", 0
        for piece, piece_bytes in self._pieces():
            if _HEAD.match(piece):
                if pending:
                    number += 1
                    yield _record(number, pending, size_bytes)
                pending, size_bytes = piece, piece_bytes
            elif pending:
                self._losses.add("separators inside a body, taken as part of it", f"record {number + 1}")
                if len(pending) == size_bytes:
                    pending = (pending + SEPARATOR + piece)[:_RECORD_BYTES]
                size_bytes += len(SEPARATOR) + piece_bytes
            else:
                hint = "a .gor file is what gor --output-file writes"
                problem = self._source.damage or "is no file of GoReplay: it does not begin with a record"
                raise CaptureError(self._source.path, problem, 0, hint)
        if pending:
            yield _record(number + 1, pending, size_bytes)

    def _pieces(self) -> Iterator[tuple[bytes, int]]:
        """Yield what stands between separators, the first bytes of it where it is too large, and its size."""
        data, at, dropped_bytes = bytearray(), 0, 0
        while chunk := self._source.read(_READ_BYTES):
            data += chunk
            while (end := data.find(SEPARATOR, at)) >= 0:
                piece = bytes(data[:end])
                yield piece[:_RECORD_BYTES], len(piece) + dropped_bytes
                del data[: end + len(SEPARATOR)]
                at = dropped_bytes = 0
            # Subtle: of a record that is too large its beginning is kept, and its end, in which a separator may begin.
            if len(data) > _RECORD_BYTES + _READ_BYTES:
                surplus = len(data) - _RECORD_BYTES - len(SEPARATOR)
                del data[_RECORD_BYTES : _RECORD_BYTES + surplus]
                dropped_bytes += surplus
            at = max(0, len(data) - len(SEPARATOR))
        if data.strip():
            yield bytes(data[:_RECORD_BYTES]), len(data) + dropped_bytes

    # Exchanges

    def _request(self, record: Record) -> None:
        try:
            exchange, session = self._exchange(record)
        except ValueError as exc:
            self._losses.add("requests left out", f"{record.where}: {exc}")
            return
        self._n_used += 1
        answer = self._answers.pop(record.id, None)
        self._put_waiting(record.id)
        self._asked[record.id] = exchange, session
        if answer is not None:
            self._response(answer)
        elif len(self._asked) > _MAX_WAITING:
            self._put_waiting(next(iter(self._asked)))

    def _put_waiting(self, name: bytes) -> None:
        found = self._asked.pop(name, None)
        if found is not None:
            self._losses.add("requests without a response", found[0].target[:80])
            self._tape.put_exchange(found[0])

    def _exchange(self, record: Record) -> tuple[Exchange, int]:
        message = parse_request(record.data)
        name, target, version = message.first
        method = method_of(name)
        if method is None or method == "CONNECT":
            raise ValueError("a tunnel, not a request")
        if not 0 < record.wall_ns <= LAST_WALL_NS:
            raise ValueError("it has no time")
        host = (header(message.headers, b"host") or b"").decode("latin-1")
        if not host and "://" not in target:
            self._losses.add("requests without a Host, taken as sent to localhost", record.where)
        # What GoReplay listens to is plain HTTP.
        origin, target, _ = place_of(target if "://" in target else f"http://{host or 'localhost'}{target}")
        session = self._people.session_of(message.headers)
        body = self._body(record, message.body, is_whole=message.is_whole)
        return Exchange(
            id=self._tape.new_exchange(),
            connection=self._connection(session, record.wall_ns),
            method=method,
            origin=origin,
            target=target,
            http_version=version,
            request_headers=message.headers,
            request_body=body,
            start_ns=record.wall_ns,
            request_end_ns=record.wall_ns,
        ), session

    def _response(self, record: Record) -> None:
        found = self._asked.pop(record.id, None)
        if found is None:
            self._answers[record.id] = record
            if len(self._answers) > _MAX_WAITING:
                dropped = self._answers.pop(next(iter(self._answers)))
                self._losses.add("responses without a request", dropped.where)
            return
        exchange, session = found
        try:
            message = parse_response(record.data)
        except ValueError as exc:
            self._losses.add("responses left out", f"{record.where}: {exc}")
            self._tape.put_exchange(exchange)
            return
        version, status, reason = message.first
        exchange.status, exchange.reason = int(status), reason[:1024]
        exchange.response_http_version = version
        exchange.response_headers = message.headers
        exchange.response_body = self._body(record, message.body, is_whole=message.is_whole)
        exchange.response_start_ns, exchange.end_ns = _answer_times(exchange.start_ns, record)
        self._people.answered(session, message.headers)
        self._tape.put_exchange(exchange)

    def _body(self, record: Record, data: bytes, *, is_whole: bool) -> Body:
        missing_bytes = record.size_bytes - len(record.data)
        if missing_bytes:
            self._losses.add(f"bodies of which only the first {KEPT_BYTES >> 20} MiB are kept", record.where)
        elif not is_whole:
            self._losses.add("bodies shorter than their head says", record.where)
        # A short body counts one byte more than there is where nobody knows how many are missing.
        return new_body(data, len(data) + (missing_bytes or int(not is_whole)))

    def _connection(self, session: int, wall_ns: int) -> int:
        """The file has no connections: one stands for all of a session's."""
        connection = self._connections.get(session)
        if connection is None:
            connection = self._connections[session] = self._tape.new_connection()
            self._tape.open_connection(wall_ns, connection, session, RULE, {"listener": "GoReplay"})
        return connection


def _record(number: int, data: bytes, size_bytes: int) -> Record:
    match = _HEAD.match(data)
    if match is None:
        raise ValueError("a record without a head")
    return Record(
        number=number,
        type=match[1],
        id=match[2],
        wall_ns=int(match[3]),
        latency_ns=max(0, int(match[4] or 0)),
        data=data[match.end() :],
        size_bytes=size_bytes - match.end(),
    )


def _answer_times(start_ns: int, record: Record) -> tuple[int, int]:
    """Start and end of a response.

    Its timestamp is when it began; its latency counts from the request's start to the response's end (0.x, and the
    documentation), or from the response's own start (1.x): whichever does not end before it began.
    """
    began_ns = min(max(record.wall_ns, start_ns), LAST_WALL_NS)
    latency_ns = min(record.latency_ns, LAST_WALL_NS - began_ns)
    end_ns = start_ns + latency_ns
    if end_ns < began_ns:
        end_ns = began_ns + latency_ns
    return (end_ns if began_ns == start_ns else began_ns), end_ns
