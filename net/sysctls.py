"""What init writes below /proc/sys in a new world, before anything else runs there. Stdlib only: init gets
it as data.

Rules: a file that is not there is an error where `required`, and passed over where not (a kernel without
IPv6).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sysctl:
    """One file of a network namespace: `path` is relative to /proc/sys, `value` is written as it is."""

    path: str
    value: bytes
    required: bool


# kernel: Documentation/networking/ip-sysctl.rst
SYSCTLS = (
    # Every port may be bound: an app listens on 80 as it would on a machine of its own, and so does the gate.
    Sysctl("net/ipv4/ip_unprivileged_port_start", b"0", True),
    # A ping is not answered: every address is local here, and an answer would say that the host is there.
    Sysctl("net/ipv4/icmp_echo_ignore_all", b"1", True),
    Sysctl("net/ipv6/icmp/echo_ignore_all", b"1", False),
    # bind(2) takes IPv6 addresses that no interface has; IPv4 takes them by the local route alone.
    Sysctl("net/ipv6/ip_nonlocal_bind", b"1", False),
)

# In a routed world the app's side is set up as `SYSCTLS` says, and this.
_NO_CHATTER = (
    # Interfaces get no addresses but those that they are given: no duplicates are looked for, no routers.
    Sysctl("net/ipv6/conf/default/addr_gen_mode", b"1", False),
    Sysctl("net/ipv6/conf/default/accept_ra", b"0", False),
)
ROUTED_APP = (*SYSCTLS, *_NO_CHATTER)
# The gate's side: its refusals must all be told, and those of ranges go through it (`libos.net.routed`).
ROUTED_GATE = (
    *SYSCTLS,
    *_NO_CHATTER,
    # No limit to the refusals of datagrams a second; on loopback there is none either.
    Sysctl("net/ipv4/icmp_ratemask", b"0", True),
    Sysctl("net/ipv6/icmp/ratelimit", b"0", False),
    Sysctl("net/ipv4/ip_forward", b"1", True),
    # A packet of a connection is looked up where it is delivered, and not before it is routed: what the
    # detour carries would be dropped (ip_forward(), net/ipv4/ip_forward.c).
    Sysctl("net/ipv4/tcp_early_demux", b"0", False),
    Sysctl("net/ipv4/udp_early_demux", b"0", False),
    Sysctl("net/ipv6/conf/all/forwarding", b"1", False),
    # A new namespace has the host's value: net.core.devconf_inherit_init_net.
    Sysctl("net/ipv4/conf/all/rp_filter", b"0", True),
    Sysctl("net/ipv4/conf/default/rp_filter", b"0", True),
    Sysctl("net/ipv4/conf/all/send_redirects", b"0", True),
    Sysctl("net/ipv4/conf/default/send_redirects", b"0", True),
)
