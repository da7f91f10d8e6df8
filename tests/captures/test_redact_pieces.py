"""Large texts are redacted in pieces: nothing of them is lost, no secret hides at a cut, memory stays bounded."""

from __future__ import annotations

import json
import secrets
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures.redact import pieces as module
from captures.redact.pieces import PIECE_BYTES, WHOLE_BYTES, pieces
from captures.redact.policy import Policy
from captures.redact.redactor import Redactor

MIB = 1 << 20


@given(parts=st.lists(st.sampled_from([b"},", b"\n", b"x" * 90, b"-----BEGIN A-----", b"-----END A-----", b"\0"])))
def test_pieces_are_the_text_whatever_it_holds(parts: list[bytes]) -> None:
    text = b"".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE_BYTES", 64)
        patch.setattr(module, "WHOLE_BYTES", 128)
        patch.setattr(module, "_SEARCHED_BYTES", 64)
        cut = list(pieces(text))
    assert b"".join(cut) == text
    assert all(cut) or text == b""


def test_a_private_key_is_not_cut() -> None:
    key = b"-----BEGIN PRIVATE KEY-----\n" + b"MIIEow,\n" * 400 + b"-----END PRIVATE KEY-----"
    text = b"a,\n" * (PIECE_BYTES // 3 - 500) + key + b"\nb" * WHOLE_BYTES
    assert sum(key in piece for piece in pieces(text)) == 1


def planted(n_bytes: int) -> tuple[list[str], list[dict[str, str]]]:
    """Secrets, and rows that hold one each."""
    row_bytes = 20_000
    tokens = [f"aQ7{secrets.token_hex(8)}Zk" for _ in range(n_bytes // row_bytes)]
    filling = "the quick brown fox, " * (row_bytes // 21)
    return tokens, [{"session_token": token, "text": filling} for token in tokens]


@pytest.mark.parametrize("kind", ["application/json", "text/html", "application/javascript", "text/plain", ""])
def test_a_body_of_many_pieces_holds_no_secret(kind: str) -> None:
    tokens, rows = planted(5 * MIB)
    redactor = Redactor(Policy(), bytes(32))
    text = json.dumps(rows).encode()
    new = redactor._structure.body(kind.encode(), text)
    assert len(new) == len(text)
    assert not [token for token in tokens if token.encode() in new]


def test_bytes_of_many_pieces_hold_no_known_value() -> None:
    redactor = Redactor(Policy(), bytes(32))
    redactor.censor.known.learn(b"q8ZkP2nV5xYw3RtA", b"a1BcD2eF3gHi4JkL")
    data = (secrets.token_bytes(50_000) + b"\0q8ZkP2nV5xYw3RtA\0") * 100
    new = redactor._binary.redacted(data)
    assert len(new) == len(data) and b"q8ZkP2nV5xYw3RtA" not in new


def test_memory_grows_with_a_text_by_the_text_and_no_more() -> None:
    words = " ".join(secrets.token_hex(3) for _ in range(150_000))
    sizes, peaks = [], []
    for n_rows in (5, 12):
        text = json.dumps([{"a": words}] * n_rows).encode()
        redactor = Redactor(Policy(), bytes(32))
        tracemalloc.start()
        redactor._structure.body(b"application/json", text)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sizes.append(len(text))
    assert peaks[1] - peaks[0] < 3 * (sizes[1] - sizes[0])
