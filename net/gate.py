"""The gate of one world: carries connections between the world and the outside, for what was granted and
no more.

```text
 app ─▶ Granted ────▶ Admission ───▶ Dialed ──▶ Carrier ─▶ outside     what listens inside, by which grant
        places,                      one grant                         what comes is let through, and how
        ranges, names                                                  it is carried
 app ◀─ AppPort ◀──── Publications ◀──────────────────── outside       the way in
```

Rules:
- A grant is a listening socket inside, at exactly the granted address and port; the kernel refuses all else.
- Outside failure is told to the app by a reset, since its connection inside was already made when the outside
  was tried, and to the caller by an event.
- `run` owns every socket of the world's network in this process and has closed them when it returns, but for
  the watcher's, which a thread closes a moment later.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import trio

from libos.errors import HostError
from libos.net import watcher
from libos.net.accept import Acceptor
from libos.net.address import Address
from libos.net.admission import Admission
from libos.net.carrier import Carrier
from libos.net.datagrams.flows import Flows
from libos.net.datagrams.refusals import Refuser
from libos.net.diag.listening import Listening
from libos.net.granting.denial import told
from libos.net.granting.dialed import Consult, Dialed
from libos.net.granting.granted import Granted
from libos.net.granting.places import Place, specs
from libos.net.granting.rule import Rule
from libos.net.granting.target import target_of
from libos.net.http.web import Web
from libos.net.inbound.app_port import AppPorts
from libos.net.inbound.inbound import Inbound, Publications
from libos.net.inbound.publication import Publication, conflict
from libos.net.inbound.published import Sweeper
from libos.net.naming import dns
from libos.net.naming.names import Names
from libos.net.outbound.lookup import WORLD_LOOKUPS
from libos.net.outbound.service import Service
from libos.net.routed.link import Link
from libos.net.routed.shape import Shape
from libos.net.routed.sides import APP, GATE, Sides
from libos.net.sockets import Observe, OpenSockets

if TYPE_CHECKING:
    from libos.net.routed.capture import CaptureTo
    from libos.net.routed.counters import Counters
    from libos.net.routed.ranges import Ranges

# Seconds for the last bytes of a world that has ended.
FINISH_SECONDS = 5.0
# Turns of trio's scheduler until what waits in a listener's backlog is accepted and counted: one to see that
# the listener is readable, one to accept, one to start the connection's task.
_TICKS = 4


@dataclass(frozen=True)
class _Running:
    """What a gate has while it runs."""

    nursery: trio.Nursery
    watching: watcher.Watcher
    app_ports: AppPorts


class Gate:
    """The gate of `world`. `observe` gets its events: see docs/reference/network.md.

    `gate_sockets` makes sockets on the gate's side of a routed world; None where the world is flat.
    `shape` is how the link of a routed world is to behave, `capture` the file that is told what it carries.
    `connection_limit` is how many connections the world may hold at once; by default an eighth of this
    process's descriptors. `sweeper` removes the files of published unix sockets when this process is killed.
    `web` has the world's certificate authority and secrets; without one the gate makes its own.
    """

    def __init__(
        self,
        world: str,
        open_sockets: OpenSockets,
        names: Names,
        observe: Observe,
        *,
        gate_sockets: OpenSockets | None = None,
        shape: Shape | None = None,
        capture: CaptureTo | None = None,
        connection_limit: int | None = None,
        sweeper: Sweeper | None = None,
        web: Web | None = None,
    ) -> None:
        self.world = world
        self.names = names
        # Answers for grants that ask; set before `run`.
        self.consult: Consult | None = None
        self.carrier = Carrier(observe)  # carries its connections
        self._sides = sides = Sides(open_sockets, gate_sockets)
        self._observe = partial(self._tell, observe)
        self._web = web or Web(world, self._observe)
        self._lookups = trio.CapacityLimiter(WORLD_LOOKUPS)
        self._link = Link(sides, shape, capture, self._observe)
        self._running: _Running | None = None
        self._over = trio.Event()  # all that it served has ended

        self._granted = Granted(names, sides, self._new_grant, self._serve)
        self._acceptor = Acceptor(observe, connection_limit)
        self._refuser = Refuser(sides)
        self._flows = Flows(self._grants, self.carrier, self._refuser, self._observe)
        self._admission = Admission(
            names, self._grants, self._acceptor, self.carrier, self._flows, self._observe
        )

        self.publications = Publications(open_sockets, self._acceptor, self.carrier, observe, sweeper)
        # Where the app listens, by its kernel.
        self.listening = Listening(open_sockets, self._granted.places.inodes)

    @property
    def grants(self) -> list[Dialed]:
        """What may be dialed, in the order in which they decide."""
        return self._granted.live

    @property
    def ranges(self) -> Ranges:
        """The ranges of addresses that are listened for."""
        return self._granted.ranges

    async def run(
        self,
        dials: Sequence[Rule | Address] = (),
        publications: Sequence[Publication] = (),
        *,
        task_status: trio.TaskStatus[list[Publication]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled. Called once.

        started() comes when all of `dials` can be dialed, names are answered, refusals are seen and all of
        `publications` listen; its value is these, with the ports that were chosen. All sockets are asked for
        in one request. Raises HostError where a publication's address cannot be had, OSError where a listener
        cannot be made inside.
        """
        with contextlib.ExitStack() as stack:
            published = self.publications.bind(publications)
            stack.callback(self.publications.close_all)
            stack.callback(self.listening.close)
            missing = self._granted.first(map(_rule, dials))
            devices = watcher.ROUTED if self._sides.routed else watcher.FLAT
            own = [*((APP, spec) for spec in watcher.specs(devices)), *((GATE, spec) for spec in dns.SPECS)]
            tasks = await self._link.begin(stack)
            self._granted.device = self._link.device
            sockets = await self._sides.open([*own, *specs(missing)])
            watched, sockets = sockets[: len(devices)], sockets[len(devices) :]
            for made in sockets:
                stack.enter_context(made)
            answering, listening = sockets[: len(dns.SPECS)], sockets[len(dns.SPECS) :]
            stack.callback(self._granted.close)
            stack.callback(self._refuser.close)
            with contextlib.closing(watcher.Watcher(watched, self.names, self._observe, devices)) as watching:
                responder = dns.Responder(answering, self._granted.directory, self._observe)
                places = await self._granted.bind(missing, listening)
                async with self._serving(watching) as nursery:
                    for task in (watching.run, *tasks):
                        nursery.start_soon(task)
                    nursery.start_soon(responder.serve_datagrams, nursery)
                    nursery.start_soon(responder.serve_streams, nursery)
                    self._serve(places)
                    for each in published:
                        nursery.start_soon(self.publications.serve, each, watching)
                    task_status.started([each.publication for each in published])

    @contextlib.asynccontextmanager
    async def _serving(self, watching: watcher.Watcher) -> AsyncIterator[trio.Nursery]:
        """A nursery for all that the gate serves; what is asked of the gate meanwhile is served too."""
        with contextlib.closing(AppPorts(self._sides.app, watching)) as app_ports:
            try:
                async with trio.open_nursery() as nursery:
                    self._running = _Running(nursery, watching, app_ports)
                    yield nursery
            finally:
                self._running = None
                self._over.set()

    async def dial(self, rule: Rule | Address) -> Dialed:
        """Grant what a rule says while the gate runs, after what was granted before; gives the grant that is
        there where exactly the same was granted.

        Raises OSError: EADDRINUSE where the app listens at that address itself, EOPNOTSUPP for a range in a
        flat world and for HTTP over TLS in one that trusts no authority, EPIPE where the gate does not run or
        the world has ended.
        """
        rule = _rule(rule)
        if rule.speaks_tls and not self._web.trusted:
            why = "this world has no certificate authority: give it a dial with http at its start"
            raise OSError(errno.EOPNOTSUPP, why)
        return await self._granted.add(rule)

    def publish(self, publication: Publication) -> Inbound:
        """Publish a port of the app while the gate runs; it listens outside when this returns.

        Raises HostError where the address outside cannot be had, or the app dials that port of itself, EPIPE
        where the gate does not run or the world has ended.
        """
        running = self._required()
        for address in (each for grant in self.grants for each in grant.rule.to.addresses()):
            if (why := conflict(publication, address)) is not None:
                raise HostError(why)
        (made,) = self.publications.bind([publication])
        running.nursery.start_soon(self.publications.serve, made, running.watching)
        return made

    def offer(self, service: Service) -> None:
        """Serve a unix socket inside until it is taken back or the gate ends. Raises OSError: EPIPE where the
        gate does not run or the world has ended."""
        self._required().nursery.start_soon(service.serve, self._acceptor, self.carrier, self._observe)

    async def connect(self, port: int) -> socket.socket:
        """A connection to a TCP port of the app, at its loopback; the caller's. Raises OSError: ECONNREFUSED
        where it does not listen, EPIPE where the gate does not run or the world has ended."""
        return await self._required().app_ports.connect(port)

    async def refresh(self) -> None:
        """Listen for what is allowed now and was not before: a grant was taken back that refused it.

        Raises OSError as `dial` does, and does nothing once the world has ended.
        """
        if self._running is None:
            return
        opened = await self._granted.open()
        if self._running is None:
            self._granted.close()
        else:
            self._serve(opened)

    async def counters(self) -> Counters | None:
        """What the link of a routed world has carried, as it is now; None in a flat one. Raises OSError."""
        return await self._link.counters()

    async def finish(self) -> None:
        """Once a world's processes have gone: carry what they sent to its end, tell what they were refused.

        A program may write, close and exit at once, and its kernel would still deliver. Waits for outside
        peers that do not read, at most 5 s, and not at all where nothing is open. Call it before `close`, or
        before `run` is cancelled.
        """
        if self._link.settling:
            await trio.sleep(min(self._link.settling, FINISH_SECONDS))
        for _ in range(_TICKS):
            await trio.lowlevel.checkpoint()
        if self._running is not None:
            self._running.watching.read_all()
        with trio.move_on_after(FINISH_SECONDS):
            await self._flows.all_read()
            await self.carrier.all_sent()
            await self._flows.finish()

    async def close(self) -> None:
        """End what is still carried, and with it `run`; every event of it has been told when this returns."""
        if self._running is not None:
            self._running.nursery.cancel_scope.cancel()
            await self._over.wait()

    def _required(self) -> _Running:
        if self._running is None:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        return self._running

    def _serve(self, places: Iterable[Place]) -> None:
        """Serve new places. Raises OSError (EPIPE) where the gate does not run, and closes all then."""
        if self._running is None:
            self._granted.close()
        nursery = self._required().nursery
        for place in places:
            nursery.start_soon(self._admission.serve, place, nursery)

    def _grants(self) -> list[Dialed]:
        return self._granted.live

    def _new_grant(self, number: int, rule: Rule, release: Callable[[Dialed], None]) -> Dialed:
        return Dialed(number, rule, release, self._observe, self.consult, self._web, self._lookups)

    def _tell(self, observe: Observe, kind: str, fields: dict[str, object]) -> None:
        observe(*told(self.grants, kind, fields))


def _rule(what: Rule | Address) -> Rule:
    return what if isinstance(what, Rule) else Rule(target_of(what))
