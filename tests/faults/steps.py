"""The steps of a launch and of its end, in their order, by the process that does them.

A step is a function, and is met right before it. Whoever adds a part to a launch adds its step here.
"""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """`process` does it; `when` is what makes it, as supervised.py is told: to enter the supervisor, to run
    an app, to run one that listens, or to leave."""

    process: str
    when: str
    function: str

    @property
    def name(self) -> str:
        return f"{self.process}: {self.function.partition('libos.')[2]}"


def _steps(process: str, when: str, *functions: str) -> list[Step]:
    return [Step(process, when, f"libos.{function}") for function in functions]


_OUTSIDE = [
    *_steps("outside", "enter", "keeper.outside:_map_ids", "kernel.namespaces:write_id_ranges"),
    *_steps("outside", "enter", "keeper.outside:_watch"),
    *_steps("outside", "leave", "keeper.outside:_end"),
]
_INSIDE = [
    *_steps("inside", "enter", "keeper.inside:_enter", "keeper.inside:_open_fuse", "keeper.base:build"),
    *_steps("inside", "enter", "keeper.base:_mount_fuse"),
    *_steps("inside", "enter", "keeper.base:_make_devices", "keeper.inside:Keeper.serve"),
    *_steps("inside", "enter", "keeper.inside:Keeper._set_up"),
    *_steps("inside", "run", "keeper.inside:Keeper._fork_world", "kernel.namespaces:clone_process"),
    *_steps("inside", "run", "keeper.inside:Keeper._reap"),
]
_INIT = _steps(
    "init",
    "run",
    "keeper.entering:keep_only",
    "keeper.world:new_proc",
    "keeper.network:Network.open_sockets",
    "keeper.hearing:Hearing.__init__",
    "keeper.starting:Starter.__init__",
    "keeper.program:Ahead.__init__",
    "keeper.world:build",
    "keeper.overlay:make",
    "keeper.world:_attach_devices",
    "keeper.program:Ahead.wait_for_walls",
    "kernel.mounts:pivot_root_here",
    "keeper.hearing:Hearing.start",
    "keeper.init:Init.serve",
    "keeper.init:Init._spawn",
    "keeper.init:Init._report_start",
    "keeper.init:Init._report_change",
)
_CHILD = _steps(
    "child",
    "run",
    "keeper.program:_wait_behind_walls",
    "keeper.walls:raise_walls",
    "keeper.program:_exec",
    "keeper.walls:finish",
    "keeper.program:_exec_by_path",
)
_HEARING = [
    *_steps("hearing", "listen", "keeper.hearing:_become", "keeper.hearing:_serve"),
    *_steps("hearing", "listen", "keeper.hearing:_hear"),
]
_SUPERVISOR = [
    *_steps("supervisor", "enter", "worlds.keeping:Keeper.wait_ready", "worlds.keeping:Keeper.set_up"),
    *_steps("supervisor", "enter", "fs.server:Server.serve"),
    *_steps("supervisor", "run", "worlds.view:View.serve", "worlds.keeping:Keeper.fork_world"),
    *_steps("supervisor", "run", "net.gate:Gate.run", "launch:spawn", "worlds.view:View.close"),
    *_steps("supervisor", "run", "net.gate:Gate.finish", "worlds.world:World.close"),
    *_steps("supervisor", "leave", "supervisor:Supervisor._end", "worlds.keeping:Keeper.hang_up"),
    *_steps("supervisor", "leave", "worlds.keeping:Keeper.end"),
]
STEPS = [*_OUTSIDE, *_INSIDE, *_INIT, *_CHILD, *_HEARING, *_SUPERVISOR]
