"""Plans as bytes: what workers are sent and what is cached. Deterministic: equal plans give equal bytes. Pure.

A dataclass becomes the list of its fields in order of their definition, an enum its value, a tuple a list; the type
hints of ``records`` say what comes back. What hundreds of steps have in common (expectations, headers) is written once
and stands as a number everywhere else: a plan is smaller, and had faster, and its parts are shared in memory.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import msgpack

from captures.errors import ReplayError
from replayer.plan.records import Expectation, Plan, RequestTemplate

VERSION = 7
"""Raised with every change of ``records``: workers and caches refuse what they would misread."""

_HEADERS = get_type_hints(RequestTemplate)["headers"]
_SHARED: tuple[Any, ...] = (Expectation, _HEADERS)
"""Hints of what is written once; none of them holds another one."""


def plan_to_bytes(plan: Plan) -> bytes:
    """Encode a plan."""
    tables = _Tables()
    body = _encoder(Plan)(plan, tables)
    return cast("bytes", msgpack.packb([VERSION, tables.rows, body], use_bin_type=True))


def plan_from_bytes(data: bytes) -> Plan:
    """Decode a plan.

    Raises:
        ReplayError: it was encoded by another version, or is no plan.
    """
    try:
        with uncollected():
            version, *rest = msgpack.unpackb(data, raw=False, use_list=True, strict_map_key=True)
            if version != VERSION:
                raise ReplayError(f"a plan of version {version} is not {VERSION}", "compile it again")
            rows, body = rest
            tables = [[_plain_decoder(hint)(row, []) for row in each] for hint, each in zip(_SHARED, rows, strict=True)]
            return cast("Plan", _decoder(Plan)(body, tables))
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as exc:
        raise ReplayError(f"this is no plan: {exc}", "compile it again") from exc


def plan_sha256(plan: Plan) -> str:
    """Return the digest of a plan, in hex."""
    return hashlib.sha256(plan_to_bytes(plan)).hexdigest()


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the cyclic collector from walking a growing heap again and again, where nothing makes cycles.

    Without it compiling 20,000 exchanges took 5.7 times as long as 5,000, with it 4.0 times, and decoding a plan of
    10,000 twice as long (``benchmarks/compile_plan.py``).
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Tables:
    """What is written once, by hint: rows in order of appearance."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = [[] for _ in _SHARED]
        self._numbers: list[dict[Any, int]] = [{} for _ in _SHARED]

    def number(self, table: int, value: Any, encode: _Convert) -> int:
        numbers = self._numbers[table]
        number = numbers.get(value)
        if number is None:
            number = numbers[value] = len(numbers)
            self.rows[table].append(encode(value, self))
        return number


_Convert = Callable[[Any, Any], Any]
"""Takes a value and the tables."""


def _same(value: Any, _tables: Any) -> Any:
    return value


@cache
def _encoder(hint: Any) -> _Convert:
    encode = _plain_encoder(hint)
    if hint not in _SHARED:
        return encode
    table = _SHARED.index(hint)
    return lambda value, tables: tables.number(table, value, encode)


@cache
def _plain_encoder(hint: Any) -> _Convert:
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        parts = [(field.name, _encoder(hints[field.name])) for field in fields(hint)]
        return lambda record, tables: [encode(getattr(record, name), tables) for name, encode in parts]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda member, _: member.value
    if get_origin(hint) is tuple:
        return _tuple_encoder(get_args(hint))
    if (inner := _optional(hint)) is not None:
        encode = _encoder(inner)
        return lambda value, tables: None if value is None else encode(value, tables)
    return _same


def _tuple_encoder(items: tuple[Any, ...]) -> _Convert:
    if items[-1] is Ellipsis:
        encode = _encoder(items[0])
        if encode is _same:
            return lambda values, _: list(values)
        return lambda values, tables: [encode(value, tables) for value in values]
    encoders = [_encoder(item) for item in items]
    return lambda values, tables: [encode(value, tables) for encode, value in zip(encoders, values, strict=True)]


@cache
def _decoder(hint: Any) -> _Convert:
    if hint not in _SHARED:
        return _plain_decoder(hint)
    table = _SHARED.index(hint)
    return lambda number, tables: tables[table][number]


@cache
def _plain_decoder(hint: Any) -> _Convert:
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        names = [field.name for field in fields(hint)]
        decoders = [(at, decode) for at, name in enumerate(names) if (decode := _decoder(hints[name])) is not _same]

        def record(row: list[Any], tables: Any) -> Any:
            for at, decode in decoders:
                row[at] = decode(row[at], tables)
            return hint(**dict(zip(names, row, strict=True)))

        return record
    if isinstance(hint, type) and issubclass(hint, Enum):
        members = {member.value: member for member in hint}
        return lambda value, _: members[value]
    if get_origin(hint) is tuple:
        return _tuple_decoder(get_args(hint))
    if (inner := _optional(hint)) is not None:
        decode = _decoder(inner)
        return lambda value, tables: None if value is None else decode(value, tables)
    return _same


def _tuple_decoder(items: tuple[Any, ...]) -> _Convert:
    if items[-1] is Ellipsis:
        decode = _decoder(items[0])
        if decode is _same:
            return lambda values, _: tuple(values) if values else ()
        return lambda values, tables: tuple([decode(value, tables) for value in values]) if values else ()
    decoders = [_decoder(item) for item in items]
    return lambda values, tables: tuple([decode(value, tables) for decode, value in zip(decoders, values, strict=True)])


def _optional(hint: Any) -> Any:
    """Return X of ``X | None``, None for everything else; ``bytes | int`` needs no conversion."""
    if get_origin(hint) not in (Union, UnionType):
        return None
    items = [item for item in get_args(hint) if item is not type(None)]
    return items[0] if len(items) == 1 and len(get_args(hint)) == 2 else None
