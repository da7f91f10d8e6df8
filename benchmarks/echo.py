"""A WebSocket echo server and its client on bare sockets: fast enough that what lies between them is what is measured.

``python -m benchmarks.echo`` serves on a free port of 127.0.0.1, prints it, and ends with its standard input.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

HOST = "127.0.0.1"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT = 0x81


class Frames:
    """Whole text messages of a socket; payloads are unmasked."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()

    def head(self) -> bytes:
        """Everything up to an empty line."""
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        return head

    def next(self) -> bytes:
        """One message."""
        self._need(2)
        is_masked, length, at = bool(self._buffer[1] & 0x80), self._buffer[1] & 0x7F, 2
        if length >= 126:
            at = 4 if length == 126 else 10
            self._need(at)
            length = int.from_bytes(self._buffer[2:at], "big")
        end = at + 4 * is_masked + length
        self._need(end)
        payload = bytes(self._buffer[end - length : end])
        if is_masked:
            key = bytes(self._buffer[at : at + 4]) * (length // 4 + 1)
            masked = int.from_bytes(payload, "little") ^ int.from_bytes(key[:length], "little")
            payload = masked.to_bytes(length, "little")
        del self._buffer[:end]
        return payload

    def _need(self, n_bytes: int) -> None:
        while len(self._buffer) < n_bytes:
            self._fill()

    def _fill(self) -> None:
        data = self._sock.recv(1 << 18)
        if not data:
            raise ConnectionError("the other end closed")
        self._buffer += data


def framed(payload: bytes, *, masked: bool) -> bytes:
    """A text message; the client's mask is all zeros, which leaves the payload as it is."""
    length = len(payload)
    size = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2, "big")
    if masked:
        size = bytes([size[0] | 0x80]) + size[1:] + bytes(4)
    return bytes([_TEXT]) + size + payload


def connect(port: int, proxy_port: int | None) -> tuple[socket.socket, Frames]:
    """Open a WebSocket to 127.0.0.1:port, through a proxy where there is one."""
    sock = socket.create_connection((HOST, proxy_port or port), timeout=20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    frames = Frames(sock)
    place = f"{HOST}:{port}".encode()
    if proxy_port is not None:
        sock.sendall(b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (place, place))
        if b" 200 " not in frames.head().partition(b"\r\n")[0]:
            raise ConnectionError("the proxy opens no tunnel")
    key = base64.b64encode(os.urandom(16))
    sock.sendall(
        b"GET /echo HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n" % (place, key)
    )
    if b" 101 " not in frames.head().partition(b"\r\n")[0]:
        raise ConnectionError("no WebSocket")
    return sock, frames


def paced(sock: socket.socket, frames: Frames, messages: list[bytes], rate_per_s: float) -> list[int]:
    """Send messages one by one at a steady rate; returns the round trips in ns."""
    trips_ns = []
    start_ns = time.monotonic_ns()
    for number, message in enumerate(messages):
        planned_ns = start_ns + int(number * 1e9 / rate_per_s)
        while (wait_ns := planned_ns - time.monotonic_ns()) > 0:
            time.sleep(wait_ns / 1e9)
        sent_ns = time.monotonic_ns()
        sock.sendall(message)
        frames.next()
        trips_ns.append(time.monotonic_ns() - sent_ns)
    return trips_ns


def flooded(
    sock: socket.socket, frames: Frames, messages: list[bytes], duration_s: float, window: int
) -> tuple[int, float]:
    """Keep ``window`` messages under way; returns how many were sent, and messages per second."""
    sock.sendall(b"".join(messages[:window]))
    start_s = time.monotonic()
    done = 0
    while time.monotonic() - start_s < duration_s:
        frames.next()
        done += 1
        sock.sendall(messages[(window + done) % len(messages)])
    elapsed_s = time.monotonic() - start_s
    for _ in range(window):
        frames.next()
    return done + window, done / elapsed_s


def _serve(sock: socket.socket) -> None:
    with sock, suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        frames = Frames(sock)
        key = next(_values(frames.head(), b"sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept
        )
        while True:
            sock.sendall(framed(frames.next(), masked=False))


def _values(head: bytes, name: bytes) -> Iterator[bytes]:
    for line in head.split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.lower() == name:
            yield value.strip()


def main() -> None:
    """Serve until standard input ends."""
    listener = socket.create_server((HOST, 0))

    def accept() -> None:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=_serve, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
