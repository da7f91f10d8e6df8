"""What the answers of a route look like, over all sessions; and what one recorded answer is expected to be. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from captures.bodies import media_type
from captures.records import Exchange
from replayer.plan.expectations import Learner
from replayer.plan.reading import Answer
from replayer.plan.records import Expectation
from replayer.plan.requests import is_conditional

_OK = 200
_NOT_MODIFIED = 304
_UNAUTHORIZED = frozenset({401, 403, 419, 440})


class Expectations:
    """Learned by route and status."""

    def __init__(self) -> None:
        self._statuses: dict[int, set[int]] = {}
        self._learners: dict[tuple[int, int], Learner] = {}

    def add(self, route: int, exchange: Exchange, answer: Answer) -> None:
        """Learn from one exchange."""
        if exchange.status is None:
            return
        self._statuses.setdefault(route, set()).add(exchange.status)
        if answer.n_bytes >= 0:
            learner = self._learners.setdefault((route, exchange.status), Learner())
            learner.add_shape(answer.n_bytes, answer.document)

    def of(self, route: int, exchange: Exchange, *, is_whole: bool) -> Expectation:
        """Return what the answer to one recorded request must look like.

        Args:
            is_whole: False for answers that stream: their size and shape depend on how long somebody listens.
        """
        if exchange.status is None:
            return Expectation()
        statuses = self._with_ok(self._expected(route, exchange.status), exchange)
        if exchange.status == _NOT_MODIFIED and is_conditional(exchange.request_headers):
            return Expectation(statuses=statuses)
        content_type = media_type(exchange.response_headers).encode()
        learner = self._learners.get((route, exchange.status))
        if learner is None or not is_whole:
            return Expectation(statuses=statuses, content_type=content_type)
        return learner.expectation(statuses=statuses, content_type=content_type)

    def _expected(self, route: int, status: int) -> set[int]:
        """Subtle: that one request of a route was recorded unauthorized does not make it right for the others."""
        return {other for other in self._statuses[route] if other == status or other not in _UNAUTHORIZED}

    def _with_ok(self, statuses: Iterable[int], exchange: Exchange) -> tuple[int, ...]:
        """Subtle: the user asks without the recorded cache's condition, so 304 becomes 200."""
        found = set(statuses)
        if _NOT_MODIFIED in found and is_conditional(exchange.request_headers):
            found.add(_OK)
        return tuple(sorted(found))
