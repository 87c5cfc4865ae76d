"""Events as lines for people: what happened, to what, and what came of it. Pure; everything is harmless.

Rules: one line an event, whatever stands in it, in the manner of strace: what was asked for, then "=" and
what was answered. Nothing of an event is left out but what is empty: fields without a place of their own
stand at the end.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable

from libos.events import Event
from libos.harmless import harmless
from libos.seen.fields import Fields, number, text, texts, whole

# Characters of one line: names are shown whole, and an app that makes longer ones floods no terminal.
LONGEST = 1000


def line(event: Event, *, world: bool = False) -> str:
    """The line of an event: the time of day, with `world` the world's name, the kind, and what happened."""
    head = f"{_clock(event.time)} "
    if world:
        head += f"{event.world or '-'} "
    return harmless(_cut(f"{head}{event.kind:<15} {said(event)}".rstrip()))


def said(event: Event) -> str:
    """What happened, without time and kind; not harmless."""
    tell = _SAID.get(event.kind)
    told, used = tell(event.fields) if tell else ("", ())
    rest = " ".join(
        f"{key}={_value(value)}"
        for key, value in event.fields.items()
        if key not in used and value not in (None, "", [], {}) and not (key == "count" and value == 1)
    )
    return " ".join(each for each in (told, rest) if each)


def _clock(seconds: float) -> str:
    try:
        return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{int(seconds % 1 * 1e6):06d}"
    except (OverflowError, ValueError, OSError):
        return f"{seconds:f}"


def _cut(whole_line: str) -> str:
    return (
        whole_line
        if len(whole_line) <= LONGEST
        else f"{whole_line[:LONGEST]}… ({len(whole_line)} characters)"
    )


def _value(value: object) -> str:
    if isinstance(value, str):
        return shlex.quote(value) if value else "''"
    return json.dumps(value)


Told = tuple[str, tuple[str, ...]]


def _plan(fields: Fields) -> Told:
    keys = ("mounts", "dials", "listens", "limits")
    counts = [f"{len(held)} {key}" for key in keys if isinstance(held := fields.get(key), list) and held]
    told = (
        f"{text(fields, 'manifest')}: {', '.join(counts)}" if text(fields, "manifest") else ", ".join(counts)
    )
    return told, (*keys, "manifest", "syscalls", "folder", "path")


def _start(fields: Fields) -> Told:
    return shlex.join(texts(fields, "command")), ("command",)


def _exit(fields: Fields) -> Told:
    reason, status = text(fields, "reason"), whole(fields, "status")
    told = f"= {status} ({reason}) after {number(fields, 'seconds'):.3f} s"
    return told, ("status", "reason", "seconds")


def _absent(fields: Fields) -> Told:
    return f"{text(fields, 'path')} = ENOENT", ("path",)


def _used(fields: Fields) -> Told:
    return f"{text(fields, 'operation')} {text(fields, 'path')}", ("operation", "path")


def _audit(fields: Fields) -> Told:
    error, size = text(fields, "error"), whole(fields, "size")
    answer = error or (str(size) if size is not None else "0")
    told = f"{text(fields, 'operation')} {text(fields, 'path')}"
    other = f" -> {text(fields, 'other')}" if text(fields, "other") else ""
    return f"{told}{other} = {answer}", ("operation", "path", "other", "error", "size")


def _label(fields: Fields) -> Told:
    thing = text(fields, "path") or text(fields, "address")
    answer = text(fields, "rule") or text(fields, "decision")
    told = (
        f"{text(fields, 'operation')} {thing} ({text(fields, 'label')}) by {text(fields, 'level')} = {answer}"
    )
    return told, ("operation", "path", "address", "label", "level", "decision", "rule")


def _domain(fields: Fields) -> Told:
    who, verbs = text(fields, "domain") or "no domain", " ".join(texts(fields, "wanted"))
    rule = f"{who} {text(fields, 'type')}: {verbs}"
    told = f"{text(fields, 'operation')} {text(fields, 'path')} ({rule}) = EACCES"
    return told, ("operation", "path", "domain", "type", "wanted")


def _exec(fields: Fields) -> Told:
    told = f"{text(fields, 'operation')} {text(fields, 'path')} ({text(fields, 'reason')}) = EACCES"
    return told, ("operation", "path", "reason")


def _no_name(fields: Fields) -> Told:
    return f"{text(fields, 'name')} {text(fields, 'type')} = NXDOMAIN", (
        "name",
        "type",
        *_if_zero(fields, "untold"),
    )


def _name(fields: Fields) -> Told:
    found = ", ".join(texts(fields, "addresses"))
    told = f"{text(fields, 'name')} {text(fields, 'type')} = {found or 'none'}"
    return told, ("name", "type", "addresses", *_if_zero(fields, "untold"))


def _if_zero(fields: Fields, key: str) -> tuple[str, ...]:
    return (key,) if not whole(fields, key) else ()


def _refused(fields: Fields) -> Told:
    host = text(fields, "name") or text(fields, "address")
    told = f"{text(fields, 'network') or 'tcp'}!{host}!{fields.get('port')} = ECONNREFUSED"
    return told, ("network", "port", "name", *(() if text(fields, "name") else ("address",)))


def _denied(fields: Fields) -> Told:
    return f"{text(fields, 'address')} = refused", ("address",)


def _opened(fields: Fields) -> Told:
    told = f"{text(fields, 'address')} -> {text(fields, 'to') or 'libos'}"
    return f"{told} [{fields.get('connection')}]", ("address", "to", "connection")


def _came_in(fields: Fields) -> Told:
    told = f"{text(fields, 'peer')} -> {text(fields, 'address')} -> port {fields.get('port')}"
    return f"{told} [{fields.get('connection')}]", ("address", "peer", "port", "connection")


def _request(fields: Fields) -> Told:
    asked = f"{text(fields, 'method') or '?'} {text(fields, 'host') or '?'}{text(fields, 'path')}"
    return f"{asked} = {fields.get('status') or 'refused'}", ("method", "host", "path", "status")


def _call(fields: Fields) -> Told:
    arguments = ", ".join(texts(fields, "arguments"))
    told = f"{fields.get('call')}({arguments}) = {text(fields, 'error') or 'passed'}"
    return told, ("call", "arguments", "error")


def _interposed(fields: Fields) -> Told:
    arguments = ", ".join(texts(fields, "arguments"))
    value = fields.get("value")
    answer = text(fields, "error") or (text(fields, "answer") if value is None else str(value))
    fault = f" ({text(fields, 'fault')})" if text(fields, "fault") else ""
    told = f"{fields.get('call')}({arguments}) = {answer}{fault}"
    return told, ("call", "arguments", "answer", "value", "error", "fault")


def _ask(fields: Fields) -> Told:
    return f"{text(fields, 'operation')} {text(fields, 'path')}?", ("operation", "path")


def _answer(fields: Fields) -> Told:
    return f"{text(fields, 'path')} = {fields.get('answer') or 'nobody'}", ("path", "answer")


def _grant(fields: Fields) -> Told:
    at = text(fields, "path") or text(fields, "address")
    return f"{text(fields, 'action')} {at}", ("action", "path", "address")


_SAID: dict[str, Callable[[Fields], Told]] = {
    "world.plan": _plan,
    "app.start": _start,
    "app.exit": _exit,
    "path.absent": _absent,
    "path.used": _used,
    "audit": _audit,
    "label": _label,
    "domain.refused": _domain,
    "exec.refused": _exec,
    "name.absent": _no_name,
    "name.found": _name,
    "dial.refused": _refused,
    "dial.denied": _denied,
    "dial.limited": _denied,
    "dial.open": _opened,
    "dial.close": _opened,
    "listen.open": _came_in,
    "listen.close": _came_in,
    "http.request": _request,
    "http.refused": _request,
    "syscall.refused": _call,
    "syscall.call": _interposed,
    "ask": _ask,
    "answer": _answer,
    "grant": _grant,
}
