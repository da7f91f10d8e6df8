"""Who may come in: accounts, logins, tokens with a time to live, CSRF tokens. Told the time, never asks for it.

Accounts are ``demo001`` to ``demo999``, all with the synthetic password ``PASSWORD``; one account may log in many times
at once, and each login gets secrets of its own. Secrets are real random even under a fixed seed: a replay must never
succeed because a restarted target minted what the recorded one had minted.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

PASSWORD = "paper-lantern-42"
REFRESH_LIVES = 20
_USER = re.compile(r"demo(?!000)\d{3}", re.ASCII)
_SWEEP_EVERY = 512


@dataclass(slots=True, kw_only=True)
class Login:
    """One person at one browser.

    Attributes:
        number: running number of the login, from 1.
        session: value of the session cookie.
    """

    number: int
    user: str
    session: str
    csrf_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a login or a refresh hands out."""

    login: Login
    access_token: str
    refresh_token: str
    ws_ticket: str
    expires_in_s: int


@dataclass(slots=True)
class _Issued:
    """Secrets of one kind that are still good."""

    holders: dict[str, tuple[Login, int]] = field(default_factory=dict)

    def issue(self, login: Login, expires_ns: int, mint: Callable[[], str]) -> str:
        secret = mint()
        self.holders[secret] = (login, expires_ns)
        return secret

    def holder(self, secret: str, now_ns: int) -> Login | None:
        login, expires_ns = self.holders.get(secret, (None, 0))
        return login if now_ns < expires_ns else None

    def sweep(self, now_ns: int) -> None:
        self.holders = {secret: held for secret, held in self.holders.items() if now_ns < held[1]}


class Accounts:
    """All logins and what they hold."""

    def __init__(self, token_ttl_ns: int) -> None:
        self._ttl_ns = token_ttl_ns
        self._n_logins = 0
        self._bearers = _Issued()
        self._refreshers = _Issued()
        self._tickets = _Issued()
        self._sessions = _Issued()

    def log_in(self, user: str, now_ns: int) -> Grant:
        """Open a login for a user who has shown the password."""
        self._n_logins += 1
        if self._n_logins % _SWEEP_EVERY == 0:
            self._sweep(now_ns)
        login = Login(number=self._n_logins, user=user, session="", csrf_key=secrets.token_bytes(32))
        ends_ns = now_ns + REFRESH_LIVES * self._ttl_ns
        login.session = self._sessions.issue(login, ends_ns, lambda: secrets.token_hex(20))
        return self._grant(login, now_ns)

    def refresh(self, refresh_token: str, now_ns: int) -> Grant | None:
        """Hand out fresh tokens against a refresh token, which is used up; None where it is not good."""
        login = self._refreshers.holder(refresh_token, now_ns)
        if login is None:
            return None
        del self._refreshers.holders[refresh_token]
        return self._grant(login, now_ns)

    def bearer(self, access_token: str, now_ns: int) -> Login | None:
        """Find who holds a bearer token."""
        return self._bearers.holder(access_token, now_ns)

    def ticket(self, ws_ticket: str, now_ns: int) -> Login | None:
        """Find who holds a ticket for the socket; it opens any number of sockets while it lives."""
        return self._tickets.holder(ws_ticket, now_ns)

    def session(self, cookie: str, now_ns: int) -> Login | None:
        """Find whose session a cookie is."""
        return self._sessions.holder(cookie, now_ns)

    def _grant(self, login: Login, now_ns: int) -> Grant:
        expires_ns = now_ns + self._ttl_ns
        return Grant(
            login=login,
            access_token=self._bearers.issue(login, expires_ns, lambda: secrets.token_urlsafe(30)),
            refresh_token=self._refreshers.issue(
                login, now_ns + REFRESH_LIVES * self._ttl_ns, lambda: secrets.token_urlsafe(36)
            ),
            ws_ticket=self._tickets.issue(login, expires_ns, lambda: secrets.token_urlsafe(24)),
            expires_in_s=self._ttl_ns // 1_000_000_000,
        )

    def _sweep(self, now_ns: int) -> None:
        for issued in (self._bearers, self._refreshers, self._tickets, self._sessions):
            issued.sweep(now_ns)


def is_account(user: str) -> bool:
    """Tell whether there is such an account."""
    return _USER.fullmatch(user) is not None


def is_password(text: str) -> bool:
    """Compare with the one password, in constant time."""
    return hmac.compare_digest(text.encode(), PASSWORD.encode())


def csrf_token(login: Login) -> str:
    """Mint a CSRF token that is good for this login's session only."""
    nonce = secrets.token_hex(8)
    return f"{nonce}{_sign(login, nonce)}"


def is_csrf_token(login: Login, token: str) -> bool:
    """Tell whether ``csrf_token`` minted it for this login."""
    nonce, signature = token[:16], token[16:]
    return hmac.compare_digest(_sign(login, nonce).encode(), signature.encode())


def _sign(login: Login, nonce: str) -> str:
    return hmac.digest(login.csrf_key, nonce.encode(), hashlib.sha256).hex()[:32]
