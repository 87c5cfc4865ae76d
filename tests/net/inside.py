"""The inside half of the network tests: runs in a namespace of its own, sets it up as init does, and makes
sockets.

Stdlib only, and started as a script: `unshare -Urn python inside.py FD`. It reads requests from the socket
FD, a JSON list of socket specs each, and sends the sockets back by SCM_RIGHTS. It ends when the socket
closes.
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


def main() -> None:
    folder, number = sys.argv[1], int(sys.argv[2])
    for sysctl in load(folder, "sysctls").SYSCTLS:
        try:
            with open(f"/proc/sys/{sysctl.path}", "wb") as file:
                file.write(sysctl.value)
        except FileNotFoundError:
            if sysctl.required:
                raise
    replay(load(folder, "link_messages").MESSAGES)
    with socket.socket(fileno=number) as control:
        control.send(b"ready")
        while request := control.recv(65536):
            made = []
            try:
                made = [socket.socket(*spec) for spec in json.loads(request)]
            except OSError as error:
                control.send(str(error.errno).encode())
            else:
                socket.send_fds(control, [b"ok"], [each.fileno() for each in made])
            for each in made:
                each.close()


main()
