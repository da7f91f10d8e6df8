"""What a recording has counted so far: told live, and at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields


@dataclass(slots=True, kw_only=True)
class Counts:
    """Running counts of a recording.

    Attributes:
        n_body_bytes: bytes of bodies and messages as they passed, kept or not.
        n_file_bytes: size of the capture.
        n_files: files that it takes.
        n_errors: exchanges that broke.
        n_open: exchanges and sockets that were still open when the recording stopped.
        n_lost: notices that were dropped because the writer could not keep up, or that a failing hook never made.
        n_connect_failed: connections to recorded hosts that the proxy could not make.
        n_ca_refused: handshakes in which the browser refused the proxy's CA.
        n_tls_failed: handshakes between browser and proxy that failed for another reason.
        n_secrets, n_credentials, n_personal: values that were replaced.
        n_late: values that stand in the file in clear, because they were known as secret too late.
    """

    n_sessions: int = 0
    n_connections: int = 0
    n_exchanges: int = 0
    n_sockets: int = 0
    n_messages: int = 0
    n_body_bytes: int = 0
    n_file_bytes: int = 0
    n_files: int = 0
    n_errors: int = 0
    n_open: int = 0
    n_lost: int = 0
    n_connect_failed: int = 0
    n_ca_refused: int = 0
    n_tls_failed: int = 0
    n_secrets: int = 0
    n_credentials: int = 0
    n_personal: int = 0
    n_late: int = 0

    def to_dict(self) -> dict[str, int]:
        """Give the counts by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, int]) -> Counts:
        """Read counts by name; names that are not known are skipped."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})
