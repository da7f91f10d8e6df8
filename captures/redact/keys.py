"""The key of the pseudonyms: random and forgotten, or kept in a file of the user's to link several captures."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from captures.errors import ConfigError
from captures.redact.pseudonyms import KEY_BYTES


def random_key() -> bytes:
    """Return a key that nobody keeps."""
    return os.urandom(KEY_BYTES)


def key_from(path: Path) -> bytes:
    """Read a key file, or make one (mode 0600, 64 hex digits).

    Raises:
        ConfigError: others may read it, it is not a key, or it cannot be read or made.
    """
    try:
        return _made(path)
    except FileExistsError:
        return _read(path)
    except OSError as exc:
        raise ConfigError(f"key file {path} cannot be made: {exc.strerror}", "name another place") from exc


def _made(path: Path) -> bytes:
    key = random_key()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(key.hex() + "\n")
    return key


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(1024)
    except OSError as exc:
        raise ConfigError(f"key file {path} cannot be read: {exc.strerror}", "name another file") from exc
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"key file {path} can be read by others", f"chmod 600 {path}")
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path} is not a key file", f"one holds {2 * KEY_BYTES} hex digits; name a new file to make")
    return key
