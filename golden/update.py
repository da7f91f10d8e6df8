"""``golden update``: another recording in a golden's place, and what a reviewer has to know about it.

The new capture is put in its place whole or not at all, and the one before stays beside it until somebody has reviewed.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from captures.errors import ConfigError
from captures.format.reader import open_capture
from golden.differences import Differences, differences
from golden.folder import USERS, Golden
from golden.scanning import scanned
from replayer.facts import input_columns
from replayer.plan.records import Plan
from replayer.stored_plans import PlanRequest, stored_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """What an update did.

    Attributes:
        columns: of the identities that the new capture asks for.
        missing: of them those that the golden's ``users.csv`` lacks.
    """

    found: Differences
    columns: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def recorded_url(golden: Golden) -> str:
    """Return the page that the capture was recorded at.

    Raises:
        ConfigError: the capture does not know, as an import.
    """
    with open_capture(golden.capture) as reader:
        url = reader.header.get("url")
    if not isinstance(url, str) or not url:
        raise ConfigError(f"{golden.capture} does not say which page it was recorded at", "name it with --url")
    return url


def check_place(golden: Golden) -> None:
    """Refuse an update before a recording is made for nothing.

    Raises:
        ConfigError: the capture before is still there.
    """
    if golden.before.exists():
        raise ConfigError(
            f"{golden.before} is there, an update that nobody reviewed", "delete it, or move it back, and update again"
        )


def update_from(golden: Golden, source: Path) -> Updated:
    """Put a recording in the golden's place and say what is different.

    Raises:
        ConfigError: it holds what looks like secrets, or the update before was not reviewed.
        RushhourError: it cannot be read, or the golden's rules do not fit it.
    """
    check_place(golden)
    scanned(source, golden.policy)
    before = _plan(golden, golden.capture)
    with tempfile.TemporaryDirectory(dir=golden.directory) as directory:
        fresh = Path(directory) / golden.capture.name
        shutil.copyfile(source, fresh)
        after = _plan(golden, fresh)
        fresh.chmod(stat.S_IMODE(golden.capture.stat().st_mode))
        golden.capture.rename(golden.before)
        os.replace(fresh, golden.capture)
    columns = tuple(input_columns(after))
    if columns:
        golden.template.write_text(_row(columns), encoding="utf-8")
    return Updated(found=differences(before, after), columns=columns, missing=_missing(golden, columns))


def _plan(golden: Golden, capture: Path) -> Plan:
    return stored_plan(PlanRequest(capture=capture, rules=golden.rules)).plan


def _row(columns: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(columns)
    return text.getvalue()


def _missing(golden: Golden, columns: Sequence[str]) -> tuple[str, ...]:
    if golden.users is None:
        return ()
    try:
        with golden.users.open(encoding="utf-8", newline="") as file:
            known = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise ConfigError(f"{golden.directory / USERS} cannot be read: {exc}", "mend it, then check") from exc
    return tuple(column for column in columns if column not in known)
