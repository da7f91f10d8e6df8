"""The channel between hooks and writer: never blocks, keeps the order, tells what it lost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from recorder.channel import NOTICE_OVERHEAD_BYTES, Channel
from recorder.notices import FrameBuffer, Kind, Notice
from recorder.status import Status, Word, tell

PATIENCE_S = 10.0


class Reader:
    """The other end of the pipe, read to its end by a thread once told to."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        self.notices: list[Notice] = []
        self._thread = threading.Thread(target=self._read)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def finish(self) -> list[Notice]:
        """Wait for the end of the pipe; return everything that came."""
        self._thread.join(PATIENCE_S)
        return self.notices

    def _read(self) -> None:
        buffer = FrameBuffer()
        with open(self.read_fd, "rb", buffering=0) as pipe:
            while data := pipe.read(1 << 16):
                for notices in buffer.feed(data):
                    self.notices += notices


@pytest.fixture
def reader() -> Iterator[Reader]:
    """A pipe whose other end is not read yet."""
    yield Reader()


def _until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_everything_arrives_in_order_and_with_its_times(reader: Reader) -> None:
    channel = Channel()
    channel.put(Kind.START, facts={})
    channel.start(reader.write_fd)
    reader.start()
    for number in range(1000):
        channel.put(Kind.RESPONSE_CHUNK, flow_id="f", data=b"%d" % number)
    assert channel.close(PATIENCE_S)
    notices = reader.finish()
    assert [notice[3]["data"] for notice in notices[1:]] == [b"%d" % number for number in range(1000)]
    times = [notice[1] for notice in notices]
    assert times == sorted(times)


def test_a_writer_that_does_not_keep_up_costs_notices_and_no_waiting(reader: Reader) -> None:
    weight = 1000 + NOTICE_OVERHEAD_BYTES
    channel = Channel(limit_bytes=10 * weight)
    channel.put(Kind.RESPONSE_CHUNK, flow_id="first", data=b"x" * 1000)
    for _ in range(50):
        channel.put(Kind.RESPONSE_CHUNK, flow_id="f", data=b"x" * 1000)
    reader.start()
    channel.start(reader.write_fd)
    _until(lambda: len(reader.notices) == 10)
    channel.put(Kind.RESPONSE_CHUNK, flow_id="f", data=b"after")
    assert channel.close(PATIENCE_S)
    lost, after = reader.finish()[10:]
    assert lost[0] == Kind.LOST
    assert lost[3] == {"flow_id": "f", "n_notices": 41, "n_bytes": 41_000}
    assert after[3]["data"] == b"after"


def test_a_loss_at_the_very_end_is_told_too(reader: Reader) -> None:
    channel = Channel(limit_bytes=NOTICE_OVERHEAD_BYTES)
    channel.put(Kind.REQUEST_DONE, flow_id="a")
    channel.put(Kind.REQUEST_DONE, flow_id="b")
    channel.start(reader.write_fd)
    reader.start()
    assert channel.close(PATIENCE_S)
    assert reader.finish()[-1][3] == {"flow_id": "b", "n_notices": 1, "n_bytes": 0}


def test_a_broken_pipe_is_noticed_and_putting_goes_on_for_free(reader: Reader) -> None:
    channel = Channel()
    os.close(reader.read_fd)
    channel.start(reader.write_fd)
    channel.put(Kind.STOP)
    _until(lambda: channel.is_broken)
    channel.put(Kind.STOP)
    assert channel.close(PATIENCE_S)


def test_a_reader_that_sleeps_delays_no_status_line() -> None:
    read_fd, write_fd = os.pipe()
    status = Status(word=Word.COUNTS, text="x" * 3000)
    told = [tell(write_fd, status) for _ in range(100)]
    assert told[0]
    assert not told[-1]
    os.close(read_fd)
    assert not tell(write_fd, status)
    os.close(write_fd)
