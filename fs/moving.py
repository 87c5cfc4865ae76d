"""Renaming between two directories, where one may stand for several: a union."""

from __future__ import annotations

import errno

from libos.fs.node import Directory, refusal

# renameat2(2), linux/fs.h
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2


async def rename(directory: Directory, name: bytes, parent: Directory, new_name: bytes, flags: int) -> None:
    """renameat2(2): `name` of `directory` becomes `new_name` of `parent`, or of the first of its stand-ins
    that is of the same tree. EXDEV where none is."""
    if parent is directory:
        return await directory.rename(name, parent, new_name, flags)
    for stand_in in await parent.stand_ins(new_name):
        try:
            return await directory.rename(name, stand_in, new_name, flags)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    raise refusal(errno.EXDEV, name)
