"""A configuration is code: computed, typed, and what it does not link is not there."""

from __future__ import annotations

import sys
from pathlib import Path

from claims import Evidence, MissingError, Property, scratch
from mirage.config import config
from probing import outside, said

import libos

TITLE = "OpenMirage, 2013: the system is a library, the configuration is code"
HERE = Path(__file__).parent

PROPERTIES = {
    "code": Property(
        "one configuration makes a world for each target",
        "it makes the same for all",
        lambda saw: saw == {"test": "a draft", "production": "a page"},
    ),
    "typed": Property(
        "a job that is linked with a device of another type is refused before anything runs",
        "the job does not say the type that it needs",
        lambda saw: 'incompatible type "Block"; expected "KeyValue"' in saw,
    ),
    "linked": Property(
        "of three devices that there could be the world has the two that are linked",
        "the third is linked too",
        lambda saw: saw.split() == ["/pages", "/scratch"],
    ),
}


async def checked(*, typed: bool) -> str:
    """What mypy says of the configuration with a mistake."""
    with scratch() as folder:
        (folder / "mirage").mkdir()
        for name in ("devices.py", "config.py", "wrong.py"):
            text = (HERE / name).read_text().partition("  # type: ignore")[0].partition("\nif __name__")[0]
            text = text if typed else text.replace("pages: KeyValue,", "pages: Any,")
            (folder / "mirage" / name).write_text(text)
        mypy = ["env", f"MYPYPATH={folder}", sys.executable, "-m", "mypy", "--strict", "--config-file="]
        mypy += ["--explicit-package-bases", "--cache-dir=/dev/null", "--no-error-summary"]
        found = await outside([*mypy, str(folder / "mirage/wrong.py")])
    if "No module named mypy" in found:
        raise MissingError("there is no mypy here, which finds wrong types: pip install mypy")
    return found


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Make worlds of a configuration, and have it checked with a mistake."""
    pages: dict[str, str] = {}
    devices = ""
    for target in ("test", "production"):
        manifest = config("production" if without == "code" else target)
        if without == "linked":
            manifest["mount"].append({"at": "/cache", "memory": "1M"})
        pages[target], _, devices = (await said(supervisor, manifest)).partition("\n")
    return {"code": pages, "typed": await checked(typed=without != "typed"), "linked": devices}
