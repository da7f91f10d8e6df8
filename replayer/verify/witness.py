"""A virtual user who is watched: plays as every user does, and keeps all that came. Pure.

It is a ``User`` in every respect; only what it is told is noted before or after it is acted on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from replayer.failures import TIMEOUT_REQUEST
from replayer.user.answers import decoded
from replayer.user.link import LinkedScript
from replayer.user.linked_request import LinkedRequest
from replayer.user.port import Connection, Run
from replayer.user.slots import Answer
from replayer.user.steps import User
from replayer.verify.records import Live
from replayer.wire.sse import CONTENT_TYPE, ServerEvent


class Witness(User):
    """The one user of a verification.

    Attributes:
        seen: by step.
        lost: how often a socket (number, failure) ended although the recording went on.
    """

    __slots__ = ("lost", "seen")

    def __init__(
        self, number: int, script: LinkedScript, run: Run, inputs: dict[str, str], *, is_sampled: bool
    ) -> None:
        super().__init__(number, script, run, inputs, is_sampled=is_sampled)
        self.seen: dict[int, Live] = {}
        self.lost: Counter[tuple[int, str]] = Counter()
        for request in script.requests:
            if request is not None:
                request.keeps_body = True

    def live(self, index: int) -> Live:
        """Return what was seen of a step."""
        return self.seen.setdefault(index, Live())

    def take_answer(self, request: LinkedRequest, connection: Connection, end_ns: int) -> None:
        live, head = self.live(connection.index), connection.head
        live.outcome, live.status = "ok", head.status
        live.content_type = head.content_type.decode("latin-1")
        try:
            live.body = decoded(connection)
        except ValueError:
            live.body = None
        cookies = [_pair(value) for value in head.set_cookies]
        self._look_up(connection.index, Answer(head.headers, cookies, lambda: live.body or b""))
        super().take_answer(request, connection, end_ns)

    def take_handshake(
        self, index: int, set_cookies: Sequence[bytes], intended_ns: int, actual_ns: int, end_ns: int
    ) -> None:
        live = self.live(index)
        live.outcome, live.status = "ok", 101
        self._look_up(index, Answer((), [_pair(value) for value in set_cookies], lambda: b""))
        super().take_handshake(index, set_cookies, intended_ns, actual_ns, end_ns)

    def take_message(
        self, index: int, answer: Answer, intended_ns: int, actual_ns: int, end_ns: int, n_bytes: int
    ) -> None:
        live = self.live(index)
        live.outcome, live.body = "ok", answer.text()
        self._look_up(index, answer)
        super().take_message(index, answer, intended_ns, actual_ns, end_ns, n_bytes)

    def take_events(self, index: int, events: Sequence[ServerEvent], times: tuple[int, int], end_ns: int) -> None:
        live = self.live(index)
        live.outcome, live.status, live.content_type = "ok", 200, CONTENT_TYPE.decode()
        super().take_events(index, events, times, end_ns)

    def fail(self, index: int, failure: str, intended_ns: int, actual_ns: int, end_ns: int, *, status: int = 0) -> None:
        if self.script.steps[index].kept_open and failure == TIMEOUT_REQUEST:
            self.live(index).outcome = "ok"  # It was to stay open this long.
        super().fail(index, failure, intended_ns, actual_ns, end_ns, status=status)

    def take_close(self, index: int, intended_ns: int, actual_ns: int, end_ns: int) -> None:
        self.live(index).outcome = "ok"
        super().take_close(index, intended_ns, actual_ns, end_ns)

    def _count_failure(
        self,
        index: int,
        failure: str,
        intended_ns: int,
        actual_ns: int,
        end_ns: int,
        status: int,
        *,
        detail: str = "",
    ) -> None:
        live = self.live(index)
        live.outcome, live.status = failure, status or live.status
        super()._count_failure(index, failure, intended_ns, actual_ns, end_ns, status, detail=detail)

    def socket_lost(self, number: int, failure: str, end_ns: int) -> None:
        self.lost[number, failure] += 1
        super().socket_lost(number, failure, end_ns)

    def _not_sent(self, index: int, reason: str, detail: str = "") -> None:
        live = self.live(index)
        live.outcome, live.detail = f"not_sent_{reason}", detail
        super()._not_sent(index, reason, detail)

    def _look_up(self, index: int, answer: Answer) -> None:
        """Find what the step's extractors will find."""
        found = self.live(index).found
        for extractor in self.script.steps[index].extractors:
            found[extractor.slot] = answer.find(extractor)


def _pair(set_cookie: bytes) -> tuple[bytes, bytes]:
    name, _, value = set_cookie.partition(b";")[0].partition(b"=")
    return name.strip(), value.strip()
