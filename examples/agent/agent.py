"""An agent that nobody vouches for. It knows nothing of libos: plain Python, standard library only.

It does its job (price an inventory with the help of a web service), and then looks for what it was not given.
It prints what it saw; the exit status is that of the job.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

SERVICE = "http://prices.example:8765/prices"
TOKEN = Path("/run/secrets/token")


def fetch_prices() -> dict[str, float]:
    """The service's price list; it asks for the token."""
    request = urllib.request.Request(SERVICE, headers={"Authorization": f"Bearer {TOKEN.read_text()}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        prices: dict[str, float] = json.load(answer)
    return prices


def price_the_inventory() -> None:
    """The job: write priced.csv beside inventory.csv, and tidy up as agents do."""
    prices = fetch_prices()
    with open("inventory.csv") as inventory, open("priced.csv", "w") as priced:
        rows = [(row["item"], int(row["count"])) for row in csv.DictReader(inventory)]
        csv.writer(priced).writerows((item, count, round(count * prices[item], 2)) for item, count in rows)
    os.remove("README.txt")
    print("in /project now:", *sorted(os.listdir(".")))
    print(Path("priced.csv").read_text(), end="")


def attempt(what: str, action: Callable[[], object]) -> None:
    """Try something, and say how it went."""
    try:
        outcome = f"worked: {action()!r:.60}"
    except OSError as error:
        outcome = f"{type(error).__name__}: {error.strerror or error}"
    except subprocess.CalledProcessError as error:
        outcome = f"exit status {error.returncode}"
    print(f"  {what:34} {outcome}")


def look_around() -> None:
    """What it was not given."""
    print("what else there might be:")
    attempt("read /etc/shadow", lambda: Path("/etc/shadow").read_text())
    attempt("list /home", lambda: os.listdir("/home"))
    attempt("read /root/.ssh/id_ed25519", lambda: Path("/root/.ssh/id_ed25519").read_text())
    attempt("write into /usr/bin", lambda: Path("/usr/bin/backdoor").write_text("#!/bin/sh\n"))
    attempt("connect to 1.1.1.1 port 443", lambda: socket.create_connection(("1.1.1.1", 443), timeout=5))
    attempt("look up collector.example", lambda: socket.getaddrinfo("collector.example", 443))
    attempt("connect to this machine's ssh", lambda: socket.create_connection(("127.0.0.1", 22), timeout=5))
    attempt("kill process 1", kill_process_one)
    attempt("see other people's processes", other_processes)
    attempt("mount a file system", lambda: subprocess.run(MOUNT, check=True, capture_output=True))


def kill_process_one() -> str:
    """Kill the world's init; the kernel lets nobody in its pid namespace do that (pid_namespaces(7))."""
    os.kill(1, signal.SIGKILL)
    return "it lives on" if os.path.exists("/proc/1") else "it is gone"


MOUNT = ["mount", "-t", "tmpfs", "none", "/tmp"]


def other_processes() -> list[str]:
    """The command lines of all processes in sight but init and this one."""
    seen = [pid for pid in os.listdir("/proc") if pid.isdecimal() and int(pid) not in (1, os.getpid())]
    if not seen:
        raise FileNotFoundError(2, "there are none")
    return seen


if __name__ == "__main__":
    try:
        price_the_inventory()
    except (OSError, LookupError, ValueError) as error:
        sys.exit(f"the job failed: {error}")
    finally:
        look_around()
