"""Proof keys of OAuth: the challenge that a client sends first is the hash of the verifier that it sends later. Pure.

Both are the client's own, and only fit together; so every virtual user draws a verifier, and its challenge is made
from that. In a redacted capture the two do not even fit as they were recorded.

Source: RFC 7636 §4.1 (verifier), §4.2 (``BASE64URL-ENCODE(SHA256(ASCII(code_verifier)))``).
"""

from __future__ import annotations

from collections.abc import Iterable

from captures.leaves import Coding
from replayer.plan.scoring import plain_key
from replayer.plan.values import Use

_METHOD = "codechallengemethod"
_CHALLENGE = "codechallenge"
_VERIFIER = "codeverifier"


def link_challenges(uses: Iterable[Iterable[Use]]) -> None:
    """Have challenges be made from the verifiers that follow them.

    Args:
        uses: by event, in order of their sending; challenges among them get the value of their verifier.
    """
    waiting: dict[bytes, list[Use]] = {}
    for own in uses:
        keyed = [(plain_key(use.key), use) for use in own]
        is_hashed = any(key == _METHOD and use.value == b"S256" for key, use in keyed)
        for key, use in keyed:
            if key == _CHALLENGE and (is_hashed or use.value in waiting):
                waiting.setdefault(use.value, []).append(use)
            elif key == _VERIFIER and waiting:
                for challenge in waiting.pop(next(iter(waiting))):
                    challenge.value, challenge.coding = use.value, Coding.S256
