"""The certificate authority of one world: what the app trusts in place of the hosts that it may ask.

Rules:
- It is made when a world is that needs it, and ends with it. Its key is in this process's memory alone.
- One leaf a name, made at the first connection, all with one key of their own; contexts are kept for the
  names that were used last.
- A certificate says what CAs' certificates say (RFC 5280, and the CA/Browser Forum's baseline requirements,
  section 7.1.2): strict clients check that.
- The libraries are imported when the first authority is made: 60 ms.
"""

from __future__ import annotations

import datetime
import functools
import ipaddress
import os
import ssl
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

# Days. A world that runs longer would need another authority; clients refuse leaves of more than 398 days.
_CA_DAYS = 365 * 5
_LEAF_DAYS = 397
# A clock inside, such as faketime's, may be a little behind.
_BEFORE = datetime.timedelta(days=2)
# Contexts that are kept, at some 100 KiB each.
_CONTEXTS = 256

# The names that a client's handshake asked for; set by who wants to know, in the task of the handshake.
asked_name: ContextVar[list[str | None]] = ContextVar("asked_name")


class Authority:
    """The authority of a world. `pem` is its certificate. Thread-safe to make; then for the trio thread."""

    def __init__(self, world: str) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(f"libos world {world}"[:64])
        self._certificate = self._make_own()
        self.pem = _pem(self._certificate)
        self.context = functools.lru_cache(maxsize=_CONTEXTS)(self._context)

    def _make_own(self) -> x509.Certificate:
        from cryptography import x509

        usage = _usage(key_cert_sign=True, crl_sign=True)
        builder = _builder(self._name, self._name, self._key, _CA_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(usage, critical=True)
        return self._signed(builder)

    def leaf(self, host: str) -> x509.Certificate:
        """A new certificate for a name or a literal address."""
        from cryptography import x509

        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        # A common name has 64 characters at most; clients look at the alternative names alone.
        builder = _builder(_name(host[:64]), self._name, self._leaf_key, _LEAF_DAYS)
        server = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(digital_signature=True), critical=True)
        builder = builder.add_extension(server, critical=False).add_extension(issuer, critical=False)
        return self._signed(builder.add_extension(x509.SubjectAlternativeName([name]), critical=False))

    def _context(self, host: str) -> ssl.SSLContext:
        """What a server for `host` has. Call it as `context`, which keeps what it gave. Sync: 1 ms."""
        from cryptography.hazmat.primitives import serialization as forms

        key = self._leaf_key.private_bytes(
            forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # The ssl module loads from files only: this one is memory, and nobody else's.
        leaf_fd = os.memfd_create("leaf", os.MFD_CLOEXEC)
        try:
            os.write(leaf_fd, key + _pem(self.leaf(host)).encode())
            context.load_cert_chain(f"/proc/self/fd/{leaf_fd}")
        finally:
            os.close(leaf_fd)
        context.sni_callback = _note_name
        return context

    def _signed(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        from cryptography.hazmat.primitives import hashes

        return builder.sign(self._key, hashes.SHA256())


def _note_name(
    _connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext
) -> None:
    if (names := asked_name.get(None)) is not None:
        names.append(name)


def _name(common: str) -> x509.Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - _BEFORE)
    builder = builder.not_valid_after(now - _BEFORE + datetime.timedelta(days=days))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _usage(**said: bool) -> x509.KeyUsage:
    from cryptography import x509

    uses = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
    more = ("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{use: said.get(use, False) for use in (*uses, *more)})


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()
