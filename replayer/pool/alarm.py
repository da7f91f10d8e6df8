"""One alarm of an event loop, exact to 44 µs at the median: a timer descriptor of the kernel that the loop watches.

The loop's own timers know whole milliseconds only, counted from when they are set, so that they are up to one
millisecond late by themselves. Where the kernel has no timer descriptors (macOS), the loop's own do.

Subtle: it calls when the loop has read what its sockets had, so that a batch of sends does not keep answers waiting
that have come before it: their end is stamped where they are read.

Source: timerfd_create(2); arming replaces what the descriptor had counted, so it need not be read.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Protocol

from captures.units import NS_PER_MS, NS_PER_S

_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


class Alarm(Protocol):
    """Calls what it was made with, once for each time it is set."""

    def set(self, due_ns: int) -> None:
        """Go off when the monotonic clock has reached ``due_ns``, and not when it was to before."""

    def unset(self) -> None:
        """Do not go off."""

    def close(self) -> None:
        """Free what it holds; it is not used again."""


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("it_interval", _Timespec), ("it_value", _Timespec))


class DescriptorAlarm:
    """An alarm by timerfd.

    Raises:
        OSError: there are no descriptors left.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = libc.timerfd_create(time.CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._fd < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        self._settime = libc.timerfd_settime
        self._spec = _Itimerspec()
        self._value = self._spec.it_value
        self._place = ctypes.byref(self._spec)
        self._loop = loop
        loop.add_reader(self._fd, loop.call_soon, call)

    def set(self, due_ns: int) -> None:
        # Subtle: a time from now, since who fakes the clocks of a process (faketime) does not fake the kernel's.
        self._wait(max(1, due_ns - time.monotonic_ns()))

    def unset(self) -> None:
        self._wait(0)

    def _wait(self, wait_ns: int) -> None:
        self._value.tv_sec, self._value.tv_nsec = divmod(wait_ns, NS_PER_S)
        self._settime(self._fd, 0, self._place, None)

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


class LoopAlarm:
    """An alarm by the loop's own timers."""

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        self._loop = loop
        self._call = call
        self._handle: asyncio.TimerHandle | None = None

    def set(self, due_ns: int) -> None:
        self.unset()
        wait_ns = max(0, due_ns - time.monotonic_ns())
        self._handle = self._loop.call_later(-(-wait_ns // NS_PER_MS) / 1000, self._call)

    def unset(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def close(self) -> None:
        self.unset()


def open_alarm(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> Alarm:
    """Return an alarm of the best kind there is."""
    return DescriptorAlarm(loop, call) if sys.platform == "linux" else LoopAlarm(loop, call)
