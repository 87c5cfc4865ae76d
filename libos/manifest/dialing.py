"""The keys of one [[dial]]: made into a value, and what several of them say together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from libos.manifest import values
from libos.manifest.document import Document
from libos.manifest.model import Dial
from libos.manifest.paths import absolute
from libos.manifest.problems import Problem
from libos.manifest.web import http_rules


def dial(raw: Mapping[str, Any], base: str, origin: str) -> Dial:
    """One dial grant from its checked raw values; files are relative to `base`."""
    ask = raw.get("ask", False)
    timeout = ask.get("timeout") if isinstance(ask, Mapping) else None
    return Dial(
        to=values.dial_target(raw["to"]),
        deny=tuple(values.dial_target(each) for each in raw.get("deny", ())),
        via=raw.get("via"),
        private=raw.get("private", False),
        connections=raw.get("connections"),
        sent=values.amount(raw["sent"]) if "sent" in raw else None,
        received=values.amount(raw["received"]) if "received" in raw else None,
        rate=values.rate(raw["rate"]) if "rate" in raw else None,
        ask=bool(ask),
        ask_seconds=None if timeout is None else values.duration(timeout),
        http=http_rules(raw.get("http")),
        tls=raw.get("tls"),
        ca=absolute(raw["ca"], base) if "ca" in raw else None,
        http_request=raw.get("http_request"),
        http_response=raw.get("http_response"),
        label=raw.get("label"),
        origin=origin,
    )


def dialed_option(text: str) -> Dial:
    """A dial as --dial says it: ADDRESS, or ADDRESS,private where its name may lead to private addresses.
    Raises ValueError."""
    to, _, word = text.rpartition(",")
    private = bool(to) and word == "private"
    target = values.dial_target(to if private else text)
    return Dial(target, private=private, origin=f"--dial {text}")


def dial_problems(document: Document) -> Iterator[Problem]:
    """What is wrong with a dial only by two of its keys."""
    dials = document.raw.get("dial")
    for index, raw in enumerate(dials if isinstance(dials, list) else ()):
        if not isinstance(raw, dict) or not isinstance(to := raw.get("to"), str):
            continue
        network = to.partition("!")[0]
        via = raw.get("via")
        if via is not None and network == "udp" and not (isinstance(via, str) and via.startswith("udp!")):
            message = "datagrams go to another address only: write one as udp!127.0.0.1!53, or no via"
            yield document.problem(("dial", index, "via"), message)
        if isinstance(via, str) and network == "tcp" and via.startswith("udp!"):
            message = "a connection cannot go by datagrams: write an address as tcp!127.0.0.1!9000"
            yield document.problem(("dial", index, "via"), message)
        if callable(via) and not _is_async(via):
            message = "a function for via is an async one: it gets the stream and answers on it"
            yield document.problem(("dial", index, "via"), message)
        deny = raw.get("deny")
        for at, each in enumerate(deny if isinstance(deny, list) else ()):
            if isinstance(each, str) and each.partition("!")[0] != network and "!" in each:
                message = f'"{each}" takes nothing from "{to}": write {network}!… too, or remove it'
                yield document.problem(("dial", index, "deny", at), message)


def _is_async(function: Any) -> bool:
    import inspect

    called = getattr(function, "__call__", None)  # noqa: B004 - an object whose call is a coroutine function
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)
