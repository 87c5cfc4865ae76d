"""What a publication is, and how it is written. Pure.

8000                   any address is 127.0.0.1 unless said; 0 is any free port
127.0.0.1:8000         [::1]:8000   0.0.0.0:8000
127.0.0.1:5353/udp     the network behind a slash, as docker writes it
unix:/run/user/1000/app.sock
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

from libos.net.address import NETWORKS, Address, Literal, check_port
from libos.net.naming.names import is_localhost

LOOPBACK = ("127.0.0.1", "::1")
_UNIX = "unix:"
# sun_path holds 108 bytes with the NUL that ends it: unix(7).
LONGEST_PATH = 107


@dataclass(frozen=True)
class Publication:
    """The app's `port` is reached at `host` and `outside_port` outside, where 0 stands for any free port, or
    at the unix socket `path`. `proxy_protocol` tells the app who connects, before the first byte."""

    port: int
    host: str = "127.0.0.1"
    outside_port: int = 0
    network: str = "tcp"
    path: str | None = None
    proxy_protocol: bool = False

    def __str__(self) -> str:
        if self.path is not None:
            return _UNIX + self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.outside_port}" + ("" if self.network == "tcp" else f"/{self.network}")

    @property
    def address(self) -> str:
        """Where it is reached outside, as a dial string."""
        if self.path is not None:
            return f"unix!{self.path}"
        return f"{self.network}!{self.host}!{self.outside_port}"


def parse_publication(
    port: int, text: str, *, network: str | None = None, proxy_protocol: bool = False
) -> Publication:
    """Read where `port` is published; see above. `network` is that of the text, "tcp" where it says none.

    Raises ValueError with one sentence that says what is wrong.
    """
    check_port(port)
    network = check_network(network)
    if text.startswith(_UNIX):
        made = Publication(port, network=network or "tcp", path=_path(text.removeprefix(_UNIX), text))
    else:
        where, slash, said = text.partition("/")
        if slash and network not in (None, check_network(said)):
            raise ValueError(f'"{text}": the network is "{network}" elsewhere: write it once')
        made = _at(port, where, (said if slash else network) or "tcp", text)
    made = replace(made, proxy_protocol=proxy_protocol)
    if made.network == "udp" and (made.path is not None or proxy_protocol):
        what = "the PROXY protocol is" if made.path is None else "a unix socket is published"
        raise ValueError(f'"{text}": {what} for tcp alone: remove one of the two')
    return made


def check_network(network: str | None) -> str | None:
    """The network itself. Raises ValueError where it is none."""
    if network not in (None, *NETWORKS):
        raise ValueError(f'the network "{network}" is not known: write tcp or udp')
    return network


def _at(port: int, where: str, network: str, text: str) -> Publication:
    host, separator, number = where.rpartition(":")
    if not (number.isascii() and number.isdigit() and len(number) <= 5 and int(number) <= 65535):
        raise ValueError(
            f'"{text}": write IP:PORT, as in 127.0.0.1:8000, with a port up to 65535, or unix:/PATH'
        )
    literal = str(_literal(host, text)) if separator else LOOPBACK[0]
    return Publication(port, literal, int(number), network)


def _literal(host: str, text: str) -> Literal:
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        literal = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(
            f'"{text}": "{host}" is not an IP address: write one as 127.0.0.1 or [::1], '
            "or 0.0.0.0 for every interface"
        ) from None
    if bracketed != (literal.version == 6) or "%" in host:
        raise ValueError(f'"{text}": write an IPv6 address in brackets and without a zone, as in [::1]:8000')
    return literal


def _path(path: str, text: str) -> str:
    if not path.startswith("/") or path.endswith("/") or "\0" in path:
        raise ValueError(f'"{text}": write an absolute path, as in unix:/run/user/1000/app.sock')
    if len(path.encode(errors="surrogateescape")) > LONGEST_PATH:
        raise ValueError(f'"{text}": the path of a unix socket has at most {LONGEST_PATH} bytes')
    return path


def conflict(publication: Publication, address: Address) -> str | None:
    """Why the app's port can never be reached beside the grant of `address`, or None where it can."""
    here = address.host in LOOPBACK or is_localhost(address.host)
    if (address.network, address.port) != (publication.network, publication.port) or not here:
        return None
    return (
        f"port {publication.port} is published, and {address} is dialed at the same place inside: "
        "connections would go round in circles; let the app listen on another port"
    )
