"""Rows of identities: from a file, from the environment, and what is said when they are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from captures.errors import ConfigError
from replayer.identities import IdentitiesEnd, rows_of

COLUMNS = ("user", "password")
USERS = "user,password,note\nann,a,x\nbob,b,y\n"


def rows(
    text: str | None, tmp_path: Path, *, users: int = 2, end: IdentitiesEnd = IdentitiesEnd.CYCLE, **environ: str
) -> tuple[dict[str, str], ...]:
    path = None
    if text is not None:
        path = tmp_path / "users.csv"
        path.write_text(text, encoding="utf-8")
    return rows_of(COLUMNS, path=path, environ=environ, users=users, end=end)


def test_rows_of_a_file_keep_their_order_and_needed_columns(tmp_path: Path) -> None:
    assert rows(USERS, tmp_path) == ({"user": "ann", "password": "a"}, {"user": "bob", "password": "b"})


def test_column_that_the_file_lacks_comes_from_the_environment(tmp_path: Path) -> None:
    found = rows("user\nann\nbob\n", tmp_path, RUSHHOUR_PASSWORD="same")
    assert found == ({"user": "ann", "password": "same"}, {"user": "bob", "password": "same"})


def test_environment_alone_is_one_row(tmp_path: Path) -> None:
    assert len(rows(None, tmp_path, RUSHHOUR_USER="u", RUSHHOUR_PASSWORD="p")) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "values for password, user"),
        ("user\nann\n", "values for password"),
        ("user,password\n", "no row"),
        ("user,password\nann,\n", "values for password"),
    ],
)
def test_what_is_missing_is_named(text: str | None, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        rows(text, tmp_path)


def test_too_few_rows_end_a_run_that_asked_for_it(tmp_path: Path) -> None:
    assert len(rows(USERS, tmp_path, users=9)) == 2
    with pytest.raises(ConfigError, match="2 rows for 9 users"):
        rows(USERS, tmp_path, users=9, end=IdentitiesEnd.FAIL)


def test_plan_without_inputs_needs_no_identities(tmp_path: Path) -> None:
    assert rows_of((), path=None, environ={}, users=1, end=IdentitiesEnd.CYCLE) == ()
