"""Logins, tokens and their lives; told the time."""

from __future__ import annotations

import pytest

from demo.target.accounts import PASSWORD, Accounts, csrf_token, is_account, is_csrf_token, is_password

S = 1_000_000_000


def test_each_login_gets_secrets_of_its_own_even_of_one_account() -> None:
    accounts = Accounts(300 * S)
    grants = [accounts.log_in("demo001", 0) for _ in range(100)]
    secrets = [
        secret
        for grant in grants
        for secret in (grant.access_token, grant.refresh_token, grant.ws_ticket, grant.login.session)
    ]
    assert len(set(secrets)) == 400
    assert [grant.login.number for grant in grants] == list(range(1, 101))


def test_tokens_end_with_their_time_to_live() -> None:
    accounts = Accounts(20 * S)
    grant = accounts.log_in("demo001", 0)
    assert accounts.bearer(grant.access_token, 20 * S - 1) is grant.login
    assert accounts.bearer(grant.access_token, 20 * S) is None
    assert accounts.ticket(grant.ws_ticket, 20 * S) is None
    assert accounts.session(grant.login.session, 20 * S) is grant.login


def test_a_refresh_token_is_good_once_and_keeps_the_login() -> None:
    accounts = Accounts(20 * S)
    first = accounts.log_in("demo001", 0)
    second = accounts.refresh(first.refresh_token, 25 * S)
    assert second is not None
    assert second.login is first.login
    assert accounts.bearer(second.access_token, 30 * S) is first.login
    assert accounts.refresh(first.refresh_token, 26 * S) is None


def test_one_secret_is_no_other_kind_of_secret() -> None:
    accounts = Accounts(20 * S)
    grant = accounts.log_in("demo001", 0)
    assert accounts.bearer(grant.ws_ticket, 1) is None
    assert accounts.ticket(grant.access_token, 1) is None
    assert accounts.refresh(grant.access_token, 1) is None


def test_what_has_expired_does_not_pile_up() -> None:
    accounts = Accounts(S)
    for now_s in range(0, 20_000, 10):
        accounts.log_in("demo001", now_s * S)
    assert len(accounts._bearers.holders) < 600


def test_a_csrf_token_is_good_for_its_session_only() -> None:
    accounts = Accounts(S)
    one, other = accounts.log_in("demo001", 0).login, accounts.log_in("demo001", 0).login
    token = csrf_token(one)
    assert token != csrf_token(one)
    assert is_csrf_token(one, token)
    assert not is_csrf_token(other, token)
    assert not is_csrf_token(one, token[:-1] + ("0" if token[-1] != "0" else "1"))
    assert not is_csrf_token(one, "")


@pytest.mark.parametrize(
    ("user", "is_known"),
    [("demo001", True), ("demo999", True), ("demo000", False), ("demo1", False), ("demo0012", False), ("", False)],
)
def test_accounts_are_demo001_to_demo999(user: str, is_known: bool) -> None:
    assert is_account(user) is is_known


def test_the_password_is_the_one_documented() -> None:
    assert is_password(PASSWORD)
    assert not is_password(PASSWORD + "é")
