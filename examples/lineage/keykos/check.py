"""A grant is handed on, weaker; it is taken back with all that was made of it; a name alone gives nothing."""

from __future__ import annotations

from pathlib import Path

from claims import Evidence, Property, scratch
from probing import Talk, made, read

import libos
from libos.holes import holes, special_files
from libos.plan import lower

TITLE = "KeyKOS, 1983: all authority is keys that nobody can forge"
HERE = Path(__file__).parent
READ_ONLY, GONE, BROKEN = "Read-only file system", "No such file or directory", "Input/output error"
REFUSED = "Connection refused"

PROPERTIES = {
    "names": Property(
        "a name gives nothing: what one world holds is absent in another, by its name and by the host's",
        "the other one is given the same",
        lambda saw: saw == [GONE, GONE],
    ),
    "weaker": Property(
        "what is handed on can be weaker: the one may write, the other may read",
        "it is handed on as it is",
        lambda saw: saw == ["written", "written", READ_ONLY],
    ),
    "weakest": Property(
        "what was made weaker stays so, whoever hands it on: from the one that may read nobody gets more",
        "it is handed on by the one that may write",
        lambda saw: saw == READ_ONLY,
    ),
    "revoked": Property(
        "what is taken back is gone with all that was made of it, open files too",
        "the other one has a grant of its own, of the same folder",
        lambda saw: saw == [BROKEN, GONE],
    ),
    "factory": Property(
        "what is certified before it runs as having no holes gets nothing out, to a file or to an address",
        "the folder may be written, and the list says so",
        lambda saw: saw == {"holes": [], "answers": [READ_ONLY, REFUSED], "outside": ""},
    ),
}


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Hand a folder from the first of three worlds to the others, and take it back."""
    first, second, third = [await Talk.with_(supervisor, libos.load(HERE / "holder.toml")) for _ in range(3)]
    with scratch() as folder:
        (folder / "note").touch()
        own = libos.host(str(folder), mode="read-write", revocable=True)
        grant = await first.app.mount("/data", own)
        if without == "names":
            await second.app.mount("/data", grant)
        names = [await second.ask(f"read {place}/note") for place in ("/data", folder)]
        wrote = await first.ask("write /data/note")

        handed = own | {"mode": "read-only"} if without == "revoked" else grant
        keys = {} if without in ("weaker", "revoked") else {"read_only": True}
        passed = await second.app.mount("/in", handed, **keys)
        weaker = [wrote, await second.ask("read /in/note"), await second.ask("write /in/note")]
        await third.app.mount("/in", grant if without == "weakest" else passed)
        weakest = await third.ask("write /in/note")
        assert await second.ask("open /in/note") == "open"
        await grant.revoke()
        revoked = [await second.ask("again"), await second.ask("read /in/note")]
        for each in (first, second, third):
            await each.end()
    certified = await factory(supervisor, "read-write" if without == "factory" else "read-only")
    return {"names": names, "weaker": weaker, "weakest": weakest, "revoked": revoked, "factory": certified}


async def factory(supervisor: libos.Supervisor, mode: str) -> dict[str, object]:
    """List the ways out of a world that a program is started in, and have it try two."""
    with scratch() as folder:
        (folder / "note").touch()
        (folder / "note").chmod(0o666)
        value = read(HERE / "holder.toml")
        value["mount"].append({"at": "/data", "host": str(folder), "mode": mode})
        manifest = made(value, HERE / "holder.toml")
        plan = lower(manifest)
        found = [each.name for each in holes(plan, special_files(plan)) if not each.own]
        talk = await Talk.with_(supervisor, manifest)
        answers = [await talk.ask("write /data/note"), await talk.ask("dial 127.0.0.1 9")]
        await talk.end()
        return {"holes": found, "answers": answers, "outside": (folder / "note").read_text()}
