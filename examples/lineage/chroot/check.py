"""The known escape gets out of a chroot, and out of nothing else that is tried here.

What it looks for is a file that lies beside the folder that is made the root. Everywhere it runs with the
rights that it asks for, except in the world, where there are none.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from claims import Evidence, MissingError, Property, scratch
from probing import as_root, made, outside, read, said

import libos

TITLE = "chroot, 1979: change where / is for a process"
HERE = Path(__file__).parent
MANIFEST = HERE / "chroot.toml"
BOOTY = "what lies outside"

PROPERTIES = {
    "root": Property(
        "the / of a program in a world is another directory than the host's",
        "the program runs outside of a world",
        lambda saw: saw["in the world"] != saw["on the host"],
    ),
    "escape": Property(
        "whoever may call chroot(2) gets out of a chroot",
        "the right to call it is given up first",
        lambda saw: f"outside: {BOOTY}" in saw,
    ),
    "mounts": Property(
        "with the same rights it finds nothing where the mounts were changed by pivot_root(2)",
        "chroot(2) in place of pivot_root(2)",
        lambda saw: "chroot again: done" in saw and "outside: No such file or directory" in saw,
    ),
    "boundary": Property(
        "in a world it finds nothing, and may not call chroot(2)",
        "the program runs in a chroot in place of a world",
        lambda saw: (
            "chroot again: Operation not permitted" in saw and "outside: No such file or directory" in saw
        ),
    ),
}

# Prints which directory `/` is.
WHICH = "import os; s = os.stat('/'); print(s.st_dev, s.st_ino)"


async def confined(kind: str, folder: Path) -> str:
    """The escape out of `folder`/jail for `folder`/booty, in a root of one kind; see confine.py."""
    program = [sys.executable, str(HERE / "confine.py"), kind]
    text = await as_root(["--mount"], [*program, str(folder / "jail"), str(folder / "booty")])
    if text.startswith("cannot confine: "):
        raise MissingError(f"{text}: libos doctor says what gives user namespaces their rights here")
    return text


async def in_the_world(supervisor: libos.Supervisor, folder: Path) -> str:
    """The same in the world of chroot.toml, whose /jail is the same folder."""
    manifest = read(MANIFEST)
    manifest["app"]["command"][-1] = str(folder / "booty")
    manifest["mount"][-1] = {"at": "/jail", "host": str(folder / "jail"), "mode": "read-write"}
    return await said(supervisor, made(manifest, MANIFEST))


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Run the escape in four places."""
    python = {"include": ["python"], "app": {"command": ["python3", "-c", WHICH]}}
    host = os.stat("/")
    root = await (outside([sys.executable, "-c", WHICH]) if without == "root" else said(supervisor, python))
    with scratch() as folder:
        (folder / "jail").mkdir()
        (folder / "booty").write_text(BOOTY)
        return {
            "root": {"in the world": root, "on the host": f"{host.st_dev} {host.st_ino}"},
            "escape": await confined("plain" if without == "escape" else "chroot", folder),
            "mounts": await confined("chroot" if without == "mounts" else "pivot", folder),
            "boundary": await (
                confined("chroot", folder) if without == "boundary" else in_the_world(supervisor, folder)
            ),
        }
