"""`libos run` of an app, by a server whose lookups follow links: `led_astray.py FOLDER enclosed|open`.

RESOLVE_BENEATH and O_NOFOLLOW are taken away where host trees look names up, as a fault there or a race that
is won would do. What the server then opens, by a link, by /proc, or in a copy, lies outside the tree that it
serves.
"""

from __future__ import annotations

import os
import sys

from libos.cli import runner
from libos.fs import host
from libos.manifest import from_mapping

LOOK = """
cat /data/link /data/magic/victim /copy/link; ls /data/out
echo changed > /data/link
echo new > /data/out/new; mkdir /data/out/d; rm /data/out/victim
mv /data/out/kept /data/out/moved; mv /data/mine /data/out; ln /data/out/hard /data
true
"""


def _led(directory_fd: int, name: bytes) -> int:
    return os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=directory_fd)


def main() -> int:
    """Give the app's exit status."""
    folder, how = sys.argv[1:]
    granted = {"at": "/data", "host": f"{folder}/granted", "mode": "read-write", "revocable": True}
    # Served, and opened by the keeper's outside half: no rule reaches what is mounted there.
    copy = {"at": "/copy", "host": f"{folder}/granted", "mode": "copy-on-write", "hide": ["*.pem"]}
    app = {"command": ["sh", "-c", LOOK]}
    manifest = from_mapping({"libos": 1, "include": ["base"], "app": app, "mount": [granted, copy]})
    host.open_path = _led  # type: ignore[attr-defined]  # what the test is about
    return runner.run(
        runner.Request(manifest, False, None, False, serve_all=False, enclosed=how == "enclosed")
    )


if __name__ == "__main__":
    sys.exit(main())
