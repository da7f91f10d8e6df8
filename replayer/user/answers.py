"""The body of an answer as its reader needs it: content-encoding undone, within a limit. Pure."""

from __future__ import annotations

from captures.bodies import BodyError, decoded_body
from replayer.user.port import Connection

MAX_DECODED_BYTES = 16 * 1024 * 1024
"""Cap on an inflated body that is read by an extractor or a check: no gzip bomb grows a worker."""


def decoded(connection: Connection) -> bytes:
    """Return the body of the answer that a connection holds.

    Raises:
        ValueError: it cannot be decoded, or is larger than the cap.
    """
    encoding = connection.head.content_encoding
    if not encoding:
        return connection.body
    try:
        return decoded_body(((b"content-encoding", encoding),), connection.body, MAX_DECODED_BYTES)
    except BodyError as exc:
        raise ValueError(str(exc)) from exc  # What the target sent is no error of ours: a mismatch, like broken JSON.
