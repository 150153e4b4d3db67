"""The process of one execution environment: local/lambda/runtime.ts under Node, spoken to as local/lambda/protocol.ts
says. It leads a process group of its own and ends with LocalStack (local/lambda/lifeline.ts); a supervisor between the
two ends what it started."""

import codecs
import fcntl
import json
import os
import queue
import select
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

from mintmark_localstack.report import Exit

# protocol.ts: the IPC channel is the descriptor that NODE_CHANNEL_FD names, the lifeline is always this one.
_CHANNEL = 3
_LIFELINE = 4

_IN_TASK_ROOT = Path(__file__).with_name("in-task-root.mjs")

# supervisor.py
_REPORT = 5
_SUPERVISOR = Path(__file__).with_name("supervisor.py")

# Standard descriptors and the three above must not be among those that are copied onto them.
_LEAST_DESCRIPTOR = 10


class RuntimeProcess:
    """:ivar ended: set when the process, and what it started, is gone"""

    def __init__(self, node: str, runtime: str, variables: Mapping[str, str]) -> None:
        """:param variables: all of the process's environment variables"""
        self.ended = threading.Event()
        self._said: queue.SimpleQueue[dict | Exit] = queue.SimpleQueue()
        self._lines: list[str] = []
        self._lines_lock = threading.Lock()
        self._output = _Splitter()
        self._answers = _Splitter()

        self._channel, theirs = socket.socketpair()
        self._log, log = os.pipe()
        lifeline, self._lifeline = os.pipe()
        self._report, report = os.pipe()
        variables = {**variables, "NODE_CHANNEL_FD": str(_CHANNEL), "NODE_CHANNEL_SERIALIZATION_MODE": "json"}
        moved_up = _moved_up(theirs.detach(), log, lifeline, report)
        with moved_up as (theirs_up, log_up, lifeline_up, report_up):
            self._supervisor = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", str(_SUPERVISOR), node, str(_IN_TASK_ROOT), runtime],
                {"LC_ALL": "C.UTF-8", "MINTMARK_RUNTIME_VARIABLES": json.dumps(variables)},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    # One pipe for both, so that the log has their lines in the order in which they were written.
                    (os.POSIX_SPAWN_DUP2, log_up, 1),
                    (os.POSIX_SPAWN_DUP2, log_up, 2),
                    (os.POSIX_SPAWN_DUP2, theirs_up, _CHANNEL),
                    (os.POSIX_SPAWN_DUP2, lifeline_up, _LIFELINE),
                    (os.POSIX_SPAWN_DUP2, report_up, _REPORT),
                ],
                # Out of reach of whatever ends LocalStack's group: it has to outlive LocalStack by a moment.
                setpgroup=0,
            )
        self._channel.setblocking(False)
        os.set_blocking(self._log, False)
        self._reaped, self._reaper_end = os.pipe()
        self._exit = Exit(None, None)
        self._pid: int | None = None
        self._started = threading.Event()
        self._lifeline_lock = threading.Lock()
        for work in (self._reap, self._pump):
            threading.Thread(target=work, name=f"lambda-process-{self._supervisor}", daemon=True).start()

    def send(self, message: Mapping[str, object], deadline: float) -> bool:
        """:returns: False when the process does not take the message in time; one that is gone is told by `next`"""
        rest = memoryview(json.dumps(message).encode() + b"\n")
        try:
            room = select.poll()
            room.register(self._channel, select.POLLOUT)
            while rest:
                if not room.poll(max(0.0, deadline - monotonic()) * 1000):
                    return False
                rest = rest[self._channel.send(rest) :]
        except (OSError, ValueError):
            # The channel of a process that has ended or is about to.
            pass
        return True

    def next(self, deadline: float) -> dict | Exit | None:
        """Waits for what the process says or how it ends, until `deadline` (of the monotonic clock): None is too late.
        What it wrote to its log before is in `take_lines` then."""
        try:
            return self._said.get(timeout=max(0.0, deadline - monotonic()))
        except queue.Empty:
            return None

    def take_lines(self) -> list[str]:
        """What the process wrote since the last call."""
        with self._lines_lock:
            lines, self._lines = self._lines + self._output.rest(), []
            return lines

    def max_memory_used(self) -> int | None:
        """MB, the highest so far; None where the system does not say, or the process is gone."""
        self._started.wait()
        try:
            status = Path(f"/proc/{self._pid}/status").read_text()
        except OSError:
            return None
        kilobytes = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), None)
        return None if kilobytes is None else round(int(kilobytes) / 1024)

    def kill(self) -> None:
        """Kills the process and all that it started; returns when it is gone."""
        self._cut_lifeline()
        self.ended.wait()

    def _cut_lifeline(self) -> None:
        with self._lifeline_lock:
            if self._lifeline is not None:
                os.close(self._lifeline)
                self._lifeline = None

    def _reap(self) -> None:
        with open(self._report) as report:
            self._pid = _number(report.readline())
            self._started.set()
            status = _number(report.readline())
        os.waitpid(self._supervisor, 0)
        # Where the supervisor was killed, the process itself still listens to its lifeline.
        self._cut_lifeline()
        if status is None:
            self._exit = Exit(None, signal.SIGKILL.name)
        else:
            code = os.waitstatus_to_exitcode(status)
            self._exit = Exit(code, None) if code >= 0 else Exit(None, signal.Signals(-code).name)
        os.close(self._reaper_end)

    def _pump(self) -> None:
        """Brings log lines and messages here in the order in which the process wrote them."""
        with selectors.DefaultSelector() as selector:
            for source in (self._reaped, self._channel, self._log):
                selector.register(source, selectors.EVENT_READ)
            ended = False
            while not ended:
                ready = {key.fileobj for key, _ in selector.select()}
                ended = self._reaped in ready
                if (ended or self._channel in ready) and not self._read_channel():
                    if self._channel in selector.get_map():
                        selector.unregister(self._channel)
                if self._log in ready and not self._read_log():
                    selector.unregister(self._log)
        self._channel.close()
        for descriptor in (self._reaped, self._log):
            os.close(descriptor)
        self.ended.set()
        self._said.put(self._exit)

    def _read_channel(self) -> bool:
        """:returns: False at the end of file, or when there is nothing more"""
        received = []
        try:
            while chunk := self._channel.recv(65536):
                received += self._answers.lines(chunk)
            open_still = False
        except BlockingIOError:
            open_still = True
        except OSError:
            open_still = False
        # After the answer was read, before it is told: the log of an invocation ends before its answer.
        self._read_log()
        for line in received:
            self._said.put(_message(line))
        return open_still

    def _read_log(self) -> bool:
        try:
            while chunk := os.read(self._log, 65536):
                with self._lines_lock:
                    self._lines += self._output.lines(chunk)
            return False
        except BlockingIOError:
            return True


def _number(line: str) -> int | None:
    """:returns: None for a line that was never written"""
    return int(line) if line else None


def _message(line: str) -> dict:
    """What is no message is one of no known type."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


class _Splitter:
    """Cuts a stream of bytes into lines of text."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def lines(self, chunk: bytes) -> list[str]:
        *lines, self._rest = (self._rest + self._decoder.decode(chunk)).split("\n")
        return lines

    def rest(self) -> list[str]:
        """What came after the last line's end."""
        rest, self._rest = self._rest, ""
        return [rest] if rest else []


class _moved_up:
    """Descriptors out of the way of those that a child expects; all are closed afterwards."""

    def __init__(self, *descriptors: int) -> None:
        self._moved = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, _LEAST_DESCRIPTOR) for each in descriptors]
        for each in descriptors:
            os.close(each)

    def __enter__(self) -> list[int]:
        return self._moved

    def __exit__(self, *_) -> None:
        for each in self._moved:
            os.close(each)
