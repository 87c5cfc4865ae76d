"""Options that several commands share, and the manifest that they make.

What stands after `--` is the app's command, untouched: click never sees it, so its options cannot be taken
for libos's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from libos.cli import completing

if TYPE_CHECKING:
    from libos.manifest import Manifest

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class ViewOptions:
    """What the command line says about an app's view; `manifest()` checks it together with the manifest
    file."""

    manifest_path: str | None
    mounts: tuple[str, ...]
    environment: tuple[str, ...]
    dials: tuple[str, ...]
    publish: tuple[str, ...]
    include: tuple[str, ...]
    directory: str | None
    hostname: str | None
    name: str | None
    keep: str | None
    record: bool
    user: str | None
    level: str | None
    capture: str | None
    timeout: str | None
    memory: str | None
    cpus: str | None
    cpu_shares: str | None
    cpuset_cpus: str | None
    pids_limit: str | None
    ulimits: tuple[str, ...]
    allow_missing: tuple[str, ...]
    syscalls: str | None
    namespace: str | None
    namespace_mode: str
    command: tuple[str, ...]

    def manifest(self, under: Manifest | None = None) -> Manifest:
        """Give the manifest of file and options together; `under` takes the place of the file. Raises
        ManifestError with every error found."""
        from libos.manifest import from_options
        from libos.manifest.limiting import LimitOptions

        return from_options(
            self.manifest_path if under is None else under,
            command=self.command,
            mounts=self.mounts,
            environment=self.environment,
            dials=self.dials,
            publish=self.publish,
            include=self.include,
            directory=self.directory,
            hostname=self.hostname,
            name=self.name,
            keep=self.keep,
            record=self.record,
            user=self.user,
            level=self.level,
            capture=self.capture,
            time=self.timeout,
            limits=LimitOptions(**{name: getattr(self, name) for name in LimitOptions._fields}),
            allow_missing=self.allow_missing,
            syscalls=self.syscalls,
            namespace=self.namespace,
            namespace_mode=self.namespace_mode,
        )


_EXAMPLE = "libos run -v .:/work -- ls -l /work"


class _ElsewhereError(click.UsageError):
    """An option that another tool has."""


class WithCommand(click.Command):
    """A click command whose arguments after the first `--` are the app's command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            args, rest = args[:at], args[at + 1 :]
            if not rest:
                raise click.UsageError("a command must follow --", ctx)
            ctx.meta["libos.command"] = tuple(rest)
            return self._parsed(ctx, args)
        words = [word for word in args if not word.startswith("-")]  # click empties args
        try:
            return self._parsed(ctx, args)
        except click.UsageError as error:
            mistyped = isinstance(error, click.NoSuchOption) and error.possibilities
            if mistyped or isinstance(error, _ElsewhereError) or not words or not ctx.allow_interspersed_args:
                raise
            told = f"{error.format_message()} A command stands after --, as in: {_EXAMPLE}"
            raise click.UsageError(told, ctx) from error

    def _parsed(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from libos.cli.elsewhere import ELSEWHERE

            known = ELSEWHERE.get(error.option_name) if self.name == "run" else None
            if known is None:
                raise
            raise _ElsewhereError(f"there is no {error.option_name} here: {known}", ctx) from error

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND ...]"]


_OPTIONS: list[Callable[[Any], Any]] = [
    click.option("-v", "--volume", "mounts", metavar="SRC:AT[:ro|rw|cow|replace]", multiple=True,
                 help="Mount a file or directory of the host; read-only unless said. replace: a "
                 "read-write file that programs may replace by rename."),
    click.option("-e", "--env", "environment", metavar="NAME[=VALUE]", multiple=True,
                 help="Set a variable; without a value, pass on the one set here."),
    click.option("--dial", "dials", metavar="ADDRESS[,private]", multiple=True,
                 help="Let the app connect there: tcp!api.example.com!443. private: the name may lead to "
                 "private and loopback addresses."),
    click.option("-p", "--publish", "publish", metavar="[IP:]PORT:PORT", multiple=True,
                 help="Make a port of the app reachable outside (outside first); at 127.0.0.1 unless said."),
    click.option("--include", "include", metavar="PROFILE|FILE", multiple=True,
                 help="Add a profile (base, shell, python, node) or a manifest file."),
    click.option("--namespace", "namespace", metavar="FILE",
                 help="Mount what this file of namespace(6) says, and nothing else."),
    click.option("--namespace-mode", "namespace_mode", type=click.Choice(["strict", "compat"]),
                 default="strict", help="Name every wrong line of it, or pass over them as 9front does."),
    click.option("-w", "--workdir", "directory", metavar="DIRECTORY", help="The app's working directory."),
    click.option("-u", "--user", "user", metavar="app|root", help="Who the app is inside; app unless said."),
    click.option("--level", "level", metavar="LABEL",
                 help="The label that the app runs at, not above its clearance."),
    click.option("--hostname", "hostname", metavar="NAME", help="The host name that the app sees."),
    click.option("--name", "name", metavar="NAME",
                 help="The world's name, for ps, exec and kill; build/tests is one below build."),
    click.option("--keep", "keep", metavar="NAME",
                 help="Keep its copy-on-write changes; then: libos diff, commit, discard NAME."),
    click.option("--record", "record", is_flag=True,
                 help="Tell each use of a path by an event, see --events; every file is then served."),
    click.option("--capture", "capture", metavar="FILE",
                 help="Write what the app's network carries to this file, as pcapng."),
    click.option("--timeout", "timeout", metavar="TIME",
                 help="End the app after this time (10, 10s, 5min); the status is then 124."),
    click.option("-m", "--memory", "memory", metavar="SIZE",
                 help="The memory of all its processes together: 512M."),
    click.option("--cpus", "cpus", metavar="NUMBER", help="How many processors' time it gets: 1.5."),
    click.option("--cpu-shares", "cpu_shares", metavar="WEIGHT",
                 help="Its weight against others; 1024 is what everybody has."),
    click.option("--cpuset-cpus", "cpuset_cpus", metavar="LIST", help="The processors it may use: 0-3,5."),
    click.option("--pids-limit", "pids_limit", metavar="NUMBER",
                 help="How many processes and threads it may have; 4096 unless said."),
    click.option("--ulimit", "ulimits", metavar="NAME=LIMIT", multiple=True,
                 help="Of each process: nofile=1024 (descriptors), fsize= (bytes), cpu= (seconds)."),
    click.option("--allow-missing", "allow_missing", metavar="FEATURE", multiple=True,
                 help="Go on where this host lacks it: limits.memory. The events tell of it."),
]  # fmt: skip


_SYSCALLS = click.option("--syscalls", "syscalls", metavar="PROFILE",
                         help="The system calls it may make: default, strict, narrow, compute.")  # fmt: skip


_MANIFEST = click.argument(
    "manifest_path", metavar="[MANIFEST]", required=False, shell_complete=completing.files
)

# What a run is looked at by; the same for each command that does.
path_option = click.option(
    "--path", "paths", metavar="PATTERN", multiple=True,
    help="Only what is at or below this path, or matches it; * stands for anything.",
)  # fmt: skip


def view_options(function: Function) -> Function:
    """Give a command the options of ViewOptions; `take_view` reads them."""
    return view_options_but_syscalls(_SYSCALLS(function))


def view_options_but_syscalls(function: Function) -> Function:
    """The same for a command that has a `--syscalls` of its own, its parameter named `syscalls`."""
    return _MANIFEST(_with_options(function))


def view_options_but_manifest(function: Function) -> Function:
    """The same for a command that has an argument of its own, its parameter named `manifest_path`."""
    return _with_options(_SYSCALLS(function))


def _with_options(function: Function) -> Function:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def view_given(ctx: click.Context) -> bool:
    """Whether one of the options of ViewOptions stands on the command line."""
    names = (field.name for field in fields(ViewOptions) if field.name != "manifest_path")
    return any(ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in names)


def take_view(ctx: click.Context, parameters: dict[str, Any]) -> ViewOptions:
    """Take the options of ViewOptions out of a command's parameters."""
    command = ctx.meta.get("libos.command", ())
    names = [field.name for field in fields(ViewOptions) if field.name != "command"]
    return ViewOptions(**{name: parameters.pop(name) for name in names}, command=command)
