"""Puts any number of events in order within bounded memory: sorted runs in a temporary file, merged at the end.

Sources are not in order of time (a socket's messages stand with its handshake, a proxy writes an exchange when it has
ended) and captures are. The temporary file has no name and is private: it holds what the source holds.
"""

from __future__ import annotations

import heapq
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from captures.errors import ConfigError
from captures.format.values import ValuePacker, unpack
from captures.records import SCHEMA, EventType

Key = tuple[int, int, int]
Row = tuple[EventType, int, int, int, dict[str, Any]]
"""Type, time, connection, exchange, fields."""

RUN_BYTES = 24 * 1024 * 1024
"""Of rows in memory before they are sorted and written."""

_LARGE_BYTES = 32 * 1024
_ROW_OVERHEAD_BYTES = 250
_FIELDS_AT = 4
_MERGE_BYTES = 16 * 1024 * 1024
_PAYLOAD_LIMIT_BYTES = 1 << 31
_HEAD = struct.Struct("<qqqI")
# By number, for speed: the hash of an enum's member is computed in Python.
_TYPES = {int(event_type): event_type for event_type in EventType}
_NAMES = {int(event_type): names for event_type, names in SCHEMA.items()}
_DATA_AT = {number: names.index("data") for number, names in _NAMES.items() if "data" in names}
_Packed = tuple[int, int, int, bytes]


class Spool:
    """Takes events in any order, gives them back in that of their keys. Keys are unique.

    Args:
        directory: where the temporary files go.
        run_bytes: see ``RUN_BYTES``.

    Raises:
        ConfigError: nothing can be written there.
    """

    def __init__(self, directory: str, *, run_bytes: int = RUN_BYTES) -> None:
        self._directory = directory
        self._run_bytes = run_bytes
        self._pack = ValuePacker().pack
        self._rows: list[_Packed] = []
        self._rows_bytes = 0
        self._runs: list[tuple[int, int]] = []
        try:
            self._large = tempfile.TemporaryFile(dir=directory, buffering=0)
            self._sorted = tempfile.TemporaryFile(dir=directory)
        except OSError as exc:
            raise self._problem(exc) from exc
        self._large_bytes = self._sorted_bytes = 0

    def add(
        self, key: Key, event_type: EventType, t_ns: int, connection: int, exchange: int, fields: Mapping[str, object]
    ) -> None:
        """Add an event.

        Raises:
            ConfigError: the disk is full.
        """
        self.add_values(key, int(event_type), t_ns, connection, exchange, map(fields.get, SCHEMA[event_type]))

    def add_values(
        self, key: Key, number: int, t_ns: int, connection: int, exchange: int, values: Iterable[Any]
    ) -> None:
        """As ``add``, with the event type's number and its fields in the order of ``SCHEMA``."""
        row = [number, t_ns, connection, exchange, *values]
        at = _DATA_AT.get(number)
        if at is not None and len(row[_FIELDS_AT + at]) > _LARGE_BYTES:
            row[_FIELDS_AT + at] = self._put_aside(row[_FIELDS_AT + at])
        packed = self._pack(row)
        self._rows.append((*key, packed))
        self._rows_bytes += len(packed) + _ROW_OVERHEAD_BYTES
        if self._rows_bytes > self._run_bytes:
            self._write_run()

    def rows(self) -> Iterator[Row]:
        """Give everything back, once."""
        if not self._runs:
            self._rows.sort()
            merged: Iterator[_Packed] = iter(self._rows)
        else:
            self._write_run()
            step_bytes = max(16 * 1024, min(256 * 1024, _MERGE_BYTES // len(self._runs)))
            merged = heapq.merge(*(self._run(start, end, step_bytes) for start, end in self._runs))
        for _, _, _, packed in merged:
            number, t_ns, connection, exchange, *values = unpack(packed, _PAYLOAD_LIMIT_BYTES)
            at = _DATA_AT.get(number)
            if at is not None and type(values[at]) is tuple:
                offset, n_bytes = values[at]
                values[at] = os.pread(self._large.fileno(), n_bytes, offset)
            yield _TYPES[number], t_ns, connection, exchange, dict(zip(_NAMES[number], values, strict=True))

    def close(self) -> None:
        """Forget everything."""
        self._rows = []
        self._large.close()
        self._sorted.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _put_aside(self, data: bytes) -> tuple[int, int]:
        place = self._large_bytes, len(data)
        try:
            view = memoryview(data)
            while view:
                view = view[self._large.write(view) :]
        except OSError as exc:
            raise self._problem(exc) from exc
        self._large_bytes += len(data)
        return place

    def _write_run(self) -> None:
        self._rows.sort()
        start = self._sorted_bytes
        try:
            for first, second, third, packed in self._rows:
                self._sorted.write(_HEAD.pack(first, second, third, len(packed)))
                self._sorted.write(packed)
                self._sorted_bytes += _HEAD.size + len(packed)
            self._sorted.flush()
        except OSError as exc:
            raise self._problem(exc) from exc
        self._runs.append((start, self._sorted_bytes))
        self._rows, self._rows_bytes = [], 0

    def _run(self, start: int, end: int, step_bytes: int) -> Iterator[_Packed]:
        """Read a run back, ``step_bytes`` or one row at a time."""
        data, at = b"", 0
        while start < end or at < len(data):
            need = _HEAD.size
            if len(data) - at >= need:
                *key, n_bytes = _HEAD.unpack_from(data, at)
                need += n_bytes
                if len(data) - at >= need:
                    yield key[0], key[1], key[2], data[at + _HEAD.size : at + need]
                    at += need
                    continue
            more = os.pread(self._sorted.fileno(), min(max(step_bytes, need), end - start), start)
            start += len(more)
            data, at = data[at:] + more, 0

    def _problem(self, exc: OSError) -> ConfigError:
        return ConfigError(
            f"{self._directory} cannot hold the temporary data of the conversion: {exc.strerror}",
            "make room there, or name an OUT on another disk",
        )
