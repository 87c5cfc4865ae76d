"""Debian's stress-ng: its file stressors, each for a number of operations, on served trees. It checks what it
reads and what each call gave."""

from __future__ import annotations

import json
import shutil

import pytest
from accounts import Account

pytestmark = [pytest.mark.system, pytest.mark.timeout(150)]

# Stressors and their operations: as many as take a second or less on a served tree. Not in the list: chown
# (a world has one user), fallocate, chattr and fiemap (docs/reference/nodes.md has why).
STRESSORS = {
    "access": 5,
    "chmod": 10,
    "copy-file": 10,
    "dentry": 20,
    "dir": 50,
    "dirdeep": 10,
    "dirmany": 50,
    "filename": 1,
    "flock": 200,
    "getdent": 100,
    "hdd": 50,
    "lockf": 100,
    "locka": 100,
    "lockofd": 100,
    "open": 200,
    "rename": 50,
    "revio": 5,
    "seek": 100,
    "sendfile": 20,
    "touch": 50,
    "unlink": 1,
    "utime": 50,
    "xattr": 5,
}
SCRIPT = """
for each; do
    stress-ng --quiet --verify --temp-path /t --${each%=*} 1 --${each%=*}-ops ${each#*=} || exit
    [ -z "$(ls -A /t)" ] || { echo "$each left $(ls -A /t)"; exit 1; }
done
"""


@pytest.mark.parametrize(
    "mode",
    ["read-write", *(pytest.param(mode, marks=pytest.mark.soak) for mode in ("memory", "copy-on-write"))],
)
@pytest.mark.accounts("user")
def test_stressors(as_user: Account, mode: str) -> None:
    if shutil.which("stress-ng") is None:
        pytest.skip("stress-ng is not installed: scripts/system-packages test installs it")
    (tree := as_user.folder / "tree").mkdir()
    shutil.chown(tree, as_user.uid, as_user.uid)
    source = 'memory = "64M"' if mode == "memory" else f'host = {json.dumps(str(tree))}, mode = "{mode}"'
    words = [f"{name}={operations}" for name, operations in STRESSORS.items()]
    manifest = as_user.folder / "stress.toml"
    manifest.write_text(
        f"""libos = 1
include = ["python"]
app.command = {json.dumps(["sh", "-c", SCRIPT, "sh", *words])}
app.directory = "/t"
mount = [{{ at = "/t", {source} }}]
"""
    )
    result = as_user.run(as_user.libos("run", "--serve-all", str(manifest)), timeout=120)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
