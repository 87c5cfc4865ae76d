"""The service: requests and answers, and the containers that there are.

Rules:
- A request is answered by one line, `stream` by several, the last of which says "ended". What is wrong with a
  request is the answer "error", and changes nothing.
- A container goes when it is destroyed, with the service, or `grace_time` seconds after the last request that
  names it, where nothing runs in it: a client that died leaves nothing for ever.
- Who may ask stands in `libos.control.clients`: the user who runs the service, and no app.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import trio

from libos.control.channel import Channel
from libos.control.wire import Message
from libos.errors import LibosError, ManifestError, SupervisorError
from libos.supervisor import Supervisor
from libos.warden.containers import Container

_HANDLE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
# Seconds that a container stays without a request, unless it says so itself: Warden's own.
GRACE_SECONDS = 300.0
# Seconds between two looks at who is over his time.
_LOOK_SECONDS = 1.0
_MODES = {"ro": "read-only", "rw": "read-write", "cow": "copy-on-write"}
# Warden's names of limits, and those of [limits].
_LIMITS = {"memory_in_bytes": "memory", "processes": "processes", "disk_in_bytes": "disk", "cpus": "cpus"}


class Warden:
    """`answer` is for `serve_clients`; `keep_time` runs beside it."""

    def __init__(self, supervisor: Supervisor, nursery: trio.Nursery) -> None:
        self._supervisor = supervisor
        self._nursery = nursery
        self._containers: dict[str, Container] = {}
        self._numbers = count(1)
        self._making: set[str] = set()
        self._verbs: dict[str, Callable[[Channel, Message], Awaitable[Message | None]]] = {
            name: getattr(self, f"_{name}") for name in VERBS
        }

    async def answer(self, channel: Channel, message: Message, descriptors: list[int]) -> None:
        """Answer one request."""
        verb = self._verbs.get(str(message.get("request")))
        if verb is None:
            raise SupervisorError(f"there is no {message.get('request')!r}: there are {', '.join(VERBS)}")
        try:
            answer = await verb(channel, message)
        except OSError as error:
            raise SupervisorError(f"{error.filename or message['request']}: {error.strerror}") from error
        except ExceptionGroup as error:
            raise next((each for each in error.exceptions if isinstance(each, LibosError)), error) from error
        if answer is not None:
            await channel.send({"answer": message["request"], **answer})

    async def close(self) -> None:
        """Destroy all containers."""
        for each in list(self._containers.values()):
            del self._containers[each.handle]
            await each.destroy()

    async def keep_time(self) -> None:
        """Destroy what is over its time; until cancelled."""
        while True:
            await trio.sleep(_LOOK_SECONDS)
            now = trio.current_time()
            for each in list(self._containers.values()):
                if each.idle() and now - each.used > each.grace:
                    del self._containers[each.handle]
                    await each.destroy()

    def _container(self, message: Message) -> Container:
        found = self._containers.get(str(message.get("handle")))
        if found is None:
            raise SupervisorError(
                f"there is no container {message.get('handle')!r}: list tells which there are"
            )
        found.used = trio.current_time()
        return found

    async def _ping(self, channel: Channel, message: Message) -> Message:
        return {}

    async def _echo(self, channel: Channel, message: Message) -> Message:
        return {"message": message.get("message")}

    async def _list(self, channel: Channel, message: Message) -> Message:
        return {"handles": sorted(self._containers)}

    async def _create(self, channel: Channel, message: Message) -> Message:
        handle = str(message.get("handle") or f"container-{next(self._numbers)}")
        if not _HANDLE.fullmatch(handle):
            raise SupervisorError(f"the handle {handle!r} is not of a-z, 0-9 and -, at most 32 of them")
        if handle in self._containers or handle in self._making:
            raise SupervisorError(f"there is a container {handle!r} already")
        grace = _seconds(message.get("grace_time", GRACE_SECONDS))
        self._making.add(handle)
        try:
            app = await self._supervisor.start(_manifest(message), stdin=subprocess.PIPE, name=handle)
        finally:
            self._making.discard(handle)
        self._containers[handle] = Container(handle, app, grace, self._nursery)
        return {"handle": handle}

    async def _info(self, channel: Channel, message: Message) -> Message:
        found = self._container(message)
        jobs = [number for number, job in found.jobs.items() if job.status is None]
        return {"handle": found.handle, "state": "active", "jobs": jobs, "stats": await found.app.stats()}

    async def _spawn(self, channel: Channel, message: Message) -> Message:
        return {"job_id": await self._container(message).spawn(_text(message, "script"))}

    async def _link(self, channel: Channel, message: Message) -> Message:
        return await self._container(message).job(message.get("job_id")).ended()

    async def _run(self, channel: Channel, message: Message) -> Message:
        container = self._container(message)
        return await container.job(await container.spawn(_text(message, "script"))).ended()

    async def _stream(self, channel: Channel, message: Message) -> Message:
        job = self._container(message).job(message.get("job_id"))
        async for name, data in job.pieces():
            await channel.send({"answer": "stream", "name": name, "data": data.decode(errors="replace")})
        return {"ended": True, **await job.ended()}

    async def _net_out(self, channel: Channel, message: Message) -> Message:
        grant = await self._container(message).app.dial(_text(message, "to"))
        return {"grant": grant.id}

    async def _net_in(self, channel: Channel, message: Message) -> Message:
        port, host = message.get("container_port"), message.get("host_port", 0)
        if not isinstance(port, int) or not isinstance(host, int):
            raise SupervisorError("container_port and host_port are numbers")
        grant = await self._container(message).app.publish(port, host)
        return {"grant": grant.id, "published": str(grant.at)}

    async def _copy_in(self, channel: Channel, message: Message) -> Message:
        await self._container(message).copy_in(_text(message, "src_path"), _text(message, "dst_path"))
        return {}

    async def _copy_out(self, channel: Channel, message: Message) -> Message:
        await self._container(message).copy_out(_text(message, "src_path"), _text(message, "dst_path"))
        return {}

    async def _stop(self, channel: Channel, message: Message) -> Message:
        await self._container(message).stop(kill=bool(message.get("kill")))
        return {}

    async def _destroy(self, channel: Channel, message: Message) -> Message:
        found = self._container(message)
        del self._containers[found.handle]
        await found.destroy()
        return {}


VERBS = (
    *("ping", "echo", "create", "list", "info", "spawn", "link", "stream", "run"),
    *("net_in", "net_out", "copy_in", "copy_out", "stop", "destroy"),
)


def _text(message: Message, key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str) or not value:
        raise SupervisorError(f"{message['request']} needs {key!r}, a text")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    raise SupervisorError(f"grace_time is a number of seconds, not {value!r}")


def _manifest(message: Message) -> dict[str, Any]:
    """What `create` asks for, as a manifest's value; ManifestError for what cannot be."""
    mounts, limits = [], {}
    for each in message.get("bind_mounts") or ():
        if not isinstance(each, dict) or str(each.get("mode", "ro")).lower() not in _MODES:
            raise ManifestError(
                f"a bind mount has src_path, dst_path, and as mode {', '.join(_MODES)}: {each!r}"
            )
        mode = _MODES[str(each.get("mode", "ro")).lower()]
        mounts.append({"at": each.get("dst_path"), "host": each.get("src_path"), "mode": mode})
    for key, value in (message.get("limits") or {}).items():
        if key not in _LIMITS:
            raise ManifestError(f"there is no limit {key!r}: there are {', '.join(_LIMITS)}")
        limits[_LIMITS[key]] = value
    return {"include": ["base"], "app": {"command": ["cat"]}, "mount": mounts, "limits": limits}
