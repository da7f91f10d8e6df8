"""One watched user against a real server: a plan from a capture by hand, played in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from urllib.parse import urlsplit

from websockets.sync.server import ServerConnection, serve

from captures.sessions import Capture
from replayer.load.schedule import LoadOptions
from replayer.plan.codec import plan_to_bytes
from replayer.plan.records import Plan
from replayer.pool.assignment import Assignment, assignment_to_body
from replayer.targets import TargetSpec
from replayer.user.pacing import Deadlines
from replayer.verify.playing import Played, play
from replayer.verify.reporting import Report, Reporter

NS_PER_S = 1_000_000_000


def played(plan: Plan, url: str, *, inputs: dict[str, str] | None = None) -> Played:
    """Play the first script of a plan as one user against a server of 127.0.0.1."""
    port = urlsplit(url).port or 80
    target = TargetSpec(scheme="http", host="127.0.0.1", port=port, addresses=("127.0.0.1",))
    assignment = Assignment(
        worker=0,
        n_workers=1,
        plan=plan_to_bytes(plan),
        targets=tuple(target for _ in plan.origins),
        load=LoadOptions(users=1),
        per_run_key=b"0123456789abcdef",
        deadlines=Deadlines(message_ns=NS_PER_S),
        identities=(inputs,) if inputs else (),
    )
    return play(assignment_to_body(assignment))


def verified(capture: Capture, plan: Plan, url: str, *, inputs: dict[str, str] | None = None) -> Report:
    """Verify the first script of a plan; values are shown as they are."""
    seen = played(plan, url, inputs=inputs)
    reporter = Reporter(capture, plan, plan.scripts[0], show=lambda _key, value: str(value))
    return reporter.report(seen.witness, seen.measured, target=url)


@contextmanager
def streaming(handle: Callable[[ServerConnection], None]) -> Iterator[str]:
    """Serve a WebSocket on a free port; yields its address as http."""
    with serve(handle, "127.0.0.1", 0, compression=None, max_size=None) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()
