"""Writes a capture until it is killed, and says on stdout after each sealed chunk how many events are in the file."""

from __future__ import annotations

import sys

from captures.format.writer import CaptureWriter
from tests.captures.samples import ANCHOR, BIG, FACTS, message, request, response


def main(path: str) -> None:
    """Write messages and exchanges, numbered, with a body now and then that goes to a blob of its own."""
    with CaptureWriter(path, facts=FACTS, anchor=ANCHOR) as writer:
        exchange = 0
        while True:
            for _ in range(7):
                exchange += 1
                body = b"%d " % exchange + (BIG if exchange % 50 == 0 else b"small")
                specs = [*request(exchange, 1, exchange), *response(exchange, 1, exchange, body)]
                for event_type, t_ns, connection, number, fields in [*specs, message(exchange, 1, exchange, body)]:
                    writer.add(event_type, t_ns, connection, number, **fields)
            writer.seal()
            sys.stdout.write(f"{writer.n_events}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
