"""What files hold: offsets, appending, holes, space, copying, mappings, files without a name."""

from __future__ import annotations

import errno
import mmap
import os
import subprocess
from collections.abc import Iterator

from calls import attempt, fallocate
from stage import put

PAGE = mmap.PAGESIZE
# fallocate(2), linux/falloc.h
KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO = 1, 2, 8, 16


def get(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def offsets() -> Iterator[object]:
    fd = os.open(b"f", os.O_RDWR | os.O_CREAT)
    yield os.write(fd, b"0123456789"), os.lseek(fd, 0, os.SEEK_CUR)
    yield attempt(os.lseek, fd, -1, os.SEEK_SET), attempt(os.lseek, fd, 0, 99)
    yield os.lseek(fd, -4, os.SEEK_END), os.read(fd, 2), os.pread(fd, 3, 0), os.read(fd, 99), os.read(fd, 1)
    yield attempt(os.pread, fd, 1, -1), attempt(os.pwrite, fd, b"x", -1)
    yield os.lseek(fd, 1 << 40, os.SEEK_SET), os.read(fd, 1)
    yield os.readv(fd, [bytearray(1)]), os.pwritev(fd, [b"ab", b"cd"], 3), os.pread(fd, 20, 0)
    yield attempt(os.write, os.open(b"f", os.O_RDONLY), b"x"), attempt(os.read, os.open(b"f", os.O_WRONLY), 1)
    yield attempt(os.read, os.open(b".", os.O_RDONLY), 1), attempt(os.ftruncate, fd, -1)
    yield attempt(os.ftruncate, os.open(b"f", os.O_RDONLY), 1)


def three_writers_append() -> Iterator[object]:
    put(b"f", b"")
    script = (
        "import os,sys\n"
        "fd = os.open('f', os.O_WRONLY | os.O_APPEND)\n"
        "for number in range(200): os.write(fd, (sys.argv[1] + '%03d' % number + '\\n').encode())\n"
    )
    writers = [subprocess.Popen(["/usr/bin/python3", "-I", "-S", "-c", script, letter]) for letter in "abc"]
    yield [writer.wait() for writer in writers]
    lines = get(b"f").splitlines()
    yield (
        len(lines),
        sorted(lines) == sorted(b"%s%03d" % (x, n) for x in (b"a", b"b", b"c") for n in range(200)),
    )
    fd = os.open(b"f", os.O_RDWR | os.O_APPEND)
    os.lseek(fd, 0, os.SEEK_SET)
    os.write(fd, b"end")
    yield os.lseek(fd, 0, os.SEEK_CUR) == os.fstat(fd).st_size, get(b"f")[-3:]
    yield os.pwrite(fd, b"!", 0), get(b"f")[-4:]  # pwrite(2), BUGS: appends


def holes() -> Iterator[object]:
    fd = os.open(b"f", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"x", 8 << 20)
    os.ftruncate(fd, 16 << 20)
    yield os.fstat(fd).st_size, os.fstat(fd).st_blocks < 1024
    yield os.pread(fd, 3, (8 << 20) - 1), os.pread(fd, 9, (16 << 20) - 2)
    yield attempt(os.lseek, fd, 0, os.SEEK_DATA), attempt(os.lseek, fd, 8 << 20, os.SEEK_HOLE)
    yield attempt(os.lseek, fd, 0, os.SEEK_HOLE), attempt(os.lseek, fd, 9 << 20, os.SEEK_DATA)
    yield attempt(os.lseek, fd, 16 << 20, os.SEEK_DATA), attempt(os.lseek, fd, 17 << 20, os.SEEK_HOLE)
    os.ftruncate(fd, 1 << 42)
    yield os.fstat(fd).st_size, os.pread(fd, 2, (1 << 42) - 1)


def space() -> Iterator[object]:
    fd = os.open(b"f", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * 3 * PAGE)
    yield attempt(fallocate, fd, 0, 0, 8 * PAGE), os.fstat(fd).st_size
    yield attempt(fallocate, fd, KEEP_SIZE, 0, 16 * PAGE), os.fstat(fd).st_size
    yield attempt(fallocate, fd, PUNCH_HOLE | KEEP_SIZE, PAGE, PAGE), os.pread(fd, 2, PAGE)
    yield attempt(fallocate, fd, ZERO, 0, PAGE), os.pread(fd, 2, 0)
    yield attempt(fallocate, fd, COLLAPSE, 0, PAGE)
    yield attempt(fallocate, fd, 0, 0, 0), attempt(fallocate, fd, 0, -1, 5)
    yield attempt(fallocate, os.open(b"f", os.O_RDONLY), 0, 0, 5)
    yield attempt(os.posix_fallocate, fd, 0, 20 * PAGE), os.fstat(fd).st_size


def copied_by_the_kernel() -> Iterator[object]:
    data = bytes(range(256)) * 64
    put(b"from", data)
    source, target = os.open(b"from", os.O_RDONLY), os.open(b"to", os.O_RDWR | os.O_CREAT)
    yield os.copy_file_range(source, target, 5000, 100, 0), get(b"to") == data[100:5100]
    yield attempt(os.copy_file_range, source, target, 10, 1 << 40, 0)
    yield os.sendfile(target, source, 0, 1000), get(b"to")[:1000] == data[:1000]
    reader, writer = os.pipe()
    yield os.splice(source, writer, 500, 7), os.read(reader, 999) == data[7:507]
    os.write(writer, b"through a pipe")
    yield os.splice(reader, target, 14, None, 0), get(b"to")[:14]
    yield attempt(os.copy_file_range, source, os.open(b"to", os.O_RDONLY), 1)


def written_around_the_cache() -> Iterator[object]:
    area = mmap.mmap(-1, 4 * PAGE)
    area.write(b"d" * 4 * PAGE)
    fd = os.open(b"f", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    yield os.writev(fd, [area]), os.fstat(fd).st_size
    yield os.preadv(fd, [area], PAGE), bytes(area[:4])
    put(b"f", b"e" * PAGE)
    yield os.preadv(fd, [area], 0), bytes(area[:4])


def mappings() -> Iterator[object]:
    put(b"f", b"." * 3 * PAGE)
    fd = os.open(b"f", os.O_RDWR)
    with mmap.mmap(fd, 3 * PAGE) as shared, mmap.mmap(fd, 3 * PAGE, mmap.MAP_PRIVATE) as private:
        shared[PAGE : PAGE + 5] = b"hello"
        yield os.pread(fd, 7, PAGE - 1), private[PAGE : PAGE + 5]
        private[0:4] = b"mine"
        yield os.pread(fd, 4, 0), shared[0:4]
        os.pwrite(fd, b"written", 2 * PAGE)
        yield shared[2 * PAGE : 2 * PAGE + 7]
        shared.flush()
        os.unlink(b"f")
        shared[0:4] = b"gone"
        yield os.pread(fd, 4, 0)
    put(b"g", b"12345")
    fd = os.open(b"g", os.O_RDONLY)
    yield attempt(lambda: mmap.mmap(fd, 5, mmap.MAP_SHARED, mmap.PROT_WRITE))
    yield attempt(lambda: mmap.mmap(fd, 5, mmap.MAP_PRIVATE, mmap.PROT_WRITE | mmap.PROT_READ)[0:3])
    with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as area:
        put(b"h", b"67890")
        os.rename(b"h", b"g")
        yield area[:], get(b"g")


def a_mapping_of_a_file_that_shrinks() -> Iterator[object]:
    script = (
        "import mmap,os\n"
        "open('m','wb').write(b'x'*8192)\n"
        "fd=os.open('m',os.O_RDWR); area=mmap.mmap(fd,8192); os.truncate('m',100)\n"
        "assert area[0:1]==b'x' and area[200:201]==b'\\0'\n"
        "area[5000]\n"
    )
    yield subprocess.run(["/usr/bin/python3", "-I", "-S", "-c", script]).returncode


def files_without_a_name() -> Iterator[object]:
    fd = os.open(b"f", os.O_RDWR | os.O_CREAT)
    os.unlink(b"f")
    yield os.write(fd, b"hello"), os.pread(fd, 9, 0), os.fstat(fd).st_nlink
    os.ftruncate(fd, 2)
    os.fchmod(fd, 0o600)
    yield os.fstat(fd).st_size, oct(os.fstat(fd).st_mode)
    again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
    yield os.write(again, b"again"), os.pread(fd, 9, 0)
    put(b"f", b"another")
    yield os.pread(fd, 9, 0)
    os.mkdir(b"d")
    directory = os.open(b"d", os.O_RDONLY)
    os.rmdir(b"d")
    yield attempt(os.listdir, directory), attempt(lambda: os.open(b"x", os.O_CREAT, dir_fd=directory))
    yield attempt(lambda: os.mkdir(b"x", dir_fd=directory)), os.fstat(directory).st_nlink


def temporary_files() -> Iterator[object]:
    made: list[int] = []
    yield attempt(lambda: made.append(os.open(b".", os.O_TMPFILE | os.O_RDWR, 0o600)))
    yield attempt(lambda: made.append(os.open(b".", os.O_TMPFILE | os.O_RDONLY, 0o600)))
    if made:
        yield attempt(os.link, f"/proc/self/fd/{made[0]}", b"named")


def programs() -> Iterator[object]:
    put(b"p", b"#!/bin/sh\nexit 7\n")
    yield attempt(subprocess.run, ["./p"])
    os.chmod(b"p", 0o755)
    yield subprocess.run(["./p"]).returncode
    put(b"sleep", get(b"/bin/sleep"))
    os.chmod(b"sleep", 0o755)
    running = subprocess.Popen(["./sleep", "60"])
    yield attempt(lambda: os.close(os.open(b"sleep", os.O_WRONLY))), attempt(os.truncate, b"sleep", 0)
    yield attempt(os.unlink, b"sleep")
    running.kill()
    yield running.wait()
    put(b"busy", get(b"/bin/sleep"))
    os.chmod(b"busy", 0o755)
    writer = os.open(b"busy", os.O_WRONLY)
    yield attempt(subprocess.run, ["./busy", "0"])
    os.close(writer)
    yield subprocess.run(["./busy", "0"]).returncode


def synchronised() -> Iterator[object]:
    fd = os.open(b"f", os.O_RDWR | os.O_CREAT | os.O_SYNC)
    yield os.write(fd, b"x"), attempt(os.fsync, fd), attempt(os.fdatasync, fd)
    directory = os.open(b".", os.O_RDONLY)
    yield attempt(os.fsync, directory), attempt(os.fdatasync, directory)
    yield attempt(os.posix_fadvise, fd, 0, 0, os.POSIX_FADV_DONTNEED)
    yield errno.errorcode.get(attempt(os.fsync, 999) == "EBADF", "EBADF")


CASES = (
    offsets,
    three_writers_append,
    holes,
    space,
    copied_by_the_kernel,
    written_around_the_cache,
    mappings,
    a_mapping_of_a_file_that_shrinks,
    files_without_a_name,
    temporary_files,
    programs,
    synchronised,
)
