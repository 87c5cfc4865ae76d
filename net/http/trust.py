"""What is trusted: outside, the system's authorities; inside, a bundle of these and the world's own.

Rules: what is outside is always verified, name and chain; there is no switch for it. A file of further
authorities (a company's, a test's) is added for the grant that names it, and for no other.
"""

from __future__ import annotations

import os
import ssl

# Where distributions keep all authorities in one file: Debian and Arch, Fedora, openSUSE, Alpine. Go's
# crypto/x509 looks at the same.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def outside_context(ca: str | None) -> ssl.SSLContext:
    """What verifies a server outside; it takes 10 to 30 ms to make. Raises OSError where `ca` cannot be read
    or holds no certificate."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca is not None:
        context.load_verify_locations(ca)
    return context


def bundle(own: str) -> str:
    """The host's bundle with one more certificate; that one alone where the host has no bundle."""
    paths = ssl.get_default_verify_paths()
    for path in (paths.cafile, *_BUNDLES):
        if path is not None and os.path.isfile(path):
            with open(path, encoding="ascii", errors="replace") as file:
                return f"{file.read().rstrip()}\n{own}"
    return own
