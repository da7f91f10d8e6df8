"""Events to rows and back. Pure.

A row is the array ``[type, seq, t_ns, connection, exchange, …fields]`` with ``seq`` and ``t_ns`` as deltas to the
chunk's base and the fields in the order of the file's schema. Rows are compact; ``Event`` is what everybody else
works with.

What comes out of a file is not trusted: a field of the wrong type makes its row malformed, and a malformed row is
left out and counted. Rows of unknown types and fields beyond the known ones are skipped, for a newer minor version
may write them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from captures.format.container import Flaw
from captures.format.fields import CHECKS, DEFAULTS, ENUMS, KINDS, TYPES
from captures.format.values import BlobRef, ValuePacker, check_plain
from captures.records import SCHEMA, Event, EventType

# Values longer than this go to a blob frame of their own.
BLOB_MIN_BYTES = 64 * 1024
# A row with its blobs taken out; a longer one (a header block of this size) is refused by writers.
ROW_LIMIT_BYTES = 512 * 1024
ROW_HEAD = 5
# Times are 64 bits with sign.
_TIME_LIMIT_NS = 1 << 63
_FIVE_INTS = (int,) * ROW_HEAD

Row = tuple[Any, ...]
Resolve = Callable[[bytes], bytes | None]
Keep = Callable[[int, int, int], bool]


class EventEncoder:
    """Packs events into rows of ``records.SCHEMA``."""

    def __init__(self) -> None:
        self._packer = ValuePacker()
        # Type signatures that were found right once; checking them again is one look-up.
        self._accepted: dict[EventType, set[tuple[type, ...]]] = {event_type: set() for event_type in SCHEMA}
        self._names = {event_type: frozenset(names) for event_type, names in SCHEMA.items()}

    def values(self, event_type: EventType, fields: Mapping[str, object]) -> list[Any]:
        """The values of ``fields`` in schema order, None where there is none.

        Raises:
            TypeError: an unknown field, or a value of the wrong type.
        """
        values = list(map(fields.get, SCHEMA[event_type]))
        if not fields.keys() <= self._names[event_type]:
            unknown = ", ".join(sorted(fields.keys() - self._names[event_type]))
            raise TypeError(f"{event_type.name} has no field {unknown}")
        signature = tuple(map(type, values))
        if signature not in self._accepted[event_type]:
            _check_types(event_type, values)
            self._accepted[event_type].add(signature)
        if event_type is EventType.NOTE:
            values[1] = check_plain(values[1])
        return values

    def pack(
        self, event_type: int, seq: int, t_ns: int, connection: int, exchange: int, values: Sequence[Any]
    ) -> bytes:
        """One row; ``seq`` and ``t_ns`` are deltas to the chunk's base."""
        return self._packer.pack((event_type, seq, t_ns, connection, exchange, *values))


def _check_types(event_type: EventType, values: Sequence[Any]) -> None:
    for name, kind, value in zip(SCHEMA[event_type], KINDS[event_type], values, strict=True):
        is_bool = value.__class__ is bool and bool not in TYPES[kind]  # A bool is an int to Python, not to the format.
        if value is not None and (is_bool or not isinstance(value, TYPES[kind])):
            raise TypeError(f"{event_type.name}.{name} is {type(value).__name__}, not {kind.value}")


class _Plan:
    """How rows of one event type are read: where each known field stands in this file, and what is accepted there."""

    __slots__ = (
        "accepted",
        "enum_names",
        "enums",
        "kinds",
        "names",
        "numbers",
        "picks",
        "plain_rows",
        "special",
        "type",
        "width",
    )

    def __init__(self, event_type: EventType, stored: tuple[str, ...]) -> None:
        self.type = event_type
        self.names = SCHEMA[event_type]
        self.kinds = KINDS[event_type]
        self.width = ROW_HEAD + len(self.names)
        is_same = stored[: len(self.names)] == self.names
        self.picks = None if is_same else [ROW_HEAD + stored.index(n) if n in stored else None for n in self.names]
        self.special = [(at, CHECKS[kind]) for at, kind in enumerate(self.kinds) if kind in CHECKS]
        self.accepted: set[tuple[type, ...]] = set()
        # Types of whole rows that need no more than their numbers being put in words, and these in words.
        self.plain_rows: set[tuple[type, ...]] = set()
        self.enum_names = [n for n, kind in zip(self.names, self.kinds, strict=True) if kind in ENUMS]
        places = [ROW_HEAD + self.names.index(name) for name in self.enum_names] or [0]
        self.numbers = itemgetter(*places)
        self.enums: dict[Any, dict[str, Any]] = {}

    def note_plain(self, row: Row, fields: dict[str, Any]) -> None:
        """Remember a row that was found right by the types of its fields, and by the numbers among them, alone."""
        is_plain = self.picks is None and len(row) == self.width and len(self.special) == len(self.enum_names)
        if is_plain and tuple(map(type, row[ROW_HEAD:])) in self.accepted:
            self.plain_rows.add(tuple(map(type, row)))
            self.enums[self.numbers(row)] = {name: fields[name] for name in self.enum_names}

    def values(self, row: Row) -> Sequence[Any]:
        if self.picks is None and len(row) >= self.width:
            return row[ROW_HEAD : self.width]
        picks = self.picks or range(ROW_HEAD, self.width)
        return [row[at] if at is not None and at < len(row) else None for at in picks]

    def checked(self, values: Sequence[Any], resolve: Resolve) -> Sequence[Any] | None:
        """The values with references resolved, defaults filled in and types checked; None where a blob is lost."""
        signature = tuple(map(type, values))
        if signature in self.accepted and not self.special:
            return values
        if signature not in self.accepted:
            filled = self._filled(values, resolve)
            if filled is None:
                return None
            values = filled
        if self.special:
            values = list(values)
            for at, check in self.special:
                values[at] = check(values[at])
        return values

    def _filled(self, values: Sequence[Any], resolve: Resolve) -> Sequence[Any] | None:
        filled, is_clean = [], True
        for kind, stored in zip(self.kinds, values, strict=True):
            value: Any = stored
            if type(value) is BlobRef:
                is_clean, value = False, resolve(value)
                if value is None:
                    return None
            if value is None:
                is_clean, value = False, DEFAULTS.get(kind)
            elif type(value) not in TYPES[kind]:
                raise Flaw(f"{self.type.name} with a field of the wrong type")
            filled.append(value)
        if is_clean:
            self.accepted.add(tuple(map(type, values)))
        return filled


class EventDecoder:
    """Reads rows by the schema of one file.

    Attributes:
        n_malformed: rows left out because a field was of the wrong type.
        n_unresolved: rows left out because their blob is lost.
    """

    def __init__(self, schema: Mapping[int, tuple[str, ...]]) -> None:
        self._plans = {int(t): _Plan(t, schema[t]) for t in EventType if t in schema}
        self.n_malformed = 0
        self.n_unresolved = 0

    def events(
        self, rows: Sequence[Any], base_ns: int, first_seq: int, resolve: Resolve, keep: Keep | None = None
    ) -> list[Event]:
        """The good events of a chunk.

        Args:
            rows: as decoded from msgpack, arrays as tuples.
            base_ns, first_seq: the chunk's base.
            resolve: gives the bytes of a blob, or None where it is lost.
            keep: called with time, connection and exchange; what it refuses is not decoded further.
        """
        events = []
        for row in rows:
            plan = self._plans.get(row[0]) if type(row) is tuple and row and type(row[0]) is int else None
            is_plain = plan is not None and tuple(map(type, row)) in plan.plain_rows
            if not is_plain and not self._is_head(row):
                continue
            t_ns = base_ns + row[2]
            if not -_TIME_LIMIT_NS <= t_ns < _TIME_LIMIT_NS:
                self.n_malformed += 1
                continue
            if plan is None or (keep is not None and not keep(t_ns, row[3], row[4])):
                continue
            fields: dict[str, Any] | None
            if is_plain and (enums := plan.enums.get(plan.numbers(row))) is not None:
                # As long as each other, and saying so to ``zip`` costs a third of the time.
                fields = dict(zip(plan.names, row[ROW_HEAD:]))  # noqa: B905
                fields.update(enums)
            elif (fields := self._fields(plan, row, resolve)) is None:
                continue
            seq = first_seq + row[1]
            events.append(Event(type=plan.type, seq=seq, t_ns=t_ns, connection=row[3], exchange=row[4], fields=fields))
        return events

    def _is_head(self, row: Any) -> bool:
        if type(row) is tuple and tuple(map(type, row[:ROW_HEAD])) == _FIVE_INTS:
            return True
        self.n_malformed += 1
        return False

    def _fields(self, plan: _Plan, row: Row, resolve: Resolve) -> dict[str, Any] | None:
        try:
            values = plan.checked(plan.values(row), resolve)
        except Flaw:
            self.n_malformed += 1
            return None
        if values is None:
            self.n_unresolved += 1
            return None
        fields = dict(zip(plan.names, values, strict=True))
        plan.note_plain(row, fields)
        return fields

    def good_rows(self, rows: Sequence[Any], resolve: Resolve) -> list[Row]:
        """The rows that ``events`` would take, and those of unknown types."""
        return [row for row in rows if self._is_unknown(row) or self.events((row,), 0, 0, resolve)]

    def _is_unknown(self, row: Any) -> bool:
        return type(row) is tuple and tuple(map(type, row[:ROW_HEAD])) == _FIVE_INTS and row[0] not in self._plans
