"""What libraries look for by themselves in nearly every program, by the path at which a world is asked.

Rules: a path stands here only when a named library asks for it unbidden, with its source. `ALONE` are paths
that nobody else has a use for; the report sums them up. `SHARED` are directories below which a library looks
and an app may look as well; the report shows them, after everything else. `WITHIN` are parts of paths that
only a library makes up; they show where every file of a world is served, since the host's trees answer
otherwise.
"""

from __future__ import annotations

import re
from types import MappingProxyType

# glibc 2.41 unless said; each file is read where it is there, and none is needed.
ALONE = MappingProxyType(
    {
        "/etc/ld.so.preload": "the dynamic linker: elf/rtld.c, ld.so(8)",
        "/etc/ld.so.cache": "the dynamic linker: elf/dl-cache.c, ld.so(8)",
        "/etc/ld.so.nohwcap": "the dynamic linker of Debian and Ubuntu before glibc 2.33",
        "/etc/suid-debug": "malloc in set-uid programs before glibc 2.26: elf/rtld.c",
        "/etc/locale.alias": "setlocale(3): intl/localealias.c; Debian's package locales puts it there",
        "/etc/localtime": "localtime(3): time/tzfile.c, tzset(3)",
        "/etc/nsswitch.conf": "getpwnam(3) and its kin: nss/nss_database.c, nsswitch.conf(5)",
        "/etc/host.conf": "getaddrinfo(3): resolv/res_hconf.c, host.conf(5)",
        "/etc/gai.conf": "getaddrinfo(3): nss/getaddrinfo.c, gai.conf(5)",
        "/selinux": "libselinux, at the start of each program that has it: src/init.c, OLDSELINUXMNT",
        "/etc/selinux": "libselinux: src/selinux_config.c, SELINUXDIR",
        "/etc/gnutls": "libgnutls, at the start of each program that has it: lib/priority.c",
    }
)
SHARED = MappingProxyType(
    {
        "/var": "glibc asks nscd before /etc/passwd: nscd/nscd-client.h, _PATH_NSCDSOCKET in /var/run",
        "/sys": "libselinux looks for /sys/fs/selinux, glibc for the processors (get_nprocs(3))",
    }
)
WITHIN = (
    (re.compile(r"/__init__(\.[^/]+)?\.so$"), "Python's import: FileFinder.find_spec"),
    (re.compile(r"/glibc-hwcaps(/|$)"), "the dynamic linker: elf/dl-hwcaps.c, ld.so(8)"),
    (re.compile(r"/gconv/gconv-modules"), "iconv(3): iconv/gconv_conf.c, gconv-modules.cache"),
    (re.compile(r"/locale/(locale-archive$|[^/]+/LC_)"), "setlocale(3): locale/findlocale.c"),
    (re.compile(r"/locale/[^/]+(/LC_MESSAGES|$)"), "gettext(3): intl/l10nflist.c"),
    (re.compile(r"/share/locale-langpack(/|$)"), "gettext(3) of Ubuntu"),
    (re.compile(r"/(lib|lib64|lib/[a-z0-9_]+-linux-gnu)/(tls|x86_64|haswell|avx512_1)(/|$)"),
     "the dynamic linker before glibc 2.37: elf/dl-hwcaps.c"),
)  # fmt: skip


def by_habit(path: str) -> str | None:
    """The library that looks for this path unbidden, with its source; None where it is the app's own look."""
    if path in ALONE:
        return ALONE[path]
    return next((source for pattern, source in WITHIN if pattern.search(path)), None)
