"""The keys of one [[listen]], made into a value; and what -p says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from libos.manifest import values
from libos.manifest.document import Document
from libos.manifest.model import Listen
from libos.manifest.problems import Problem

_LOOPBACK = "127.0.0.1"


def listen(raw: Mapping[str, Any], origin: str) -> Listen:
    """One listen entry from its raw values: the same port on 127.0.0.1 unless `publish` says otherwise.

    Raises ValueError for what its keys cannot say together.
    """
    port, publish, network = raw["port"], raw.get("publish"), raw.get("network")
    if publish is False:
        if raw.get("proxy_protocol"):
            raise ValueError("proxy_protocol needs a publication: remove it, or say where to publish")
        return Listen(port, "", 0, origin, network or "tcp", label=raw.get("label"))
    host, outside, said, path = published(port if publish is None else publish)
    if network is not None and said not in (None, network):
        raise ValueError(f'"{publish}" says {said}, and "network" says {network}: say it once')
    network, told = network or said or "tcp", bool(raw.get("proxy_protocol"))
    if network == "udp" and (told or path is not None):
        what = "the PROXY protocol is" if told else "a unix socket is published"
        raise ValueError(f"{what} for tcp alone: remove it, or network")
    return Listen(port, host, outside, origin, network, path, told, raw.get("label"))


def published(value: str | int | bool) -> tuple[str, int, str | None, str | None]:
    """The outside address of a listen entry: IP, port, the network that it says, the path of a unix socket.

    Raises ValueError.
    """
    if isinstance(value, bool):
        if value:
            raise ValueError('"publish" is where it is reached, or false for nowhere: write "127.0.0.1:8000"')
        return "", 0, None, None
    if isinstance(value, int):
        return _LOOPBACK, values.port(value, zero=True), None, None
    if value.startswith("unix:"):
        from libos.net.inbound.publication import parse_publication

        return "", 0, None, parse_publication(1, value).path
    where, slash, network = value.partition("/")
    host, colon, text = where.rpartition(":")
    number = values.port_text(text, zero=True)
    if slash and network not in ("tcp", "udp"):
        raise ValueError(f'"{network}" is no network: write tcp or udp behind the port')
    return (values.ip_literal(host) if colon else _LOOPBACK), number, network if slash else None, None


def published_option(text: str) -> Listen:
    """[IP:]PORT:PORT, the outside port first, or PORT for both, each with /udp; unix:/PATH:PORT. The IP is
    127.0.0.1 unless said. Raises ValueError."""
    rest, slash, network = text.rpartition("/")
    if slash and ":" not in network and not network.isdigit():
        text = rest
    else:
        slash = ""
    outside, colon, inside = text.rpartition(":")
    raw: dict[str, Any] = {"port": values.port_text(inside)}
    if colon:
        raw["publish"] = outside
    if slash:
        if network not in ("tcp", "udp"):
            raise ValueError(f'"{network}" is no network: write tcp or udp behind the port')
        raw["network"] = network
    return listen(raw, f"-p {text}/{network}" if slash else f"-p {text}")


def listen_problems(document: Document) -> Iterator[Problem]:
    """What the keys of a listen entry say together and cannot, each being right by itself."""
    entries = document.raw.get("listen")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict) or not isinstance(entry.get("port"), int):
            continue
        try:
            values.port(entry["port"])
            if "publish" in entry:
                published(entry["publish"])
        except (ValueError, TypeError, AttributeError):
            continue  # the schema's affair
        try:
            listen(entry, "")
        except ValueError as wrong:
            yield document.problem(("listen", index), str(wrong))
