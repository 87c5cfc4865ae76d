"""The sandboxes that are compared: how each is asked for its version, and the command of its own manual for a
program that is not trusted and has one folder to work in.

Rules: flags are those that the tool's documentation shows for this, and no cleverer ones; what a tool needs
in a file is written by `files`. A tool that is not on this machine is left out, and the table says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# sandlock is a library; what its README lets a program read, and the project to write.
_SANDLOCK = """
import sys
from sandlock import Sandbox
system = ["/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/dev"]
done = Sandbox(fs_readable=system, fs_writable=[sys.argv[1]]).run(sys.argv[2:])
sys.stdout.buffer.write(done.stdout or b"")
sys.stderr.buffer.write(done.stderr or b"")
sys.exit(done.exit_code)
"""
_SANDLOCK_VERSION = "from importlib.metadata import version; print(version('sandlock'))"


@dataclass(frozen=True)
class Way:
    """`command(project)` is laid before the program's own words; `files(project)` are written first."""

    name: str
    version: tuple[str, ...]
    command: Callable[[Path], list[str]]
    files: Callable[[Path], Mapping[Path, str]] = lambda project: {}

    def here(self) -> bool:
        """Whether this machine has it."""
        if not self.version or shutil.which(self.version[0]) is None:
            return not self.version
        return subprocess.run(self.version, capture_output=True, check=False).returncode == 0

    def version_here(self) -> str:
        """The version that it tells, its first line."""
        if not self.version:
            return ""
        done = subprocess.run(self.version, capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr).strip().splitlines()[0]


def _bubblewrap(project: Path) -> list[str]:
    words = (
        "bwrap --unshare-all --die-with-parent --new-session --ro-bind /usr /usr --symlink usr/bin /bin"
        " --symlink usr/lib /lib --symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp"
    )
    return [*words.split(), "--bind", str(project), str(project), "--chdir", str(project), "--"]


def _firejail(project: Path) -> list[str]:
    return ["firejail", "--quiet", f"--whitelist={project}", "--private-tmp", "--net=none", "--"]


def _sandlock(project: Path) -> list[str]:
    return [sys.executable, "-c", _SANDLOCK, str(project)]


def _runtime(project: Path) -> list[str]:
    return ["srt", "--settings", str(_settings(project)), "--"]


def _settings(project: Path) -> Path:
    return project.parent / "srt-settings.json"


def _runtime_files(project: Path) -> Mapping[Path, str]:
    files: dict[str, list[str]] = {"denyRead": [], "allowWrite": [str(project)], "denyWrite": []}
    network: dict[str, list[str]] = {"allowedDomains": [], "deniedDomains": []}
    return {_settings(project): json.dumps({"filesystem": files, "network": network})}


def _libos(project: Path) -> list[str]:
    libos = str(Path(sys.executable).parent / "libos")
    return [libos, "run", "-v", f"{project}:{project}:rw", "-w", str(project), "--"]


WAYS = (
    Way("outside", (), lambda project: []),
    Way("libos", (str(Path(sys.executable).parent / "libos"), "--version"), _libos),
    Way("bubblewrap", ("bwrap", "--version"), _bubblewrap),
    Way("firejail", ("firejail", "--version"), _firejail),
    Way(
        "sandlock",
        (sys.executable, "-c", "from importlib.metadata import version; print(version('sandlock'))"),
        _sandlock,
    ),
    Way("sandbox-runtime", ("srt", "--version"), _runtime, _runtime_files),
)
