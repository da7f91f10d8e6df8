"""Policy files, key files: what they do, and what is said where they are wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from captures.errors import ConfigError
from captures.redact.keys import key_from
from captures.redact.policy import Class, Policy
from captures.redact.policy_file import load_policy

POLICY = """\
name = "shop"
[add]
headers = ["X-Partner-*"]
keys = ["loyalty_no", "legacy*ref"]
credentials = ["Door-Code"]
values = ["ACME-[0-9]{10}"]
[keep]
keys = ["session"]
headers = ["x-api-key"]
[drop]
headers = ["x-debug-user"]
"""

# Text of the policy · what must be said.
WRONG = [
    ("[add]\nkeys = 'a'", "line 2: 'keys' is no list of texts"),
    ("\n[add]\nkeyz = ['a']", "line 3: 'keyz' is not known in [add]: known are headers, keys, credentials, values"),
    ("[keep]\nvalues = ['a']", "line 2: 'values' is not known in [keep]"),
    ("name = 3", "line 1: 'name' is no text"),
    ("[remove]\nkeys = []", "line 1: 'remove' is not known"),
    ("[add]\nvalues = ['ok1', 'A(']", "line 2: 'A(' is no regular expression"),
    ("[add]\nvalues = [\n  'ok1',\n  'x*',\n]", "line 4: 'x*' finds nothing everywhere"),
    ("[add", "is not TOML"),
    ("add = 1", "line 1: 'add' is no table"),
    ("[add]\nkeys = ['']", "is no list of texts"),
]


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    """The policy above."""
    path = tmp_path / "shop.toml"
    path.write_text(POLICY)
    return load_policy(path)


def test_rules_are_added_kept_and_dropped(policy: Policy) -> None:
    assert policy.of_key("LoyaltyNo").klass is Class.SECRET
    assert policy.of_key("legacy_customer_ref").klass is Class.SECRET
    assert policy.of_key("doorCode").klass is Class.CRED
    assert policy.of_key("session").klass is Class.KEEP
    assert policy.of_header(b"x-partner-id").klass is Class.SECRET
    assert policy.of_header(b"x-api-key").klass is Class.KEEP
    assert policy.drops(b"x-debug-user") and not policy.drops(b"x-debug")
    assert policy.values[0].search(b"ref ACME-0123456789")


def test_the_digest_names_what_the_policy_says(policy: Policy, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(POLICY.replace("shop", "mall"))
    assert load_policy(other).digest == policy.digest != Policy().digest
    other.write_text(POLICY.replace("{10}", "{11}"))
    assert load_policy(other).digest != policy.digest


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_wrong_policy_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_policy(path)
    assert said in str(caught.value) and "p.toml" in str(caught.value)


def test_a_policy_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_policy(tmp_path / "nowhere.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_policy(tmp_path / "latin.toml")


# Key · class of what stands under it.
KEYS = [
    ("password", Class.CRED),
    ("user[password]", Class.CRED),
    ("newPassword", Class.CRED),
    ("passwordHint", Class.KEEP),
    ("password_policy", Class.KEEP),
    ("otp", Class.CRED),
    ("cvv", Class.CRED),
    ("access_token", Class.SECRET),
    ("X-CSRF-Token", Class.SECRET),
    ("authenticity_token", Class.SECRET),
    ("csrfmiddlewaretoken", Class.SECRET),
    ("ws_ticket", Class.SECRET),
    ("token_type", Class.KEEP),
    ("expires_in", Class.KEEP),
    ("token_endpoint", Class.KEEP),
    ("tokenExpiresAt", Class.KEEP),
    ("JSESSIONID", Class.SECRET),
    ("client_secret", Class.SECRET),
    ("SAMLResponse", Class.SECRET),
    ("apiKey", Class.SECRET),
    ("email", Class.PII),
    ("emailVerified", Class.KEEP),
    ("firstName", Class.PII),
    ("name", Class.KEEP),
    ("card_number", Class.PII),
    ("id", Class.KEEP),
    ("cursor", Class.KEEP),
    ("symbol", Class.KEEP),
    ("price", Class.KEEP),
    ("keyboard", Class.KEEP),
    ("company", Class.KEEP),
]


@pytest.mark.parametrize(("key", "klass"), KEYS)
def test_names_say_what_stands_under_them(key: str, klass: Class) -> None:
    assert Policy().of_key(key).klass is klass


def test_a_key_file_is_made_private_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "shop.key"
    key = key_from(path)
    assert len(key) == 32 and key_from(path) == key
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_key_file_that_is_no_secret_or_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shop.key"
    key_from(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        key_from(path)
    path.chmod(0o600)
    path.write_text("hello")
    with pytest.raises(ConfigError, match="is not a key file"):
        key_from(path)
    with pytest.raises(ConfigError, match="cannot be made"):
        key_from(tmp_path / "nowhere" / "shop.key")
