"""What the operator of a server may set."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from duplex.protocols.sound import MAX_MESSAGE_S


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Where to listen, whom to let in, how much to take. Raises ValueError for a value out of range."""

    host: str = "127.0.0.1"
    port: int = 8998  # 0: any free port
    key: str | None = None  # guards every route but /health
    twilio_token: str | None = (
        None  # Twilio's auth token: at /twilio what it signs needs no key, and all else needs one
    )
    origins: tuple[str, ...] = ()  # pages that browsers may connect from besides this host's, "https://example.org"
    paced: bool = True  # False: answer as fast as the agent goes
    ahead_ms: int = 240  # how far the answers may run ahead of real time
    max_backlog_ticks: int = 64  # frames held for a client that bursts; then its socket is not read
    max_message_bytes: int = 16 << 20  # a picture; of sound max_message_s allows less
    max_message_s: float = MAX_MESSAGE_S  # of sound in one message: each minute holds the others up for a tick
    idle_s: float = 30.0  # a client that completes no frame, or takes no message, for this long is let go
    silent_s: float = 900.0  # the same for a client that may leave out its sound, as others' protocols allow
    models: Mapping[str, str] = field(default_factory=dict)  # a model that clients ask for -> the agent that answers
    drain_s: float = 5.0  # how long running conversations may go on after SIGTERM
    tls_self_signed: bool = False  # listen a second time, encrypted, with a certificate that is made here
    tls_cert: Path | None = None  # the same with a certificate of your own (PEM)
    tls_key: Path | None = None  # None: it is in tls_cert
    tls_port: int = 8999  # of the second listener; 0: any free port

    def __post_init__(self) -> None:
        for name, low in (("ahead_ms", 0), ("drain_s", 0), ("max_backlog_ticks", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be at least {low}, got {getattr(self, name)}")
        for name in ("port", "tls_port"):
            if not 0 <= getattr(self, name) <= 65_535:
                raise ValueError(f"{name} must be 0 to 65535, got {getattr(self, name)}")
        for name in ("max_message_s", "idle_s", "silent_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0, got {getattr(self, name)}")
        if not 1 <= self.max_message_bytes <= 16 << 20:
            raise ValueError(f"max_message_bytes must be 1 to {16 << 20}, got {self.max_message_bytes}")
        if self.tls_self_signed and self.tls_cert:
            raise ValueError("tls_self_signed makes a certificate and tls_cert names one: set one of the two")
        if self.tls_key and not self.tls_cert:
            raise ValueError("tls_key needs tls_cert")
        if self.key == "":
            raise ValueError("key must not be empty; leave it out for a server without one")
        if self.twilio_token == "":
            raise ValueError("twilio_token must not be empty; leave it out where nothing is signed")


def is_loopback(host: str | None) -> bool:
    """Whether `host`, a name or an address without port, is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
