"""Thin, typed ctypes over Linux system calls.

Rules of this package: standard library only (the keeper imports it with `python -I -S`); a wrapper does one
system call; every wrapper cites its manual page; every failure is an `OSError` with the errno and with a text
that says what was being done.
"""
