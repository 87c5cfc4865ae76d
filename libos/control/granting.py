"""What a client of the control socket asks about a world's grants: to list, make and take back.

Requests: {"request": "grants"}; {"request": "mount", "at": "...", "mount": {"host": "/absolute", ...}}
with the keys of a [[mount]]; {"request": "publish", "port": N, ...} with those of a [[listen]];
{"request": "unmount", "at": "..."}; {"request": "revoke", "grant": "ID or place"}. Answers: "grants" with
"grants", "granted" with "grant", "done".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libos.control.wire import Message, ProtocolError
from libos.errors import SupervisorError

if TYPE_CHECKING:
    from libos.app import App


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
                {"network": message.get("network"), "proxy_protocol": message.get("proxy_protocol")},
            )
            return {"answer": "granted", "grant": published.describe()}
        case "dial":
            wanted = message.get("keys")
            if not isinstance(wanted, dict) or "to" in wanted:
                raise ProtocolError("a dial request has a table of keys")
            dialed = await app.dial(_text(message, "to"), **wanted)
            return {"answer": "granted", "grant": dialed.describe()}
        case "unmount":
            await app.unmount(_text(message, "at"))
        case _:
            await app.grant(_text(message, "grant")).revoke()
    return {"answer": "done"}


def _text(message: Message, key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise ProtocolError(f'"{key}" is a text')
    return value
