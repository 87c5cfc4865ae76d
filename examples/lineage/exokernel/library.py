"""A program with a policy of its own for what is taken from it: a library operating system of a few lines.

    library.py [--no-policy]

The system protects, the program manages. It reads records from the nearer of two places, notices by itself
that a place was taken from it, writes that down, and goes on with the other place. Each line that it reads is
answered:

    next         a record, and where it came from
    held         the places that it holds, by /mnt/ns/policy.json, where that is there
    lost         what was taken from it, as it noticed
    heed         waits for a notice; where a place is asked for, takes a last record and gives it back
    taken        what was taken, as /mnt/ns/repossessed has it
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable

POLICY, NOTICES, TAKEN = "/mnt/ns/policy.json", "/mnt/ns/notices", "/mnt/ns/repossessed"


class Records:
    """Records of the first place that is still held; the file of a place stays open."""

    def __init__(self, places: list[str], *, policy: bool) -> None:
        self._places = places
        self._policy = policy
        self._open = {place: os.open(f"{place}/record", os.O_RDONLY) for place in places}
        self.lost: list[str] = []

    def next(self) -> str:
        """The record. Raises OSError where there is no policy, or nothing left."""
        place = self._places[0]
        try:
            return f"{os.pread(self._open[place], 100, 0).decode().strip()} from {place}"
        except OSError as error:
            if not self._policy or len(self._places) == 1:
                raise
            self.lost.append(f"{place} {errno.errorcode[error.errno or 0]}")
            self._places.pop(0)
            return self.next()


def heed(records: Records) -> str:
    """What a notice asks for is given back, after a last use of it."""
    with open(NOTICES) as notices:
        what, number, place = notices.readline().split()[:3]
    if what != "asked":
        return f"{what} {place}"
    last = records.next()
    with open("/mnt/ns/ctl", "w") as control:
        control.write(f"drop {number}\n")
    return f"gave back {place} after {last}"


def taken() -> str:
    """The places that were taken by force."""
    with open(TAKEN) as file:
        return " ".join(line.split()[1] for line in file) or "nothing"


def held() -> str:
    """The places that this program holds, of those that it uses."""
    with open(POLICY) as file:
        places = {each["at"] for each in json.load(file)["files"]}
    return " ".join(sorted(places & {"/near", "/far"}))


def main() -> None:
    """Answer each line with one."""
    records = Records(["/near", "/far"], policy="--no-policy" not in sys.argv)
    answers: dict[str, Callable[[], str]] = {
        "next": records.next,
        "held": held,
        "lost": lambda: ", ".join(records.lost) or "nothing",
        "heed": lambda: heed(records),
        "taken": taken,
    }
    for line in sys.stdin:
        try:
            print(answers[line.strip()](), flush=True)
        except OSError as error:
            print(os.strerror(error.errno or 0), flush=True)


if __name__ == "__main__":
    main()
