"""When a long recording goes on in another file, and how the files are called; pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from captures.errors import ConfigError
from captures.units import parse_duration_ns
from recorder.sizes import parse_size_bytes

MIN_SIZE_BYTES = 1 << 20
MIN_AGE_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What ends a file; the first that is reached counts, 0 never is.

    Attributes:
        size_bytes: of the file.
        age_ns: since the file was begun.
    """

    size_bytes: int = 0
    age_ns: int = 0

    @property
    def is_on(self) -> bool:
        """Whether the recording may take more than one file."""
        return bool(self.size_bytes or self.age_ns)

    @property
    def texts(self) -> tuple[str, ...]:
        """As ``parse_rotation`` reads it."""
        size = (f"{self.size_bytes}B",) if self.size_bytes else ()
        return (*size, *((f"{self.age_ns // 1_000_000}ms",) if self.age_ns else ()))

    def is_due(self, size_bytes: int, age_ns: int) -> bool:
        """Tell whether a file of this size and age ends here."""
        return 0 < self.size_bytes <= size_bytes or 0 < self.age_ns <= age_ns


def parse_rotation(texts: tuple[str, ...]) -> Rotation:
    """Read ``1GiB`` or ``1h``, or one of each.

    Raises:
        ConfigError: neither a size nor a duration, one given twice, or less than 1 MiB or a second.
    """
    size_bytes = age_ns = 0
    for text in texts:
        is_size = text.strip().lower().endswith("b")
        if size_bytes and is_size or age_ns and not is_size:
            raise ConfigError(f"--rotate {text} repeats --rotate", "give a size, a duration, or one of each")
        try:
            size_bytes, age_ns = (parse_size_bytes(text), age_ns) if is_size else (size_bytes, parse_duration_ns(text))
        except ConfigError as exc:
            raise ConfigError(f"--rotate {text!r} is no size and no duration", "write 1GiB or 1h") from exc
        if is_size and size_bytes < MIN_SIZE_BYTES or not is_size and age_ns < MIN_AGE_NS:
            raise ConfigError(f"--rotate {text} makes too many files", "give at least 1MiB or 1s")
    return Rotation(size_bytes=size_bytes, age_ns=age_ns)


def part_path(path: Path, number: int) -> Path:
    """Name one of the files, counted from 1: ``market.rush`` gives ``market-0001.rush``."""
    return path.with_name(f"{path.stem}-{number:04}{path.suffix}")
