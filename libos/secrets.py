"""The values of a manifest's secrets, read from the caller when a world is made.

Rules: a value is read once, on the caller's side, with the caller's rights; line ends after it are no part of
it. No message here shows a value, nor what a command has written.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import trio

from libos.errors import ManifestError
from libos.fs import synthetic
from libos.namespace import WorldSource
from libos.net.http.web import Web
from libos.plan.web import BUNDLE

if TYPE_CHECKING:
    from libos.fs.node import Node
    from libos.manifest.model import Secret
    from libos.net.http.secrets import Secrets
    from libos.net.sockets import Observe
    from libos.plan import Plan

# Opens a file of the host by its path, for reading.
Read = Callable[[str], Awaitable[int]]

# Seconds for a command that prints a secret; it may ask a person, or a machine elsewhere.
_COMMAND_SECONDS = 60.0
# Bytes. A header is much shorter.
_LONGEST = 32 * 1024


async def world_web(world: str, plan: Plan, observe: Observe, read: Read) -> Web:
    """What a world's gate needs for HTTP: its secrets, and its authority where the world has a file that says
    whom it trusts. `read` opens the file of a secret. Raises ManifestError where a value cannot be had."""
    secrets = await _read_all(plan.secrets, read) if plan.secrets else None
    web = Web(world, observe, secrets, trusted=_has_bundle(plan))
    for rule in plan.dials:
        if rule.http is not None and rule.http.ca is not None:
            try:
                await web.outside_context(rule.http.ca)
            except OSError as error:
                text = f'the certificates in "{rule.http.ca}" cannot be used: {error.strerror}'
                raise ManifestError(f"{rule.origin or rule}: {text}") from None
    if _has_bundle(plan):
        await trio.to_thread.run_sync(lambda: web.authority)
    return web


def nodes(web: Web, plan: Plan) -> dict[str, Node]:
    """The files of a world that hold placeholders, and the bundle, by the names of their sources."""
    made = {f"secret/{each.name}": synthetic.data(each.placeholder) for each in web.secrets}
    if _has_bundle(plan):
        from libos.net.http import trust

        made[BUNDLE] = synthetic.text(trust.bundle(web.authority.pem))
    return made


def with_placeholders(web: Web, own: Mapping[str, str]) -> dict[str, str]:
    """An app's environment, with the placeholders in it."""
    return {**own, **{each.name: each.placeholder.decode() for each in web.secrets}}


def _has_bundle(plan: Plan) -> bool:
    return any(each.source == WorldSource(BUNDLE) for each in plan.served)


async def _read_all(asked: tuple[Secret, ...], read: Read) -> Secrets:
    from libos.net.granting.target import parse_target
    from libos.net.http.secrets import Secret as Held
    from libos.net.http.secrets import Secrets

    held = []
    for each in asked:
        value = (await _read(each, read)).rstrip(b"\r\n")
        to = tuple(parse_target(target) for target in each.to)
        try:
            held.append(Held(each.name, value, each.header.lower().encode(), to))
        except ValueError as error:
            raise ManifestError(f"{each.origin or 'secret'}: {error}") from None
    return Secrets(held)


async def _read(secret: Secret, read: Read) -> bytes:
    where = f"{secret.origin or 'secret'}: {secret.name}"
    if secret.environment is not None:
        value = os.environb.get(secret.environment.encode())
        if value is None:
            raise ManifestError(f"{where}: your environment has no {secret.environment}: export it first")
        return value
    if secret.file is not None:
        try:
            async with await trio.open_file(await read(secret.file), "rb") as file:
                return await file.read(_LONGEST)
        except OSError as error:
            raise ManifestError(f'{where}: "{secret.file}" cannot be read: {error.strerror}') from None
    assert secret.command is not None
    return await _printed(secret.command, where)


async def _printed(command: tuple[str, ...], where: str) -> bytes:
    try:
        with trio.fail_after(_COMMAND_SECONDS):
            done = await trio.run_process(command, capture_stdout=True, stdin=subprocess.DEVNULL, check=False)
    except trio.TooSlowError:
        raise ManifestError(f"{where}: its command took more than {_COMMAND_SECONDS:.0f} s") from None
    except OSError as error:
        raise ManifestError(f'{where}: "{command[0]}" cannot be run: {error.strerror}') from None
    if done.returncode != 0:
        raise ManifestError(f'{where}: "{command[0]}" ended with status {done.returncode}')
    return bytes(done.stdout[:_LONGEST])
