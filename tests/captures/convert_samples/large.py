"""Makes large HARs and measures their import: ``python -m tests.captures.convert_samples.large [MEGABYTES]``.

Each import runs in a process of its own; printed are megabytes of HAR per second of CPU time and of wall time, and the
peak of resident memory.
"""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from captures.convert.har_fields import iso_of
from tests.captures.convert_samples.hars import STARTED_NS, entry, message, socket

# Subtle: ru_maxrss survives exec and would tell of the process that started this one; VmHWM does not.
_IMPORT = (
    "import re, sys, time; from captures.convert.formats import convert_file; start = time.perf_counter();"
    "convert_file(sys.argv[1], sys.argv[2]); wall_s = time.perf_counter() - start;"
    "peak = re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read());"
    "print(time.process_time(), wall_s, peak[1])"
)
_HEADERS = [{"name": f"x-header-{number}", "value": "v" * (10 + 4 * number)} for number in range(12)]


def mixed(rng: random.Random) -> Iterator[dict[str, Any]]:
    """What a trading page does: JSON of some kilobytes, images, a large script, sockets."""
    for number in range(1 << 30):
        url, started = f"https://shop.example/api/items/{number}", iso_of(STARTED_NS + number * 37_000_000)
        if number % 10 == 9:
            frames = [message(number * 0.037 + at * 0.05, _json(rng, 300)) for at in range(100)]
            yield socket(frames, started=started)
            continue
        content: dict[str, Any] = {"mimeType": "application/json", "text": _json(rng, rng.randrange(500, 9000))}
        if number % 10 in (6, 7):
            raw = base64.b64encode(rng.randbytes(rng.randrange(2_000, 90_000))).decode()
            content = {"mimeType": "image/png", "text": raw, "encoding": "base64"}
        elif number % 10 == 8:
            content = {"mimeType": "text/javascript", "text": _json(rng, 60_000)}
        yield entry(url, started, request={"headers": _HEADERS}, response={"headers": _HEADERS, "content": content})


def small(rng: random.Random) -> Iterator[dict[str, Any]]:
    """Entries that are hardly more than their headers."""
    for number in range(1 << 30):
        started = iso_of(STARTED_NS + number * 37_000_000)
        yield entry(f"https://shop.example/{number}", started, request={"headers": _HEADERS})


def _json(rng: random.Random, n_bytes: int) -> str:
    rows = [{"symbol": rng.choice(["é", "KIT", '"x"']), "price": rng.random()} for _ in range(n_bytes // 45)]
    return json.dumps(rows)


def write_entries(path: Path, entries: Iterator[dict[str, Any]], n_bytes: int) -> None:
    """Write a HAR of at least so many bytes."""
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"log":{"version":"1.2","creator":{"name":"WebInspector","version":"1"},"entries":[')
        file.write(json.dumps(next(entries)))
        while file.tell() < n_bytes:
            file.write("," + json.dumps(next(entries)))
        file.write("]}}")


def write_one_socket(path: Path, n_bytes: int, data: str) -> int:
    """Write a HAR of one entry, a socket, and return the number of its messages."""
    n_messages = 0
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"log":{"version":"1.2","entries":[' + json.dumps(socket([]))[:-1].replace("[]", "null", 1))
        file.write(',"_webSocketMessages":[')
        while file.tell() < n_bytes:
            file.write(("," if n_messages else "") + json.dumps(message(n_messages * 0.01, data)))
            n_messages += 1
        file.write("]}]}}")
    return n_messages


def write_one_body(path: Path, n_bytes: int) -> None:
    """Write a HAR of one entry with one body, full of escapes."""
    head, _, tail = json.dumps(entry(response={"content": {"mimeType": "text/plain", "text": "@@"}})).partition("@@")
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"log":{"version":"1.2","entries":[' + head)
        while file.tell() < n_bytes:
            file.write(r"x\"é\u00e9\ud83d\ude00\\" * 4000)
        file.write(tail + "]}}")


def measure(path: Path) -> tuple[float, float, float]:
    """Import a HAR in a process of its own; return MB/s of CPU, MB/s of wall time and the peak of memory in MiB."""
    out = path.with_suffix(".rush")
    found = subprocess.run(
        [sys.executable, "-c", _IMPORT, str(path), str(out)], check=True, capture_output=True, text=True
    )
    out.unlink()
    cpu_s, wall_s, rss_kib = map(float, found.stdout.split())
    size_mb = path.stat().st_size / 1e6
    return size_mb / cpu_s, size_mb / wall_s, rss_kib / 1024


def main() -> None:
    """Make and measure."""
    n_bytes = int(sys.argv[1] if len(sys.argv) > 1 else 100) * 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "large.har"
        kinds: dict[str, Callable[[], object]] = {
            "mixed": lambda: write_entries(path, mixed(random.Random(1)), n_bytes),
            "small entries": lambda: write_entries(path, small(random.Random(1)), n_bytes),
            "one socket": lambda: write_one_socket(path, n_bytes, _json(random.Random(1), 135)),
            "one body": lambda: write_one_body(path, n_bytes),
        }
        for name, make in kinds.items():
            make()
            cpu, wall, rss = measure(path)
            sys.stdout.write(f"{name:<14} {cpu:6.1f} MB/s CPU {wall:6.1f} MB/s wall {rss:6.1f} MiB\n")


if __name__ == "__main__":
    main()
