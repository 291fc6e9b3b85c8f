# SPDX-License-Identifier: GPL-2.0-or-later
"""What daemon and workers ask of the kernel, by strace."""

import re
import signal
import subprocess

from harness.waiting import wait_until

LINE = re.compile(r"^(\d+) +(?:\[.*?\] +)?(\d+\.\d+) (\w+)\((.*)$")
RESUMED = re.compile(r"^(\d+) +\d+\.\d+ <\.\.\. ")

# They end at once whatever the disks do. What is not named here fails the test.
HARMLESS = {
    "epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "poll", "ppoll", "read", "recvfrom",
    "recvmsg", "accept4", "getsockopt", "setsockopt", "shutdown", "close", "fcntl", "flock",
    "clock_gettime", "clock_nanosleep", "timerfd_settime", "timer_settime", "timer_delete",
    "getpid", "gettid", "getppid", "getuid", "geteuid", "getrandom", "kill", "tgkill", "waitid",
    "wait4", "rt_sigprocmask", "rt_sigaction", "rt_sigreturn", "restart_syscall", "futex", "brk",
    "mmap", "munmap", "mprotect", "madvise", "exit_group", "exit", "newfstatat", "fstat", "statx",
    "lseek", "sched_yield", "pause", "sigaltstack", "ioctl", "getdents64", "readlink", "prctl",
}
STARTS = {"execve", "execveat", "fork", "vfork", "clone", "clone3"}
PATHS = {"openat", "open", "rename", "renameat", "renameat2", "unlink", "unlinkat"}
SENDS = {"sendto", "sendmsg"}


class Trace:
    """strace of these processes, and of what they start, from here to end()."""

    def __init__(self, site, pids):
        self._site = site
        self.path = site.directory / "strace"
        command = ["strace", "-f", "-y", "-s", "300", "-ttt", "-o", self.path]
        for pid in pids:
            command += ["-p", str(pid)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for _ in pids:
            line = self._process.stderr.readline()
            assert "attached" in line, line

    def end(self):
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=20)
        return self.calls()

    def calls(self):
        """(pid, name, arguments) in their order."""
        found = (LINE.match(line) for line in
                 self.path.read_text(errors="replace").splitlines())
        return [(int(match[1]), match[3], match[4]) for match in found if match]

    def wait_for(self, text):
        wait_until(lambda: text in self.path.read_text(errors="replace"), text)


def between(calls, begin, end):
    """From the first call with `begin` in it to the last one with `end`."""
    first = next(i for i, call in enumerate(calls) if begin in call[2])
    last = max(i for i, call in enumerate(calls) if end in call[2])
    return calls[first:last + 1]


def violations(site, calls, sockets_may_wait=()):
    """What breaks I5. `sockets_may_wait`: pids that may wait for a server."""
    found = []
    runtime = str(site.runtime)
    for pid, name, arguments in calls:
        if name in HARMLESS:
            wrong = name == "mmap" and "MAP_SHARED" in arguments and "PROT_WRITE" in arguments \
                and "anon" not in arguments.lower()
        elif name in STARTS:
            wrong = True
        elif name in PATHS:
            writes = name not in ("open", "openat") or re.search(
                r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", arguments)
            wrong = writes and f'"{runtime}/' not in arguments
        elif name in SENDS:
            wrong = "MSG_DONTWAIT" not in arguments and pid not in sockets_may_wait
        elif name == "write":
            wrong = not re.match(r"\d+<(anon_inode:|" + re.escape(runtime) + "/)", arguments)
        else:
            wrong = True
        if wrong:
            found.append(f"{pid} {name}({arguments}")
    return found
