"""The systems that libos stands on, each as something that runs, and a check that it is so.

    python examples/lineage                              all of them
    python examples/lineage chroot plan9                 these
    python examples/lineage chroot --without boundary    with one property taken away: its check fails
    python examples/lineage --both-ways                  each as it is, and with each property taken away
    python examples/lineage --list                       what there is to take away, and how

The exit status is 0 when everything holds, 1 when something does not, 77 when this host lacks what an example
needs, and 2 for what cannot be asked. With --both-ways, 0 also says that each property falls when it is taken
away.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict

import trio
from claims import ORDER, System, Verdict, load

# What a test that cannot run here ends with, by the convention of Automake.
MISSING = 77


def both_ways(system: System) -> list[Verdict]:
    """All properties as they are, then each taken away: of these only what becomes of that one."""
    verdicts = trio.run(system.check, [None, *system.properties])
    return [
        each
        for each in verdicts
        if each.without in (None, each.name) or each.outcome in ("missing", "broken")
    ]


def show(verdict: Verdict, system: System) -> None:
    """One line of the table."""
    taken = "taken away" if verdict.name == verdict.without else ""
    print(f"{verdict.system:<13} {verdict.name:<12} {taken:<11} {verdict.outcome:<8}", end="")
    claim = system.properties.get(verdict.name)
    if claim is None:
        print(verdict.saw)
    elif not taken:
        print(claim.says if verdict.outcome == "holds" else f"saw {json.dumps(verdict.saw)}")
    else:
        print(f"{claim.without}: saw {json.dumps(verdict.saw)[:400]}")


def show_list(systems: Iterable[System]) -> None:
    """What each system's check claims, and how each claim is taken away."""
    for system in systems:
        print(f"{system.name}: {system.title}")
        for name, each in system.properties.items():
            print(f"  {name:<12} {each.says}\n  {'':<12} without it: {each.without}")


def status(verdicts: list[Verdict], *, expecting_falls: bool) -> int:
    """The exit status of all verdicts together."""
    good = [each.is_right if expecting_falls else each.outcome == "holds" for each in verdicts]
    bad = [each for each, is_good in zip(verdicts, good, strict=True) if not is_good]
    if any(each.outcome != "missing" for each in bad):
        return 1
    return MISSING if bad else 0


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python examples/lineage", description="The systems that libos stands on, each checked."
    )
    parser.add_argument("system", nargs="*", metavar="SYSTEM", help=f"which: {', '.join(ORDER)}")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--without", metavar="PROPERTY", help="take this property of the one system away")
    way.add_argument("--both-ways", action="store_true", help="take each property away in turn, too")
    way.add_argument("--list", action="store_true", help="print what there is to take away, and how")
    parser.add_argument("--json", action="store_true", help="print an object a line, with what was seen")
    asked = parser.parse_args()
    for name in asked.system:
        if name not in ORDER:
            parser.error(f'there is no "{name}": there are {", ".join(ORDER)}')
    asked.systems = [load(name) for name in asked.system or ORDER]
    if asked.without and (len(asked.systems) != 1 or asked.without not in asked.systems[0].properties):
        parser.error("--without takes one property of one system away: --list names them")
    return asked


def main() -> int:
    """Check what was asked for, and print the table."""
    asked = arguments()
    if asked.list:
        show_list(asked.systems)
        return 0
    verdicts: list[Verdict] = []
    for system in asked.systems:
        new = both_ways(system) if asked.both_ways else trio.run(system.check, [asked.without])
        verdicts += new
        for verdict in new:
            if asked.json:
                print(json.dumps(asdict(verdict)), flush=True)
            else:
                show(verdict, system)
        sys.stdout.flush()
    return status(verdicts, expecting_falls=asked.both_ways)


if __name__ == "__main__":
    sys.exit(main())
