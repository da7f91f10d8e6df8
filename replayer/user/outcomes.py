"""What becomes of a user's steps: judged, counted, kept as evidence. Pure.

The half of a virtual user that looks at answers; the other half (``steps``) decides what goes when. Every answer comes
through ``take_answer``: one with a head that was found good before, and nothing to be read in it, is counted at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from analysis.steplog import StepRecord
from analysis.verification import STATUS
from replayer import failures
from replayer.user.answers import decoded
from replayer.user.checks import check_head, check_size, media_type
from replayer.user.exhibits import Exhibits, said
from replayer.user.link import LinkedScript
from replayer.user.linked_request import LinkedRequest
from replayer.user.memory import Memory
from replayer.user.meter import KEPT_STEPS, Recorder
from replayer.user.port import Connection, Run
from replayer.user.refresh import Refresher
from replayer.user.slots import Answer, Mint
from replayer.user.streams import EventStreams

_KNOWN_TYPES = re.compile(
    r"text/(?:html|plain|css|javascript|xml|csv|event-stream)"
    r"|application/(?:json|(?:problem|ld|vnd\.api)\+json|javascript|xml|xhtml\+xml|octet-stream|pdf|zip|x-ndjson|graphql"
    r"|grpc|msgpack|x-www-form-urlencoded)"
    r"|image/(?:png|jpeg|gif|svg\+xml|webp|avif|x-icon)|font/(?:woff2?|ttf|otf)|(?:audio|video)/(?:mpeg|mp4|webm|ogg)"
)
"""Media types that may be shown: a header's value is the server's, and may be anything."""


class Outcomes:
    """Counts what one user's steps end with.

    Args:
        number: of the user in the run.
        script: what it plays.
        run: what it shares with the worker's other users.
        inputs: its row of identities.
        is_sampled: whether its steps are kept whole.
    """

    __slots__ = (
        "_failed",
        "_failures_in_row",
        "_is_sampled",
        "_n_kept",
        "_n_recovering",
        "_run",
        "_streams",
        "memory",
        "number",
        "refresher",
        "script",
    )

    def __init__(
        self, number: int, script: LinkedScript, run: Run, inputs: dict[str, str], *, is_sampled: bool
    ) -> None:
        self.number = number
        self.script = script
        self.memory = Memory(script, run.port, Mint(run.key, number), inputs)
        self._streams: EventStreams | None = None  # Made when the first stream begins or fails.
        self.refresher: Refresher | None = None
        self._run = run
        self._is_sampled = is_sampled
        self._n_kept = 0
        self._n_recovering = 0  # sockets that a storm took and that are on their way back
        self._failures_in_row = 0
        self._failed = False

    def _fail_for_good(self, index: int) -> None:
        """Too many steps in a row have failed, ``index`` the last of them: what follows is the user's business."""
        raise NotImplementedError

    def _event_streams(self) -> EventStreams:
        if self._streams is None:
            self._streams = EventStreams(self.script, self.memory)
        return self._streams

    def take_answer(self, request: LinkedRequest, connection: Connection, end_ns: int) -> None:
        """Judge a complete response, count it, take its cookies and values."""
        if (
            connection.head is not request.good_head
            or request.extractors
            or self._is_sampled
            or not request.min_bytes <= connection.body_bytes <= request.max_bytes
        ):
            self._judge_answer(request, connection, end_ns)
            return
        inspection = request.inspection
        if inspection is not None:
            measure = request.recorder.measure
            run = self._run
            left_ns = run.budget.left_ns
            if left_ns > 0:  # Subtle: asked first, or good answers would be checked more often than wrong ones.
                found = inspection.known(connection.body)
                if found is None or found.mismatch or found.warned:
                    started_ns = run.clock()
                    self._judge_answer(request, connection, end_ns)
                    run.budget.left_ns = left_ns - (run.clock() - started_ns)  # Parsing alone is a third of it.
                    return
                measure.checked += 1
                measure.items += found.n_items
            measure.eligible += 1
        self._failures_in_row = 0
        request.recorder.ok(connection.intended_ns, connection.actual_ns, end_ns, connection.body_bytes)

    def _judge_answer(self, request: LinkedRequest, connection: Connection, end_ns: int) -> None:
        head, expectation = connection.head, request.step.expectation
        cookies: list[tuple[bytes, bytes]] = []
        if head.content_encoding:
            self._run.meter.count("answers_compressed")
        if head.set_cookies:
            cookies = self.memory.take_cookies(request.step, head.set_cookies, end_ns)
        mismatch = "" if head is request.good_head else check_head(expectation, head.status, head.content_type)
        if mismatch is STATUS and head.status >= 400:
            if self.refresher is not None and self.refresher.takes(
                connection.index, head.status, connection.intended_ns, connection.actual_ns, end_ns
            ):
                return
            failure, detail = failures.status_failure(head.status), _seen(connection)
            times = connection.intended_ns, connection.actual_ns, end_ns
            self._count_failure(connection.index, failure, *times, head.status, detail=detail)
            return
        if not (mismatch or head.set_cookies or head.content_encoding):
            request.good_head = head
        answer: Answer | None = None
        if request.needs_answer:
            headers = head.headers if request.reads_headers else ()  # HTTP/2 decodes them only when they are asked for.
            answer = Answer(headers, cookies, lambda: decoded(connection))
        if not mismatch and not head.content_encoding:
            mismatch = check_size(expectation, connection.body_bytes)
        if request.inspection is not None and answer is not None:
            mismatch = self._run.budget.check_answer(request.recorder.measure, request.inspection, answer, mismatch)
        self._count_answer(request, mismatch, connection, end_ns)
        if answer is not None:
            self.memory.extract(request.extractors, answer)

    def _count_answer(self, request: LinkedRequest, mismatch: str, connection: Connection, end_ns: int) -> None:
        self._failures_in_row = 0
        intended_ns, actual_ns = connection.intended_ns, connection.actual_ns
        if mismatch:
            request.recorder.mismatched(mismatch, intended_ns, end_ns, connection.body_bytes)
        else:
            request.recorder.ok(intended_ns, actual_ns, end_ns, connection.body_bytes)
        if not self._is_sampled and not mismatch:
            return
        self._keep(
            index=connection.index,
            outcome=f"mismatch_{mismatch}" if mismatch else "ok",
            intended_ns=intended_ns,
            actual_ns=actual_ns,
            end_ns=end_ns,
            status=connection.head.status,
            detail=_seen(connection) if mismatch else "",
        )

    def take_handshake(
        self, index: int, set_cookies: Sequence[bytes], intended_ns: int, actual_ns: int, end_ns: int
    ) -> None:
        """Count an accepted WebSocket."""
        if set_cookies:
            self.memory.take_cookies(self.script.steps[index], set_cookies, end_ns)
        self._count_ok(index, intended_ns, actual_ns, end_ns, 0, status=101)

    def take_message(
        self, index: int, answer: Answer, intended_ns: int, actual_ns: int, end_ns: int, n_bytes: int
    ) -> None:
        """Count an awaited message and take its values; the end of a RECEIVE step."""
        self._count_ok(index, intended_ns, actual_ns, end_ns, n_bytes)
        self.memory.extract(self.script.steps[index].extractors, answer)

    def take_close(self, index: int, intended_ns: int, actual_ns: int, end_ns: int) -> None:
        """Count a close that was answered."""
        self._count_ok(index, intended_ns, actual_ns, end_ns, 0)

    def _count_ok(
        self, index: int, intended_ns: int, actual_ns: int, end_ns: int, n_bytes: int, *, status: int = 0
    ) -> None:
        self._failures_in_row = 0
        self.script.recorders[index].ok(intended_ns, actual_ns, end_ns, n_bytes)
        self._keep(
            index=index, outcome="ok", intended_ns=intended_ns, actual_ns=actual_ns, end_ns=end_ns, status=status
        )

    def socket_lost(self, number: int, failure: str, end_ns: int) -> None:
        """Count a socket that ended although the recording went on."""
        self._failed = True
        recorder = self.script.drops[number]
        recorder.measure.planned += 1
        recorder.failed(failure, end_ns, end_ns, end_ns)
        connect = self.script.script.sockets[number].connect
        self._keep(
            index=connect, outcome=failure, intended_ns=end_ns, actual_ns=end_ns, end_ns=end_ns, recorder=recorder
        )

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
        self._failed = True
        self.memory.lose(self.script.steps[index].extractors)
        if failure == failures.LOCAL_RESOURCE:
            self._run.meter.count("not_sent:local_resource")
        else:
            self.script.recorders[index].failed(failure, intended_ns, actual_ns, end_ns)
            if self.script.stream_connects[index] is not None:
                self._event_streams().refuse(index, failure, (intended_ns, actual_ns), end_ns)
        self._keep(
            index=index,
            outcome=failure,
            intended_ns=intended_ns,
            actual_ns=actual_ns,
            end_ns=end_ns,
            status=status,
            detail=detail,
        )
        if self._n_recovering:
            return  # The storm's policy has limits of its own.
        self._failures_in_row += 1
        if self._failures_in_row >= self._run.max_failures:
            self._fail_for_good(index)

    def count_miss(self, slot: int) -> None:
        """Count a value that is missing where no step can be charged with it."""
        if slot not in self.memory.broken:
            self._run.meter.count("correlation_misses")

    def _keep(
        self,
        *,
        index: int,
        outcome: str,
        intended_ns: int,
        actual_ns: int,
        end_ns: int,
        status: int = 0,
        detail: str = "",
        recorder: Recorder | None = None,
    ) -> None:
        key = (recorder or self.script.recorders[index]).key
        meter = self._run.meter
        is_wanted = meter.wants(key, outcome)
        if not self._is_sampled and not is_wanted:
            return
        start_ns = self._run.start_ns
        record = StepRecord(
            user=self.number,
            session=self.script.script.session,
            step=index,
            series=key,
            intended_ns=intended_ns - start_ns,
            actual_ns=actual_ns - start_ns,
            end_ns=end_ns - start_ns,
            outcome=outcome,
            status=status,
            detail=detail,
        )
        if is_wanted:
            self._exhibit(record, max(0, end_ns - actual_ns))
        meter.keep(record, is_sampled=self._is_sampled)
        self._n_kept += 1
        if self._n_kept >= KEPT_STEPS or not meter.has_room():
            self._is_sampled = False

    def _exhibit(self, record: StepRecord, took_ns: int) -> None:
        """Add to the record of a failure what people need to understand it; secrets are replaced."""
        run, script = self._run, self.script.script
        if run.exhibits is None:
            run.exhibits = Exhibits(run.plan, run.key)
        step = script.steps[record.step]
        sent = script.steps[step.reply_to] if step.reply_to >= 0 else step
        record.request = run.exhibits.request(script, sent)
        record.slots = run.exhibits.slots(self.script, sent, self.memory.values)
        record.recorded = run.exhibits.recorded(script, step)
        record.detail = record.detail or said(record.outcome, record.status, took_ns)


def _seen(connection: Connection) -> str:
    """What was seen instead, without a value of the answer's body."""
    content_type = media_type(connection.head.content_type).decode("latin-1") or "no content type"
    if _KNOWN_TYPES.fullmatch(content_type) is None and content_type != "no content type":
        content_type = "an unusual content type"
    answer = f"status {connection.head.status}, {content_type}, {connection.body_bytes} bytes"
    waits = next((value for name, value in connection.head.headers if name == b"retry-after"), None)
    if waits is None:
        return answer
    return f"{answer}, Retry-After: {waits.decode('latin-1') if waits.isdigit() else 'no number of seconds'}"
