"""Maps memory in every way a hypervisor does, as told by lines of JSON on stdin; answers each with one line of JSON."""
import ctypes
import json
import mmap
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.memfd_create.argtypes = [ctypes.c_char_p, ctypes.c_uint]


def check(result):
    if result in (-1, ctypes.c_void_p(-1).value):
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
    return result


def open_file(path):
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def memfd(name, flags):
    return check(libc.memfd_create(name.encode(), flags))


def truncate(fd, size):
    os.ftruncate(fd, size)


def close(fd):
    os.close(fd)


def map(fd, size, offset, shared):
    flags = mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE
    if fd < 0:
        flags |= mmap.MAP_ANONYMOUS
    address = check(libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, fd, offset))
    # MADV_NOHUGEPAGE: a page touched is a page, whatever the host does with huge ones. Hugetlb refuses it.
    libc.madvise(address, size, 15)
    return address


def unmap(address, size):
    check(libc.munmap(address, size))


def protect(address, size):
    check(libc.mprotect(address, size, mmap.PROT_READ))


def advise(address, size, advice):
    check(libc.madvise(address, size, advice))


def write(address, byte, size):
    ctypes.memset(address, byte, size)


def read(address, size):
    return ctypes.string_at(address, size).hex()


commands = {
    "open": open_file, "memfd": memfd, "truncate": truncate, "close": close, "map": map, "unmap": unmap,
    "protect": protect, "advise": advise, "write": write, "read": read,
}

for line in sys.stdin:
    command, *arguments = json.loads(line)
    try:
        answer = {"result": commands[command](*arguments)}
    except OSError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
