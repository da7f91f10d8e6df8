"""The header of a capture: what must be known before anything else in the file can be read. Sans-I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from captures.format.container import HEADER_IDENTITY, MAGIC, MAJOR, Flaw, FrameType, Identity, encode_frame
from captures.format.values import ValuePacker, check_plain, unpack
from captures.records import Anchor

HEADER_LIMIT_BYTES = 1024 * 1024
_NO_ANCHOR = Anchor(wall_ns=0, monotonic_ns=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the header frame says.

    Attributes:
        schema: field names by event type, in stored order; of this file, which may know more or fewer than this reader.
        facts: what the recorder wanted kept (tool, version, url, scope, …).
    """

    identity: Identity
    major: int
    minor: int
    anchor: Anchor
    schema: Mapping[int, tuple[str, ...]]
    facts: Mapping[str, object]


def encode_header(header: Header, type_names: Mapping[int, str]) -> bytes:
    """The start of a file: magic and both copies of the header frame.

    Raises:
        ValueError, TypeError: a fact cannot be stored, or all of them are larger than the limit.
    """
    document = {
        "major": header.major,
        "minor": header.minor,
        "file_id": header.identity.file_id,
        "sync": header.identity.sync,
        "anchor": (header.anchor.wall_ns, header.anchor.monotonic_ns),
        "schema": [(number, type_names.get(number, ""), names) for number, names in header.schema.items()],
        "facts": check_plain(dict(header.facts)),
    }
    payload = ValuePacker().pack(document)
    if len(payload) > HEADER_LIMIT_BYTES:
        raise ValueError(f"facts of a capture take more than {HEADER_LIMIT_BYTES} bytes")
    frame = encode_frame(HEADER_IDENTITY, FrameType.HEADER, payload)
    return MAGIC + frame + frame


def decode_header(payload: bytes) -> Header:
    """Read a header frame's payload; of a newer major version only ``major``, ``minor`` and ``facts`` are looked at.

    Raises:
        Flaw: it is not a header.
    """
    try:
        document = unpack(payload, HEADER_LIMIT_BYTES)
        major, minor = int(document["major"]), int(document["minor"])
        facts = check_plain(document["facts"])
        if major > MAJOR:
            blank = Identity(b"", b"")
            return Header(identity=blank, major=major, minor=minor, anchor=_NO_ANCHOR, schema={}, facts=dict(facts))
        wall_ns, monotonic_ns = map(int, document["anchor"])
        schema = {int(number): tuple(map(str, names)) for number, _, names in document["schema"]}
        identity = Identity(bytes(document["file_id"]), bytes(document["sync"]))
        if len(identity.file_id) != 16 or len(identity.sync) != 8:
            raise Flaw("the header is malformed")
        anchor = Anchor(wall_ns=wall_ns, monotonic_ns=monotonic_ns)
        return Header(identity=identity, major=major, minor=minor, anchor=anchor, schema=schema, facts=dict(facts))
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        raise Flaw("the header is malformed") from exc
