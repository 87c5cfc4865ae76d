"""A project, an app that changes it in every way there is, and what the host must hold before and after."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from made import app

NAME = "n"

# What stands at a path: kind and permission bits, then a file's content or a link's target.
Snapshot = dict[str, tuple[str, str]]

CHANGING = """
write("modified", "new text\\n")
os.chmod("mode", 0o755)
os.unlink("deleted")
os.rename("renamed", "renamed2")
shutil.rmtree("tree")
shutil.rmtree("opaque"); os.mkdir("opaque"); write("opaque/b", "bbb\\n")
os.makedirs("new/deep"); write("new/f", "f\\n"); write("new/deep/g", "g\\n")
os.link("new/f", "linked")
os.symlink("modified", "link"); os.mkfifo("fifo")
shutil.rmtree("tofile"); write("tofile", "now a file\\n")
os.unlink("todir"); os.mkdir("todir"); write("todir/k", "k\\n")
os.unlink("escape"); os.symlink("/etc", "escape")
write("folder/inner", "inner\\n"); os.chmod("folder", 0o700)
"""


class Scene:
    """The project in `host`; its changes are kept."""

    def __init__(self, host: Path, changing: str = CHANGING) -> None:
        self.host = host
        host.mkdir()
        for name in ("modified", "mode", "deleted", "renamed", "todir", "escape", "untouched"):
            (host / name).write_text(f"old {name}\n")
        for folder in ("tree/sub", "opaque", "tofile", "folder"):
            (host / folder).mkdir(parents=True)
        for name in ("tree/sub/x", "tree/y", "opaque/a", "tofile/z"):
            (host / name).write_text(f"old {name}\n")
        self.before = snapshot(host)
        app(NAME, host, changing)
        assert snapshot(host) == self.before


def snapshot(top: Path) -> Snapshot:
    """All that stands below a directory."""
    found: Snapshot = {}
    for folder, _, names in os.walk(top):
        for name in [".", *names, *(each for each in os.listdir(folder) if Path(folder, each).is_symlink())]:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            content = ""
            if stat.S_ISREG(mode):
                content = path.read_bytes().decode(errors="surrogateescape")
            elif stat.S_ISLNK(mode):
                content = os.readlink(path)
            found[str(path.relative_to(top))] = (stat.filemode(mode), content)
    return found
