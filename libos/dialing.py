"""Dial grants: what a running app may connect to, each a handle by which its holder narrows it or takes it
back.

Rules, as the grants of files have them (`libos.grants`):
- Every dial of a world is a grant, those of its manifest too; an app can neither make nor widen one.
- What is taken back is refused at once, and what is open by it is reset.
- The first grant that covers an address decides about it, in the order in which they were granted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from libos.branch import refuse_later
from libos.errors import ManifestError, SupervisorError
from libos.manifest import values
from libos.net.granting.rule import Limits, decide
from libos.net.granting.target import Target, parse_target
from libos.notices import require_seconds
from libos.plan.dial_lines import dialed
from libos.plan.labelling import require_label
from libos.plan.network import network_problems, rule

if TYPE_CHECKING:
    from libos.events import Hub
    from libos.net.gate import Gate
    from libos.net.granting.dialed import Dialed
    from libos.net.granting.rule import Rule
    from libos.notices import Notices
    from libos.plan import Plan

# Where a grant that was made later says that it comes from.
LATER = "dialed while running"


@dataclass(eq=False)
class DialGrant:
    """One dial of one world: an address, or what stands for several. Methods are for the supervisor's trio
    thread; the counts are as they are now."""

    live: Dialed
    holder: Dials

    @property
    def id(self) -> str:
        """Its id: "d1"."""
        return self.live.id

    @property
    def to(self) -> str:
        """What it covers, as it was asked for."""
        return str(self.live.rule.to)

    @property
    def at(self) -> str:
        """The same: what `libos grants` shows as its place."""
        return self.to

    @property
    def revoked(self) -> bool:
        """Whether it was taken back."""
        return self.live.closed

    @property
    def open(self) -> int:
        """Connections that are open, or wait for their other side."""
        return self.live.open

    @property
    def sent(self) -> int:
        """Bytes that went out by it."""
        return self.live.meter.sent.total

    @property
    def received(self) -> int:
        """Bytes that came in by it."""
        return self.live.meter.received.total

    async def narrow(
        self,
        *,
        deny: Iterable[str] = (),
        connections: int | None = None,
        sent: int | str | None = None,
        received: int | str | None = None,
        rate: int | str | None = None,
    ) -> None:
        """Take something from it, at once: addresses (`deny`), or what it may carry, as in a [[dial]]. It
        cannot be given back. Connections to what is denied are reset, and the youngest of those that are too
        many; bytes that have passed count.

        Raises ManifestError for what is no limit or no address, SupervisorError where it was revoked.
        """
        asked = _limits(connections, sent, received, rate)
        denied = _targets(deny)
        if self.revoked:
            raise SupervisorError(f"the grant of {self.to} was revoked")
        self.live.narrow(deny=denied, limits=asked)
        said = {"deny": [str(each) for each in denied], **vars(asked)}
        fields = {key: value for key, value in said.items() if value not in (None, [])}
        self.holder.tell(self, "narrow", **fields)

    async def revoke(self, *, notice: float | None = None) -> None:
        """Take it back: what is open by it is reset, and its addresses are refused unless another grant
        covers them. Does nothing the second time. With `notice`, seconds, the app is told first, as by
        `Grant.revoke`."""
        if notice is not None and not self.revoked:
            await self.holder.ask_back(self, notice)
        await self.end("revoke")

    async def end(self, action: str) -> None:
        """As `revoke`; `action` is what the event says."""
        if not self.revoked:
            self.live.close()
            self.holder.ended(self, action)
            await self.holder.refresh()

    def describe(self) -> dict[str, object]:
        """What it is, as `libos grants` prints it."""
        at, what = self.to, dialed(self.live.rule)
        return {"id": self.id, "at": at, "what": what, "mechanism": "gate", "from": self.live.rule.origin}


class Dials:
    """All dial grants of one world that have not been taken back."""

    def __init__(self, name: str, gate: Gate, hub: Hub, plan: Plan, notices: Notices) -> None:
        self._name = name
        self._gate = gate
        self._hub = hub
        self._plan = plan
        self._notices = notices
        self._grants: dict[int, DialGrant] = {}

    def __iter__(self) -> Iterator[DialGrant]:
        grants = [self._handle(live) for live in self._gate.grants]
        self._grants = {each.live.number: each for each in grants}
        return iter(grants)

    async def dial(self, to: str, keys: Mapping[str, Any]) -> DialGrant:
        """Grant one thing more, after what was granted before; the grant that is there where exactly the same
        was granted. Raises ManifestError, SupervisorError (EADDRINUSE: the app listens there itself)."""
        refuse_later(self._plan.within, f"{to} cannot be dialed")
        wanted = self._rule(to, keys)
        before = list(self._gate.grants)
        note = _decided_before(before, wanted)
        try:
            live = await self._gate.dial(wanted)
        except OSError as error:
            raise SupervisorError(f"{error.strerror}") from error
        grant = self._handle(live)
        if live not in before:
            self.tell(grant, "dial", note=note)
        return grant

    async def refresh(self) -> None:
        """Let what is allowed since a grant was taken back be dialed. An address where the app listens itself
        by now is an event."""
        try:
            await self._gate.refresh()
        except OSError as error:
            self._hub.emit("error", self._name, operation="dial", error=str(error.strerror))

    async def ask_back(self, grant: DialGrant, seconds: float) -> None:
        """Ask the app for a grant, and wait until it is given back or the time is over."""
        require_seconds(seconds)
        self.tell(grant, "notice", seconds=seconds)
        await self._notices.give(grant.id, grant.to, seconds)

    def ended(self, grant: DialGrant, action: str) -> None:
        """Tell that a grant is gone."""
        self._notices.ended(grant.id, grant.to, action)
        self.tell(grant, action)

    def tell(self, grant: DialGrant, action: str, note: str = "", **fields: object) -> None:
        """Emit the event of a change."""
        self._hub.tell_grant(self._name, action, grant.id, {"address": grant.to}, "gate", note, **fields)

    def _handle(self, live: Dialed) -> DialGrant:
        return self._grants.setdefault(live.number, DialGrant(live, self))

    def _rule(self, to: str, keys: Mapping[str, Any]) -> Rule:
        from libos.manifest import from_mapping
        from libos.manifest.problems import error

        manifest = from_mapping({"dial": [{"to": to, **keys}]})
        require_label(self._plan, to, manifest.dials[0].label)
        manifest = replace(manifest, listens=self._plan.listens)
        if problems := list(network_problems(manifest)):
            raise error(problems)
        wanted = rule(replace(manifest.dials[0], origin=LATER))
        if wanted.to.is_range and not self._plan.routed:
            raise ManifestError(
                f'"{wanted.to}" is a range of addresses, and this world is not routed: '
                "start it with routed = true in [network], or with the range in its manifest"
            )
        return wanted


def _decided_before(before: list[Dialed], wanted: Rule) -> str:
    """What a person should know of grants that come first. Raises SupervisorError where they refuse all of
    it."""
    addresses = list(wanted.to.addresses())
    others = [each for each in before if any(each.rule.to.covers(address) for address in addresses)]
    if not others:
        return ""
    first = f"{others[0].id} ({others[0].rule}) was granted before it and decides"
    if all(any(each.rule.to.covers(address) for each in others) for address in addresses) and not any(
        decide(others, address) for address in addresses
    ):
        raise SupervisorError(f"{wanted} would still be refused: {first}; take that one back first")
    return first


def _limits(
    connections: int | None, sent: int | str | None, received: int | str | None, rate: int | str | None
) -> Limits:
    try:
        return Limits(
            None if connections is None else values.count(connections),
            None if sent is None else values.amount(sent),
            None if received is None else values.amount(received),
            None if rate is None else values.rate(rate),
        )
    except (ValueError, TypeError, AttributeError) as wrong:
        raise ManifestError(str(wrong)) from None


def _targets(deny: Iterable[str]) -> tuple[Target, ...]:
    try:
        return tuple(parse_target(each) for each in deny)
    except ValueError as wrong:
        raise ManifestError(str(wrong)) from None
