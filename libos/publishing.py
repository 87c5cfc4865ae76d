"""Publications: where a running app is reached from outside, each a handle by which its holder takes it back.

Rules, as the other grants have them (`libos.grants`, `libos.dialing`):
- Every publication of a world is a grant, those of its manifest too, with an id of its own: "p1", "p2" …
- An address outside is had or not: where it is taken, that is the error, and nothing has changed.
- What is taken back is refused at once, and what is open by it is reset.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio

from libos.branch import refuse_later
from libos.errors import ManifestError, SupervisorError
from libos.net.inbound.publication import Publication
from libos.plan.labelling import require_label
from libos.unwrap import unwrapped

if TYPE_CHECKING:
    from libos.events import Hub
    from libos.manifest.model import Listen
    from libos.net.diag.listening import Listening
    from libos.net.gate import Gate
    from libos.net.inbound.inbound import Inbound
    from libos.plan import Plan

# Where a publication that was made later says that it comes from.
LATER = "published while running"


@dataclass(eq=False)
class PublishGrant:
    """One publication of one world. Methods are for the supervisor's trio thread."""

    live: Inbound
    holder: Publications
    origin: str = LATER

    @property
    def id(self) -> str:
        """Its id: "p1"."""
        return f"p{self.live.number}"

    @property
    def address(self) -> str:
        """Where it is reached outside, as a dial string, with the port that was chosen: "tcp!127.0.0.1!8080",
        "udp!127.0.0.1!5353", "unix!/run/user/1000/app.sock"."""
        return self.live.address

    @property
    def at(self) -> str:
        """The same: what `libos grants` shows as its place."""
        return self.address

    @property
    def port(self) -> int:
        """The app's port."""
        return self.live.publication.port

    @property
    def revoked(self) -> bool:
        """Whether it was taken back."""
        return self.live.closed

    async def revoke(self) -> None:
        """Take it back: the address outside is free, and what is open by it is reset. Does nothing the second
        time."""
        await self.end("revoke")

    async def end(self, action: str) -> None:
        """As `revoke`; `action` is what the event says."""
        if not self.revoked:
            self.live.close()
            self.holder.tell(self, action)

    def describe(self) -> dict[str, object]:
        """What it is, as `libos grants` prints it."""
        told = ", PROXY protocol" if self.live.publication.proxy_protocol else ""
        what = f"port {self.port}{told}"
        return {"id": self.id, "at": self.at, "what": what, "mechanism": "gate", "from": self.origin}


class Publications:
    """All publications of one world that have not been taken back."""

    def __init__(self, name: str, gate: Gate, hub: Hub, plan: Plan) -> None:
        self._name = name
        self._gate = gate
        self._hub = hub
        self._plan = plan
        asked = [each for each in plan.listens if each.is_published]
        # Those of the start came first, in this order.
        self._grants = {
            live: PublishGrant(live, self, each.origin)
            for live, each in zip(gate.publications.live, asked, strict=True)
        }

    def __iter__(self) -> Iterator[PublishGrant]:
        return iter([self._grants[live] for live in self._gate.publications.live])

    def publish(self, port: int, where: str | int | None, keys: Mapping[str, Any]) -> PublishGrant:
        """Publish a port; see `App.publish`. Sync: who asks has it, or the error, at once."""
        refuse_later(self._plan.within, f"port {port} cannot be published")
        asked = _listen(port, where, keys)
        require_label(self._plan, asked.name, asked.label)
        wanted = publication(asked)
        try:
            live = self._gate.publish(wanted)
        except OSError as error:
            raise SupervisorError(f"{error.strerror}") from error
        grant = self._grants[live] = PublishGrant(live, self)
        self.tell(grant, "publish")
        return grant

    def tell(self, grant: PublishGrant, action: str) -> None:
        """Emit the event of a change."""
        if grant.revoked:
            self._grants.pop(grant.live, None)
        where = {"address": grant.address, "port": grant.port}
        self._hub.tell_grant(self._name, action, grant.id, where, "gate")


def publication(wanted: Listen) -> Publication:
    """What the gate is asked for a [[listen]]."""
    return Publication(
        wanted.port, wanted.host, wanted.outside, wanted.network, wanted.path, wanted.proxy_protocol
    )


def _listen(port: int, where: str | int | None, keys: Mapping[str, Any]) -> Listen:
    from libos.manifest import from_mapping

    said = {key: value for key, value in {"publish": where, **keys}.items() if value is not None}
    manifest = from_mapping({"listen": [{"port": port, **said}]})
    (wanted,) = manifest.listens
    if not wanted.is_published:
        raise ManifestError("say where to publish: false is for the manifest")
    return wanted


async def wait_listening(
    listening: Listening, port: int, ended: Callable[[], Awaitable[None]], *, hears: bool
) -> None:
    """See `App.wait_listening`; `hears` says whether init tells of listen(2) in this world."""

    async def end() -> None:
        await ended()
        raise SupervisorError(f"the world ended before it listened at port {port}")

    try:
        if not hears and port not in await listening.ports():
            raise SupervisorError(
                f"nothing listens at port {port}, and this world does not tell when that changes: "
                "start it with a [[listen]] of the port; publish = false publishes nothing"
            )
        async with unwrapped(), trio.open_nursery() as nursery:
            nursery.start_soon(end)
            await listening.wait(port)
            nursery.cancel_scope.cancel()
    except OSError as error:
        raise SupervisorError(f"port {port} cannot be watched: {error.strerror}") from error
