"""Certificates for the second, encrypted listener: Google's SDKs will not talk to a server without one."""

from __future__ import annotations

import ipaddress
import os
import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = timedelta(days=365)
_RENEW = timedelta(days=30)  # before the end
_NAMES = ("localhost", "127.0.0.1", "::1")


def context(cert: Path, key: Path | None = None) -> ssl.SSLContext:
    """What a listener needs; `key` may lie in the same file. Raises OSError, naming the file."""
    found = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        found.load_cert_chain(cert, key)
    except OSError as error:  # ssl's own errors too, and none of them names a file
        raise OSError(f"TLS certificate {cert}{f' with key {key}' if key else ''}: {error}") from None
    return found


def self_signed(folder: Path, now: datetime | None = None) -> tuple[Path, Path]:
    """(certificate, key) for this machine's own names, made when there is none in `folder` or it ends soon.

    The key can be read by its owner alone, and the certificate can vouch for no other.
    """
    now = now or datetime.now(timezone.utc)
    cert, key = folder / "localhost-cert.pem", folder / "localhost-key.pem"
    if not _is_good(cert, key, now):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        secret = ec.generate_private_key(ec.SECP256R1())
        _write(key, _private(secret))
        _write(cert, _signed(secret, now).public_bytes(serialization.Encoding.PEM))
    return cert, key


def _is_good(cert: Path, key: Path, now: datetime) -> bool:
    try:
        found = x509.load_pem_x509_certificate(cert.read_bytes())
        secret = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return False
    lasts = found.not_valid_before_utc <= now < found.not_valid_after_utc - _RENEW
    return lasts and secret.public_key() == found.public_key()


def _signed(secret: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "duplex on this machine")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(secret.public_key())
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=secret.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(minutes=5),  # another clock may be slow
        not_valid_after=now + _LIFE,
    )
    for extension, critical in (
        (x509.SubjectAlternativeName([_name(name) for name in _NAMES]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (identifier, False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
    ):
        builder = builder.add_extension(extension, critical)
    return builder.sign(secret, hashes.SHA256())


def _name(name: str) -> x509.GeneralName:
    return x509.DNSName(name) if name == "localhost" else x509.IPAddress(ipaddress.ip_address(name))


def _private(secret: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return secret.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _write(path: Path, data: bytes) -> None:
    """As a whole or not at all, so that two servers that start at once leave a file that can be read."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
        file.write(data)
    fresh.replace(path)
