"""HTTP rules of a [[dial]] and the keys of one [[secret]], made into values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from libos.manifest import values
from libos.manifest.document import Document
from libos.manifest.model import Secret
from libos.manifest.paths import absolute
from libos.manifest.problems import Problem

if TYPE_CHECKING:
    from libos.net.http.rules import HttpRule

# Where a secret's value comes from: exactly one of these stands in it.
SECRET_SOURCES = ("environment", "file", "command")
# Headers that say where a message ends or whom it is for: what stands there is the gate's.
_FRAMING = ("host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer")


def http_rules(raw: Any) -> tuple[HttpRule, ...] | None:
    """The rules of one dial grant, from checked raw values; None where it has none."""
    if raw is None:
        return None
    from libos.net.http.rules import HttpRule, check_host_pattern

    return tuple(
        HttpRule(
            methods=tuple(each["method"]) if "method" in each else None,
            path=each.get("path"),
            host=check_host_pattern(each["host"]) if "host" in each else None,
            upgrade=each.get("upgrade", False),
            refuse=each.get("action") == "refuse",
        )
        for each in raw
    )


def secret(raw: Mapping[str, Any], base: str, origin: str) -> Secret:
    """One secret from its checked raw values; its file is relative to `base`."""
    command = raw.get("command")
    return Secret(
        name=raw["name"],
        header=raw["header"],
        to=tuple(values.dial_target(each) for each in raw["to"]),
        environment=raw.get("environment"),
        file=absolute(raw["file"], base) if "file" in raw else None,
        command=None if command is None else tuple(command),
        at=raw.get("at"),
        origin=origin,
    )


def secret_problems(document: Document) -> Iterator[Problem]:
    """What is wrong with a secret only by several of its keys."""
    secrets = document.raw.get("secret")
    for index, raw in enumerate(secrets if isinstance(secrets, list) else ()):
        if not isinstance(raw, dict):
            continue
        said = [key for key in SECRET_SOURCES if key in raw]
        if len(said) != 1:
            found = f"this one has {' and '.join(said)}" if said else "this one has none of them"
            message = f"a secret's value comes from one of {', '.join(SECRET_SOURCES)}: {found}"
            yield document.problem(("secret", index), message)


def method(value: str) -> str:
    """An HTTP method."""
    from libos.net.http.rules import check_method

    return check_method(value)


def request_path(value: str) -> str:
    """A pattern of paths: "/v1/**"."""
    from libos.net.http.rules import check_path

    return check_path(value)


def request_host(value: str) -> str:
    """A host, or a pattern of one."""
    from libos.net.http.rules import check_host_pattern

    return check_host_pattern(value)


def secret_name(value: str) -> str:
    """The name of a secret, which is that of an environment variable too."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError(f'"{value}" is no name for a secret: it is a variable too, as "API_TOKEN"')
    return value


def header(value: str) -> str:
    """The name of a header that may hold a secret."""
    if not re.fullmatch(r"[!#$%&'*+.^`|~0-9A-Za-z-]+", value) or value.lower() in _FRAMING:
        raise ValueError(f'"{value}" is no header that can hold a secret: write one as "Authorization"')
    return value
