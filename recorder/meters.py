"""Measures a body as it passes: the first bytes are kept, size and hash are of the whole; pure."""

from __future__ import annotations

from hashlib import blake2b

HASH_BYTES = 16
"""blake2b-128 of the whole body, as the capture stores it."""


class BodyMeter:
    """One body on its way.

    Args:
        limit_bytes: bytes kept at most, at least 0.
    """

    __slots__ = ("_hash", "_is_whole", "_left_bytes", "size_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.size_bytes = 0
        self._left_bytes = limit_bytes
        self._is_whole = True
        self._hash = blake2b(digest_size=HASH_BYTES)

    def take(self, data: bytes) -> bytes:
        """Count bytes that passed; return those of them that are kept."""
        self.size_bytes += len(data)
        self._hash.update(data)
        kept = data[: self._left_bytes]
        self._left_bytes -= len(kept)
        return kept

    def skip(self, n_bytes: int) -> None:
        """Count bytes that passed unseen: nothing after the gap is kept, and there is no hash."""
        self.size_bytes += n_bytes
        self._left_bytes = 0
        self._is_whole = False

    def digest(self) -> bytes:
        """Hash of everything that passed; empty for an empty body and for one with a gap."""
        return self._hash.digest() if self.size_bytes and self._is_whole else b""
