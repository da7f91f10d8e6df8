"""Does the target answer with as much as was recorded? Sizes and items of answers and messages, by ratio. Pure.

An empty feed is fast. So live means are compared with the recorded ones, by route and kind of message. Less than half:
the figures are of another system than the recorded one, and no pass. More than twice: said as a warning, because more
work makes nothing look faster. Event streams that began and brought nothing are a warning too: how long they were open
is the speed's affair, and what comes meanwhile the server's.

A live body may be compressed where the recorded was not, or the other way round; only what is out of range against both
the size on the wire and the decoded size counts. Bodies that differ by less than ``SLACK_BYTES`` are alike.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.merge import merge_measure
from analysis.run import Run
from analysis.series import n_mismatched
from analysis.slots import Measure

LEAST, MOST = 0.5, 2.0
LEAST_ANSWERS = 5
LEAST_ITEMS = 4.0
SLACK_BYTES = 200
UNLIKE = "not representative of the recording"
"""How every sentence begins that says so."""
_UNJUDGED = frozenset({"asset"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """One route or kind of message, live against recorded.

    Attributes:
        n: live answers; n_checked: those whose items were counted.
        live_bytes, live_items: means; size_ratio, item_ratio: to the recorded means, None where nothing is to compare.
    """

    route: str
    message: str
    kind: str
    n: int
    n_checked: int
    live_bytes: float
    live_items: float
    size_ratio: float | None
    item_ratio: float | None

    @property
    def ratios(self) -> tuple[float, ...]:
        """Those that can be judged."""
        return tuple(ratio for ratio in (self.size_ratio, self.item_ratio) if ratio is not None)

    @property
    def is_less(self) -> bool:
        """There is less than half of what was recorded."""
        return self.kind not in _UNJUDGED and any(ratio < LEAST for ratio in self.ratios)

    @property
    def is_more(self) -> bool:
        """There is more than twice of what was recorded."""
        return self.kind not in _UNJUDGED and any(ratio > MOST for ratio in self.ratios)

    def __str__(self) -> str:
        what = f"{self.route} {self.message}".rstrip()
        parts = [f"{self.size_ratio:.2f} of the recorded size"] if self.size_ratio is not None else []
        parts += [f"{self.item_ratio:.2f} of the recorded items"] if self.item_ratio is not None else []
        return f"{what}: {', '.join(parts)}"


def likenesses(run: Run) -> list[Likeness]:
    """Compare every route and kind of message that the recording has a size of."""
    live: defaultdict[tuple[str, str], Measure] = defaultdict(Measure)
    for (name, labels), measure in run.by_route.items():
        told = dict(labels)
        if name in ("http", "ws.message"):
            merge_measure(live[told.get("route", ""), told.get("message", "")], measure)
    return [_likeness(size, live[size["route"], size["message"]]) for size in run.facts.sizes]


def _likeness(size: Mapping[str, Any], measure: Measure) -> Likeness:
    n = measure.ok + n_mismatched(measure)
    live_bytes = measure.bytes_in / n if n else 0.0
    live_items = measure.items / measure.checked if measure.checked else 0.0
    return Likeness(
        route=size["route"],
        message=size["message"],
        kind=size["kind"],
        n=n,
        n_checked=measure.checked,
        live_bytes=live_bytes,
        live_items=live_items,
        size_ratio=_size_ratio(size, live_bytes) if n >= LEAST_ANSWERS else None,
        item_ratio=live_items / size["items"]
        if measure.checked >= LEAST_ANSWERS and size["items"] >= LEAST_ITEMS
        else None,
    )


def _size_ratio(size: Mapping[str, Any], live_bytes: float) -> float | None:
    """Return the ratio nearest to 1, None where the recording had no body."""
    recorded = [size[name] for name in ("wire_bytes", "decoded_bytes") if size[name]]
    if not recorded:
        return None
    if any(abs(live_bytes - each) < SLACK_BYTES for each in recorded):
        return 1.0
    return float(min((live_bytes / each for each in recorded), key=lambda ratio: max(ratio, 1 / max(ratio, 1e-9))))


def unlike(run: Run) -> Iterator[str]:
    """Say which answers were too small for the figures to speak of the recorded system."""
    yield from unlike_kinds(run).values()


def unlike_kinds(run: Run) -> dict[tuple[str, str], str]:
    """Return the sentences of ``unlike`` by route and kind of message."""
    return {
        (likeness.route, likeness.message): f"{UNLIKE}: {likeness}" for likeness in likenesses(run) if likeness.is_less
    }


def heavier(run: Run) -> Iterator[str]:
    """Say which answers were far larger than recorded."""
    for likeness in likenesses(run):
        if likeness.is_more:
            yield f"{UNLIKE}, but heavier: {likeness}"


def silent(run: Run) -> Iterator[str]:
    """Say of which event streams nothing came, although they began and the recorded ones were no silence."""
    n_opened: Counter[str] = Counter()
    n_events: Counter[str] = Counter()
    for (name, labels), measure in run.by_route.items():
        if name in ("sse.connect", "sse.event"):
            (n_opened if name == "sse.connect" else n_events)[dict(labels).get("route", "")] += measure.ok
    for size in run.facts.sizes:
        route = size["route"]
        if n_opened[route] and not n_events[route] and not size["message"] and size["decoded_bytes"] >= SLACK_BYTES:
            yield f"{UNLIKE}: {route}: {n_opened[route]} event streams brought no event"


def representation_report(run: Run) -> dict[str, Any]:
    """Return ``representation`` of the summary."""
    found = likenesses(run)
    return {
        "is_representative": not any(likeness.is_less or likeness.is_more for likeness in found),
        "routes": [
            {
                "route": likeness.route,
                "message": likeness.message,
                "kind": likeness.kind,
                "count": likeness.n,
                "checked": likeness.n_checked,
                "live_bytes": round(likeness.live_bytes, 1),
                "live_items": round(likeness.live_items, 3),
                "size_ratio": _rounded(likeness.size_ratio),
                "item_ratio": _rounded(likeness.item_ratio),
                "is_representative": not likeness.is_less and not likeness.is_more,
            }
            for likeness in found
            if likeness.n
        ],
    }


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 4)
