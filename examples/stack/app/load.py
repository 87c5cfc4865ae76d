"""Adds so many jobs through the web app, waits until all are done, and says how long it took."""

import json
import sys
import time
import urllib.error
import urllib.request


def ask(path: str, method: str = "GET") -> dict[str, int]:
    """What the web app answers; tried again for a while where it is away."""
    for _ in range(300):
        try:
            request = urllib.request.Request(f"http://web:8000{path}", method=method)
            with urllib.request.urlopen(request, timeout=10) as answer:
                return dict(json.load(answer))
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    sys.exit("the web app does not answer")


wanted = int(sys.argv[1])
began = time.monotonic()
for number in range(wanted):
    ask(f"/jobs?number={number}", "POST")
while (state := ask("/jobs"))["done"] < state["jobs"]:
    time.sleep(0.05)
print(f"{state['done']} jobs done in {time.monotonic() - began:.1f} s", flush=True)
