"""Changes as overlayfs itself writes them, made in a private mount namespace, without a world."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from libos.kept import keep

_PRELUDE = """
import os, shutil, socket, stat, sys
from libos.kernel import mounts, namespaces
lower, changes, at = sys.argv[1:4]
uid, gid = os.getuid(), os.getgid()
namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNS)
namespaces.write_id_maps("/proc/self", 0, uid, gid)
mounts.make_private()
options = f"userxattr,lowerdir={lower},upperdir={changes}/upper,workdir={changes}/work"
mounts.mount("overlay", at, "overlay", 0, options)
os.chdir(at)
def write(path, text): open(path, "w").write(text)
"""


def app(name: str, host: Path, program: str, at: str = "/work") -> None:
    """Let Python code change `host`, copy-on-write, as a run that keeps its changes under `name` does."""
    view = host.parent / f".view-{host.name}"
    view.mkdir(exist_ok=True)
    keeping = keep(name, [(at, str(host))])
    try:
        code = _PRELUDE + textwrap.dedent(program)
        command = [sys.executable, "-c", code, str(host), keeping.folders[at], str(view)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
    finally:
        keeping.close()
        view.rmdir()
