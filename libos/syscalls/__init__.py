"""Which system calls an app may make: profiles that people can read, lowered to a kernel's filter.

    Wanted(profile, allow, deny, log)  what a manifest asks for
    resolving.resolve(wanted)          -> Filter: each call that is known, with its group, checks and answer
    compiling.program(wanted)          -> the filter as sock_filter instructions, compiled by libseccomp
    counting.passing(filter, table)    -> how many of a machine's calls pass

A filter is an allowlist. What a profile does not allow is answered EPERM, or ENOSYS where programs then fall
back; what nobody here knows, a newer call, is ENOSYS; a call by a foreign ABI of the machine (i386, x32) ends
the process. The profiles, groups and checks stand in data/*.toml. Pure but for reading these, and compiling.
"""

from __future__ import annotations

from libos.syscalls.wanted import DEFAULT, Wanted

__all__ = ["DEFAULT", "Wanted"]
