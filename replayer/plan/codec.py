"""Plans as bytes: what workers are sent and what is cached. Deterministic: equal plans give equal bytes. Pure.

A dataclass becomes the list of its fields in order of their definition, an enum its value, a tuple a list; the type
hints of ``records`` say what comes back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import msgpack

from captures.errors import ReplayError
from replayer.plan.records import Plan

VERSION = 3
"""Raised with every change of ``records``: workers and caches refuse what they would misread."""


def plan_to_bytes(plan: Plan) -> bytes:
    """Encode a plan."""
    return cast("bytes", msgpack.packb([VERSION, _encoder(Plan)(plan)], use_bin_type=True))


def plan_from_bytes(data: bytes) -> Plan:
    """Decode a plan.

    Raises:
        ReplayError: it was encoded by another version, or is no plan.
    """
    try:
        version, body = msgpack.unpackb(data, raw=False, use_list=True, strict_map_key=True)
        if version != VERSION:
            raise ReplayError(f"a plan of version {version} is not {VERSION}", "compile it again")
        return cast("Plan", _decoder(Plan)(body))
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as exc:
        raise ReplayError(f"this is no plan: {exc}", "compile it again") from exc


def plan_sha256(plan: Plan) -> str:
    """Return the digest of a plan, in hex."""
    return hashlib.sha256(plan_to_bytes(plan)).hexdigest()


_Convert = Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


@cache
def _encoder(hint: Any) -> _Convert:
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        parts = [(field.name, _encoder(hints[field.name])) for field in fields(hint)]
        return lambda record: [encode(getattr(record, name)) for name, encode in parts]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda member: member.value
    if get_origin(hint) is tuple:
        return _tuple_encoder(get_args(hint))
    if (inner := _optional(hint)) is not None:
        encode = _encoder(inner)
        return lambda value: None if value is None else encode(value)
    return _same


def _tuple_encoder(items: tuple[Any, ...]) -> _Convert:
    if items[-1] is Ellipsis:
        encode = _encoder(items[0])
        return list if encode is _same else lambda values: [encode(value) for value in values]
    encoders = [_encoder(item) for item in items]
    return lambda values: [encode(value) for encode, value in zip(encoders, values, strict=True)]


@cache
def _decoder(hint: Any) -> _Convert:
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        parts = [(field.name, _decoder(hints[field.name])) for field in fields(hint)]
        return lambda row: hint(**{name: decode(value) for (name, decode), value in zip(parts, row, strict=True)})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if get_origin(hint) is tuple:
        return _tuple_decoder(get_args(hint))
    if (inner := _optional(hint)) is not None:
        decode = _decoder(inner)
        return lambda value: None if value is None else decode(value)
    return _same


def _tuple_decoder(items: tuple[Any, ...]) -> _Convert:
    if items[-1] is Ellipsis:
        decode = _decoder(items[0])
        return tuple if decode is _same else lambda values: tuple([decode(value) for value in values])
    decoders = [_decoder(item) for item in items]
    return lambda values: tuple([decode(value) for decode, value in zip(decoders, values, strict=True)])


def _optional(hint: Any) -> Any:
    """Return X of ``X | None``, None for everything else; ``bytes | int`` needs no conversion."""
    if get_origin(hint) not in (Union, UnionType):
        return None
    items = [item for item in get_args(hint) if item is not type(None)]
    return items[0] if len(items) == 1 and len(get_args(hint)) == 2 else None
