"""A request made ready for one run: all that sending it and judging its answer looks at, in one object. Pure.

Steps that ask for the same thing and expect the same answer share it: what one user's answer taught is known to the
next, and the memory that 1,000 users walk through side by side stays small enough for the processor's caches.
"""

from __future__ import annotations

from replayer.plan.records import Source, Step
from replayer.user.inspection import Inspection, has_inside, inspection_of
from replayer.user.meter import Recorder
from replayer.user.render import Rendered
from replayer.user.render_http2 import RenderedHttp2
from replayer.wire.heads import NO_HEAD, Head

_RETRIED = (b"GET", b"HEAD")


class LinkedRequest:
    """What every user of a script shares about REQUEST steps that are the same but for their place and time.

    Attributes:
        step: the first of them as planned; origin: number of the recorded origin; extractors: theirs.
        rendered: the encoded request; is_http2: for HTTP/2.
        recorder: where its outcome is counted.
        is_kept_open: the answer is a stream that stays open as long as the recorded one.
        is_head: the method is HEAD.
        is_retried: a browser sends it again where a reused connection closes without a byte of answer.
        inspection: what is expected of the inside of a JSON body; None where nothing is.
        keeps_body: somebody reads the body; reads_headers: an extractor reads a header.
        needs_answer: the answer has more to be asked than its head and its size.
        good_head: the head last found to be as expected; the same head again needs no second look.
        min_bytes, max_bytes: allowed size of the decoded body.
    """

    __slots__ = (
        "extractors",
        "good_head",
        "inspection",
        "is_head",
        "is_http2",
        "is_kept_open",
        "is_retried",
        "keeps_body",
        "max_bytes",
        "min_bytes",
        "needs_answer",
        "origin",
        "reads_headers",
        "recorder",
        "rendered",
        "step",
    )

    def __init__(self, step: Step, rendered: Rendered | RenderedHttp2, recorder: Recorder) -> None:
        assert step.request is not None
        self.step = step
        self.extractors = step.extractors
        self.origin = step.origin
        self.rendered = rendered
        self.is_http2 = isinstance(rendered, RenderedHttp2)
        self.recorder = recorder
        self.is_kept_open = step.kept_open
        self.is_head = step.request.method == b"HEAD"
        self.is_retried = step.request.method in _RETRIED
        self.inspection: Inspection | None = None
        if has_inside(step.expectation):
            self.inspection = inspection_of(step.expectation)
        reads_body = any(e.source in (Source.JSON, Source.TEXT) for e in step.extractors)
        self.keeps_body = self.inspection is not None or reads_body
        self.needs_answer = self.inspection is not None or bool(step.extractors)
        self.reads_headers = any(extractor.source is Source.HEADER for extractor in step.extractors)
        self.good_head: Head = NO_HEAD
        self.min_bytes = step.expectation.min_bytes
        self.max_bytes = step.expectation.max_bytes
