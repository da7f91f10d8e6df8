"""Who the users are: rows of the columns that a plan needs, from a file or from the environment."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path

from captures.errors import ConfigError

VARIABLE_PREFIX = "RUSHHOUR_"


class IdentitiesEnd(Enum):
    """What happens when there are more users than rows."""

    CYCLE = "cycle"
    FAIL = "fail"


def rows_of(
    columns: Sequence[str], *, path: Path | None, environ: Mapping[str, str], users: int, end: IdentitiesEnd
) -> tuple[dict[str, str], ...]:
    """Return the rows of the columns that a plan needs; user i takes row i mod rows. Empty where it needs none.

    A column that the file lacks comes from the environment variable ``RUSHHOUR_<COLUMN>``, the same for all users.

    Raises:
        ConfigError: a column is nowhere, the file cannot be read, or there are too few rows and ``end`` is FAIL.
    """
    if not columns:
        return ()
    rows = _read(path) if path is not None else [{}]
    found = [{column: row.get(column, environ.get(_variable(column))) for column in columns} for row in rows]
    missing = sorted({column for row in found for column, value in row.items() if value is None})
    if missing:
        variables = " ".join(f"{_variable(column)}=…" for column in missing)
        raise ConfigError(
            f"the plan needs values for {', '.join(missing)}",
            f"give a CSV file with these columns by --identities, or set {variables}",
        )
    if end is IdentitiesEnd.FAIL and path is not None and len(found) < users:
        raise ConfigError(f"{path} has {len(found)} rows for {users} users", "add rows, or take --identities-end cycle")
    return tuple({column: value for column, value in row.items() if value is not None} for row in found)


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [{key: value for key, value in row.items() if key and value} for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        hint = "rushhour plan FILE --identities-template users.csv writes one to fill in"
        raise ConfigError(f"{path} cannot be read as CSV: {exc}", hint) from exc
    if not rows:
        raise ConfigError(f"{path} names columns but has no row", "add one line for each identity")
    return rows


def _variable(column: str) -> str:
    return VARIABLE_PREFIX + column.upper()
