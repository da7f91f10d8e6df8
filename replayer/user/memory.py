"""What one virtual user remembers: the values of its slots and its cookies. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from replayer.plan.records import Codec, Extractor, Step
from replayer.user.jar import Jar
from replayer.user.link import LinkedScript
from replayer.user.port import Port
from replayer.user.render import MissingValue
from replayer.user.slots import Answer, Mint, encode

_SPLITS = re.compile(rb"[\r\n\x00]")
"""What ends a line of a head (RFC 9112 §2.2, §11.1): values come from the target's answers, which may be hostile."""


class Memory:
    """Slots and cookies of one user.

    Args:
        script: what the user plays.
        port: for the clocks.
        mint: makes the values that the recorded client made up.
        inputs: the user's row of identities.

    Attributes:
        values: by slot number; None where there is no value yet.
        broken: slots whose producer went wrong: what misses them is the consequence of a failure, not a miss.
    """

    __slots__ = ("_jar", "_mint", "_port", "_script", "broken", "values")

    def __init__(self, script: LinkedScript, port: Port, mint: Mint, inputs: dict[str, str]) -> None:
        self._script = script
        self._port = port
        self._mint = mint
        self._jar = Jar()
        self.broken: set[int] = set()
        self.values: list[bytes | None] = [None] * script.n_values
        for slot, recorded in script.optional:
            self._fill(slot, recorded)
        for slot, column in script.inputs:
            if column in inputs:
                self._fill(slot, inputs[column].encode())

    def place_cookies(self) -> list[int]:
        """Put the cookies that no response sets into the jar; return the slots that some of them miss."""
        missing = []
        host = self._script.hosts[0] if self._script.hosts else ""
        for name, value in self._script.cookies:
            try:
                self._jar.put(name, value.render(self.values), host)
            except MissingValue as exc:
                missing.append(exc.slot)
        return missing

    def extract(self, extractors: Iterable[Extractor], answer: Answer) -> None:
        """Fill slots from an answer; a value that is not there leaves its slot as it was."""
        for extractor in extractors:
            value = answer.find(extractor)
            if value is not None:
                self.broken.difference_update(self._with_derived(extractor.slot))
                self._fill(extractor.slot, value)

    def lose(self, extractors: Iterable[Extractor]) -> None:
        """Note that the step which should have filled these slots went wrong."""
        for extractor in extractors:
            self.broken.update(self._with_derived(extractor.slot))

    def _with_derived(self, slot: int) -> list[int]:
        return [slot, *(derived for derived, _ in self._script.derived.get(slot, ()))]

    def prepare(self, step: Step) -> None:
        """Bring up to date what a step is about to use: values minted at their first use, and the cookies."""
        script, index = self._script, step.index
        if script.generated[index]:
            self.mint(script.generated[index])
        slot = script.cookie_slot
        if slot >= 0 and step.request is not None:
            pairs = self._jar.header(script.hosts[step.origin], script.paths[index], self._port.now_ns())
            if pairs is not self.values[slot]:  # The jar returns the same object while nothing has changed.
                self.values[slot] = pairs
                self.values[script.cookie_line_slot] = b"Cookie: " + pairs + b"\r\n" if pairs else b""
                self.values[script.cookie_start_slot] = pairs + b"; " if pairs else b""

    def mint(self, generated: Iterable[tuple[int, str]]) -> None:
        """Make the values of GENERATED slots (slot, generator) that have none yet."""
        for slot, generator in generated:
            if self.values[slot] is None:
                self._fill(slot, self._mint.make(generator, self._port.wall_ns()))

    def take_cookies(self, step: Step, set_cookies: Iterable[bytes], now_ns: int) -> list[tuple[bytes, bytes]]:
        """Put what an answer set into the jar; return names and values."""
        host, path = self._script.hosts[step.origin], self._script.paths[step.index]
        wall_ns = self._port.wall_ns()
        return [self._jar.set(value, host, path, now_ns, wall_ns) for value in set_cookies]

    def copy(self, source: int, target: int) -> None:
        """Have a slot hold what another one holds, if that holds anything."""
        value = self.values[source]
        if value is not None:
            self.broken.discard(target)
            self._fill(target, value)

    def _fill(self, slot: int, value: bytes) -> None:
        self._put(slot, value)
        for derived, codec in self._script.derived.get(slot, ()):
            self._put(derived, encode(value, Codec(codec)))

    def _put(self, slot: int, value: bytes) -> None:
        """Set a value; where it goes into a head, what would split the request is written in percent."""
        if slot in self._script.head_slots and _SPLITS.search(value):
            value = _SPLITS.sub(lambda found: b"%%%02X" % found.group()[0], value)
        self.values[slot] = value
