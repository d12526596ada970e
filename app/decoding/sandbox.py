"""The system calls that are left to a process which decodes hostile files (seccomp, Linux)."""

import errno
import importlib
import sys
from types import ModuleType

# Once its modules are loaded, a decoder reads and writes pipes that are open, and computes.
_ALLOWED = (
    *("read", "readv", "write", "writev", "poll", "ppoll", "select", "pselect6", "lseek"),
    *("close", "fcntl", "fstat"),
    *("brk", "mmap", "munmap", "mprotect", "mremap", "madvise"),
    *("futex", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "membarrier"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"),
    *("getpid", "gettid", "getrusage", "setrlimit", "getrlimit", "getrandom"),
    *("clock_gettime", "clock_nanosleep", "nanosleep", "gettimeofday"),
    *("exit", "exit_group"),
)
_CLONE_THREAD = 0x10000


def is_available() -> bool:
    """Return whether `confine` can do something here: on Linux, where libseccomp is."""
    return _load() is not None


def confine() -> None:
    """Leave this process no system calls but those that decoding takes, for good.

    From then on it opens no file or socket, and starts and signals no process: such calls fail
    with EPERM. Where `is_available` returns False it does nothing.

    Raises OSError when the kernel refuses the filter.
    """
    seccomp = _load()
    if seccomp is None:
        return
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    for name in _ALLOWED:
        if seccomp.resolve_syscall(seccomp.Arch.NATIVE, name) >= 0:  # not all processors have all
            rules.add_rule(seccomp.ALLOW, name)
    # Its own limits, and none of another process.
    rules.add_rule(seccomp.ALLOW, "prlimit64", seccomp.Arg(0, seccomp.EQ, 0))
    # Threads, but no processes. A filter cannot read what clone3 is asked for; where the kernel
    # does not have it, glibc asks clone.
    is_thread = seccomp.Arg(0, seccomp.MASKED_EQ, _CLONE_THREAD, _CLONE_THREAD)
    rules.add_rule(seccomp.ALLOW, "clone", is_thread)
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    rules.load()


def _load() -> ModuleType | None:
    if sys.platform != "linux":
        return None
    try:
        return importlib.import_module("pyseccomp")  # which looks for the library
    except (ImportError, OSError, RuntimeError):
        return None
