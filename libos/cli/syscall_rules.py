"""The filter of system calls as rules, for people and as JSON: `libos explain --syscalls`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from libos.cli.show import harmless
from libos.syscalls.counting import passing, table
from libos.syscalls.resolving import Filter, Rule
from libos.syscalls.tables import Check
from libos.syscalls.wanted import Log

# Characters a line, as a terminal has them.
_WIDTH = 100
# The version of the JSON form; within one, keys are only added.
VERSION = 1
_TOLD: dict[Log, str] = {
    False: "a refused call is answered, and not told of",
    True: "a refused call is answered, and told of by an event, syscall.refused",
    "pass": "what would be refused is told of, by an event, and PASSES",
}


def rules_text(found: Filter) -> str:
    """The rules, group by group: what is allowed with the checks, then what is refused and how."""
    wanted = found.wanted
    head = [f"profile {wanted.profile}"]
    head += ["with a network"] if wanted.network else []
    head += [f"allow {harmless(' '.join(wanted.allow))}"] if wanted.allow else []
    head += [f"deny {harmless(' '.join(wanted.deny))}"] if wanted.deny else []
    allowed = [rule for rule in found.rules if rule.allowed]
    refused = [rule for rule in found.rules if not rule.allowed]
    return "\n".join(
        [
            f"{'; '.join(head)}: {len(allowed)} calls are allowed, {len(refused)} are refused",
            _counted(found),
            "a call that is not named here: ENOSYS; one by a foreign ABI (i386, x32): the process ends",
            _TOLD[wanted.log],
            "",
            "ALLOWED",
            *_section(allowed),
            "",
            "ALLOWED WHERE THE ARGUMENTS PASS",
            *_checks(allowed),
            "",
            "REFUSED",
            *_section(refused),
        ]
    )


def _counted(found: Filter) -> str:
    """How many of this machine's calls pass."""
    known = table()
    calls = passing(found, known)
    return (
        f"of the {len(known)} system calls of this machine {calls.passing} pass, {calls.checked} of them by "
        "their arguments"
    )


def _section(rules: Iterable[Rule]) -> Iterator[str]:
    for (group, error, denied), each in groupby(
        rules, lambda rule: (rule.group, "" if rule.allowed else rule.error, rule.because == "deny")
    ):
        answer = f" -> {error}" if error else ""
        by = " (denied by the manifest)" if denied else ""
        yield f"  @{group.name}{answer}{by}: {group.what}"
        calls = " ".join(f"{rule.call}*" if rule.checks else rule.call for rule in each)
        yield from textwrap.wrap(
            calls, _WIDTH, initial_indent="      ", subsequent_indent="      ", break_on_hyphens=False
        )


def _checks(rules: Iterable[Rule]) -> Iterator[str]:
    for check, calls in _by_check(rules).items():
        yield f"  {' '.join(calls)}: {check.what}"
        says = f"{check.says}, else {check.error}"
        yield from textwrap.wrap(
            says, _WIDTH, initial_indent="      ", subsequent_indent="        ", break_on_hyphens=False
        )


def _by_check(rules: Iterable[Rule]) -> dict[Check, list[str]]:
    found: dict[Check, list[str]] = {}
    for rule in rules:
        for check in rule.checks:
            found.setdefault(check, []).append(rule.call)
    return found


def rules_json(found: Filter) -> dict[str, Any]:
    """The same as JSON values, version 1."""
    wanted = found.wanted
    known = table()
    calls = passing(found, known)
    return {
        "version": VERSION,
        "profile": wanted.profile,
        "allow": list(wanted.allow),
        "deny": list(wanted.deny),
        "log": wanted.log,
        "network": wanted.network,
        "passing": calls.passing,
        "checked": calls.checked,
        "known": len(known),
        "otherwise": "ENOSYS",
        "foreign_abi": "kill",
        "rules": [
            {
                "call": rule.call,
                "group": rule.group.name,
                "action": "allow" if rule.allowed else rule.error,
                "because": rule.because,
                "checks": [
                    {"what": check.what, "why": check.why, "says": check.says, "error": check.error}
                    for check in rule.checks
                ],
            }
            for rule in found.rules
        ],
    }
