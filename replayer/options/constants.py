"""The numbers that decide how a run behaves and are no options, for ``--print-config``: read where they are defined."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from captures.units import NS_PER_MS, NS_PER_S


class Constant(NamedTuple):
    """One number: ``unit`` and ``meaning`` are for people."""

    name: str
    value: int | float
    unit: str
    meaning: str


def constants() -> Iterator[Constant]:
    """Generate the numbers in the order in which a run meets them."""
    yield from _of_the_load()
    yield from _of_users()
    yield from _of_checks()
    yield from _of_the_wire()
    yield from _of_processes()


def _of_the_load() -> Iterator[Constant]:
    from replayer.load.capacity import ARRIVALS_PER_S, MESSAGES_PER_S, REQUESTS_PER_S, SAFE_SHARE
    from replayer.load.schedule import MAX_START_SPREAD_NS
    from replayer.pool.crowd import MIN_REFILL_NS

    yield Constant("longest-default-start-spread", MAX_START_SPREAD_NS // NS_PER_S, "s", "copies of a session start")
    yield Constant("refill-pause", MIN_REFILL_NS / NS_PER_S, "s", "with asap, before a failed user is followed")
    yield Constant("arrivals-per-core", ARRIVALS_PER_S, "/s", "measured, for warnings")
    yield Constant("requests-per-core", REQUESTS_PER_S, "/s", "measured, for warnings")
    yield Constant("messages-per-core", MESSAGES_PER_S, "/s", "measured, for warnings")
    yield Constant("safe-share-of-a-core", SAFE_SHARE, "ratio", "above it a warning")


def _of_users() -> Iterator[Constant]:
    from replayer.pool.assignment import SAMPLED_USERS
    from replayer.user.awaited import TIMES_RECORDED
    from replayer.user.connections import CONNECTIONS_PER_ORIGIN
    from replayer.user.meter import KEPT_FAILURES, KEPT_STEPS, KEPT_STEPS_PER_S
    from replayer.user.pacing import Deadlines
    from replayer.user.recovery import SPACING_NS
    from replayer.user.refresh import FRESH_NS
    from replayer.user.sockets import SILENT_NS

    yield Constant("connections-per-origin", CONNECTIONS_PER_ORIGIN, "connections", "of one user, HTTP/1.1")
    yield Constant("recorded-waits", TIMES_RECORDED, "times", "the recorded one a message is waited for at least")
    yield Constant("silent-greeting", SILENT_NS / NS_PER_S, "s", "of a socket whose server spoke first when recorded")
    yield Constant("fresh-credential", FRESH_NS / NS_PER_S, "s", "after it was got, a refusal is no expiry")
    yield Constant("reconnect-spacing", SPACING_NS / NS_PER_MS, "ms", "at least between two attempts of one user")
    yield Constant("drain", Deadlines().drain_ns / NS_PER_S, "s", "for steps in flight, after the end")
    yield Constant("sampled-users", SAMPLED_USERS, "users", "whose steps are kept whole")
    yield Constant("kept-steps", KEPT_STEPS, "steps", "of each of them at most")
    yield Constant("kept-steps-per-second", KEPT_STEPS_PER_S, "steps", "of all of them and one worker, at most")
    yield Constant("kept-failures", KEPT_FAILURES, "steps", "of each kind of failure and worker")


def _of_checks() -> Iterator[Constant]:
    from replayer.user.checks import FIRST_BUDGET_NS, LEAST_BUDGET_NS, RESERVE_NS
    from replayer.user.pushes import CLOCK_CV, PRIVATE_AFTER, STALL_FACTOR, STALL_NS

    yield Constant("parsing-at-first", FIRST_BUDGET_NS / NS_PER_MS, "ms/s", "for checks alone, in the first second")
    yield Constant("parsing-at-least", LEAST_BUDGET_NS / NS_PER_MS, "ms/s", "for checks alone, however busy it is")
    yield Constant("parsing-reserve", RESERVE_NS / NS_PER_MS, "ms/s", "left idle; half of the rest parses")
    yield Constant("stall", STALL_NS / NS_PER_S, "s", "of silence at least")
    yield Constant("stall-factor", STALL_FACTOR, "times", "the longest recorded silence at least")
    yield Constant("clock-variation", CLOCK_CV, "ratio", "of gaps; a push that varies less has a rhythm")
    yield Constant("private-after", PRIVATE_AFTER, "messages", "that no two sockets shared: no broadcast")


def _of_the_wire() -> Iterator[Constant]:
    from replayer.user.answers import MAX_DECODED_BYTES
    from replayer.wire.http1 import MAX_BODY_BYTES, MAX_HEAD_BYTES
    from replayer.wire.http2_session import MAX_IDLE_CONTROLS, STREAMS_BEFORE_SETTINGS
    from replayer.wire.outbox import MOST
    from replayer.wire.sse import MAX_EVENT_BYTES
    from replayer.wire.websocket import CLOSE_S, MAX_UNSENT_BYTES, TCP_END_S

    yield Constant("largest-head", MAX_HEAD_BYTES >> 10, "KiB", "of an answer; more is too_large")
    yield Constant("largest-body", MAX_BODY_BYTES >> 20, "MiB", "of an answer, as sent; more is too_large")
    yield Constant("largest-decoded-body", MAX_DECODED_BYTES >> 20, "MiB", "of an answer; more is a mismatch")
    yield Constant("largest-event", MAX_EVENT_BYTES >> 20, "MiB", "of an event stream; more is too_large")
    yield Constant("largest-backlog", MAX_UNSENT_BYTES >> 20, "MiB", "of a socket whose server does not read")
    yield Constant("close-timeout", CLOSE_S, "s", "for the other end of a close handshake")
    yield Constant("tcp-end-timeout", TCP_END_S, "s", "for the server to end TCP after both close frames")
    yield Constant(
        "streams-before-settings", STREAMS_BEFORE_SETTINGS, "streams", "of HTTP/2, until the target allows more"
    )
    yield Constant("idle-controls", MAX_IDLE_CONTROLS, "frames", "of HTTP/2 in a row that answer nothing")
    yield Constant("written-together", MOST, "requests", "at most, at the end of a turn of the loop")


def _of_processes() -> Iterator[Constant]:
    from analysis.verdict import LAG_FLOOR_MS, LAG_SHARE
    from replayer.pool.controller import Patience
    from replayer.pool.priority import MOST_RESTS_PER_S, NICE_STEPS, REST_S
    from replayer.pool.protocol import LEASE_RENEWAL_S, LEASE_S
    from replayer.pool.timers import FEW_CALLS, GRID_NS, SLICE_NS, TOGETHER
    from replayer.pool.worker import HEARTBEAT_S

    patience = Patience()
    yield Constant("lease", LEASE_S, "s", "a worker sends without hearing of its controller")
    yield Constant("lease-renewal", LEASE_RENEWAL_S, "s", "between two leases")
    yield Constant("timer-grid", GRID_NS / NS_PER_MS, "ms", "sends start on it where many are due, never early")
    yield Constant("timer-few", FEW_CALLS, "sends", "due at one point of it, and fewer, do not wait for it")
    yield Constant("sent-together", TOGETHER, "sends", "of those that are due, at most, before they are written")
    yield Constant("longest-slice", SLICE_NS / NS_PER_MS, "ms", "of due calls, before answers get their turn")
    yield Constant("heartbeat", HEARTBEAT_S * 1000, "ms", "of the loop; how late it is is the loop's lag")
    yield Constant("controller-nice", NICE_STEPS, "steps", "the controller gives way to workers by (Linux)")
    yield Constant("controller-rest", REST_S * 1000, "ms", "of the controller between pieces of its work")
    yield Constant("controller-rests", MOST_RESTS_PER_S, "per s", "at most")
    yield Constant("ready-timeout", patience.ready_ns / NS_PER_S, "s", "from launch to ready workers")
    yield Constant("allowed-lag", LAG_FLOOR_MS, "ms", "of sends and loops at p99, or more by the next line")
    yield Constant("allowed-lag-share", LAG_SHARE, "ratio", "of the smallest latency limit in force")
    yield Constant("start-lead", patience.lead_ns / NS_PER_MS, "ms", "from the word go to the common start")
