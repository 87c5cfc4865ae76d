"""Options that people know from docker, bubblewrap, firejail and systemd-run, and what says the same here.

Rules: what stands here is no option of `libos run`; the text goes on from "there is no --x here: ".
"""

from __future__ import annotations

_SHARED = "a world shares no namespace with the host; leave it out"
_NETWORK = "a world reaches what --dial names and is reached where --publish says, and else nothing"
_ALWAYS = "it is always so; leave it out"
_CAPABILITIES = "an app has no capability; with -u root it has seven that count in its world alone"
_TREE = "a world has a /proc and a /dev of its own; leave it out"
_DEVICES = "a world has the devices null, zero, full, random, urandom and tty, and gets no others"
_FIREJAIL = (
    "what no -v names is not there; a directory is mounted by -v SRC:AT, and files in it hidden by a manifest"
)

ELSEWHERE = {
    # docker and podman
    "--rm": "nothing of a world stays unless --keep says so; leave it out",
    "--network": _NETWORK,
    "--net": _NETWORK,
    "--dns": "names that --dial grants are looked up outside, as this machine does",
    "--add-host": _NETWORK,
    "--mount": "write -v SRC:AT, with :rw or :cow behind it to write",
    "--read-only": "what is mounted is read-only unless :rw or :cow says otherwise; leave it out",
    "--detach": "end the line with &, or describe the worlds in a stack file and use: libos up -d",
    "-d": "end the line with &, or describe the worlds in a stack file and use: libos up -d",
    "--entrypoint": "the command stands after --",
    "--env-file": "name the variables with -e, or in a manifest's [app] environment",
    "--privileged": _CAPABILITIES,
    "--cap-add": _CAPABILITIES,
    "--cap-drop": _CAPABILITIES,
    "--security-opt": "system calls are limited by --syscalls, and the other walls always stand",
    "--device": _DEVICES,
    "--gpus": _DEVICES,
    "--memory-swap": "--memory bounds memory and swap together",
    "--init": _ALWAYS,
    # bubblewrap
    "--bind": "write -v SRC:AT:rw",
    "--ro-bind": "write -v SRC:AT",
    "--ro-bind-try": "write -v SRC:AT; a manifest has optional = true for what may be absent",
    "--overlay": "write -v SRC:AT:cow",
    "--symlink": "mount what it would lead to, with -v SRC:AT",
    "--tmpfs": 'there is one at /tmp already; a manifest has memory = "64M" for others',
    "--proc": _TREE,
    "--dev": _TREE,
    "--unshare-all": _SHARED,
    "--unshare-net": _SHARED,
    "--unshare-pid": _SHARED,
    "--unshare-user": _SHARED,
    "--share-net": _NETWORK,
    "--setenv": "write -e NAME=VALUE",
    "--clearenv": "an app has the variables of its manifest and those that -e names; leave it out",
    "--chdir": "write -w DIRECTORY",
    "--uid": "an app has an id of its own; -u root makes it uid 0 inside",
    "--die-with-parent": _ALWAYS,
    "--new-session": _ALWAYS,
    "--seccomp": "write --syscalls strict, or name calls in a manifest's [syscalls]",
    # firejail
    "--private": _FIREJAIL,
    "--whitelist": _FIREJAIL,
    "--blacklist": _FIREJAIL,
    "--noroot": _ALWAYS,
    "--caps.drop": _ALWAYS,
    # systemd-run
    "--property": "limits have options of their own, as --memory, --cpus and --pids-limit",
    "--pty": "a terminal is given when all streams are one, or by -t",
    "--pipe": _ALWAYS,
    "--scope": _ALWAYS,
}
