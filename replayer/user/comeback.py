"""What one socket keeps while it is on its way back after a storm, and how it goes on when it is there. Pure.

Steps that need the socket wait: a real client's code could not have sent earlier, so their intended start moves to the
moment in which the socket is ready, and the wait shows as slip and in the storm's own series. Answers that were on
their way when the socket was lost are lost too (``not_sent:storm``), unless what asked for them is sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from replayer import failures
from replayer.user.awaited import Awaited
from replayer.user.port import Run
from replayer.user.recovery import Recovery

if TYPE_CHECKING:
    from replayer.load.storms import Strike
    from replayer.user.sockets import UserSocket
    from replayer.user.steps import User

ABNORMAL_CLOSURE = 1006


class Comeback:
    """Stands between one socket of a user and its ``Recovery``.

    Args:
        lost_ns: when the socket stopped working.
    """

    __slots__ = ("_held", "_postponed", "_recovery", "_restoration", "_run", "_socket", "_user")

    def __init__(self, socket: UserSocket, user: User, run: Run, strike: Strike, *, lost_ns: int) -> None:
        assert run.storms is not None
        self._socket = socket
        self._user = user
        self._run = run
        self._restoration = run.storms.restorations(user.script)[socket.number]
        self._recovery = Recovery(self, user, run, run.storms, strike, self._restoration, lost_ns=lost_ns)
        self._postponed: list[Awaited] = []
        self._held: list[tuple[int, int]] = []

    # What the socket tells.

    def begin(self, awaited: Sequence[Awaited], noticed_ns: int) -> None:
        """Set aside what was awaited, and set out when the user has noticed the loss."""
        for due in awaited:
            asked_by = self._user.script.steps[due.step].reply_to
            if asked_by < 0 or asked_by in self.restored():
                self._postponed.append(due)
            else:
                self._user.lose_reply(due.step)
        self._recovery.begin(noticed_ns)

    def postpone(self, due: Awaited) -> None:
        """Wait for a message from when the socket is ready."""
        self._postponed.append(due)

    def hold(self, index: int, intended_ns: int) -> None:
        """Begin a step when the socket is ready."""
        self._held.append((index, intended_ns))

    def opened(self, set_cookies: list[bytes], end_ns: int) -> None:
        """The handshake was accepted."""
        step = self._user.script.steps[self._restoration.connect]
        self._user.memory.take_cookies(step, set_cookies, end_ns)
        self._recovery.opened(end_ns)

    def refused(self, failure: str, status: int, end_ns: int) -> None:
        """The handshake was not accepted."""
        self._recovery.failed(failure, end_ns, status=status)

    def ended(self, failure: str, awaited: Sequence[Awaited], end_ns: int) -> None:
        """The connection ended before the socket was ready; ``awaited`` are the answers that were due over it."""
        self._ask_later(awaited)
        self._recovery.failed(failure, end_ns)

    def answered(self, end_ns: int) -> None:
        """An answer to what was sent again came."""
        self._recovery.answered(end_ns)

    def unanswered(self, awaited: Sequence[Awaited], now_ns: int) -> None:
        """An answer to what was sent again did not come in time; its connection was dropped."""
        self._ask_later(awaited)
        self._recovery.failed(failures.TIMEOUT_MESSAGE, now_ns)

    def stop(self) -> None:
        """The run ends: no further attempt."""
        self._recovery.stop()

    def cut(self) -> None:
        """The user ends."""
        self._recovery.cut()

    # What the recovery asks for.

    def reopen(self) -> None:
        """Begin the handshake.

        Raises:
            MissingValue: a slot of its target or headers has no value.
        """
        step = self._user.script.steps[self._restoration.connect]
        self._user.memory.prepare(step)
        self._socket.begin_handshake(step)

    def restored(self) -> list[int]:
        """Return the SEND steps that are sent again, in order."""
        if self._restoration.resumes:
            return list(self._restoration.opening)
        return sorted(self._socket.stated or ())

    def send_again(self, index: int) -> bool:
        """Send the message of a SEND step once more, with the values of now; tell whether its answer is awaited.

        Raises:
            MissingValue: a slot it uses has no value.
        """
        script, connection = self._user.script, self._socket.connection
        step, rendered = script.steps[index], script.rendered[index]
        if connection is None or not connection.is_open() or rendered is None:
            return False
        if rendered.static is None:
            self._user.memory.prepare(step)
        data = rendered.render(self._user.memory.values)
        if step.reply >= 0:
            self._socket.wait_for(self._due_again(step.reply, self._run.port.now_ns(), index, data))
        self._socket.write(data, is_text=step.is_text)
        return step.reply >= 0

    def _due_again(self, reply: int, now_ns: int, index: int, data: bytes) -> Awaited:
        """What answers a message that is sent again; a step that waits for it ends with it, late as it is."""
        due = self._socket.reply_due(self._user.script.steps[index], data, now_ns, now_ns)
        waiting = next((each for each in self._postponed if each.step == reply), None)
        if waiting is None:
            return due._replace(is_again=True, ends_step=False)
        self._postponed.remove(waiting)
        return due._replace(is_again=True)

    def drop(self) -> None:
        """Abort a connection that is of no use."""
        self._ask_later(self._socket.drop())

    def ready(self, end_ns: int) -> None:
        """The socket is what it was: what waited goes on."""
        self._socket.settled()
        for due in self._postponed:
            wait_ns = due.deadline_ns - due.actual_ns
            self._socket.wait_for(due._replace(actual_ns=end_ns, deadline_ns=end_ns + wait_ns))
        self._release(end_ns)

    def lost(self, end_ns: int) -> None:
        """The socket will not come back: as if it had ended just now."""
        failure = failures.close_failure(ABNORMAL_CLOSURE)
        self._socket.settled()
        self._user.socket_lost(self._socket.number, failure, end_ns)
        for due in self._postponed:
            if not self._user.is_over:
                self._socket.fail_awaited(due, failure, end_ns)
        self._release(end_ns)

    def cut_off(self, end_ns: int) -> None:
        """User or run end before the socket was back; what is still awaited ends with them."""
        self._socket.settled()
        self._user.socket_settled(end_ns)

    def _release(self, end_ns: int) -> None:
        for index, intended_ns in self._held:
            self._user.begin_held(index, max(intended_ns, end_ns))
        self._user.socket_settled(end_ns)

    def _ask_later(self, awaited: Sequence[Awaited]) -> None:
        """Keep what steps wait for; it is asked for again with the next attempt."""
        self._postponed += [due._replace(is_again=False) for due in awaited if due.ends_step]
