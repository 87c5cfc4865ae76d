"""A FUSE mount for tests without a supervisor: made in a child's namespaces, served here, used by programs
there.

    async with mounted({"world": tree}) as mount:
        result = await mount.run("cat", "world/file")

The test process itself never enters a namespace and never opens a path of the mount.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from libos.fs.node import Node
from libos.fs.server import Attachment, Fault, Server

MOUNTER = Path(__file__).with_name("mounter.py")


@dataclass(frozen=True)
class Result:
    """How a program ended: `status` as subprocess.Popen.returncode."""

    status: int
    out: bytes
    err: bytes


class Program:
    """A program in the mount's namespaces."""

    def __init__(self, status_fd: int, out_fd: int, err_fd: int, in_fd: int) -> None:
        self._status = trio.lowlevel.FdStream(status_fd)
        self.stdout = trio.lowlevel.FdStream(out_fd)
        self.stderr = trio.lowlevel.FdStream(err_fd)
        self.stdin = trio.lowlevel.FdStream(in_fd)
        self._lines = b""
        self.pid = 0

    async def _line(self) -> int:
        while b"\n" not in self._lines:
            chunk = await self._status.receive_some()
            if not chunk:
                raise RuntimeError("the mounter ended")
            self._lines += chunk
        line, _, self._lines = self._lines.partition(b"\n")
        return int(line)

    async def started(self) -> None:
        """Waits until it has a pid: an id on the host."""
        self.pid = await self._line()

    async def wait(self) -> int:
        """Its status, as subprocess.Popen.returncode."""
        return await self._line()

    async def close(self) -> None:
        """Closes all that the test holds of it."""
        for stream in (self._status, self.stdout, self.stderr, self.stdin):
            await stream.aclose()


@dataclass
class Mount:
    """A served mount. `path` is where it stands in its namespaces."""

    path: str
    server: Server
    attachments: dict[str, Attachment]
    channel: socket.socket
    serving: trio.CancelScope
    faults: list[Fault] = field(default_factory=list)

    def stop(self) -> None:
        """Cancels the server."""
        self.serving.cancel()

    async def start(self, *argv: str, directory: str = "") -> Program:
        """Starts a program there, in `directory` below the mount's root."""
        pipes = [os.pipe() for _ in range(4)]  # stdin, stdout, stderr, status
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1], pipes[3][1]]
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        request = {"argv": argv, "directory": os.path.join(self.path, directory), "environment": environment}
        try:
            socket.send_fds(self.channel, [json.dumps(request).encode()], theirs)
        finally:
            for fd in theirs:
                os.close(fd)
        program = Program(pipes[3][0], pipes[1][0], pipes[2][0], pipes[0][1])
        await program.started()
        return program

    async def run(self, *argv: str, directory: str = "", stdin: bytes = b"") -> Result:
        """Runs a program there to its end."""
        program = await self.start(*argv, directory=directory)
        output: dict[str, bytes] = {}

        async def collect(name: str, stream: trio.lowlevel.FdStream) -> None:
            output[name] = b"".join([chunk async for chunk in stream])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect, "out", program.stdout)
            nursery.start_soon(collect, "err", program.stderr)
            try:
                await program.stdin.send_all(stdin)
            except trio.BrokenResourceError:
                pass
            await program.stdin.aclose()
        status = await program.wait()
        await program.close()
        return Result(status, output["out"], output["err"])

    async def python(self, code: str, *arguments: str, directory: str = "") -> Result:
        """Runs Python code there, with `os` imported."""
        source = "import os, sys, errno, stat\n" + code
        return await self.run(sys.executable, "-I", "-S", "-c", source, *arguments, directory=directory)


def open_mount(mount_point: str) -> tuple[subprocess.Popen[bytes], socket.socket, int]:
    """The child that holds a new mount, the channel to it, and the mount's descriptor."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        child = subprocess.Popen(
            [sys.executable, str(MOUNTER), str(theirs.fileno()), mount_point], pass_fds=[theirs.fileno()]
        )
    packet, fds, _, _ = socket.recv_fds(ours, 64, 1)
    if packet != b"mounted":
        ours.close()
        raise RuntimeError(f"no mount: {child.wait()}")
    return child, ours, fds[0]


@asynccontextmanager
async def mounted(
    trees: Mapping[str, Node], *, on_fault: Callable[[Fault], None] | None = None
) -> AsyncIterator[Mount]:
    """Serves each tree as a directory of one mount while the block runs."""
    with tempfile.TemporaryDirectory(prefix="libos-test-") as mount_point:
        child, channel, fuse_fd = open_mount(mount_point)
        faults: list[Fault] = []
        server = Server(fuse_fd, on_fault=on_fault or faults.append)
        attachments = {name: server.attach(name, tree) for name, tree in trees.items()}
        serving = trio.CancelScope()

        async def serve(*, task_status: trio.TaskStatus[None]) -> None:
            with serving:
                await server.serve(task_status=task_status)

        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(serve)
                yield Mount(mount_point, server, attachments, channel, serving, faults)
                nursery.cancel_scope.cancel()
        finally:
            channel.close()
            child.wait(30)
