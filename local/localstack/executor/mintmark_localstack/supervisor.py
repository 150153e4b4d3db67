"""`python -I -S supervisor.py PROGRAM ARGUMENT...`: runs the program of one execution environment to its end, and ends
all that it started with it, a process that has left the program's group and session included.

Linux only, this process is the reaper of what descends from it (prctl(2), PR_SET_CHILD_SUBREAPER), so that nothing can
leave its family. Elsewhere the program's own process group is ended, no more.

Descriptors: 0, 1, 2 and the IPC channel (3) are the program's; the lifeline (4) is shared with it: a pipe whose end of
file means that all is to end; the report (5) gets two lines, the program's process id and, when nothing of it is left,
its wait status.

:var MINTMARK_RUNTIME_VARIABLES: the program's environment, as JSON
"""

import ctypes
import json
import os
import select
import signal
import sys

_CHANNEL = 3
_LIFELINE = 4
_REPORT = 5

# linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> None:
    os.set_inheritable(_REPORT, False)
    _become_reaper()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    # Python writes to it when a signal arrives; the handler itself has nothing to do.
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)

    program = os.posix_spawn(
        command[0],
        command,
        json.loads(os.environ["MINTMARK_RUNTIME_VARIABLES"]),
        setpgroup=0,
        # Python ignores it, and what a process ignores its children ignore too.
        setsigdef=[signal.SIGPIPE],
    )
    os.write(_REPORT, b"%d\n" % program)
    # The ends of these files are to be the program's.
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2, _CHANNEL):
        os.dup2(nothing, descriptor)

    _wait(program, woken)
    status = _end_all(program)
    try:
        os.write(_REPORT, b"%d\n" % status)
    except BrokenPipeError:
        # LocalStack has ended: nobody is left who wants to know.
        pass


def _become_reaper() -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _wait(program: int, woken: int) -> None:
    """Until the program has ended (it still is to be reaped then), or the lifeline."""
    events = select.poll()
    events.register(woken, select.POLLIN)
    # A hang-up is told without being asked for; there is nothing to read.
    events.register(_LIFELINE, 0)
    while True:
        for descriptor, _ in events.poll():
            if descriptor == _LIFELINE:
                return
            os.read(woken, 4096)
        while (child := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if child.si_pid == program:
                return
            os.waitpid(child.si_pid, 0)


def _end_all(program: int) -> int:
    """Kills until there is no child left: a reaper without children has no descendants either.

    :returns: the program's wait status
    """
    # Its leader is not reaped yet: the group's id cannot be somebody else's.
    _kill(-program)
    status = 0
    while True:
        for pid in _descendants(os.getpid()):
            _kill(pid)
        try:
            pid, ended = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        if pid == program:
            status = ended


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # It has ended meanwhile; macOS says so with EPERM where only a zombie is left.
        pass


def _descendants(ancestor: int) -> list[int]:
    """Empty where there is no /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if sys.platform == "linux" else []:
        if name.isdigit() and (parent := _parent_of(name)) is not None:
            children.setdefault(parent, []).append(int(name))
    found = []
    waiting = [ancestor]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _parent_of(pid: str) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # proc_pid_stat(5): pid, (comm), state, ppid; comm may hold anything.
            return int(file.read().rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


if __name__ == "__main__":
    main(sys.argv[1:])
