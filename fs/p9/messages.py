"""The messages of 9P2000.L that are spoken here: their numbers, and the fields of each.

The dialect is .L since its errors are Linux's errnos and its attributes are those of stat(2): plain 9P2000
has texts for errors, no symbolic links and no nanoseconds. Numbers: net/9p/9p.h of Linux; fields: the
protocol.md of diod.
"""

from __future__ import annotations

from typing import Any, NamedTuple

NO_TAG = 0xFFFF
NO_FID = 0xFFFFFFFF
VERSION = b"9P2000.L"


class Qid(NamedTuple):
    """Which file: `kind` has QTDIR 0x80, QTSYMLINK 0x02 or 0; `path` is unique among the server's files."""

    kind: int
    version: int
    path: int


class Message(NamedTuple):
    """A message: its kind by number and its fields in the order of `FIELDS`."""

    kind: int
    fields: tuple[Any, ...]


RLERROR = 7
TLOPEN, RLOPEN = 12, 13
TLCREATE, RLCREATE = 14, 15
TSYMLINK, RSYMLINK = 16, 17
TMKNOD, RMKNOD = 18, 19
TREADLINK, RREADLINK = 22, 23
TGETATTR, RGETATTR = 24, 25
TSETATTR, RSETATTR = 26, 27
TREADDIR, RREADDIR = 40, 41
TFSYNC, RFSYNC = 50, 51
TLINK, RLINK = 70, 71
TMKDIR, RMKDIR = 72, 73
TRENAMEAT, RRENAMEAT = 74, 75
TUNLINKAT, RUNLINKAT = 76, 77
TVERSION, RVERSION = 100, 101
TATTACH, RATTACH = 104, 105
TFLUSH, RFLUSH = 108, 109
TWALK, RWALK = 110, 111
TREAD, RREAD = 116, 117
TWRITE, RWRITE = 118, 119
TCLUNK, RCLUNK = 120, 121

# The fields of each kind: B H I Q numbers, s a string, n a name, q a qid, N names, W qids, D counted data.
FIELDS: dict[int, str] = {
    RLERROR: "I",
    TLOPEN: "II",
    RLOPEN: "qI",
    TLCREATE: "InIII",
    RLCREATE: "qI",
    TSYMLINK: "InsI",
    RSYMLINK: "q",
    TMKNOD: "InIIII",
    RMKNOD: "q",
    TREADLINK: "I",
    RREADLINK: "s",
    TGETATTR: "IQ",
    RGETATTR: "QqIIIQQQQQQQQQQQQQQQ",
    TSETATTR: "IIIIIQQQQQ",
    RSETATTR: "",
    TREADDIR: "IQI",
    RREADDIR: "D",
    TFSYNC: "II",
    RFSYNC: "",
    TLINK: "IIn",
    RLINK: "",
    TMKDIR: "InII",
    RMKDIR: "q",
    TRENAMEAT: "InIn",
    RRENAMEAT: "",
    TUNLINKAT: "InI",
    RUNLINKAT: "",
    TVERSION: "Is",
    RVERSION: "Is",
    TATTACH: "IIssI",
    RATTACH: "q",
    TFLUSH: "H",
    RFLUSH: "",
    TWALK: "IIN",
    RWALK: "W",
    TREAD: "IQI",
    RREAD: "D",
    TWRITE: "IQD",
    RWRITE: "I",
    TCLUNK: "I",
    RCLUNK: "",
}

# Of Tgetattr and Rgetattr, P9_GETATTR_BASIC: all that stat(2) shows.
BASIC = 0x7FF
# Of Tsetattr, P9_SETATTR_*: which fields are meant. A time that is meant and not given is now.
SET_MODE, SET_UID, SET_GID, SET_SIZE, SET_ATIME, SET_MTIME = 1, 2, 4, 8, 16, 32
SET_ATIME_GIVEN, SET_MTIME_GIVEN = 128, 256
# Of Tunlinkat, P9_DOTL_AT_REMOVEDIR: the name is a directory's.
REMOVE_DIRECTORY = 0x200
# Of Tlopen and Tlcreate: those of open(2) as most machines number them, which the protocol fixes.
ACCESS, CREATE, EXCLUSIVE, TRUNCATE, APPEND = 3, 0o100, 0o200, 0o1000, 0o2000
