"""Finding the app's command in its namespace, and saying what to do when it is not there.

As execvp(3) does, by PATH of the app's environment; but before anything runs, so that a missing command is
told with its remedy: where it stands on the host, and which `-v` would bring it with all that it needs to
start (the target of its links, the interpreter of its first line).
"""

from __future__ import annotations

import os
import posixpath
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace

from libos.errors import CommandError, CommandNotFoundError
from libos.namespace import Namespace, is_at_or_below
from libos.plan.hostview import Host, HostView, Kind
from libos.plan.lookup import Found, find
from libos.plan.model import Plan

# What execvp(3) uses on glibc where PATH is not set: confstr(_CS_PATH).
_DEFAULT_PATH = "/bin:/usr/bin"

# How many interpreters may follow each other in execve(2): BINPRM_MAX_DEPTH is 5 for nested "#!" lines.
_INTERPRETER_LIMIT = 5


def find_command(
    plan: Plan,
    command: str | None = None,
    *,
    host: HostView | None = None,
    host_path: str | None = None,
) -> str:
    """The absolute path in the world of a command: the plan's own unless given.

    A name without "/" is looked up in PATH of the app's environment, any other relative to its directory.
    `host_path` is the caller's PATH, used only to say where the command stands on the host; os.environ's
    unless given. CommandNotFoundError (exit status 127) when it, or the interpreter that its first line
    names, is not in the namespace; CommandError (126) when what is there cannot be run.
    """
    name = command if command is not None else (plan.command[0] if plan.command else "")
    if not name:
        raise CommandNotFoundError("no command is given: write one after --, or as command in [app]")
    return _Search(plan, host or Host(), host_path or os.environ.get("PATH", _DEFAULT_PATH)).command(name)


def explain_failure(
    plan: Plan,
    command: str,
    failure: CommandError,
    *,
    environment: Mapping[str, str] | None = None,
    directory: str | None = None,
    host: HostView | None = None,
) -> CommandError:
    """The error to raise for a command that execve(2) refused with `failure`: one that has the remedy too.

    It is `failure` itself where the plan does not show the cause. Environment and directory are the app's own
    unless given.
    """
    seen = replace(
        plan,
        environment=plan.environment if environment is None else environment,
        directory=plan.directory if directory is None else directory,
    )
    try:
        find_command(seen, command, host=host)
    except CommandError as explained:
        return explained
    return failure


class _Search:
    """One search: the world's view and the host's."""

    def __init__(self, plan: Plan, host: HostView, host_path: str) -> None:
        self.plan = plan
        self.namespace: Namespace = plan.namespace
        self.host = host
        self.host_path = host_path

    def command(self, name: str) -> str:
        refused = None
        for candidate in self.candidates(name):
            found = find(self.namespace, candidate, self.host)
            if found is None or (found.kind is Kind.DIRECTORY and "/" not in name):
                continue
            refused = self.refusal(candidate, found)
            if refused is None:
                self.check_interpreter(candidate, found)
                return candidate
        if refused is not None:
            raise CommandError(refused)
        raise CommandNotFoundError(self.absent(name))

    def candidates(self, name: str) -> Iterator[str]:
        """Where the world would look, in order."""
        if "/" in name:
            yield posixpath.normpath(posixpath.join(self.plan.directory, name))
            return
        for folder in self.plan.environment.get("PATH", _DEFAULT_PATH).split(":"):
            yield posixpath.join(self.plan.directory, folder, name)

    def refusal(self, path: str, found: Found) -> str | None:
        """Why what stands there cannot be run; None when it can, or when only running it will tell."""
        if found.kind is Kind.DIRECTORY:
            return f"{path}: is a directory: name a program in it"
        if found.kind is Kind.OTHER:
            return f"{path}: is no program file"
        if found.host_path is not None and not self.host.executable(found.host_path):
            return f'{path}: is not executable: chmod +x "{found.host_path}"'
        if found.host_path is None and found.kind is Kind.FILE:
            return f"{path}: is a text served by libos and not executable: give it to its interpreter"
        return None

    def check_interpreter(self, path: str, found: Found) -> None:
        """The program of a script's first line must be there too; execve(2) says only ENOENT."""
        for _ in range(_INTERPRETER_LIMIT):
            if found.host_path is None:
                return
            interpreter = interpreter_of(self.host.head(found.host_path))
            if interpreter is None:
                return
            there = find(self.namespace, interpreter, self.host)
            if there is None:
                brings = self.brings(interpreter)
                raise CommandNotFoundError(
                    f'{path}: its first line names "{interpreter}", which is not in the namespace{brings}'
                )
            found = there

    def absent(self, name: str) -> str:
        """The message for a command that the namespace does not have."""
        standing = self.on_host(name)
        if "/" in name:
            message = f"{name}: not in the namespace"
        else:
            message = (
                f"{name}: not in the namespace (PATH is {self.plan.environment.get('PATH', _DEFAULT_PATH)})"
            )
        if standing is None:
            return f"{message}, and not on the host either: check the name, or install it"
        return f"{message}; on the host it is {standing}" + self.brings(standing, name)

    def on_host(self, name: str) -> str | None:
        """Where the command stands on the host; None when it does not."""
        if "/" in name:
            path = posixpath.normpath(posixpath.join(self.plan.directory, name))
            return path if self.runnable(path) else None
        for folder in self.host_path.split(":"):
            path = posixpath.join(folder, name)
            if folder.startswith("/") and self.runnable(path):
                return path
        return None

    def runnable(self, path: str) -> bool:
        real = self.host.resolve(path)
        return real is not None and self.host.kind(real) is Kind.FILE and self.host.executable(real)

    def brings(self, path: str, name: str = "") -> str:
        """Which options bring a program of the host, as the end of a sentence."""
        trees = list(dict.fromkeys(self.trees(path)))
        wanted = [
            tree for tree in trees if not any(tree != top and is_at_or_below(tree, top) for top in trees)
        ]
        if not wanted:
            return ""
        options = " ".join(f"-v {shlex.quote(f'{tree}:{tree}')}" for tree in wanted)
        call = f", and call it {path}" if name and "/" not in name and not self.in_path(path) else ""
        return f"; bring it with {options}{call}"

    def in_path(self, path: str) -> bool:
        return posixpath.dirname(path) in self.plan.environment.get("PATH", _DEFAULT_PATH).split(":")

    def trees(self, path: str) -> Iterator[str]:
        """The folders to mount: of the program, of what its links lead to, and of its interpreter."""
        for _ in range(_INTERPRETER_LIMIT):
            real = self.host.resolve(path)
            if real is None:
                return
            for step in (path, real):
                if find(self.namespace, step, self.host) is None:
                    yield installation(step)
            interpreter = interpreter_of(self.host.head(real))
            if interpreter is None:
                return
            path = interpreter


def installation(path: str) -> str:
    """The folder that a program needs: what holds its bin folder (/opt/x for /opt/x/bin/y), else its own.

    The root directory and the folders right below it are never proposed for a program in their bin.
    """
    folder = posixpath.dirname(path)
    above = posixpath.dirname(folder)
    return above if posixpath.basename(folder) in ("bin", "sbin") and above.count("/") > 1 else folder


def interpreter_of(head: bytes) -> str | None:
    """The program that a script's first line names (execve(2)); None for what is no script."""
    if not head.startswith(b"#!"):
        return None
    words = head[2:].split(b"\n", 1)[0].split()
    return os.fsdecode(words[0]) if words else None
