"""A served host tree on a disk that gets full: its program hears of it, what was acknowledged is there."""

from __future__ import annotations

import json

import pytest
from accounts import Account

pytestmark = pytest.mark.system

# In the world: appends blocks until one is refused, then makes room and goes on.
PROGRAM = """
import errno, os, sys
fd, kept = os.open("log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644), 0
try:
    while kept < 1000:
        written = os.write(fd, b"%08d" % kept * 8192)
        os.fsync(fd)
        assert written == 65536
        kept += 1
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
try:
    os.write(os.open("other", os.O_CREAT | os.O_WRONLY), b"x" * 65536)
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
blocks = open("log", "rb")
print(all(blocks.read(65536) == b"%08d" % number * 8192 for number in range(kept)), kept > 10, flush=True)
os.unlink("other")
os.ftruncate(fd, 65536 * kept)
os.unlink("ballast")
for attempt in range(100):  # the kernel tells the server after a few requests that nobody holds the file
    try:
        os.write(fd, b"after")
        break
    except OSError as error:
        assert error.errno == errno.ENOSPC
os.fsync(fd)
print(65536 * kept + 5, flush=True)
"""
# Outside, in namespaces of its own: a disk of 2 MiB, the world on it, and what stands there afterwards.
SCRIPT = """
set -e
mount -t tmpfs -o size=2m,mode=755 full tree
dd if=/dev/zero of=tree/ballast bs=64k count=4 status=none
chown -R "$1" tree
shift
"$@"
stat -c %s tree/log
tail -c 5 tree/log
"""


@pytest.mark.accounts("root")
def test_a_full_disk_is_enospc_and_loses_nothing(as_user: Account) -> None:
    tree = as_user.folder / "tree"
    tree.mkdir()
    manifest = as_user.folder / "full.toml"
    manifest.write_text(
        f"""libos = 1
include = ["python"]
app.command = {json.dumps(["/usr/bin/python3", "-I", "-S", "-c", PROGRAM])}
app.directory = "/t"
mount = [{{ at = "/t", host = {json.dumps(str(tree))}, mode = "read-write" }}]
"""
    )
    command = as_user.libos("run", "--serve-all", str(manifest))
    private = ["unshare", "--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"]
    result = as_user.run([*private, f"{as_user.uid}:{as_user.folder.stat().st_gid}", *command])
    assert result.returncode == 0, result.stderr
    first, second, whole, size, found, end = result.stdout.splitlines()
    assert (first, second, whole) == ("ENOSPC", "ENOSPC", "True True")
    assert (found, end) == (size, "after")
