"""Makes a link behave as it is asked to, before anything of the app runs.

- The rate is held by tbf at both ends, where packets leave. Delay, jitter and loss are netem's at both ends.
- Where the kernel has no netem, packets are delayed by hand (`delayline.py`), and by hand they are held to
  the rate where it has no tbf. Loss is then refused: a link that loses nothing is not what was asked for.

The messages are pyroute2's, which is imported here, in a thread, once the first link is shaped.
"""

from __future__ import annotations

import contextlib
import socket
from types import ModuleType

import trio

from libos.errors import HostError
from libos.net import link_messages
from libos.net.routed import delayline, netlink
from libos.net.routed.delayline import Line
from libos.net.routed.shape import FRAME, IN_FLIGHT, Shape
from libos.net.routed.sides import APP, GATE, Sides

# linux/pkt_sched.h: the root of an interface; the class below `libos.net.link.netem`'s handle.
_ROOT, _BELOW_NETEM = 0xFFFF_FFFF, 0x1_0001
NO_LOSS = (
    "this kernel has no netem, and without it loss cannot be had: leave loss out, or load it on the host "
    "(modprobe sch_netem; Debian has it in linux-modules-extra or linux-image)"
)


async def shape_link(sides: Sides, shape: Shape) -> Line | None:
    """Shape the link of a routed world; gives the line that is to run for it, where there is one.

    Raises HostError for loss on a host without netem, OSError.
    """
    link = await trio.to_thread.run_sync(_encoder)
    with contextlib.ExitStack() as stack:
        app, gate = await sides.open([(APP, netlink.SPEC), (GATE, netlink.SPEC)])
        stack.enter_context(app)
        stack.enter_context(gate)
        by_kernel = shape.late and _delay(link, (app, gate), shape)
        line_needed = shape.late and not by_kernel
        if line_needed and shape.loss:
            raise HostError(NO_LOSS)
        if line_needed:
            _make_line(gate)
        held = shape.rate is None or _hold(link, (app, gate), shape, by_kernel=by_kernel, line=line_needed)
        if not held and not line_needed:
            if by_kernel:
                raise HostError("this kernel has no tbf: leave rate out, or load it (modprobe sch_tbf)")
            _make_line(gate)
            line_needed = True
        if not line_needed:
            return None
    ends = await sides.open([(GATE, delayline.SPEC)] * 2)
    return Line((ends[0], ends[1]), shape, None if held else shape.rate)


def _encoder() -> ModuleType:
    from libos.net import link

    return link


def _delay(link: ModuleType, ends: tuple[socket.socket, socket.socket], shape: Shape) -> bool:
    """Delay by the kernel; False where it cannot."""
    message = link.netem(link.ETH0, delay=shape.delay, jitter=shape.jitter, loss=shape.loss, limit=IN_FLIGHT)
    try:
        for end in ends:
            netlink.send(end, [message])
    except FileNotFoundError:  # the kernel's answer to a kind that it does not know
        return False
    return True


def _hold(
    link: ModuleType, ends: tuple[socket.socket, socket.socket], shape: Shape, *, by_kernel: bool, line: bool
) -> bool:
    """Hold the rate by the kernel; False where it cannot."""
    parent = _BELOW_NETEM if by_kernel else _ROOT
    size = {"rate": shape.rate, "burst": shape.burst, "limit": shape.queue}
    try:
        for end, index in zip(ends, (link.ETH0, link.GATE if line else link.ETH0), strict=True):
            # A large packet is cut where the rate is held, and would fill the queue by itself.
            largest = link.packet_size(index, max(2 * FRAME, min(shape.burst, 65_536)))
            netlink.send(end, [link.tbf(index, parent, **size), largest])
    except FileNotFoundError:
        return False
    return True


def _make_line(gate: socket.socket) -> None:
    netlink.send(gate, [(each.purpose, each.data, each.required) for each in link_messages.LINE])
