"""Does an answer look like the recording? Cheap checks always, parsed ones within a budget. Pure.

Checks run after the end of a step is stamped, so they cost no latency; what they cost the loop is bounded per second,
and what the budget did not allow is counted as eligible but not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from analysis.slots import Measure
from analysis.verification import CONTENT_TYPE, LOGIN, NO_BODY, SIZE, STATUS
from captures.units import NS_PER_S
from replayer.plan.records import Expectation
from replayer.plan.sizes import items_of
from replayer.user.inspection import Finding, Inspection, is_login_page, unparsed
from replayer.user.slots import Answer

LEAST_BUDGET_NS = 20_000_000
"""A worker without a moment to spare still parses for 2 % of its time: a sample of every second is checked."""
FIRST_BUDGET_NS = 60_000_000
"""For the first second, of which nothing is known yet."""
RESERVE_NS = 200_000_000
"""What a worker leaves idle for its own sake: parsing that fills the last fifth of a core makes sends late."""


class Budget:
    """How much parsing for checks alone is allowed: a bucket that fills all the time, up to the share of a second.

    So a worker with time to spare checks everything, and a busy one a sample that is spread over the whole second.

    Args:
        clock: returns monotonic ns.

    Attributes:
        left_ns: what may still be spent; nothing is checked while it is not above 0.
    """

    __slots__ = ("_clock", "_per_s_ns", "left_ns")

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._per_s_ns = self.left_ns = FIRST_BUDGET_NS

    def renew(self, idle_ns: int) -> None:
        """Set the share of the next second: half of what the last one left idle beyond the reserve."""
        self._per_s_ns = max(LEAST_BUDGET_NS, (idle_ns - RESERVE_NS) // 2)

    def refill(self, elapsed_ns: int) -> None:
        """Add what ``elapsed_ns`` more of the second allow."""
        self.left_ns = min(self._per_s_ns, self.left_ns + self._per_s_ns * elapsed_ns // NS_PER_S)

    def check(self, measure: Measure, inspection: Inspection, answer: Answer) -> str:
        """Return the mismatch of a body, or "".

        ``measure`` counts it as eligible, as checked where the budget allowed, and what a rule only warns of.
        """
        return self.check_answer(measure, inspection, answer, "")

    def check_answer(self, measure: Measure, inspection: Inspection, answer: Answer, mismatch: str) -> str:
        """As ``check``, for an answer whose head or size may have shown a mismatch already: that one is said better."""
        if mismatch:
            return LOGIN if mismatch == CONTENT_TYPE and is_login_page(answer.text()) else mismatch
        measure.eligible += 1
        if self.left_ns <= 0:
            return ""
        measure.checked += 1
        started_ns = self._clock()
        try:
            return inspected(measure, inspection, answer)
        finally:
            self.left_ns -= self._clock() - started_ns


def inspected(measure: Measure, inspection: Inspection, answer: Answer) -> str:
    """Return the mismatch of a body, or ""; ``measure`` counts its items and what a rule only warns of."""
    text = answer.text()
    found = inspection.known(text, answer.framing)
    if found is None:
        found = inspection.remember(text, answer.framing, _looked_into(inspection, answer, text))
    measure.items += found.n_items
    if found.warned:
        measure.warnings[found.warned] = measure.warnings.get(found.warned, 0) + 1
    return found.mismatch


def _looked_into(inspection: Inspection, answer: Answer, text: bytes) -> Finding:
    try:
        document = answer.json()
    except (ValueError, RecursionError) as exc:
        return Finding(unparsed(text, exc))
    mismatch = inspection.mismatch(document) if len(text) <= inspection.max_bytes else SIZE
    warned = inspection.warning(document, len(text)) if not mismatch and inspection.has_warnings else ""
    return Finding(mismatch, warned, items_of(document))


def check_head(expectation: Expectation, status: int, content_type: bytes) -> str:
    """Return the mismatch that status and content type show, or ""; an empty expectation allows anything."""
    if expectation.statuses and status not in expectation.statuses:
        return STATUS
    if expectation.content_type and media_type(content_type) != expectation.content_type:
        return CONTENT_TYPE
    return ""


def check_size(expectation: Expectation, n_bytes: int) -> str:
    """Return ``size`` where a decoded body of ``n_bytes`` is out of range, ``no_body`` where there is none, or ""."""
    if expectation.min_bytes <= n_bytes <= expectation.max_bytes:
        return ""
    return SIZE if n_bytes else NO_BODY


@lru_cache(maxsize=1024)
def media_type(content_type: bytes) -> bytes:
    """Return the lower-case media type without parameters (RFC 9110 §8.3.1)."""
    return content_type.partition(b";")[0].strip().lower()
