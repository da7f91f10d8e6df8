"""Answers every HTTP request 20 ms after it came. ``python -m benchmarks.peers.delay_server PORT``.

It never sleeps: it asks its sockets again and again, so that neither the arrival of a request is stamped late nor its
answer sent late by more than what a few others take. It owns the servers' core. When it ends it says how late its
answers were, so that its own error is known.
"""

from __future__ import annotations

import select
import signal
import socket
import sys
import time
from collections import deque

from benchmarks.peers.ground import BODY

DELAY_NS = 20_000_000
_BODY = (BODY % "").encode()
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


class Delaying:
    """Serves until it is told to stop; requests come whole, one at a time on each connection."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self._listener.setblocking(False)
        self._poll = select.epoll()
        self._poll.register(self._listener, select.EPOLLIN)
        self._connections: dict[int, socket.socket] = {}
        self._due: deque[tuple[int, socket.socket]] = deque()
        self.late_ns: list[int] = []
        self.is_over = False

    def serve(self) -> None:
        """Serve until ``is_over``."""
        while not self.is_over:
            for fd, _ in self._poll.poll(0):
                if fd == self._listener.fileno():
                    self._accept()
                else:
                    self._read(fd)
            while self._due and self._due[0][0] <= time.monotonic_ns():
                due_ns, connection = self._due.popleft()
                if connection.fileno() >= 0:
                    self.late_ns.append(time.monotonic_ns() - due_ns)
                    connection.send(_ANSWER)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[connection.fileno()] = connection
        self._poll.register(connection, select.EPOLLIN)

    def _read(self, fd: int) -> None:
        if self._connections[fd].recv(65536):
            self._due.append((time.monotonic_ns() + DELAY_NS, self._connections[fd]))
        else:
            self._connections.pop(fd).close()

    def stop(self, *_: object) -> None:
        """End after the present round."""
        self.is_over = True


def main(port: int) -> None:
    """Serve until terminated, then print the 99th percentile of the own lateness in ms."""
    server = Delaying(port)
    signal.signal(signal.SIGTERM, server.stop)
    server.serve()
    late_ns = sorted(server.late_ns)
    sys.stdout.write(f"{late_ns[len(late_ns) * 99 // 100] / 1e6 if late_ns else 0.0:.3f}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
