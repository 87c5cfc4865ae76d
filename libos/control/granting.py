"""What a client of the control socket asks about a world's grants: to list, make and take back.

Requests: {"request": "grants"}; {"request": "mount", "at": "...", "mount": {"host": "/absolute", ...}}
with the keys of a [[mount]]; {"request": "publish", "port": N, ...} with those of a [[listen]];
{"request": "unmount", "at": "..."}; {"request": "revoke", "grant": "ID or place"}, with
"notice", seconds, where the app is told first; {"request": "narrow",
"grant": "ID or place", "keys": {"read_only": true, ...}} with what `Grant.narrow` or `DialGrant.narrow`
takes. Answers: "grants" with "grants", "granted" with "grant", "done".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libos.control.wire import Message, ProtocolError
from libos.errors import ManifestError, SupervisorError
from libos.notices import require_seconds

if TYPE_CHECKING:
    from libos.app import App

# What can be taken from a grant of files, and from a dial.
_OF_FILES = {"read_only": bool, "hide": list, "only": list}
_OF_DIALS = {"deny": list, "connections": int, "sent": (int, str), "received": (int, str), "rate": (int, str)}


async def answer_granting(app: App, message: Message) -> Message:
    """Do what a request of this kind asks and give the answer. Raises LibosError, ProtocolError."""
    try:
        return await _answer(app, message)
    except OSError as error:
        raise SupervisorError(f"{error.strerror}") from error


async def _answer(app: App, message: Message) -> Message:
    match message["request"]:
        case "grants":
            return {"answer": "grants", "grants": [grant.describe() for grant in app.all_grants()]}
        case "mount":
            mount = message.get("mount")
            if not isinstance(mount, dict):
                raise ProtocolError("a mount request has a table of keys")
            grant = await app.mount(_text(message, "at"), mount)
            return {"answer": "granted", "grant": grant.describe()}
        case "publish":
            port, where = message.get("port"), message.get("publish")
            if not isinstance(port, int) or not isinstance(where, (str, int)):
                raise ProtocolError('"port" is a number, "publish" a text or a number')
            published = app.publications.publish(
                port,
                where,
                {key: message.get(key) for key in ("network", "proxy_protocol", "label")},
            )
            return {"answer": "granted", "grant": published.describe()}
        case "dial":
            wanted = message.get("keys")
            if not isinstance(wanted, dict) or "to" in wanted:
                raise ProtocolError("a dial request has a table of keys")
            dialed = await app.dial(_text(message, "to"), **wanted)
            return {"answer": "granted", "grant": dialed.describe()}
        case "narrow":
            await _narrow(app, _text(message, "grant"), message.get("keys"))
        case "unmount":
            await app.unmount(_text(message, "at"))
        case _:
            await _revoke(app, _text(message, "grant"), message.get("notice"))
    return {"answer": "done"}


async def _revoke(app: App, name: str, notice: object) -> None:
    from libos.publishing import PublishGrant

    grant = app.grant(name)
    if notice is None:
        await grant.revoke()
    elif isinstance(grant, PublishGrant):
        raise ManifestError(f"{name}: a publication is taken back at once, an app cannot give it back")
    elif not isinstance(notice, (int, float)) or isinstance(notice, bool):
        raise ProtocolError('"notice" is a number of seconds')
    else:
        try:
            require_seconds(notice)
        except ValueError as wrong:
            raise ManifestError(str(wrong)) from None
        await grant.revoke(notice=notice)


async def _narrow(app: App, name: str, keys: object) -> None:
    from libos.dialing import DialGrant
    from libos.grants import Grant

    if not isinstance(keys, dict) or not keys:
        raise ProtocolError("a narrow request has a table of what is taken")
    grant = app.grant(name)
    if not isinstance(grant, Grant | DialGrant):
        raise ManifestError(f"{name}: a publication cannot be narrowed, only revoked")
    known = _OF_FILES if isinstance(grant, Grant) else _OF_DIALS
    for key, value in keys.items():
        if key not in known:
            raise ManifestError(f"{name}: {key} cannot be taken from it, only {', '.join(known)}")
        if not isinstance(value, known[key]):  # type: ignore[arg-type]  # a type, or a tuple of some
            raise ProtocolError(f'"{key}" has the wrong type')
    await grant.narrow(**keys)


def _text(message: Message, key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise ProtocolError(f'"{key}" is a text')
    return value
