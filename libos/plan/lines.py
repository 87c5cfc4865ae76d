"""The lines of `libos explain`: what was asked for, in a few words, and why it is given as it is."""

from __future__ import annotations

from collections.abc import Iterable

from libos.manifest.descriptors import ENTER
from libos.manifest.model import Listen, Manifest
from libos.namespace import (
    BoundSource,
    BytesSource,
    ChannelSource,
    FunctionSource,
    HostSource,
    MemorySource,
    Mount,
    NodeSource,
    P9Source,
    ServiceSource,
    TextSource,
    Vetted,
    WorldSource,
)
from libos.plan.dial_lines import dialed, size_text, why_dialed
from libos.plan.model import Line
from libos.plan.network import rule, why_routed
from libos.plan.web import secret_lines, why_http

# What every world has, whatever its manifest says.
INIT_LINES = (
    Line("/proc", "always", "init", "of the world's own pid namespace", "libos"),
    Line("/dev", "always", "init", "null, zero, full, random, urandom, tty, pts, shm, fd", "libos"),
)


def asked(mount: Mount) -> str:
    """What a mount asks for, in a few words."""
    source = mount.source
    if isinstance(source, BoundSource):
        return f"bind {source.path}, {mount.mode}"
    if isinstance(source, HostSource):
        return f"{f'image {source.image}' if source.image else f'host {source.path}'}, {mount.mode}"
    if isinstance(source, MemorySource):
        return f"memory, {size_text(source.size)}"
    if isinstance(source, TextSource):
        return f"text, {len(source.text.encode())} bytes"
    if isinstance(source, BytesSource):
        return f"bytes, {len(source.data)} bytes"
    if isinstance(source, ChannelSource):
        return f"channel {source.words()}"
    if isinstance(source, FunctionSource):
        return f"function {getattr(source.function, '__qualname__', type(source.function).__name__)}"
    if isinstance(source, ServiceSource):
        return f"service {source}"
    if isinstance(source, P9Source | NodeSource):
        what = f"9P {source.to}" if isinstance(source, P9Source) else f"node {type(source.node).__name__}"
        return f"{what}, {mount.mode}"
    return "always"


def why_service(source: ServiceSource) -> str:
    """What carries a service."""
    if not isinstance(source.to, str):
        return "a listener of the supervisor's: an async function answers each connection"
    return "a listener of the supervisor's, which connects outside for each connection"


def _why_layered(mount: Mount) -> str:
    if any(isinstance(each, Vetted) for each in mount.layers):
        return "looked through before the start: what passed can be executed, and is served as it was"
    return f"{', '.join(type(each).__name__.lower() for each in mount.layers)}: no kernel mount does that"


def why_served(mount: Mount) -> str:
    """The reason for which no kernel mount gives what is asked for."""
    if mount.layers:
        return _why_layered(mount)
    if mount.replaceable:
        return "replaceable: a rename over it replaces the host's file; what is made beside it is in memory"
    if mount.revocable:
        return "revocable: what is open of it fails when it is taken back"
    if isinstance(mount.source, FunctionSource):
        return "a function answers it, anew at each open"
    if isinstance(mount.source, NodeSource):
        return "Python code answers it"
    if isinstance(mount.source, P9Source):
        return "a file server of its own answers each use, by 9P2000.L"
    if isinstance(mount.source, ChannelSource):
        return "opened before the start; each get and put is counted"
    if isinstance(mount.source, WorldSource):
        if mount.source.name == ENTER:
            return "what is written to it gives up all names, for good"
        return "the supervisor writes it from what is granted"
    return "the content stands in the manifest, not on the host"


def _why_published(listen: Listen) -> str:
    if not listen.is_published:
        return "published nowhere: the caller is told when the app listens"
    inside = "sends it to the port inside, a flow for each peer" if listen.network == "udp" else ""
    inside = inside or "connects to the port inside"
    told = ", and tells the app who connects" if listen.proxy_protocol else ""
    return f"the supervisor listens at {listen.published} and {inside}{told}"


def network_lines(manifest: Manifest) -> Iterable[Line]:
    routed = why_routed(manifest)
    if routed:
        asked = "routed" if manifest.network.routed else "as it must be"
        yield Line(
            "network", asked, "link", f"routed: {'; '.join(routed)}", manifest.network.origin or "libos"
        )
    for dial in manifest.dials:
        yield Line(
            dial.to, dialed(rule(dial)), "gate", why_dialed(dial) + why_http(dial, manifest), dial.origin
        )
    for listen in manifest.listens:
        reason = _why_published(listen)
        yield Line(listen.name, "listen", "gate", reason, listen.origin)
    yield from secret_lines(manifest)
    if not manifest.dials:
        yield Line(
            "network", "nothing", "gate", "no address is granted: every connect is refused at once", "libos"
        )
