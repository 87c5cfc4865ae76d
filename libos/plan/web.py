"""What a manifest asks of HTTP and secrets: rules for the gate, files and variables for the app. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING

from libos.manifest.problems import Problem, at_origin
from libos.namespace import Mount, WorldSource

if TYPE_CHECKING:
    from libos.manifest.model import Dial, Manifest, Secret
    from libos.net.http.rules import Http
    from libos.plan.hostview import HostView
    from libos.plan.model import Line

# The source of the bundle that is trusted inside, and where it stands: where Debian has it, as far as there
# is room, which programs know without being told.
BUNDLE = "ca-certificates"
_BUNDLE_AT = "/etc/ssl/certs/ca-certificates.crt"
_BUNDLE_ELSEWHERE = "/run/libos/ca-certificates.crt"
# What tells OpenSSL, Python's requests, curl, Node and git where it is.
_BUNDLE_VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
)


def http_of(dial: Dial, secret: bool) -> Http | None:
    """What a dial says of HTTP; with `secret` it is the target of one, and so speaks HTTP in any case."""
    if dial.http is None and not secret:
        return None
    from libos.net.http.rules import Http

    return Http(dial.http, dial.tls, dial.ca, dial.http_request, dial.http_response)


def secret_targets(manifest: Manifest) -> frozenset[str]:
    """The dial grants to which secrets go, by their `to`."""
    return frozenset(to for secret in manifest.secrets for to in secret.to)


def speaks_tls(manifest: Manifest) -> bool:
    """Whether the app meets certificates that are made for its world."""
    from libos.net.granting.target import parse_target

    targets = secret_targets(manifest)
    for dial in manifest.dials:
        http = http_of(dial, dial.to in targets)
        if http is not None and any(http.over_tls(port) for port in parse_target(dial.to).each_port()):
            return True
    return False


def web_mounts(manifest: Manifest, host: HostView) -> list[Mount]:
    """The bundle, and a file for each placeholder that is wanted in one."""
    mounts = [
        Mount(secret.at, WorldSource(f"secret/{secret.name}"), origin=secret.origin)
        for secret in manifest.secrets
        if secret.at is not None
    ]
    if manifest.dials and speaks_tls(manifest):
        mounts.append(Mount(bundle_place(manifest, host), WorldSource(BUNDLE), origin="libos"))
    return mounts


def web_environment(manifest: Manifest, host: HostView) -> dict[str, str]:
    """The variables that lead programs to the bundle."""
    if not manifest.dials or not speaks_tls(manifest):
        return {}
    return dict.fromkeys(_BUNDLE_VARIABLES, bundle_place(manifest, host))


def bundle_place(manifest: Manifest, host: HostView) -> str:
    """Where the bundle is mounted: a host directory that is mounted there must have that file."""
    folder = _BUNDLE_AT.rpartition("/")[0]
    above = any(
        folder == mount.at or folder.startswith(mount.at.rstrip("/") + "/") for mount in manifest.mounts
    )
    there = host.resolve(_BUNDLE_AT) == _BUNDLE_AT
    return _BUNDLE_AT if there or not above else _BUNDLE_ELSEWHERE


def web_problems(manifest: Manifest) -> Iterator[Problem]:
    """What of HTTP and secrets cannot work together."""
    for dial in manifest.dials:
        if (message := _dial_problem(dial, dial.to in secret_targets(manifest))) is not None:
            yield at_origin(dial.origin or dial.to, message)
    for secret in manifest.secrets:
        for message in _secret_problems(secret, manifest):
            yield at_origin(secret.origin or secret.name, message)


def _dial_problem(dial: Dial, secret: bool) -> str | None:
    said = [
        key
        for key in ("http", "tls", "ca", "http_request", "http_response")
        if getattr(dial, key) is not None
    ]
    if said and dial.to.startswith("udp!"):
        return f'"{said[0]}" is about TCP: write tcp!… or remove it'
    for key in ("http_request", "http_response"):
        if key in said and not inspect.iscoroutinefunction(getattr(dial, key)):
            return (
                f'"{key}" is an async function: it gets the request, and may change its headers or refuse it'
            )
    if said and dial.http is None and not secret:
        return f'"{said[0]}" without http: say which requests pass, as http = [{{ path = "/**" }}]'
    return None


def _secret_problems(secret: Secret, manifest: Manifest) -> Iterator[str]:
    from libos.net.granting.target import parse_target

    if secret.name in manifest.app.environment:
        yield f'"{secret.name}" is set in [app] environment too: remove it there, or rename the secret'
    if any(mount.at == secret.at for mount in manifest.mounts):
        yield f'"{secret.at}" is mounted already: choose another place for the placeholder of {secret.name}'
    dials = {dial.to: dial for dial in manifest.dials}
    for to in secret.to:
        if to not in dials:
            yield f'{secret.name} goes to "{to}", which nothing grants: add [[dial]] to = "{to}"'
            continue
        plain = [port for port in parse_target(to).each_port() if port == 80]
        if to.startswith("udp!"):
            yield f'{secret.name} goes to "{to}": secrets go over HTTP, so write tcp!…'
        elif plain and dials[to].tls is None:
            yield (
                f'{secret.name} would go to "{to}" without encryption: '
                "write tls = false in that [[dial]] where this is meant"
            )


def why_http(dial: Dial, manifest: Manifest) -> str:
    """What is judged of the requests by a dial grant, as the end of a sentence; nothing without HTTP."""
    if dial.http is None and dial.to not in secret_targets(manifest):
        return ""
    rules = (
        "every request passes" if dial.http is None else f"what passes is said by {_rules(len(dial.http))}"
    )
    names = [secret.name for secret in manifest.secrets if dial.to in secret.to]
    puts = f", and the value of {', '.join(names)} is put in" if names else ""
    return f"; HTTP/1.1 with the supervisor: {rules}{puts}"


def _rules(count: int) -> str:
    return {0: "no rule, so nothing does", 1: "1 rule"}.get(count, f"{count} rules")


def secret_lines(manifest: Manifest) -> Iterator[Line]:
    """A line for each secret: where its value comes from and goes to, never what it is."""
    from libos.plan.model import Line  # which imports what imports this

    for secret in manifest.secrets:
        to = ", ".join(secret.to)
        where = f"the value of {secret.source} goes into {secret.header} to {to} and nowhere else"
        yield Line(secret.name, "secret", "placeholder", f"the app has a random word; {where}", secret.origin)
