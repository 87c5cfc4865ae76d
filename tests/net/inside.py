"""The inside half of the network tests: runs in a namespace of its own, sets it up as init does, and makes
sockets.

Stdlib only, and started as a script: `unshare -Urnpf python inside.py FOLDER FD flat|routed`. It reads
requests from the socket FD, a JSON list of a side and socket specs each, and sends the sockets back by
SCM_RIGHTS. It ends when the socket closes. A routed network is made by init's own code.
"""

import importlib.util
import json
import os
import socket
import struct
import sys
from types import ModuleType
from typing import Any


def load(folder: str, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, os.path.join(folder, f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def replay(messages: Any) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        for message in messages:
            netlink.send(message.data)
            answer = netlink.recv(4096)
            _, kind, _, sequence, _, error = struct.unpack_from("=IHHIIi", answer)
            if kind != 2 or sequence != struct.unpack_from("=I", message.data, 8)[0]:
                raise AssertionError(f"no acknowledgement of {message.purpose}")
            if error and message.required:
                raise OSError(-error, f"{message.purpose}: {os.strerror(-error)}")


def flat(folder: str) -> Any:
    for sysctl in load(folder, "sysctls").SYSCTLS:
        try:
            with open(f"/proc/sys/{sysctl.path}", "wb") as file:
                file.write(sysctl.value)
        except FileNotFoundError:
            if sysctl.required:
                raise
    replay(load(folder, "link_messages").MESSAGES)
    return lambda specs, side: [socket.socket(*spec).detach() for spec in specs]


def routed(folder: str) -> Any:
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    from libos.keeper import network

    messages, sysctls = load(folder, "link_messages"), load(folder, "sysctls")
    setup: Any = {
        "messages": {
            name: [(each.purpose, each.data, each.required) for each in getattr(messages, name.upper())]
            for name in ("link", "app", "gate")
        },
        "sysctls": {
            name: [(each.path, each.value.decode(), each.required) for each in files]
            for name, files in (("app", sysctls.ROUTED_APP), ("gate", sysctls.ROUTED_GATE))
        },
    }
    proc_fd = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    return network.Network(setup, proc_fd, routed=True).open_sockets


def main() -> None:
    folder, number, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    open_sockets = {"flat": flat, "routed": routed}[kind](folder)
    with socket.socket(fileno=number) as control:
        control.send(b"ready")
        while request := control.recv(65536):
            side, specs = json.loads(request)
            try:
                made = open_sockets(specs, side)
            except OSError as error:
                control.send(str(error.errno).encode())
                continue
            socket.send_fds(control, [b"ok"], made)
            for each in made:
                os.close(each)


main()
