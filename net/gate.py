"""The gate of one world: carries connections between the world and the outside, for what was granted and
no more.

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
import itertools
import os
import socket
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import trio

from libos.errors import HostError
from libos.net import watcher
from libos.net.accept import Acceptor
from libos.net.address import Address
from libos.net.carrier import Carrier
from libos.net.datagrams.flows import Flows
from libos.net.datagrams.refusals import Refuser
from libos.net.diag.listening import Listening
from libos.net.granting.denial import denied, told
from libos.net.granting.dialed import Consult, Dialed
from libos.net.granting.directory import Directory
from libos.net.granting.places import Place, Places, specs
from libos.net.granting.rule import Rule, decide
from libos.net.granting.target import target_of
from libos.net.http.web import Web
from libos.net.inbound.app_port import AppPort
from libos.net.inbound.inbound import Inbound, Publications
from libos.net.inbound.publication import Publication, conflict
from libos.net.inbound.published import Sweeper
from libos.net.naming import dns
from libos.net.naming.names import Names
from libos.net.outbound.service import Service
from libos.net.routed.ranges import Ranges
from libos.net.routed.shape import Shape
from libos.net.routed.sides import APP, GATE, Sides
from libos.net.sockets import Observe, OpenSockets, abort

if TYPE_CHECKING:
    from libos.net.routed.capture import Capture, CaptureTo
    from libos.net.routed.counters import Counters
    from libos.net.routed.delayline import Line

# Seconds for the last bytes of a world that has ended.
FINISH_SECONDS = 5.0
# Turns of trio's scheduler until what waits in a listener's backlog is accepted and counted: one to see that
# the listener is readable, one to accept, one to start the connection's task.
_TICKS = 4


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
        self._sides = Sides(open_sockets, gate_sockets)
        self._shape = shape
        self._capture_to = capture
        self._observe = partial(self._tell, observe)
        # Answers for grants that ask; set before `run`.
        self.consult: Consult | None = None
        self._acceptor = Acceptor(observe, connection_limit)
        self._carrier = Carrier(observe)
        self.publications = Publications(open_sockets, self._acceptor, self._carrier, observe, sweeper)
        # In the order in which they decide.
        self.grants: list[Dialed] = []
        # Whose listeners are being made.
        self._coming: list[Dialed] = []
        self._numbers = itertools.count(1)
        self._places = Places(names, self._sides)
        self._directory = Directory(names, self._places, lambda: self.grants, self._serve)
        self.ranges = Ranges(self._sides)
        self._refuser = Refuser(self._sides)
        self._flows = Flows(lambda: self.grants, self._carrier, self._refuser, self._observe)
        self._app_ports: dict[int, AppPort] = {}
        # Where the app listens, by its kernel.
        self.listening = Listening(open_sockets, self._places.inodes)
        self._nursery: trio.Nursery | None = None
        self._watcher: watcher.Watcher | None = None
        self._web = web or Web(world, self._observe)

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
            self.grants = [self._grant(_rule(each)) for each in dials]
            missing = self._places.missing(self._listened(self.grants))
            devices = watcher.ROUTED if self._sides.routed else watcher.FLAT
            own = [*((APP, spec) for spec in watcher.specs(devices)), *((GATE, spec) for spec in dns.SPECS)]
            capture = await self._captured(stack)
            line = await self._shaped(stack)
            sockets = await self._sides.open([*own, *specs(missing)])
            watched, rest = sockets[: len(devices)], sockets[len(devices) :]
            for made in rest:
                stack.enter_context(made)
            stack.callback(self._places.close_all)
            stack.callback(self.ranges.close)
            stack.callback(self._refuser.close)
            with contextlib.closing(watcher.Watcher(watched, self.names, self._observe, devices)) as watching:
                responder = dns.Responder(rest[: len(dns.SPECS)], self._directory, self._observe)
                places = self._places.bind(missing, rest[len(dns.SPECS) :])
                try:
                    async with trio.open_nursery() as nursery:
                        self._nursery, self._watcher = nursery, watching
                        nursery.start_soon(watching.run)
                        if capture is not None:
                            nursery.start_soon(capture.run)
                        if line is not None:
                            nursery.start_soon(line.run)
                        nursery.start_soon(responder.serve_datagrams, nursery)
                        nursery.start_soon(responder.serve_streams, nursery)
                        self._serve([*places, *await self.ranges.open(self._held)])
                        for each in published:
                            nursery.start_soon(self.publications.serve, each, watching)
                        task_status.started([each.publication for each in published])
                finally:
                    self._nursery = self._watcher = None
                    for app_port in self._app_ports.values():
                        app_port.close()

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
        present = next((each for each in self.grants if each.rule == rule), None)
        if present is not None:
            return present
        grant = self._grant(rule)
        self._coming.append(grant)
        try:
            opened = await self._open()
            if self._nursery is None:
                self._places.close_all()
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        except BaseException:
            self._coming.remove(grant)
            self.ranges.apply(self._held())
            raise
        self._coming.remove(grant)
        self.grants.append(grant)
        self.ranges.apply(self._held())  # others may have been granted meanwhile
        self._serve(opened)
        return grant

    def publish(self, publication: Publication) -> Inbound:
        """Publish a port of the app while the gate runs; it listens outside when this returns.

        Raises HostError where the address outside cannot be had, or the app dials that port of itself, EPIPE
        where the gate does not run or the world has ended.
        """
        if self._nursery is None or self._watcher is None:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        for address in (each for grant in self.grants for each in grant.rule.to.addresses()):
            if (why := conflict(publication, address)) is not None:
                raise HostError(why)
        (made,) = self.publications.bind([publication])
        self._nursery.start_soon(self.publications.serve, made, self._watcher)
        return made

    def offer(self, service: Service) -> None:
        """Serve a unix socket inside until it is taken back or the gate ends. Raises OSError: EPIPE where the
        gate does not run or the world has ended."""
        if self._nursery is None:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        self._nursery.start_soon(service.serve, self._acceptor, self.carrier, self._observe)

    async def connect(self, port: int) -> socket.socket:
        """A connection to a TCP port of the app, at its loopback; the caller's. Raises OSError: ECONNREFUSED
        where it does not listen, EPIPE where the gate does not run or the world has ended."""
        if self._watcher is None:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        if port not in self._app_ports:
            self._app_ports[port] = AppPort(port, self._sides.app, self._watcher)
        return await self._app_ports[port].connect()

    async def refresh(self) -> None:
        """Listen for what is allowed now and was not before: a grant was taken back that refused it.

        Raises OSError as `dial` does, and does nothing once the world has ended.
        """
        if self._nursery is None:
            return
        opened = await self._open()
        if self._nursery is None:
            self._places.close_all()
        else:
            self._serve(opened)

    @property
    def carrier(self) -> Carrier:
        """What carries its connections."""
        return self._carrier

    async def counters(self) -> Counters | None:
        """What the link of a routed world has carried, as it is now; None in a flat one. Raises OSError."""
        from libos.net.routed import counters

        return await counters.read(self._sides)

    async def _captured(self, stack: contextlib.ExitStack) -> Capture | None:
        """Capture what the link carries from now on."""
        if self._capture_to is None:
            return None
        from libos.net.routed import capture

        made = stack.enter_context(contextlib.closing(capture.Capture(self._capture_to, self._observe)))
        made.listen(*await self._sides.open([(GATE, capture.SPEC)]))
        return made

    async def _shaped(self, stack: contextlib.ExitStack) -> Line | None:
        """Shape the link; gives what delays its packets, where the kernel does not."""
        if self._shape is None:
            return None
        from libos.net.routed.shaping import shape_link

        line = await shape_link(self._sides, self._shape)
        if line is not None:
            stack.callback(line.close)
            self.ranges.device = "gate"
        return line

    async def finish(self) -> None:
        """Once a world's processes have gone: carry what they sent to its end, tell what they were refused.

        A program may write, close and exit at once, and its kernel would still deliver. Waits for outside
        peers that do not read, at most 5 s, and not at all where nothing is open. Call it before `run` is
        cancelled.
        """
        if self._shape is not None:
            await trio.sleep(min(self._shape.settling, FINISH_SECONDS))
        for _ in range(_TICKS):
            await trio.lowlevel.checkpoint()
        if self._watcher is not None:
            self._watcher.read_all()
        with trio.move_on_after(FINISH_SECONDS):
            await self._flows.all_read()
            await self._carrier.all_sent()
            await self._flows.finish()

    def _grant(self, rule: Rule) -> Dialed:
        return Dialed(next(self._numbers), rule, self._release, self._observe, self.consult, self._web)

    def _tell(self, observe: Observe, kind: str, fields: dict[str, object]) -> None:
        observe(*told(self.grants, kind, fields))

    def _listened(self, grants: Sequence[Dialed]) -> list[Address]:
        """What is listened for: each single address that some grant allows, and what patterns allow of names
        that are there."""
        return self._directory.listened(grants)

    async def _open(self) -> list[Place]:
        """Listen for what grants say; gives new single places. Those of ranges are served already."""
        self._serve(await self.ranges.open(self._held))
        return await self._places.open(self._listened([*self.grants, *self._coming]))

    def _held(self) -> list[Rule]:
        return [grant.rule for grant in (*self.grants, *self._coming)]

    def _release(self, _grant: Dialed) -> None:
        """Stop listening for what no grant allows any more."""
        self.grants = [each for each in self.grants if not each.closed]
        self._directory.release()
        self.ranges.apply(self._held())

    def _serve(self, places: Iterable[Place]) -> None:
        """Serve new places. Raises OSError (EPIPE) where the gate does not run, and closes all then."""
        if self._nursery is None:
            self._places.close_all()
            self.ranges.close()
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        for place in places:
            if place.address.network == "tcp":
                self._nursery.start_soon(self._accept, place)
            else:
                self._nursery.start_soon(self._flows.serve, place, self._nursery)

    async def _accept(self, place: Place) -> None:
        """Carry what connects at a place until it is closed."""

        async def carry(inside: socket.socket) -> None:
            try:
                address = place.reached(inside)
            except OSError:  # it has gone already
                return
            self.names.used(address.host)
            grant = decide(self.grants, address)
            if grant is not None:
                await grant.carry(inside, address, self._carrier)
            else:  # narrowed while it waited in the backlog
                abort(inside)
                self._observe("dial.denied", denied(self.grants, address))

        assert self._nursery is not None
        with place.scope:
            await self._acceptor.accept(place.socket, carry, str(place.address), self._nursery)


def _rule(what: Rule | Address) -> Rule:
    return what if isinstance(what, Rule) else Rule(target_of(what))
