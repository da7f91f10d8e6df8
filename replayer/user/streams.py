"""Event streams (SSE) of one virtual user: their openings timed, events counted, gaps timed, values taken. Pure.

The answer to a stream's request ends when the recording's did, but its values are needed as soon as they are there: a
step that uses one waits for the event that brings it, not for the end of the stream. The id of the last event is kept
up to date for as long as the stream is open.
"""

from __future__ import annotations

from collections.abc import Sequence

from replayer.plan.records import LAST_EVENT_ID, Source
from replayer.user.link import LinkedScript, is_event_stream
from replayer.user.memory import Memory
from replayer.user.slots import Answer
from replayer.wire.sse import ServerEvent

_LAST_ID = LAST_EVENT_ID.encode()


class EventStreams:
    """What a user knows of its streams.

    Args:
        script: whose recorders count ``sse.connect``, ``sse.event``, ``sse.gap`` and ``sse.first_event``.
        memory: gets the values.
    """

    __slots__ = ("_last_ns", "_memory", "_missing", "_opened", "_released", "_script")

    def __init__(self, script: LinkedScript, memory: Memory) -> None:
        self._script = script
        self._memory = memory
        self._opened: set[int] = set()  # steps whose stream has begun
        self._last_ns: dict[int, int] = {}  # by step: when its last events came
        self._missing: dict[int, set[int]] = {}  # by step: slots that no event has filled yet
        self._released: set[int] = set()

    def take(self, index: int, events: Sequence[ServerEvent], times: tuple[int, int], end_ns: int) -> bool:
        """Count events that came together; tell whether they brought the last value that the stream was to bring.

        Args:
            events: none where only the head is there.
            times: intended and actual start of the stream's request.
        """
        if index not in self._opened:
            self._open(index, times, end_ns)
        if not events:
            return False
        recorder = self._script.events[index]
        if recorder is not None:
            recorder.measure.planned += len(events)
            recorder.measure.ok += len(events)
            recorder.measure.bytes_in += sum(len(event.data) for event in events)
        last_ns = self._last_ns.get(index)
        first = self._script.first_events[index]
        if last_ns is None and first is not None:
            first.ok(*times, end_ns, 0)
        gap = self._script.event_gaps[index]
        if last_ns is not None and gap is not None:
            gap.ok(last_ns, last_ns, end_ns, 0)
        self._last_ns[index] = end_ns
        if not self._script.extractors[index]:
            return False
        is_told = index in self._released
        return self._extract(index, events) and not is_told

    def _open(self, index: int, times: tuple[int, int], end_ns: int) -> None:
        self._opened.add(index)
        connect, first = self._script.stream_connects[index], self._script.first_events[index]
        if connect is not None:
            connect.measure.planned += 1
            connect.ok(*times, end_ns, 0)
        if first is not None:
            first.measure.planned += 1

    def refuse(self, index: int, failure: str, times: tuple[int, int], end_ns: int) -> None:
        """Count a stream whose request failed before it had begun."""
        connect = self._script.stream_connects[index]
        if connect is not None and index not in self._opened and is_event_stream(self._script.steps[index]):
            connect.measure.planned += 1
            connect.failed(failure, *times, end_ns)

    def has_opened(self, step: int) -> bool:
        """Tell whether the stream of this step has begun."""
        return step in self._opened

    def forget(self, steps: Sequence[int]) -> None:
        """Forget the streams of these steps: they are played again."""
        for step in steps:
            self._opened.discard(step)
            self._released.discard(step)
            self._last_ns.pop(step, None)
            self._missing.pop(step, None)

    def has_released(self, step: int) -> bool:
        """Tell whether those who wait for this step have been told already."""
        return step in self._released

    def _extract(self, index: int, events: Sequence[ServerEvent]) -> bool:
        extractors = self._script.extractors[index]
        missing = self._missing.setdefault(index, {extractor.slot for extractor in extractors})
        for event in events:
            ids = ((_LAST_ID, event.last_id),) if event.last_id else ()
            answer = Answer(ids, (), lambda data=event.data: data)  # type: ignore[misc]
            for extractor in extractors:
                is_due = extractor.slot in missing or extractor.source is Source.HEADER
                if is_due and answer.find(extractor) is not None:
                    missing.discard(extractor.slot)
                    self._memory.extract((extractor,), answer)
        if missing:
            return False
        self._released.add(index)
        return True
