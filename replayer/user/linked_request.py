"""One REQUEST step made ready for one run: all that sending it and judging its answer looks at, in one object. Pure."""

from __future__ import annotations

from replayer.plan.records import Source, Step
from replayer.user.checks import is_parsed
from replayer.user.meter import Recorder
from replayer.user.render import Rendered
from replayer.wire.heads import NO_HEAD, Head

_RETRIED = (b"GET", b"HEAD")


class LinkedRequest:
    """What every user of a script shares about one REQUEST step.

    Attributes:
        index: of the step; step: as planned; origin: number of the recorded origin.
        rendered: the encoded request.
        recorder: where its outcome is counted.
        is_kept_open: the answer is a stream that stays open as long as the recorded one.
        is_head: the method is HEAD.
        is_retried: a browser sends it again where a reused connection closes without a byte of answer.
        is_parsed: the expectation says something about the inside of a JSON body.
        keeps_body: somebody reads the body.
        needs_answer: the answer has more to be asked than its head and its size.
        good_head: the head last found to be as expected; the same head again needs no second look.
        min_bytes, max_bytes: allowed size of the decoded body.
    """

    __slots__ = (
        "good_head",
        "index",
        "is_head",
        "is_kept_open",
        "is_parsed",
        "is_retried",
        "keeps_body",
        "max_bytes",
        "min_bytes",
        "needs_answer",
        "origin",
        "recorder",
        "rendered",
        "step",
    )

    def __init__(self, step: Step, rendered: Rendered, recorder: Recorder) -> None:
        assert step.request is not None
        self.index = step.index
        self.step = step
        self.origin = step.origin
        self.rendered = rendered
        self.recorder = recorder
        self.is_kept_open = step.kept_open
        self.is_head = step.request.method == b"HEAD"
        self.is_retried = step.request.method in _RETRIED
        self.is_parsed = is_parsed(step.expectation)
        self.keeps_body = self.is_parsed or any(e.source in (Source.JSON, Source.TEXT) for e in step.extractors)
        self.needs_answer = self.is_parsed or bool(step.extractors)
        self.good_head: Head = NO_HEAD
        self.min_bytes = step.expectation.min_bytes
        self.max_bytes = step.expectation.max_bytes
